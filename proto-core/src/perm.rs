//! What may be done with a topic: bits and the text that tools show.

/// Queues have priorities.
pub const PRIORITY: i32 = 8;
/// Consumers may read.
pub const READ: i32 = 4;
/// Producers may write.
pub const WRITE: i32 = 2;
/// New topics may be made after this one.
pub const INHERIT: i32 = 1;

/// Whether consumers may read.
#[must_use]
pub const fn is_readable(perm: i32) -> bool {
    perm & READ == READ
}

/// Whether producers may write.
#[must_use]
pub const fn is_writeable(perm: i32) -> bool {
    perm & WRITE == WRITE
}

/// Whether new topics may be made after this one.
#[must_use]
pub const fn is_inherited(perm: i32) -> bool {
    perm & INHERIT == INHERIT
}

/// Whether queues have priorities.
#[must_use]
pub const fn is_priority(perm: i32) -> bool {
    perm & PRIORITY == PRIORITY
}

/// Whether the number stands for a permission that a broker takes.
#[must_use]
pub const fn is_valid(perm: i32) -> bool {
    perm >= 0 && perm < PRIORITY
}

/// The text that tools show, for example `RW-`.
#[must_use]
pub const fn text(perm: i32) -> &'static str {
    match (is_readable(perm), is_writeable(perm), is_inherited(perm)) {
        (false, false, false) => "---",
        (false, false, true) => "--X",
        (false, true, false) => "-W-",
        (false, true, true) => "-WX",
        (true, false, false) => "R--",
        (true, false, true) => "R-X",
        (true, true, false) => "RW-",
        (true, true, true) => "RWX",
    }
}
