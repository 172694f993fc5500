//! What is known about one key of RocketMQ's configuration.

use std::ops::RangeInclusive;

/// Any number.
pub(super) const ANY: RangeInclusive<i64> = i64::MIN..=i64::MAX;
/// Numbers that count something.
pub(super) const COUNT: RangeInclusive<i64> = 0..=i32::MAX as i64;
/// Numbers of which there must be one at least.
pub(super) const POSITIVE: RangeInclusive<i64> = 1..=i32::MAX as i64;
/// Percentages.
pub(super) const PERCENT: RangeInclusive<i64> = 0..=100;
/// TCP ports to listen on; 0 lets the system choose.
pub(super) const ANY_PORT: RangeInclusive<i64> = 0..=u16::MAX as i64;
/// TCP ports.
pub(super) const PORT: RangeInclusive<i64> = 1..=u16::MAX as i64;

/// A key with its type, its default and what Petrel makes of it.
#[derive(Clone, Debug)]
pub struct Key {
    /// RocketMQ's name.
    pub name: &'static str,
    /// What values look like.
    pub kind: Kind,
    /// The value if nobody sets one.
    pub standard: Standard,
    /// What becomes of a value.
    pub status: Status,
}

/// What values look like.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Anything.
    Text,
    /// Something that is not empty and has no spaces.
    Name,
    /// The path of a folder or file.
    Path,
    /// `true` or `false`.
    Switch,
    /// A whole number in a range.
    Whole(RangeInclusive<i64>),
    /// A whole multiple of the first number, in a range.
    Multiple(i64, RangeInclusive<i64>),
    /// A number with decimals.
    Decimal,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// An IP address.
    Address,
    /// An IP address or the name of a host.
    Host,
    /// `host:port`, several of them separated by `;`.
    Addresses,
    /// Delays such as `1s 5s 2m`.
    DelayLevels,
    /// Hours of the day such as `04;16`.
    Hours,
}

/// The value of a key that nobody sets.
#[derive(Clone, Copy, Debug)]
pub enum Standard {
    /// This one.
    Is(&'static str),
    /// A number.
    Number(i64),
    /// None.
    Unset,
    /// A number that follows from the number of processors.
    Processors(fn(i64) -> i64),
    /// The name of the machine.
    HostName,
    /// The address from which this machine reaches others.
    LocalAddress,
    /// 9876 for a name server, 10911 for a broker.
    ListenPort,
    /// One above the broker's `listenPort`.
    HaPort,
    /// `commitlog` in the folder of the store.
    CommitLog,
    /// A path in the home folder.
    Home(&'static str),
    /// What this variable of the environment says.
    Environment(&'static str),
}

impl Standard {
    /// Whether the default follows from the values of other keys.
    pub(super) const fn follows_from_others(self) -> bool {
        matches!(self, Self::HaPort | Self::CommitLog)
    }
}

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is done as it says.
    Used,
    /// It is taken and changes nothing, for this reason.
    NoEffect(&'static str),
    /// It is taken and changes nothing, because this is not served yet.
    NotYet(&'static str),
    /// Any value but the default is refused: it would promise this, which is not served.
    OnlyDefault(&'static str),
}

impl Status {
    /// Whether the key says something about what is served.
    #[must_use]
    pub const fn counts(self) -> bool {
        matches!(self, Self::Used | Self::OnlyDefault(_))
    }
}

/// A switch.
pub(super) const fn flag(name: &'static str, standard: bool, status: Status) -> Key {
    Key { name, kind: Kind::Switch, standard: Standard::Is(if standard { "true" } else { "false" }), status }
}

/// A whole number.
pub(super) const fn number(name: &'static str, standard: i64, range: RangeInclusive<i64>, status: Status) -> Key {
    Key { name, kind: Kind::Whole(range), standard: Standard::Number(standard), status }
}

/// A text.
pub(super) const fn text(name: &'static str, standard: &'static str, status: Status) -> Key {
    Key { name, kind: Kind::Text, standard: Standard::Is(standard), status }
}

/// One of some words, the first by default.
pub(super) const fn choice(name: &'static str, words: &'static [&'static str], status: Status) -> Key {
    Key { name, kind: Kind::Choice(words), standard: Standard::Is(words[0]), status }
}

/// Any other key.
pub(super) const fn of(name: &'static str, kind: Kind, standard: Standard, status: Status) -> Key {
    Key { name, kind, standard, status }
}
