//! `deleteWhen`: the hours of the day in which expired files go.

use std::fmt;

use jiff::tz::TimeZone;
use route_core::Timestamp;

/// Hours of the day, in a time zone.
#[derive(Clone, PartialEq, Eq)]
pub struct DeleteWhen {
    /// The hours, as bits.
    hours: u32,
    zone: TimeZone,
}

impl DeleteWhen {
    /// Reads RocketMQ's form, hours with semicolons between them (`04`, `02;14`). They are hours of this machine's time zone, as for Java:
    /// that of `TZ`, or of `/etc/localtime`; UTC if there is neither.
    ///
    /// # Errors
    /// What is no hour.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::parse_in(text, TimeZone::system())
    }

    fn parse_in(text: &str, zone: TimeZone) -> Result<Self, String> {
        let mut hours = 0;
        for part in text.split(';').filter(|part| !part.is_empty()) {
            match part.parse::<u32>() {
                Ok(hour) if hour < 24 => hours |= 1 << hour,
                _ => return Err(format!("hours of the day such as 04;16 ({part:?} is none)")),
            }
        }
        Ok(Self { hours, zone })
    }

    /// Whether this is such an hour.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        // A time that no calendar has is no hour of any day.
        let Ok(instant) = jiff::Timestamp::from_millisecond(now.0) else { return false };
        let hour = self.zone.to_datetime(instant).hour();
        self.hours & 1 << hour != 0
    }
}

impl Default for DeleteWhen {
    /// Four in the morning.
    fn default() -> Self {
        Self { hours: 1 << 4, zone: TimeZone::system() }
    }
}

impl fmt::Debug for DeleteWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((0..24).filter(|hour| self.hours & 1 << hour != 0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;

    use super::*;

    /// 2023-11-14, 22:13 UTC.
    const EVENING: Timestamp = Timestamp(1_700_000_000_000);

    fn due(text: &str, zone: TimeZone) -> bool {
        DeleteWhen::parse_in(text, zone).unwrap().is_due(EVENING)
    }

    #[test]
    fn hours_are_those_of_the_time_zone() {
        assert!(due("22", TimeZone::UTC) && !due("21;23", TimeZone::UTC));
        let east = || TimeZone::fixed(Offset::constant(6));
        assert!(due("04", east()) && !due("22", east()));
        let rome = || TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert!(due("23", rome()), "it is winter");
    }

    #[test]
    fn several_hours_are_as_good_as_one() {
        assert!(due("4;22;23", TimeZone::UTC));
        assert!(!due("", TimeZone::UTC), "no hour is never");
    }

    #[test]
    fn what_is_no_hour_is_named() {
        for wrong in ["24", "-1", "noon", "4; 5", "4,5"] {
            let why = DeleteWhen::parse(wrong).unwrap_err();
            assert!(why.contains(&wrong[wrong.len() - 1..]), "{why}");
        }
    }

    #[test]
    fn a_time_beyond_all_calendars_is_no_hour() {
        let always = DeleteWhen::parse_in("0;1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;20;21;22;23", TimeZone::UTC).unwrap();
        assert!(always.is_due(EVENING) && !always.is_due(Timestamp(i64::MAX)));
    }
}
