//! Taking back a message that has not been delivered yet.

use std::sync::Arc;

use crate::protocol::request::{headers, requests};

headers! {
    /// Takes back a timer message (brokers 5.3.2 and later).
    pub(crate) struct RecallMessage {
        "bname" => broker_name: Option<Arc<str>>,
        "producerGroup" => producer_group: Option<Arc<str>>,
        "recallHandle" => handle: String,
        "topic" => topic: Arc<str>,
    }

    /// The unique id of the message that was taken back.
    pub(crate) struct RecallReply {
        "msgId" => message_id: String,
    }
}

requests! {
    RecallMessage = RECALL_MESSAGE -> RecallReply;
}
