//! Names of index files: the moment at which the first message was stored, `yyyyMMddHHmmssSSS`. Files are in the order of their names.

use proto_core::calendar::{DAY, date_of, days_of};

/// The name of the file that begins with a message stored at this time (UTC), in any case one behind that of the last file.
pub(super) fn next(store_timestamp: i64, last: Option<&str>) -> String {
    let mut time = store_timestamp;
    let mut name = of(time);
    if let Some(last) = last
        && *name <= *last
    {
        // The clock was set back, or another broker names its files by another time zone.
        time = parse(last).map_or(time, |last| time.max(last + 1));
        name = of(time);
        if *name <= *last {
            name = format!("{last}0");
        }
    }
    name
}

fn of(time: i64) -> String {
    let (days, millis) = (time.div_euclid(DAY), time.rem_euclid(DAY));
    let (year, month, day) = date_of(days);
    let seconds = millis / 1000;
    format!("{year:04}{month:02}{day:02}{:02}{:02}{:02}{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60, millis % 1000)
}

fn parse(name: &str) -> Option<i64> {
    if name.len() != 17 || !name.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| name.get(from..to)?.parse::<i64>().ok();
    let days = days_of(part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let seconds = part(8, 10)? * 3600 + part(10, 12)? * 60 + part(12, 14)?;
    Some(days * DAY + seconds * 1000 + part(14, 17)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_moment() {
        assert_eq!(next(1_795_376_178_608, None), "20261122193618608");
        assert_eq!(next(951_782_400_000, None), "20000229000000000");
        assert_eq!(parse("20261122193618608"), Some(1_795_376_178_608));
    }

    #[test]
    fn a_name_is_always_behind_the_last_one() {
        assert_eq!(next(1_795_376_178_608, Some("20261122193618608")), "20261122193618609");
        assert_eq!(next(5, Some("20261122235959999")), "20261123000000000");
        assert_eq!(next(5, Some("something else")), "something else0");
    }

    proptest::proptest! {
        #[test]
        fn a_moment_comes_back_from_its_name(time in 0_i64..253_402_300_799_999) {
            proptest::prop_assert_eq!(parse(&of(time)), Some(time));
        }
    }
}
