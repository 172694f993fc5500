//! What a producer calls its message.

use std::{fmt, net::IpAddr};

use super::HexText;

/// A producer's id: `ip | u16 process | i32 hash | i32 ms since the month began | u16 counter` in upper-case hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UniqueId(HexText);

impl UniqueId {
    /// The id as text: 32 characters, or 56 for IPv6.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes ids. Two generators differ by address, process or hash; two ids of one generator by time or counter.
#[derive(Clone, Debug)]
pub struct UniqueIdGenerator {
    prefix: HexText,
    month_start: i64,
    next_month: i64,
    counter: u16,
}

const DAY: i64 = 86_400_000;

impl UniqueIdGenerator {
    /// A generator for one process. `hash` may be any number that tells generators of one process apart; Java takes that of its
    /// class loader. Only the low 16 bits of `process` count.
    #[must_use]
    pub fn new(ip: IpAddr, process: u32, hash: i32, counter: u16) -> Self {
        let mut prefix = HexText::EMPTY;
        match ip {
            IpAddr::V4(ip) => prefix.push(ip.octets()),
            IpAddr::V6(ip) => prefix.push(ip.octets()),
        }
        let [_, _, high, low] = process.to_be_bytes();
        prefix.push([high, low]);
        prefix.push(hash.to_be_bytes());
        Self { prefix, month_start: 0, next_month: i64::MIN, counter }
    }

    /// The next id; `now` is in ms since 1970. Months are those of UTC.
    pub fn next_id(&mut self, now: i64) -> UniqueId {
        if now >= self.next_month || now < self.month_start {
            (self.month_start, self.next_month) = month_around(now);
        }
        let mut text = self.prefix;
        // A month has less than 2^32 ms; Java, too, keeps the low half only.
        let [_, _, _, _, since @ ..] = (now - self.month_start).to_be_bytes();
        text.push(since);
        text.push(self.counter.to_be_bytes());
        self.counter = self.counter.wrapping_add(1);
        UniqueId(text)
    }
}

/// First moment of the month and of the next one. The calendar arithmetic is Howard Hinnant's `civil_from_days`.
fn month_around(now: i64) -> (i64, i64) {
    let now = now.clamp(-LIMIT, LIMIT);
    let days = now.div_euclid(DAY);
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5;
    let start = days - day;
    let year = era * 400 + year_of_era + i64::from(month >= 10);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    // Months are counted from March here.
    let len = match month {
        1 | 3 | 6 | 8 => 30,
        11 => 28 + i64::from(leap),
        _ => 31,
    };
    (start * DAY, (start + len) * DAY)
}

/// Times beyond the year 10,000 are as good as that year.
const LIMIT: i64 = 253_402_300_800_000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const FEB_2024: i64 = 1_706_745_600_000;
    const MAR_2024: i64 = 1_709_251_200_000;

    #[test]
    fn a_month_is_the_one_of_the_calendar() {
        assert_eq!(month_around(FEB_2024), (FEB_2024, MAR_2024));
        assert_eq!(month_around(MAR_2024 - 1), (FEB_2024, MAR_2024));
        assert_eq!(month_around(MAR_2024).0, MAR_2024);
        assert_eq!(month_around(0), (0, 31 * DAY));
        assert_eq!(month_around(-1), (-31 * DAY, 0));
    }

    #[test]
    fn every_month_begins_where_the_one_before_ends() {
        let mut at = 0;
        for month in 0..12 * 500 {
            let (start, next) = month_around(at);
            assert_eq!(start, at, "month {month}");
            at = next;
        }
    }

    #[test]
    fn two_ids_of_one_moment_differ_in_the_counter() {
        let mut ids = UniqueIdGenerator::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 0x13F18, 0x4E0E_2F2A, 0xFFFF);
        assert_eq!(ids.next_id(FEB_2024 + 1).as_str(), "C00002023F184E0E2F2A00000001FFFF");
        assert_eq!(ids.next_id(FEB_2024 + 1).as_str(), "C00002023F184E0E2F2A000000010000");
    }
}
