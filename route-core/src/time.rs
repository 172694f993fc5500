//! Time as a value: one kind for measuring, one kind for telling the date. Neither is ever read in here.

use std::ops::{Add, Sub};

/// Milliseconds on a clock that never goes back, whose zero is whatever the runtime chose; or a span of them. For deadlines and expiry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// The start of the clock.
    pub const ZERO: Self = Self(0);

    /// A number of seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1000)
    }

    /// `self - earlier`, or zero if `earlier` is later.
    #[must_use]
    pub const fn saturating_sub(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Millis {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// Milliseconds since 1970, as records carry it. It may jump when somebody sets the clock; nothing expires by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment shifted by a span.
    #[must_use]
    pub const fn plus(self, span: Millis) -> Self {
        Self(self.0.saturating_add_unsigned(span.0))
    }
}

impl Sub for Timestamp {
    type Output = Millis;

    /// The span since `earlier`, or zero if `earlier` is later.
    fn sub(self, earlier: Self) -> Millis {
        Millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// The present, in both kinds; passed to every verb.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For deadlines; what `poll_timeout` is compared with.
    pub mono: Millis,
    /// For what is written into records and answers.
    pub wall: Timestamp,
}

impl Now {
    /// The deadline on the steady clock at which the wall clock will show `moment`, if nobody sets it; `mono` itself if that is past.
    #[must_use]
    pub fn deadline(self, moment: Timestamp) -> Millis {
        self.mono + (moment - self.wall)
    }
}
