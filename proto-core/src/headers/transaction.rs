//! Transactions: `END_TRANSACTION` (37), `CHECK_TRANSACTION_STATE` (39) and `RESUME_CHECK_HALF_MESSAGE` (323).

use super::ext_header;
use crate::text::Text;

ext_header! {
    /// 37 `END_TRANSACTION`: a producer's verdict on its half message.
    lenient EndTransactionRequest<'a> {
        /// The topic of the message.
        topic: Option<Text<'a>> = "topic",
        /// The producer's group.
        producer_group: Text<'a> = "producerGroup",
        /// Offset of the half message in its queue.
        tran_state_table_offset: i64 = "tranStateTableOffset",
        /// Where the half message lies in the commit log.
        commit_log_offset: i64 = "commitLogOffset",
        /// 0 not decided, 8 commit, 12 roll back; anything else is refused.
        commit_or_rollback: i32 = "commitOrRollback",
        /// Whether the broker had asked.
        from_transaction_check: bool = "fromTransactionCheck",
        /// The message's unique key.
        msg_id: Text<'a> = "msgId",
        /// The message's unique key again.
        transaction_id: Option<Text<'a>> = "transactionId",
        /// The broker that is meant.
        broker_name: Option<Text<'a>> = "bname",
    }

    /// 323 `RESUME_CHECK_HALF_MESSAGE`: an operator wants producers to be asked again about a half message that was put aside.
    lenient ResumeCheckHalfMessageRequest<'a> {
        /// The topic of the message.
        topic: Option<Text<'a>> = "topic",
        /// Offset message id of the copy that was put aside.
        msg_id: Text<'a> = "msgId",
    }

    /// 39 `CHECK_TRANSACTION_STATE`: the broker asks a producer about a half message, which is the body.
    lenient CheckTransactionStateRequest<'a> {
        /// The topic under which the half message lies.
        topic: Option<Text<'a>> = "topic",
        /// Offset of the half message in its queue.
        tran_state_table_offset: i64 = "tranStateTableOffset",
        /// Where the half message lies in the commit log.
        commit_log_offset: i64 = "commitLogOffset",
        /// The message's unique key.
        msg_id: Option<Text<'a>> = "msgId",
        /// The message's unique key again.
        transaction_id: Option<Text<'a>> = "transactionId",
        /// Offset message id of the half message.
        offset_msg_id: Option<Text<'a>> = "offsetMsgId",
        /// The broker that asks.
        broker_name: Option<Text<'a>> = "bname",
    }
}
