//! What the tests of consumers share.

use std::sync::Arc;

use bytes::Bytes;

use crate::message::{MessageQueue, MessageView, Stored, View, key, write_property};
use crate::protocol::record;

/// A stored message with a tag (none when it is empty) at an offset of queue 0 of topic `T`.
pub(super) fn stored(tag: &str, queue_offset: i64) -> Stored {
    let mut properties = String::new();
    if !tag.is_empty() {
        write_property(&mut properties, key::TAGS, tag);
    }
    let body = Bytes::from_static(b"hello");
    Stored {
        queue_id: 0,
        flag: 0,
        queue_offset,
        commit_log_offset: queue_offset * 100,
        sys_flag: 0,
        body_crc: record::body_crc(&body),
        born_timestamp: 1,
        born_host: ([127, 0, 0, 1], 1).into(),
        store_timestamp: 2,
        store_host: ([127, 0, 0, 1], 10911).into(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body,
        topic: Arc::from("T"),
        properties: properties.into(),
    }
}

/// A stored message as users see it in a queue.
pub(super) fn read_from(queue: MessageQueue, stored: Stored) -> MessageView {
    View::messages(vec![View::new(stored, queue.into(), None)]).remove(0)
}

/// The same as users see it.
pub(super) fn tagged(tag: &str, queue_offset: i64) -> MessageView {
    let stored = stored(tag, queue_offset);
    let body = Ok(stored.body.clone());
    MessageView::new(stored, "b".into(), body)
}

/// A message whose body could not be inflated.
pub(super) fn damaged(queue_offset: i64) -> MessageView {
    MessageView::new(stored("", queue_offset), "b".into(), Err("no deflate stream".into()))
}
