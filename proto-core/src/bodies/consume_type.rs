//! How a consumer wants its messages.

use super::wire_enum::wire_enum;

wire_enum! {
    /// Who moves the messages.
    ConsumeType {
        /// The application pulls.
        ConsumeActively = "CONSUME_ACTIVELY",
        /// The client library pulls and calls the application.
        ConsumePassively = "CONSUME_PASSIVELY",
        /// The broker hands messages out one by one and waits for each acknowledgement.
        ConsumePop = "CONSUME_POP",
    }
}

wire_enum! {
    /// Whether members of a group share the messages.
    MessageModel {
        /// Every member gets all.
        Broadcasting = "BROADCASTING",
        /// Every message goes to one member.
        Clustering = "CLUSTERING",
    }
}

wire_enum! {
    /// Where a group that has no offset yet begins.
    ConsumeFromWhere {
        /// With the next message.
        ConsumeFromLastOffset = "CONSUME_FROM_LAST_OFFSET",
        /// Deprecated in Java; reads as the last offset.
        ConsumeFromLastOffsetAndFromMinWhenBootFirst = "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
        /// Deprecated in Java; reads as the last offset.
        ConsumeFromMinOffset = "CONSUME_FROM_MIN_OFFSET",
        /// Deprecated in Java; reads as the last offset.
        ConsumeFromMaxOffset = "CONSUME_FROM_MAX_OFFSET",
        /// With the oldest message.
        ConsumeFromFirstOffset = "CONSUME_FROM_FIRST_OFFSET",
        /// With the first message of a given time.
        ConsumeFromTimestamp = "CONSUME_FROM_TIMESTAMP",
    }
}
