//! Giving messages back that could not be consumed.

use std::sync::Arc;

use crate::protocol::fields::NoFields;
use crate::protocol::request::{headers, requests};

headers! {
    /// Asks a broker to deliver a message of its log again later, or to make it a dead letter.
    pub(crate) struct SendBack {
        "delayLevel" => delay_level: i32,
        "group" => group: Arc<str>,
        "maxReconsumeTimes" => max_reconsume_times: Option<i32>,
        /// The position in the commit log, not in the queue.
        "offset" => offset: i64,
        "originMsgId" => origin_message_id: Option<String>,
        "originTopic" => origin_topic: Option<String>,
        "unitMode" => unit_mode: Option<bool>,
        "bname" => broker_name: Option<Arc<str>>,
    }
}

requests! {
    SendBack = CONSUMER_SEND_MSG_BACK -> NoFields;
}
