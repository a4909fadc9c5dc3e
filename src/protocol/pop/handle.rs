use std::sync::Arc;

use crate::protocol::rpc::pop::ChangeInvisibleReply;

const RETRY_PREFIX: &str = "%RETRY%";

/// From which of a topic's queues a popped message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Retry {
    /// The topic itself.
    Normal,
    /// The group's retry topic of it, `%RETRY%group_topic`.
    V1,
    /// The same under its newer name, `%RETRY%group+topic`.
    V2,
}

impl Retry {
    /// The mark in handles and infos.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Retry::Normal => "0",
            Retry::V1 => "1",
            Retry::V2 => "2",
        }
    }

    pub(crate) fn from_mark(mark: &str) -> Option<Retry> {
        [Retry::Normal, Retry::V1, Retry::V2].into_iter().find(|retry| retry.mark() == mark)
    }

    /// What a topic's name says, as in Java.
    pub(crate) fn of_topic(topic: &str) -> Retry {
        match topic.strip_prefix(RETRY_PREFIX) {
            None => Retry::Normal,
            Some(rest) if rest.contains('+') => Retry::V2,
            Some(_) => Retry::V1,
        }
    }

    /// The topic that messages of `topic` with this mark are read from. All names are those of the wire.
    pub(crate) fn topic(self, group: &str, topic: &Arc<str>) -> Arc<str> {
        match self {
            Retry::Normal => topic.clone(),
            Retry::V1 => format!("{RETRY_PREFIX}{group}_{topic}").into(),
            Retry::V2 => format!("{RETRY_PREFIX}{group}+{topic}").into(),
        }
    }
}

/// The handle of a popped message (Java: the property `POP_CK`), in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handle {
    /// The offset of the first message that was popped with it.
    pub(crate) start_offset: i64,
    /// When, in milliseconds of the broker's clock.
    pub(crate) pop_time: i64,
    /// In milliseconds.
    pub(crate) invisible_time: i64,
    pub(crate) revive_queue_id: i32,
    pub(crate) retry: Retry,
    pub(crate) broker_name: Arc<str>,
    pub(crate) queue_id: i32,
    pub(crate) queue_offset: i64,
}

impl Handle {
    pub(crate) fn encode(&self) -> String {
        let Handle { start_offset, pop_time, invisible_time, revive_queue_id, retry, broker_name, .. } = self;
        let (retry, queue_id, offset) = (retry.mark(), self.queue_id, self.queue_offset);
        format!(
            "{start_offset} {pop_time} {invisible_time} {revive_queue_id} {retry} {broker_name} {queue_id} {offset}"
        )
    }

    /// Reads the text form; `None` for everything else. As in Java, parts behind the eighth are ignored.
    pub(crate) fn decode(text: &str) -> Option<Handle> {
        let mut parts = text.split(' ');
        Some(Handle {
            start_offset: parts.next()?.parse().ok()?,
            pop_time: parts.next()?.parse().ok()?,
            invisible_time: parts.next()?.parse().ok()?,
            revive_queue_id: parts.next()?.parse().ok()?,
            retry: Retry::from_mark(parts.next()?)?,
            broker_name: parts.next().filter(|name| !name.is_empty())?.into(),
            queue_id: parts.next()?.parse().ok()?,
            queue_offset: parts.next()?.parse().ok()?,
        })
    }

    /// The handle that replaces this one after its time was changed.
    pub(crate) fn changed(&self, reply: &ChangeInvisibleReply) -> Handle {
        Handle {
            start_offset: self.queue_offset,
            pop_time: reply.pop_time,
            invisible_time: reply.invisible_time,
            revive_queue_id: reply.revive_queue_id,
            ..self.clone()
        }
    }
}
