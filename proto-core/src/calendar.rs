//! Dates for people and for names of files: moments in ms since 1970 as UTC, and back. Arithmetic alone; no clock is read.

/// Milliseconds of a day.
pub const DAY: i64 = 86_400_000;

/// The date (year, month, day) that is so many days after 1970-01-01. Years are taken to begin in March, so that the leap day is the
/// last one.
#[must_use]
pub const fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + (month <= 2) as i64, month, day)
}

/// The inverse of [`date_of`].
#[must_use]
pub const fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - (month <= 2) as i64;
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// A moment as text, `2026-11-22T19:36:18.608Z`; the number itself where that is no date of four-digit years.
#[must_use]
pub fn utc_text(millis: i64) -> String {
    let (days, rest) = (millis.div_euclid(DAY), millis.rem_euclid(DAY));
    // Four-digit years: further out the arithmetic would only make up dates.
    if !(days_of(0, 1, 1)..days_of(10_000, 1, 1)).contains(&days) {
        return millis.to_string();
    }
    let (year, month, day) = date_of(days);
    let seconds = rest / 1000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{:02}.{:03}Z", seconds % 60, rest % 1000)
}

/// The moment that a text names: ms since 1970, or a date with or without a time of day, in UTC: `2026-11-22`, `2026-11-22T19:36`,
/// `2026-11-22T19:36:18.608Z`. A space may stand for the `T`.
#[must_use]
pub fn parse_utc(text: &str) -> Option<i64> {
    if let Ok(millis) = text.parse() {
        return Some(millis);
    }
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, ""));
    let mut date = date.splitn(3, '-');
    let (year, month, day) = (part(date.next()?, 4)?, part(date.next()?, 2)?, part(date.next()?, 2)?);
    let days = days_of(year, month, day);
    let mut millis = 0;
    if !time.is_empty() {
        let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
        let mut time = time.splitn(3, ':');
        let (hours, minutes) = (part(time.next()?, 2)?, part(time.next()?, 2)?);
        let seconds = time.next().map_or(Some(0), |seconds| part(seconds, 2))?;
        let fraction = if fraction.is_empty() { 0 } else { part(fraction, 3)? };
        if hours > 23 || minutes > 59 || seconds > 59 {
            return None;
        }
        millis = ((hours * 60 + minutes) * 60 + seconds) * 1000 + fraction;
    }
    (date_of(days) == (year, month, day)).then_some(days * DAY + millis)
}

fn part(text: &str, len: usize) -> Option<i64> {
    (text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_as_people_write_them() {
        assert_eq!(utc_text(1_795_376_178_608), "2026-11-22T19:36:18.608Z");
        assert_eq!(utc_text(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(utc_text(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(utc_text(i64::MAX), i64::MAX.to_string());
    }

    #[test]
    fn a_moment_may_be_a_number_a_date_or_a_time_of_day() {
        assert_eq!(parse_utc("1795376178608"), Some(1_795_376_178_608));
        assert_eq!(parse_utc("2000-02-29"), Some(951_782_400_000));
        assert_eq!(parse_utc("2000-02-29 00:01"), Some(951_782_460_000));
        for wrong in ["", "yesterday", "2001-02-29", "2000-13-01", "2000-2-9", "2000-02-29T24:00", "2000-02-29T00:00:00.5"] {
            assert_eq!(parse_utc(wrong), None, "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_moment_comes_back_from_its_text(millis in -62_167_219_200_000_i64..253_402_300_800_000) {
            proptest::prop_assert_eq!(parse_utc(&utc_text(millis)), Some(millis));
        }
    }
}
