//! Numbers in the values of properties, as `Integer.valueOf`, `Long.valueOf` and `Double.valueOf` read them. Of digits, those of ASCII count.

/// A whole number of 32 bits: an optional sign and digits.
#[must_use]
pub fn parse_int(text: &[u8]) -> Option<i32> {
    parse_long(text).and_then(|number| i32::try_from(number).ok())
}

/// A whole number of 64 bits: an optional sign and digits.
#[must_use]
pub fn parse_long(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    // Counted downwards: there is one more number below zero than above.
    let mut number = 0_i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if negative { Some(number) } else { number.checked_neg() }
}

/// A double: decimal or hexadecimal, with exponent or without, `NaN`, `Infinity`, one of the suffixes `d` and `f`, and white space around it.
#[must_use]
pub fn parse_double(text: &[u8]) -> Option<f64> {
    let text = trim(text);
    let (negative, magnitude) = match text {
        [b'-', magnitude @ ..] => (true, magnitude),
        [b'+', magnitude @ ..] | magnitude => (false, magnitude),
    };
    let value = match magnitude {
        b"NaN" => f64::NAN,
        b"Infinity" => f64::INFINITY,
        [b'0', b'x' | b'X', hexadecimal @ ..] => parse_hexadecimal(without_suffix(hexadecimal))?,
        decimal => parse_decimal(without_suffix(decimal))?,
    };
    Some(if negative { -value } else { value })
}

/// Without what Java's `trim` takes off: spaces and control characters.
fn trim(text: &[u8]) -> &[u8] {
    let Some(first) = text.iter().position(|&byte| byte > b' ') else { return &[] };
    let last = text.iter().rposition(|&byte| byte > b' ').unwrap_or(first);
    &text[first..=last]
}

fn without_suffix(text: &[u8]) -> &[u8] {
    match text {
        [number @ .., b'd' | b'D' | b'f' | b'F'] => number,
        number => number,
    }
}

fn parse_decimal(text: &[u8]) -> Option<f64> {
    // Rust reads the same numbers, and words like "inf" besides.
    let plain = text.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.');
    plain.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()
}

/// `1.8p3`: hexadecimal digits with at most one point, and a decimal exponent of 2, which must be there.
fn parse_hexadecimal(text: &[u8]) -> Option<f64> {
    let at = text.iter().position(|byte| matches!(byte, b'p' | b'P'))?;
    let (digits, exponent) = (&text[..at], &text[at + 1..]);
    let exponent = match parse_long(exponent) {
        Some(exponent) => exponent.clamp(-EXPONENT_LIMIT, EXPONENT_LIMIT),
        // An exponent that 64 bits do not hold decides all on its own.
        None => match exponent {
            [b'-', digits @ ..] if all_digits(digits) => -EXPONENT_LIMIT,
            [b'+', digits @ ..] | digits if all_digits(digits) => EXPONENT_LIMIT,
            _ => return None,
        },
    };
    let (mut significand, mut scale, mut lost) = (0_u64, 0_i64, false);
    let (mut point, mut any) = (false, false);
    for &byte in digits {
        if byte == b'.' && !point {
            point = true;
            continue;
        }
        let digit = char::from(byte).to_digit(16)?;
        any = true;
        if significand >> 58 == 0 {
            significand = significand << 4 | u64::from(digit);
            scale -= if point { 4 } else { 0 };
        } else {
            // What lies beyond 60 bits only says on which side of a half it is.
            lost |= digit != 0;
            scale += if point { 0 } else { 4 };
        }
    }
    any.then(|| scaled(significand | u64::from(lost), scale + exponent))
}

/// Beyond this every significand that fits a record is zero or infinite.
const EXPONENT_LIMIT: i64 = 1 << 20;

fn all_digits(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// `significand * 2^exponent`, rounded once to the nearest double, to the even one from the middle.
fn scaled(significand: u64, exponent: i64) -> f64 {
    if significand == 0 {
        return 0.0;
    }
    // The highest bit's power of two, and the lowest power that the result can hold.
    let highest = exponent + i64::from(63 - significand.leading_zeros());
    if highest > 1023 {
        return f64::INFINITY;
    }
    let lowest = (highest - 52).max(-1074);
    let dropped = lowest - exponent;
    let (kept, up) = if dropped <= 0 {
        (u128::from(significand) << dropped.unsigned_abs().min(63), false)
    } else if dropped > 64 {
        (0, false)
    } else {
        let (wide, dropped) = (u128::from(significand), dropped.unsigned_abs());
        let (kept, rest, half) = (wide >> dropped, wide & ((1 << dropped) - 1), 1_u128 << (dropped - 1));
        (kept, rest > half || (rest == half && kept & 1 == 1))
    };
    // The bits of neighbouring doubles are neighbouring numbers: rounding up may carry into the exponent.
    let fraction = u64::try_from(kept).unwrap_or(u64::MAX) + u64::from(up);
    let biased = if lowest == -1074 { 0 } else { u64::try_from(lowest + 1074).unwrap_or(0) };
    f64::from_bits(fraction + (biased << 52))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_a_sign_or_none_and_stay_in_range() {
        let int = |text: &str| parse_int(text.as_bytes());
        assert_eq!((int("5"), int("+5"), int("-5"), int("007")), (Some(5), Some(5), Some(-5), Some(7)));
        assert_eq!((int("2147483647"), int("-2147483648")), (Some(i32::MAX), Some(i32::MIN)));
        for wrong in ["", "-", "+", " 5", "5 ", "5.0", "1e3", "--5", "2147483648", "-2147483649", "5L", "0x10"] {
            assert_eq!(int(wrong), None, "{wrong:?}");
        }
        assert_eq!(parse_long(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_long(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(parse_long(b"9223372036854775808"), None);
        assert_eq!(parse_long(b"-9223372036854775809"), None);
    }

    #[test]
    fn doubles_come_in_all_forms_of_java() {
        let cases = [
            ("3.5", 3.5),
            ("5", 5.0),
            ("5.", 5.0),
            (".5", 0.5),
            ("-1e3", -1000.0),
            ("+1E-3", 0.001),
            (" 7 ", 7.0),
            ("\t7\n", 7.0),
            ("2d", 2.0),
            ("2.5F", 2.5),
            ("Infinity", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("1e999", f64::INFINITY),
            ("1e-999", 0.0),
            ("0x1p3", 8.0),
            ("0X1.8P1", 3.0),
            ("0x.8p0", 0.5),
            ("0x1p-1074", 5e-324),
            ("0x1p-1075", 0.0),
            ("0x1.8p-1074", 1e-323),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x1.fffffffffffff8p1023", f64::INFINITY),
            ("0x1p1024", f64::INFINITY),
            ("0x1p99999999999999999999", f64::INFINITY),
            ("0x1p-99999999999999999999", 0.0),
            ("0x0p99999999999999999999", 0.0),
            ("0x1.0000000000000801p0", 1.0 + f64::EPSILON),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.000000000000080000000000000001p0", 1.0 + f64::EPSILON),
            ("0x10000000000000000000p0", 7.555_786_372_591_432e22),
            ("0x1p0d", 1.0),
        ];
        for (text, value) in cases {
            assert_eq!(parse_double(text.as_bytes()), Some(value), "{text:?}");
        }
        assert!(parse_double(b"NaN").is_some_and(f64::is_nan));
        assert!(parse_double(b"-NaN").is_some_and(f64::is_nan));
        for wrong in [
            "",
            " ",
            "-",
            ".",
            "e5",
            "1e",
            "inf",
            "nan",
            "infinity",
            "1_000",
            "1,5",
            "0x",
            "0x1",
            "0xp1",
            "0x1p",
            "1dd",
            "Infinityd",
            "--1",
            "\u{661}",
        ] {
            assert_eq!(parse_double(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
