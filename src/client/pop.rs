//! Pop: taking messages from a broker, and telling it what became of them. Used by all consumers that pop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use crate::code::ResponseCode;
use crate::error::{Error, Result};
use crate::message::{MessageQueue, MessageView, Receipt};
use crate::protocol::pop::{self, Handle};
use crate::protocol::request::Answer;
use crate::protocol::rpc::pop::{AckMessage, ChangeInvisible, ChangeInvisibleReply, PopMessage};
use crate::remoting::{Deadline, Hold};

/// One pop.
#[derive(Debug, Clone)]
pub(crate) struct Pop {
    pub(crate) group: Arc<str>,
    /// Its number is [`ANY_QUEUE`](crate::protocol::rpc::pop::ANY_QUEUE) for all queues of the broker.
    pub(crate) queue: MessageQueue,
    /// 1 to [`MAX_POP`](crate::protocol::rpc::pop::MAX_POP).
    pub(crate) max: usize,
    pub(crate) invisible: Duration,
    /// How long the broker may wait for a message; zero for an answer at once.
    pub(crate) hold: Duration,
    /// See [`init_mode`](crate::protocol::rpc::pop::init_mode).
    pub(crate) init_mode: i32,
    /// The expression's kind and text.
    pub(crate) filter: (Arc<str>, Arc<str>),
    pub(crate) order: bool,
    /// Which attempt at an orderly pop this is: repeated under the same name it brings the same messages.
    pub(crate) attempt_id: Option<Arc<str>>,
}

/// What a pop brought.
#[derive(Debug)]
pub(crate) struct Popped {
    pub(crate) status: PopStatus,
    /// Each with its receipt, under the topic's own name also when it was read from a retry topic.
    pub(crate) messages: Vec<MessageView>,
    /// Why some messages of the answer are not here; they come again when their time is up.
    pub(crate) broken: Option<Error>,
}

/// How a pop ended that was no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PopStatus {
    Found,
    NotFound,
    /// The broker holds as many requests as it can: ask again later.
    Full,
}

impl Core {
    /// Pops at the master of the queue's broker, without waiting. `done` must only forward; [`Core::popped`] reads the
    /// answer.
    pub(crate) fn pop_async(
        self: &Arc<Self>,
        pop: &Pop,
        deadline: Deadline,
        done: impl FnOnce(Result<Answer<PopMessage>>) + Send + 'static,
    ) {
        let (kind, text) = &pop.filter;
        let request = PopMessage {
            consumer_group: pop.group.clone(),
            topic: pop.queue.shared_topic().clone(),
            queue_id: pop.queue.queue_id(),
            max_messages: i32::try_from(pop.max).unwrap_or(i32::MAX),
            invisible_time: pop.invisible,
            poll_time: pop.hold,
            born_time: 0,
            init_mode: pop.init_mode,
            expression_type: Some(kind.clone()),
            expression: Some(text.clone()),
            order: Some(pop.order),
            attempt_id: pop.attempt_id.clone(),
            broker_name: Some(pop.queue.shared_broker_name().clone()),
        };
        let hold = Some(pop.hold).filter(|hold| !hold.is_zero()).map(Hold::from);
        self.ask_master_held_async(&pop.queue, request, Vec::new(), hold, deadline, done);
    }

    /// Reads what a broker answered to a pop. Takes long when bodies have to be inflated.
    pub(crate) fn popped(&self, pop: &Pop, answer: &Answer<PopMessage>, now: Instant) -> Result<Popped> {
        let status = match answer.code() {
            ResponseCode::SUCCESS => PopStatus::Found,
            ResponseCode::POLLING_FULL => PopStatus::Full,
            _ => PopStatus::NotFound,
        };
        if status != PopStatus::Found {
            return Ok(Popped { status, messages: Vec::new(), broken: None });
        }
        let (topic, broker_name) = (pop.queue.shared_topic(), pop.queue.shared_broker_name());
        let asked = pop::Asked { topic, broker_name, order: pop.order, now };
        let body = answer.frame.body_bytes();
        let bounds = &self.options().limits.messages;
        let (messages, broken) = pop::messages(&answer.header()?, body, asked, bounds)?;
        self.note_messages(&messages, broken.as_ref());
        Ok(Popped { status, messages, broken })
    }

    /// Acknowledges a message of `topic`, without waiting. `done` must only forward.
    pub(crate) fn ack_async(
        self: &Arc<Self>,
        group: &Arc<str>,
        topic: &Arc<str>,
        handle: &Handle,
        deadline: Deadline,
        done: impl FnOnce(Result<()>) + Send + 'static,
    ) {
        let request = AckMessage {
            consumer_group: group.clone(),
            topic: self.popped_topic(group, topic, handle),
            queue_id: handle.queue_id,
            extra_info: handle.encode().into(),
            offset: handle.queue_offset,
            broker_name: Some(handle.broker_name.clone()),
        };
        let queue = MessageQueue::new(topic.clone(), handle.broker_name.clone(), handle.queue_id);
        self.ask_master_async(&queue, request, Vec::new(), deadline, move |answer| done(answer.map(drop)));
    }

    /// Makes a message of `topic` visible `invisible` from now, without waiting. `done` gets the receipt that replaces the
    /// one used, and must only forward.
    pub(crate) fn change_invisible_async(
        self: &Arc<Self>,
        group: &Arc<str>,
        topic: &Arc<str>,
        handle: &Handle,
        invisible: Duration,
        deadline: Deadline,
        done: impl FnOnce(Result<Receipt>) + Send + 'static,
    ) {
        let request = ChangeInvisible {
            consumer_group: group.clone(),
            topic: self.popped_topic(group, topic, handle),
            queue_id: handle.queue_id,
            extra_info: handle.encode().into(),
            offset: handle.queue_offset,
            invisible_time: invisible,
            broker_name: Some(handle.broker_name.clone()),
        };
        let queue = MessageQueue::new(topic.clone(), handle.broker_name.clone(), handle.queue_id);
        let handle = handle.clone();
        let receipt = move |answer: Answer<ChangeInvisible>| {
            let reply: ChangeInvisibleReply = answer.header()?;
            if reply.pop_time == 0 {
                // In order, a broker says so of what it counts as consumed.
                let what = format!("message {} of queue {} is done with already", handle.queue_offset, handle.queue_id);
                return Err(Error::invalid(what));
            }
            let until = pop::valid_until(Instant::now(), reply.invisible_time);
            Ok(Receipt::new(handle.changed(&reply).encode(), until))
        };
        self.ask_master_async(&queue, request, Vec::new(), deadline, move |answer| done(answer.and_then(receipt)));
    }

    /// The topic, as requests name it, that a handle's message was read from. A retry topic's name has two names in it, so
    /// it is put into the namespace here.
    pub(crate) fn popped_topic(&self, group: &Arc<str>, topic: &Arc<str>, handle: &Handle) -> Arc<str> {
        handle.retry.topic(&self.wire_name(group), &self.wire_name(topic))
    }
}
