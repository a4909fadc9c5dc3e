//! Ending a transaction, and being asked how one ended.

use std::sync::Arc;

use crate::protocol::fields::NoFields;
use crate::protocol::request::{headers, requests};

/// How a transaction ended, as the bits of a message's system flag say it.
pub(crate) mod end {
    pub(crate) const UNKNOWN: i32 = 0;
    pub(crate) const COMMIT: i32 = 8;
    pub(crate) const ROLLBACK: i32 = 12;
}

headers! {
    /// Tells a broker how the transaction of a half message ended. Clients send it oneway; sent two-way it is answered,
    /// unless the end is unknown.
    pub(crate) struct EndTransaction {
        "bname" => broker_name: Option<Arc<str>>,
        /// The half message's position in the commit log.
        "commitLogOffset" => commit_log_offset: i64,
        /// One of [`end`].
        "commitOrRollback" => end: i32,
        /// Whether it answers a broker's question.
        "fromTransactionCheck" => from_check: Option<bool>,
        "msgId" => message_id: Option<Arc<str>>,
        "producerGroup" => producer_group: Arc<str>,
        "topic" => topic: Option<Arc<str>>,
        /// The half message's place in its internal queue.
        "tranStateTableOffset" => half_offset: i64,
        "transactionId" => transaction_id: Option<Arc<str>>,
    }

    /// Asks a client how the transaction of a half message ended; the body is that message under its real topic. Oneway:
    /// the answer is an [`EndTransaction`].
    pub(crate) struct CheckTransaction {
        "bname" => broker_name: Option<Arc<str>>,
        "commitLogOffset" => commit_log_offset: i64,
        "msgId" => message_id: Option<Arc<str>>,
        "offsetMsgId" => offset_message_id: Option<Arc<str>>,
        /// The internal topic half messages lie in.
        "topic" => topic: Option<Arc<str>>,
        "tranStateTableOffset" => half_offset: i64,
        "transactionId" => transaction_id: Option<Arc<str>>,
    }
}

requests! {
    EndTransaction = END_TRANSACTION -> NoFields;
}
