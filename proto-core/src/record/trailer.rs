//! The checksum over all of a record that a broker can put at its very end, as the last property: `__CRC32# 0x01`, ten decimal digits with
//! the least one in front, `0x02`. It covers all that lies in front of it, so also topic and properties, which the body's checksum does not.

use super::{RecordError, body_crc};
use crate::properties::{NAME_VALUE_SEPARATOR, PROPERTY_SEPARATOR, names};

/// Bytes of a trailer.
pub const TRAILER_LEN: usize = 20;

const DIGITS: usize = 10;
const NAME: &[u8; 8] = match names::CRC32.as_bytes().first_chunk() {
    Some(name) => name,
    None => panic!("the name of the property has 8 bytes"),
};

/// Of a trailer that is damaged itself, at most so many bytes may be wrong: with more, an application's property looks as much like one.
const DAMAGED: usize = 4;

/// The trailer of a record that has this checksum without it.
#[must_use]
pub fn encode_trailer(crc: u32) -> [u8; TRAILER_LEN] {
    let mut bytes = [NAME_VALUE_SEPARATOR; TRAILER_LEN];
    bytes[..NAME.len()].copy_from_slice(NAME);
    bytes[NAME.len() + 1..TRAILER_LEN - 1].copy_from_slice(&digits_of(crc));
    bytes[TRAILER_LEN - 1] = PROPERTY_SEPARATOR;
    bytes
}

fn digits_of(mut crc: u32) -> [u8; DIGITS] {
    [(); DIGITS].map(|()| {
        let digit = crc % 10;
        crc /= 10;
        // One digit is less than ten.
        b'0' + digit as u8
    })
}

/// Bytes that a trailer takes behind properties, with the separator that they may lack.
pub(super) fn room_behind(properties: &[u8]) -> usize {
    TRAILER_LEN + usize::from(lacks_separator(properties))
}

pub(super) fn lacks_separator(properties: &[u8]) -> bool {
    properties.last().is_some_and(|&last| last != PROPERTY_SEPARATOR)
}

/// Properties without what has the form of a trailer at their end. There it is the checksum of another record than the one that is made of
/// these properties now, or a client made it up.
#[must_use]
#[inline]
pub fn without_trailer(mut properties: &[u8]) -> &[u8] {
    while let Some((front, tail)) = properties.split_last_chunk()
        && tail.starts_with(NAME)
        && wrong_bytes(front, tail) == 0
    {
        properties = front;
    }
    properties
}

/// How much the last bytes of properties differ from the form of a trailer, the separator in front of it included.
fn wrong_bytes(front: &[u8], tail: &[u8; TRAILER_LEN]) -> usize {
    let form = encode_trailer(0);
    let is_right = |at: usize| if is_digit(at) { tail[at].is_ascii_digit() } else { tail[at] == form[at] };
    (0..TRAILER_LEN).filter(|&at| !is_right(at)).count() + usize::from(lacks_separator(front))
}

fn is_digit(at: usize) -> bool {
    (NAME.len() + 1..TRAILER_LEN - 1).contains(&at)
}

/// Holds a record against the trailer at the end of its properties. Answers whether there is one.
pub(super) fn verify(record: &[u8], properties: &[u8]) -> Result<bool, RecordError> {
    let Some((front, tail)) = properties.split_last_chunk() else { return Ok(false) };
    let wrong = wrong_bytes(front, tail);
    if wrong > DAMAGED {
        return Ok(false);
    }
    let covered = record.get(..record.len() - TRAILER_LEN).unwrap_or_default();
    if wrong == 0 {
        let computed = body_crc(covered);
        return if *tail == encode_trailer(computed) { Ok(true) } else { Err(RecordError::BadTrailer { computed }) };
    }
    // Nearly one. It was one if the rest of it is right, which no property is by chance.
    let computed = match covered.split_last() {
        Some((_, rest)) if lacks_separator(front) => {
            let mut crc = crc32fast::Hasher::new();
            crc.update(rest);
            crc.update(&[PROPERTY_SEPARATOR]);
            crc.finalize() & 0x7FFF_FFFF
        }
        _ => body_crc(covered),
    };
    let right = encode_trailer(computed);
    let agrees = (0..TRAILER_LEN).all(|at| !is_digit(at) || !tail[at].is_ascii_digit() || tail[at] == right[at]);
    if agrees { Err(RecordError::BadTrailer { computed }) } else { Ok(false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailer_has_the_digits_of_the_checksum_from_the_least_one_on() {
        assert_eq!(&encode_trailer(891_568_578), b"__CRC32#\x018758651980\x02");
        assert_eq!(&encode_trailer(0), b"__CRC32#\x010000000000\x02");
        assert_eq!(&encode_trailer(0x7FFF_FFFF), b"__CRC32#\x017463847412\x02");
    }

    #[test]
    fn what_has_the_form_of_a_trailer_is_taken_off_the_end_however_often_it_is_there() {
        assert_eq!(without_trailer(b"__CRC32#\x018758651980\x02"), b"");
        assert_eq!(without_trailer(b"a\x01b\x02__CRC32#\x018758651980\x02__CRC32#\x010000000000\x02"), b"a\x01b\x02");
    }

    #[test]
    fn a_property_of_that_name_in_another_form_or_elsewhere_stays() {
        let others: [&[u8]; 7] = [
            b"__CRC32#\x01875865198\x02",
            b"__CRC32#\x0187586519801\x02",
            b"__CRC32#\x018758651980",
            b"__CRC32#\x01875865198x\x02",
            b"x__CRC32#\x018758651980\x02",
            b"__CRC32#\x018758651980\x02a\x01b\x02",
            b"__CRC32#\x01abc\x02de\x01fgh\x02",
        ];
        for properties in others {
            assert_eq!(without_trailer(properties), properties);
            let record = [b"a record of some bytes", properties].concat();
            assert_eq!(verify(&record, properties), Ok(false), "{:?}", String::from_utf8_lossy(properties));
        }
    }
}
