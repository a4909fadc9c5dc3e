//! What a pull brought, made from the broker's answer. Pure.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::client::namespace::unwrap_topics;
use crate::code::ResponseCode;
use crate::consumer::Filter;
use crate::error::{Error, Result};
use crate::message::{MessageQueue, MessageView, View};
use crate::protocol::bounds::Bounds;
use crate::protocol::namespace::Namespace;
use crate::protocol::record::{self, Source};
use crate::protocol::rpc::pull::PullReply;

/// What a broker said to a pull. Whatever it was, the next pull begins at [`PullResult::next_offset`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PullStatus {
    /// There are messages.
    Found,
    /// The end of the queue is reached (Java: `NO_NEW_MSG`).
    NoNewMessage,
    /// None of the messages looked at is wanted by the filter, or a slave could not tell (Java: `NO_MATCHED_MSG`).
    /// Pull again at once.
    NoMatchedMessage,
    /// The queue does not have this offset: it lies before its first message or behind its end, or the offset was
    /// reset by an operator. The next offset is the nearest that exists, but may lie far from this one: see
    /// [`PullResult::min_offset`] and [`PullResult::max_offset`].
    OffsetIllegal,
}

impl fmt::Display for PullStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PullStatus::Found => "found",
            PullStatus::NoNewMessage => "no new message",
            PullStatus::NoMatchedMessage => "no matched message",
            PullStatus::OffsetIllegal => "offset illegal",
        })
    }
}

/// What a pull brought.
#[derive(Debug, Clone)]
pub struct PullResult {
    status: PullStatus,
    messages: Vec<MessageView>,
    next_offset: i64,
    min_offset: i64,
    max_offset: i64,
    suggested_broker_id: i64,
    from_slave: bool,
    /// The answer was more than is taken, and ended early.
    cut: Option<Error>,
}

impl PullResult {
    /// Returns what the broker said.
    pub fn status(&self) -> PullStatus {
        self.status
    }

    /// Returns the messages in the order of the queue; empty unless the status is [`PullStatus::Found`].
    ///
    /// A message whose body is damaged is among them: see [`MessageView::check_body`].
    pub fn messages(&self) -> &[MessageView] {
        &self.messages
    }

    /// Turns it into its messages.
    pub fn into_messages(self) -> Vec<MessageView> {
        self.messages
    }

    /// Returns the offset at which the next pull begins. The caller keeps it, and may
    /// [commit](super::PullConsumer::commit_offset) it once the messages are dealt with.
    ///
    /// It lies behind messages the filter left out. It never lies behind a message that could not be read.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Returns the smallest offset the queue still has.
    pub fn min_offset(&self) -> i64 {
        self.min_offset
    }

    /// Returns the offset the queue's next message will get.
    pub fn max_offset(&self) -> i64 {
        self.max_offset
    }

    /// Returns the id of the broker from which the broker that answered would have this queue read next: 0 for the
    /// master. The consumer follows it by itself.
    pub fn suggested_broker_id(&self) -> i64 {
        self.suggested_broker_id
    }

    /// Why the answer ended early, if it did.
    pub(super) fn cut(&self) -> Option<&Error> {
        self.cut.as_ref()
    }

    pub(super) fn read_from(&mut self, slave: bool) {
        self.from_slave = slave;
    }

    pub(in crate::consumer) fn is_from_master(&self) -> bool {
        !self.from_slave
    }

    /// Reads an answer to a pull of `queue` from `offset`. No more is taken than `bounds` allow.
    ///
    /// An answer whose first message cannot be read is an error, because there is nothing to go on from; one whose
    /// later message cannot be read ends before that message.
    pub(super) fn from_reply(
        code: ResponseCode,
        reply: &PullReply,
        body: Bytes,
        asked: Asked<'_>,
        bounds: &Bounds,
    ) -> Result<PullResult> {
        if reply.next_begin_offset < 0 {
            let next = reply.next_begin_offset;
            return Err(Error::malformed(format!("an answer to a pull with {next} as next offset")));
        }
        let mut result = PullResult {
            status: status(code),
            messages: Vec::new(),
            next_offset: reply.next_begin_offset,
            min_offset: reply.min_offset,
            max_offset: reply.max_offset,
            suggested_broker_id: reply.suggested_broker_id.unwrap_or(0),
            from_slave: false,
            cut: None,
        };
        if result.status == PullStatus::Found {
            result.take_messages(body, reply.offset_delta.unwrap_or(0), asked, bounds)?;
        }
        Ok(result)
    }

    fn take_messages(&mut self, body: Bytes, delta: i64, asked: Asked<'_>, bounds: &Bounds) -> Result<()> {
        let source = Source::Queue(Arc::new(asked.queue.clone()), delta);
        let (mut views, broken) = record::views(body, source, bounds);
        unwrap_topics(asked.namespace, &mut views);
        let mut messages = View::messages(views);
        if let Some(error) = broken {
            let Some(last) = messages.last() else { return Err(error) };
            log::warn!("{error} in {}, behind offset {}: the next pull begins there", asked.queue, last.queue_offset());
            self.next_offset = self.next_offset.min(last.queue_offset().saturating_add(1)).max(asked.offset);
            self.cut = Some(error);
        }
        // A pull that begins inside an inner batch gets all of it.
        messages.retain(|message| message.queue_offset() >= asked.offset && asked.filter.accepts(message));
        if messages.is_empty() {
            self.status = PullStatus::NoMatchedMessage;
        }
        self.messages = messages;
        Ok(())
    }
}

/// What a pull asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) queue: &'a MessageQueue,
    pub(super) offset: i64,
    pub(super) filter: &'a Filter,
    /// Of the messages' topics, which users know without it.
    pub(super) namespace: Option<&'a Namespace>,
}

/// The codes that are answers to a pull; all others became errors before.
fn status(code: ResponseCode) -> PullStatus {
    match code {
        ResponseCode::PULL_NOT_FOUND => PullStatus::NoNewMessage,
        ResponseCode::PULL_RETRY_IMMEDIATELY => PullStatus::NoMatchedMessage,
        ResponseCode::PULL_OFFSET_MOVED => PullStatus::OffsetIllegal,
        _ => PullStatus::Found,
    }
}

impl fmt::Display for PullResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.messages.len() {
            0 => write!(f, "{}", self.status)?,
            1 => f.write_str("1 message")?,
            count => write!(f, "{count} messages")?,
        }
        let PullResult { next_offset, min_offset, max_offset, .. } = self;
        write!(f, ", next offset {next_offset} (the queue has {min_offset} to {max_offset})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::tests::stored;
    use crate::message::sys_flag;
    use crate::protocol::record::encode;

    const FOUND: ResponseCode = ResponseCode::SUCCESS;

    fn reply(next: i64) -> PullReply {
        PullReply {
            suggested_broker_id: Some(1),
            next_begin_offset: next,
            min_offset: 2,
            max_offset: 90,
            offset_delta: None,
            topic_sys_flag: None,
            group_sys_flag: None,
            forbidden_type: None,
        }
    }

    fn body(tags_and_offsets: &[(&str, i64)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (tag, offset) in tags_and_offsets {
            encode(&mut out, &stored(tag, *offset));
        }
        out
    }

    fn read(code: ResponseCode, reply: &PullReply, body: Vec<u8>, offset: i64, filter: &str) -> Result<PullResult> {
        let (queue, filter) = (MessageQueue::new("T", "b", 7), Filter::from(filter));
        let asked = Asked { queue: &queue, offset, filter: &filter, namespace: None };
        PullResult::from_reply(code, reply, body.into(), asked, &Bounds::of_bodies(1024))
    }

    fn offsets(result: &PullResult) -> Vec<i64> {
        result.messages().iter().map(MessageView::queue_offset).collect()
    }

    #[test]
    fn each_answer_has_its_status_and_all_offsets() {
        let cases = [
            (FOUND, PullStatus::Found),
            (ResponseCode::PULL_NOT_FOUND, PullStatus::NoNewMessage),
            (ResponseCode::PULL_RETRY_IMMEDIATELY, PullStatus::NoMatchedMessage),
            (ResponseCode::PULL_OFFSET_MOVED, PullStatus::OffsetIllegal),
        ];
        for (code, status) in cases {
            let result = read(code, &reply(12), body(&[("a", 10), ("a", 11)]), 10, "*").unwrap();
            assert_eq!(result.status(), status);
            let numbers =
                (result.next_offset(), result.min_offset(), result.max_offset(), result.suggested_broker_id());
            assert_eq!(numbers, (12, 2, 90, 1), "{status}");
            assert_eq!(result.messages().len(), if status == PullStatus::Found { 2 } else { 0 });
        }
    }

    #[test]
    fn messages_belong_to_the_queue_that_was_pulled() {
        let result = read(FOUND, &reply(11), body(&[("", 10)]), 10, "*").unwrap();
        assert_eq!(*result.messages()[0].queue(), MessageQueue::new("T", "b", 7));
    }

    #[test]
    fn tags_that_only_share_their_hash_are_dropped_and_still_passed() {
        let result = read(FOUND, &reply(13), body(&[("Aa", 10), ("BB", 11), ("Aa", 12)]), 10, "Aa").unwrap();
        assert_eq!((offsets(&result), result.next_offset()), (vec![10, 12], 13));
        let none = read(FOUND, &reply(11), body(&[("BB", 10)]), 10, "Aa").unwrap();
        assert_eq!((none.status(), none.next_offset()), (PullStatus::NoMatchedMessage, 11));
    }

    #[test]
    fn the_offset_delta_of_static_topics_is_added() {
        let reply = PullReply { offset_delta: Some(1000), ..reply(1012) };
        let result = read(FOUND, &reply, body(&[("", 10), ("", 11)]), 1010, "*").unwrap();
        assert_eq!((offsets(&result), result.next_offset()), (vec![1010, 1011], 1012));
    }

    #[test]
    fn a_truncated_last_message_ends_the_batch_and_is_pulled_next() {
        let mut short = body(&[("a", 10), ("b", 11), ("a", 12)]);
        short.truncate(short.len() - 1);
        let all = read(FOUND, &reply(13), short.clone(), 10, "*").unwrap();
        assert_eq!((offsets(&all), all.next_offset()), (vec![10, 11], 12));
        let filtered = read(FOUND, &reply(13), short, 10, "a").unwrap();
        assert_eq!((offsets(&filtered), filtered.next_offset()), (vec![10], 12), "the one filtered out was read");
    }

    #[test]
    fn an_answer_of_which_nothing_can_be_read_is_an_error() {
        let mut short = body(&[("a", 10)]);
        short.truncate(20);
        assert!(matches!(read(FOUND, &reply(11), short, 10, "*"), Err(Error::Malformed { .. })));
        assert!(matches!(read(FOUND, &reply(-1), Vec::new(), 10, "*"), Err(Error::Malformed { .. })));
    }

    #[test]
    fn a_damaged_body_is_delivered_and_says_so() {
        let mut damaged = stored("a", 10);
        damaged.sys_flag |= sys_flag::COMPRESSED;
        let mut bytes = Vec::new();
        encode(&mut bytes, &damaged);
        bytes.extend(body(&[("a", 11)]));
        let result = read(FOUND, &reply(12), bytes, 10, "a").unwrap();
        assert_eq!(offsets(&result), [10, 11]);
        assert!(result.messages()[0].check_body().is_err());
        assert!(result.messages()[1].check_body().is_ok());
    }

    #[test]
    fn messages_before_the_offset_asked_for_are_left_out() {
        let result = read(FOUND, &reply(13), body(&[("", 10), ("", 11), ("", 12)]), 11, "*").unwrap();
        assert_eq!(offsets(&result), [11, 12]);
    }

    #[test]
    fn a_result_can_be_shown() {
        let found = read(FOUND, &reply(11), body(&[("", 10)]), 10, "*").unwrap();
        assert_eq!(found.to_string(), "1 message, next offset 11 (the queue has 2 to 90)");
        let none = read(ResponseCode::PULL_NOT_FOUND, &reply(10), Vec::new(), 10, "*").unwrap();
        assert_eq!(none.to_string(), "no new message, next offset 10 (the queue has 2 to 90)");
    }
}
