//! Looking messages up by id and by key.

use std::sync::Arc;

use crate::code::{RequestCode, ResponseCode};
use crate::protocol::fields::NoFields;
use crate::protocol::request::{Request, headers, requests};

headers! {
    /// Asks for the message at a position of the commit log.
    pub(crate) struct ViewMessage {
        "offset" => offset: i64,
        "topic" => topic: Option<Arc<str>>,
    }

    /// Asks for messages by key or by unique id.
    pub(crate) struct QueryMessage {
        /// Left out of the signature: see [`Request::VERSION`] of this request.
        "_UNIQUE_KEY_QUERY" => unique_id_query: Option<bool>,
        "beginTimestamp" => begin_timestamp: i64,
        "endTimestamp" => end_timestamp: i64,
        "key" => key: String,
        "maxNum" => max_messages: i32,
        "topic" => topic: Arc<str>,
    }

    /// How far the index reaches.
    pub(crate) struct QueryReply {
        "indexLastUpdateTimestamp" => last_update_timestamp: Option<i64>,
        "indexLastUpdatePhyoffset" => last_update_offset: Option<i64>,
    }
}

requests! {
    ViewMessage = VIEW_MESSAGE_BY_ID -> NoFields;
}

impl Request for QueryMessage {
    type Reply = QueryReply;

    const ANSWERS: &'static [ResponseCode] = &[ResponseCode::SUCCESS, ResponseCode::QUERY_NOT_FOUND];

    /// Brokers of every line leave `_UNIQUE_KEY_QUERY` out of the signed content for versions up to 399 (`V4_9_3`); for
    /// newer ones they disagree with each other.
    const VERSION: i32 = 399;

    fn code(&self) -> RequestCode {
        RequestCode::QUERY_MESSAGE
    }
}

/// The field brokers leave out of the signed content of a [`QueryMessage`].
pub(crate) const UNSIGNED_QUERY_FIELD: &str = "_UNIQUE_KEY_QUERY";
