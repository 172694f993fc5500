//! The names that RocketMQ gives its own properties. Applications may not use them for theirs.

/// The application's keys, separated by spaces; the index is built on them.
pub const KEYS: &str = "KEYS";
/// The tag.
pub const TAGS: &str = "TAGS";
/// `false` if the producer does not want to wait for the disk or a slave.
pub const WAIT: &str = "WAIT";
/// Delay level, from 1.
pub const DELAY: &str = "DELAY";
/// Original topic of a message in a retry topic.
pub const RETRY_TOPIC: &str = "RETRY_TOPIC";
/// Where a delayed, timed or half message belongs.
pub const REAL_TOPIC: &str = "REAL_TOPIC";
/// The queue where a delayed, timed or half message belongs.
pub const REAL_QID: &str = "REAL_QID";
/// `true` for a half message.
pub const TRAN_MSG: &str = "TRAN_MSG";
/// The producer's group, for checks of transactions.
pub const PGROUP: &str = "PGROUP";
/// Set by consumers: first offset of the queue.
pub const MIN_OFFSET: &str = "MIN_OFFSET";
/// Set by consumers: end of the queue.
pub const MAX_OFFSET: &str = "MAX_OFFSET";
/// Reserved, unused.
pub const BUYER_ID: &str = "BUYER_ID";
/// Id of the first attempt of a retried message.
pub const ORIGIN_MESSAGE_ID: &str = "ORIGIN_MESSAGE_ID";
/// Reserved, unused.
pub const TRANSFER_FLAG: &str = "TRANSFER_FLAG";
/// Reserved, unused.
pub const CORRECTION_FLAG: &str = "CORRECTION_FLAG";
/// Reserved, unused.
pub const MQ2_FLAG: &str = "MQ2_FLAG";
/// Attempts so far, where a client sends its retry itself.
pub const RECONSUME_TIME: &str = "RECONSUME_TIME";
/// The group's limit of attempts, where a client sends its retry itself.
pub const MAX_RECONSUME_TIMES: &str = "MAX_RECONSUME_TIMES";
/// The broker's region.
pub const MSG_REGION: &str = "MSG_REGION";
/// Whether clients trace.
pub const TRACE_ON: &str = "TRACE_ON";
/// The producer's id of the message.
pub const UNIQ_KEY: &str = "UNIQ_KEY";
/// More about that id.
pub const EXTEND_UNIQ_INFO: &str = "EXTEND_UNIQ_INFO";
/// Set by consumers: when they began.
pub const CONSUME_START_TIME: &str = "CONSUME_START_TIME";
/// Messages of an inner batch.
pub const INNER_NUM: &str = "INNER_NUM";
/// First queue offset of an inner batch.
pub const INNER_BASE: &str = "INNER_BASE";
/// Key of a duplicate.
pub const DUP_INFO: &str = "DUP_INFO";
/// Seconds before the first check of a transaction.
pub const CHECK_IMMUNITY_TIME_IN_SECONDS: &str = "CHECK_IMMUNITY_TIME_IN_SECONDS";
/// Offset of the half message in its queue.
pub const TRAN_PREPARED_QUEUE_OFFSET: &str = "TRAN_PREPARED_QUEUE_OFFSET";
/// Id of the transaction.
pub const TRANSACTION_ID: &str = "__transactionId__";
/// Checks of the transaction so far.
pub const TRANSACTION_CHECK_TIMES: &str = "TRANSACTION_CHECK_TIMES";
/// Namespace instance, for traces.
pub const INSTANCE_ID: &str = "INSTANCE_ID";
/// Connects an answer with its request.
pub const CORRELATION_ID: &str = "CORRELATION_ID";
/// The client that waits for an answer.
pub const REPLY_TO_CLIENT: &str = "REPLY_TO_CLIENT";
/// Time that a request may take, ms.
pub const TTL: &str = "TTL";
/// When an answer reached the broker.
pub const ARRIVE_TIME: &str = "ARRIVE_TIME";
/// When the broker passed an answer on.
pub const PUSH_REPLY_TIME: &str = "PUSH_REPLY_TIME";
/// Kind of the message, `reply` for an answer.
pub const MSG_TYPE: &str = "MSG_TYPE";
/// The cluster.
pub const CLUSTER: &str = "CLUSTER";
/// Receipt of a popped message; taken out of what producers send.
pub const POP_CK: &str = "POP_CK";
/// Queue offset of that receipt.
pub const POP_CK_OFFSET: &str = "POP_CK_OFFSET";
/// When the message was popped first.
pub const FIRST_POP_TIME: &str = "1ST_POP_TIME";
/// Messages with equal values keep their order.
pub const SHARDING_KEY: &str = "__SHARDINGKEY";
/// Reserved, unused.
pub const PROPERTY_FORWARD_QUEUE_ID: &str = "PROPERTY_FORWARD_QUEUE_ID";
/// Reserved, unused.
pub const REDIRECT: &str = "REDIRECT";
/// Light queues to which the message goes as well.
pub const INNER_MULTI_DISPATCH: &str = "INNER_MULTI_DISPATCH";
/// Offsets in those queues.
pub const INNER_MULTI_QUEUE_OFFSET: &str = "INNER_MULTI_QUEUE_OFFSET";
/// Trace of the proxy.
pub const TRACE_CONTEXT: &str = "TRACE_CONTEXT";
/// Delay in seconds.
pub const TIMER_DELAY_SEC: &str = "TIMER_DELAY_SEC";
/// Delay in ms.
pub const TIMER_DELAY_MS: &str = "TIMER_DELAY_MS";
/// Delivery time, ms since 1970.
pub const TIMER_DELIVER_MS: &str = "TIMER_DELIVER_MS";
/// Delivery time as the broker rounded it.
pub const TIMER_OUT_MS: &str = "TIMER_OUT_MS";
/// When the message went into the timer.
pub const TIMER_ENQUEUE_MS: &str = "TIMER_ENQUEUE_MS";
/// When the message came out of the timer.
pub const TIMER_DEQUEUE_MS: &str = "TIMER_DEQUEUE_MS";
/// Rounds through the timer.
pub const TIMER_ROLL_TIMES: &str = "TIMER_ROLL_TIMES";
/// Message in the timer that this one takes back.
pub const TIMER_DEL_UNIQKEY: &str = "TIMER_DEL_UNIQKEY";
/// Declared by Java, unused.
pub const TIMER_DELAY_LEVEL: &str = "TIMER_DELAY_LEVEL";
/// Producer's address as the proxy saw it.
pub const BORN_HOST: &str = "__BORNHOST";
/// Producer's time as the proxy saw it.
pub const BORN_TIMESTAMP: &str = "BORN_TIMESTAMP";
/// Checksum over the whole record.
pub const CRC32: &str = "__CRC32#";
/// Where a dead letter comes from.
pub const DLQ_ORIGIN_TOPIC: &str = "DLQ_ORIGIN_TOPIC";
/// What id a dead letter had.
pub const DLQ_ORIGIN_MESSAGE_ID: &str = "DLQ_ORIGIN_MESSAGE_ID";
/// Prefix of properties that a consumer keeps to itself.
pub const TRANSIENT_PREFIX: &str = "__RMQ.TRANSIENT.";
