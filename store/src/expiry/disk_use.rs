//! How full a disk is, and which marks that is above.

/// The space of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// Bytes that are in use.
    pub(crate) used: u64,
    /// Bytes that this process may still take.
    pub(crate) available: u64,
}

impl Space {
    /// What is in use, in percent, rounded up: as RocketMQ counts, without what is kept for the administrator.
    pub(crate) fn percent(&self) -> u8 {
        let all = u128::from(self.used) + u128::from(self.available);
        if all == 0 {
            return 100;
        }
        // At most 100.
        u8::try_from((u128::from(self.used) * 100).div_ceil(all)).unwrap_or(100)
    }

    /// How many bytes must go until no more than `mark` percent are in use.
    pub(crate) fn excess(&self, mark: u8) -> u64 {
        let all = u128::from(self.used) + u128::from(self.available);
        let allowed = u64::try_from(all * u128::from(mark) / 100).unwrap_or(u64::MAX);
        self.used.saturating_sub(allowed)
    }
}

/// How full a disk may be, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    /// `diskMaxUsedSpaceRatio`
    pub(crate) expired_go: u8,
    /// `diskSpaceCleanForciblyRatio`
    pub(crate) oldest_go: u8,
    /// `diskSpaceWarningLevelRatio`
    pub(crate) refused: u8,
}

/// The marks that a disk is above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// None.
    #[default]
    Room,
    /// Expired files go at any hour.
    ExpiredGo,
    /// The oldest files go before their time.
    OldestGo,
    /// No message is taken.
    Refused,
}

impl Marks {
    /// Which marks a disk is above; the highest counts.
    pub(crate) const fn level(&self, percent: u8) -> Level {
        if percent > self.refused {
            Level::Refused
        } else if percent > self.oldest_go {
            Level::OldestGo
        } else if percent > self.expired_go {
            Level::ExpiredGo
        } else {
            Level::Room
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_percent_counts_as_a_whole_one() {
        let percent = |used, available| Space { used, available }.percent();
        assert_eq!((percent(750, 250), percent(751, 249), percent(0, 10), percent(10, 0), percent(0, 0)), (75, 76, 0, 100, 100));
        assert_eq!(percent(u64::MAX, u64::MAX), 50);
    }

    #[test]
    fn the_excess_is_what_must_go_to_be_at_the_mark_again() {
        let space = Space { used: 900, available: 100 };
        assert_eq!((space.excess(85), space.excess(90), space.excess(95)), (50, 0, 0));
        let after = Space { used: 900 - space.excess(85), available: 100 + space.excess(85) };
        assert_eq!(after.percent(), 85);
    }

    #[test]
    fn a_disk_at_a_mark_is_not_above_it() {
        let marks = Marks { expired_go: 75, oldest_go: 85, refused: 90 };
        let levels = [75, 76, 85, 86, 90, 91].map(|percent| marks.level(percent));
        assert_eq!(levels, [Level::Room, Level::ExpiredGo, Level::ExpiredGo, Level::OldestGo, Level::OldestGo, Level::Refused]);
    }
}
