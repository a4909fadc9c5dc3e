//! What becomes of messages that were received.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::receive::{LONGEST, too_old};
use super::shared::Shared;
use crate::consumer::ConsumeResult;
use crate::error::{Error, Result};
use crate::message::{MessageQueue, MessageView};
use crate::protocol::json;
use crate::protocol::pop::{self, Handle};
use crate::protocol::request::Answer;
use crate::protocol::rpc::batch_ack::BatchAck;
use crate::protocol::rpc::send_back::SendBack;

/// A message, and what it is acknowledged by.
type Receipted<'a> = (&'a MessageView, Handle);

/// The level that makes a broker put a message among the dead letters.
const DEAD: i32 = -1;

impl Shared {
    pub(super) fn ack(&self, message: &MessageView) -> Result<()> {
        self.check_open()?;
        self.ack_one(&(message, self.handle(message)?))
    }

    /// As [`handle`], and counts a message that was out for too long.
    fn handle(&self, message: &MessageView) -> Result<Handle> {
        let over = |_: &Error| message.receipt().map(|receipt| receipt.valid_until().elapsed());
        handle(message).inspect_err(|error| {
            if let Some(over) = over(error) {
                self.counters.called(message.shared_topic(), 0, 1, over);
            }
        })
    }

    fn ack_one(&self, one: &Receipted<'_>) -> Result<()> {
        let (message, handle) = one;
        let (core, deadline, topic) = (self.core(), self.core().request_deadline(), message.shared_topic());
        let acked = self.wait(deadline, |done| core.ack_async(self.group(), topic, handle, deadline, done));
        self.acked(one, acked.is_ok());
        acked.map_err(too_old)
    }

    /// Tells hooks, traces and counts.
    fn acked(&self, one: &Receipted<'_>, done: bool) {
        let (message, took) = (one.0, since_received(one));
        if done {
            self.around.settled(&self.counters, message, ConsumeResult::Success, took);
        } else {
            self.counters.called(message.shared_topic(), 0, 1, took);
        }
    }

    pub(super) fn ack_all(&self, messages: &[MessageView]) -> Result<()> {
        self.check_open()?;
        let (mut handles, mut failure) = (Vec::new(), None);
        for message in messages {
            match self.handle(message) {
                Ok(handle) => handles.push((message, handle)),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        // By broker, so that one that cannot take many at once costs the others nothing.
        handles.sort_by(|(_, one), (_, other)| one.broker_name.cmp(&other.broker_name));
        for of_broker in handles.chunk_by(|(_, one), (_, other)| one.broker_name == other.broker_name) {
            failure = failure.or(self.ack_at_broker(of_broker).err());
        }
        failure.map_or(Ok(()), Err)
    }

    fn ack_at_broker(&self, handles: &[Receipted<'_>]) -> Result<()> {
        let [(message, first), _, ..] = handles else { return self.ack_each(handles) };
        let broker_name = &first.broker_name;
        if self.one_by_one.lock().unwrap_or_else(PoisonError::into_inner).contains(broker_name) {
            return self.ack_each(handles);
        }
        let core = self.core();
        let name = |(message, handle): &Receipted<'_>| (core.wire_name(message.shared_topic()), handle.clone());
        let named: Vec<_> = handles.iter().map(name).collect();
        let (bodies, alone) = pop::batches(&core.wire_name(self.group()), &named);
        let is_alone = |at: usize| alone.contains(&at);
        let (alone, together): (Vec<_>, Vec<_>) =
            handles.iter().cloned().enumerate().partition(|(at, _)| is_alone(*at));
        let result = self.ack_each(alone.iter().map(|(_, one)| one));
        let queue = MessageQueue::new(message.shared_topic().clone(), broker_name.clone(), first.queue_id);
        let mut all_acked = Ok(());
        for (_, body) in bodies {
            let (deadline, body) = (core.request_deadline(), json::encode(&body));
            let done = |answer: Result<Answer<BatchAck>>| answer.map(drop);
            let acked = self.wait(deadline, |end| {
                core.ask_master_async(&queue, BatchAck, body, deadline, move |answer| end(done(answer)));
            });
            match acked {
                Err(Error::Unsupported { .. }) => {
                    self.one_by_one.lock().unwrap_or_else(PoisonError::into_inner).insert(broker_name.clone());
                    return self.ack_each(handles);
                }
                acked => all_acked = all_acked.and(acked),
            }
        }
        // An answer does not say which of many were taken.
        together.iter().for_each(|(_, one)| self.acked(one, all_acked.is_ok()));
        result.and(all_acked)
    }

    /// All are tried, and the first error is returned.
    fn ack_each<'a, 'm: 'a>(&self, handles: impl IntoIterator<Item = &'a Receipted<'m>>) -> Result<()> {
        let mut result = Ok(());
        for one in handles {
            let acked = self.ack_one(one);
            result = result.and(acked);
        }
        result
    }

    pub(super) fn change_invisible(&self, message: &mut MessageView, invisible: Duration) -> Result<()> {
        self.check_open()?;
        if invisible > LONGEST {
            return Err(Error::invalid(format!(
                "a message invisible for {invisible:?}: at most {LONGEST:?} are possible"
            )));
        }
        let handle = handle(message)?;
        let (core, deadline, topic) = (self.core(), self.core().request_deadline(), message.shared_topic());
        let change = |done| {
            core.change_invisible_async(self.group(), topic, &handle, invisible, deadline, done);
        };
        let receipt = self.wait(deadline, change).map_err(too_old);
        if invisible.is_zero() {
            match &receipt {
                Ok(_) => {
                    self.counters.handed_back.one();
                    let took = since_received(&(message, handle));
                    self.around.settled(&self.counters, message, ConsumeResult::Retry, took);
                }
                Err(_) => self.counters.hand_back_failures.one(),
            }
        }
        message.edit().receive(receipt?);
        Ok(())
    }

    /// Acknowledges what the caller does not see. Should it fail, the message comes again.
    pub(super) fn ack_aside(self: &Arc<Self>, message: &MessageView) {
        let Ok(handle) = handle(message) else { return };
        let (core, what) = (self.core(), message.message_id().into_owned());
        core.ack_async(self.group(), message.shared_topic(), &handle, core.request_deadline(), move |acked| {
            if let Err(error) = acked {
                log::debug!("message {what} was not acknowledged and comes again: {error}");
            }
        });
    }

    /// Makes a message a dead letter. Should that fail, it comes again, and it is tried again.
    pub(super) fn bury(self: &Arc<Self>, message: &MessageView) {
        let (core, group) = (self.core(), self.group());
        let request = SendBack {
            offset: message.commit_log_offset(),
            group: group.clone(),
            delay_level: DEAD,
            origin_message_id: Some(message.message_id().into_owned()),
            origin_topic: Some(message.topic().to_owned()),
            unit_mode: None,
            max_reconsume_times: Some(self.options.max_reconsume),
            broker_name: Some(message.queue().broker_name().into()),
        };
        let (shared, dead) = (self.clone(), message.clone());
        core.ask_master_async(
            message.queue(),
            request,
            Vec::new(),
            core.request_deadline(),
            move |buried| match buried {
                Ok(_) => {
                    shared.counters.dead_letters.one();
                    log::warn!("{dead} came {} times and is a dead letter now", dead.reconsume_times());
                    shared.ack_aside(&dead);
                }
                Err(error) => {
                    shared.counters.hand_back_failures.one();
                    log::warn!("{dead} came too often and could not become a dead letter yet: {error}");
                }
            },
        );
    }
}

/// For how long a message has been out, or since its time was set anew.
fn since_received((message, handle): &Receipted<'_>) -> Duration {
    let invisible = Duration::from_millis(u64::try_from(handle.invisible_time).unwrap_or_default());
    let since = message.receipt().and_then(|receipt| receipt.valid_until().checked_sub(invisible));
    since.map_or(Duration::ZERO, |since| since.elapsed())
}

/// The message's handle, when it still is good for something.
fn handle(message: &MessageView) -> Result<Handle> {
    let Some(receipt) = message.receipt() else {
        let id = message.message_id();
        return Err(Error::invalid(format!("message {id} has no handle: it was not handed out but pulled")));
    };
    let over = Instant::now().saturating_duration_since(receipt.valid_until());
    if !over.is_zero() {
        let id = message.message_id();
        return Err(Error::invalid(format!(
            "the time of message {id} was up {over:?} ago: its broker hands it out again, or has done so"
        )));
    }
    Handle::decode(receipt.handle()).ok_or_else(|| Error::malformed(format!("the handle {:?}", receipt.handle())))
}
