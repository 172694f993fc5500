//! The bits of system flags: of messages, of pull requests, of topics.

/// Bits of a message's system flag.
pub mod message {
    /// The body is compressed.
    pub const COMPRESSED: i32 = 0x1;
    /// TAGS holds several tags.
    pub const MULTI_TAGS: i32 = 0x2;
    /// Both transaction bits unset.
    pub const TRANSACTION_NOT: i32 = 0;
    /// A half message.
    pub const TRANSACTION_PREPARED: i32 = 0x4;
    /// The message of a committed transaction.
    pub const TRANSACTION_COMMIT: i32 = 0x8;
    /// The end of a rolled back transaction; both bits set.
    pub const TRANSACTION_ROLLBACK: i32 = 0xC;
    /// The producer's address is an IPv6 one.
    pub const BORN_HOST_V6: i32 = 0x10;
    /// The broker's address is an IPv6 one.
    pub const STORE_HOST_V6: i32 = 0x20;
    /// The consumer must unwrap an inner batch.
    pub const NEED_UNWRAP: i32 = 0x40;
    /// The body is an inner batch.
    pub const INNER_BATCH: i32 = 0x80;
    /// The bits of [`Compression`].
    pub const COMPRESSION_MASK: i32 = 0x700;

    /// The transaction bits: one of the four `TRANSACTION_…`.
    #[must_use]
    pub const fn transaction(flag: i32) -> i32 {
        flag & TRANSACTION_ROLLBACK
    }

    /// The flag with other transaction bits.
    #[must_use]
    pub const fn with_transaction(flag: i32, transaction: i32) -> i32 {
        (flag & !TRANSACTION_ROLLBACK) | transaction
    }

    /// The flag of a body that has been decompressed.
    #[must_use]
    pub const fn without_compressed(flag: i32) -> i32 {
        flag & !COMPRESSED
    }

    /// How a compressed body is compressed.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Compression {
        /// An LZ4 frame.
        Lz4,
        /// A zstd frame.
        Zstd,
        /// A zlib stream; also what a flag without compression bits means.
        Zlib,
    }

    /// The compression that a flag names; `None` for bits that RocketMQ does not know.
    #[must_use]
    pub const fn compression(flag: i32) -> Option<Compression> {
        match flag & COMPRESSION_MASK {
            0 | 0x300 => Some(Compression::Zlib),
            0x100 => Some(Compression::Lz4),
            0x200 => Some(Compression::Zstd),
            _ => None,
        }
    }
}

/// Bits of a pull request's system flag.
pub mod pull {
    /// The request commits an offset as well.
    pub const COMMIT_OFFSET: i32 = 0x1;
    /// The broker may hold the request until something comes.
    pub const SUSPEND: i32 = 0x2;
    /// The request carries its own subscription.
    pub const SUBSCRIPTION: i32 = 0x4;
    /// A filter class decides; gone since 5.0.
    pub const CLASS_FILTER: i32 = 0x8;
    /// The request comes from a lite pull consumer.
    pub const LITE_PULL: i32 = 0x10;

    /// Whether the request commits an offset as well.
    #[must_use]
    pub const fn has_commit_offset(flag: i32) -> bool {
        flag & COMMIT_OFFSET != 0
    }

    /// Whether the broker may hold the request.
    #[must_use]
    pub const fn has_suspend(flag: i32) -> bool {
        flag & SUSPEND != 0
    }

    /// Whether the request carries its own subscription.
    #[must_use]
    pub const fn has_subscription(flag: i32) -> bool {
        flag & SUBSCRIPTION != 0
    }

    /// Whether a filter class decides.
    #[must_use]
    pub const fn has_class_filter(flag: i32) -> bool {
        flag & CLASS_FILTER != 0
    }

    /// Whether the request comes from a lite pull consumer.
    #[must_use]
    pub const fn has_lite_pull(flag: i32) -> bool {
        flag & LITE_PULL != 0
    }
}

/// Bits of a topic's or a group's system flag.
pub mod topic {
    /// The topic belongs to a unit.
    pub const UNIT: i32 = 0x1;
    /// Consumers of a unit subscribe to it.
    pub const UNIT_SUB: i32 = 0x2;

    /// The flag with these two bits.
    #[must_use]
    pub const fn build(unit: bool, unit_sub: bool) -> i32 {
        (if unit { UNIT } else { 0 }) | (if unit_sub { UNIT_SUB } else { 0 })
    }

    /// Whether the topic belongs to a unit.
    #[must_use]
    pub const fn has_unit(flag: i32) -> bool {
        flag & UNIT != 0
    }

    /// Whether consumers of a unit subscribe to it.
    #[must_use]
    pub const fn has_unit_sub(flag: i32) -> bool {
        flag & UNIT_SUB != 0
    }
}
