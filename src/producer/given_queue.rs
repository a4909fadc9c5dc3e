//! The queue that a sender names or selects.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::client::send::Prepared;
use crate::error::{Error, Result};
use crate::message::{Message, MessageQueue};

/// Chooses a queue; see [`PreparedSend::select`](super::PreparedSend::select).
pub(super) type Selector<'a> = Box<dyn FnOnce(&[MessageQueue], &Message) -> usize + Send + 'a>;

pub(super) fn choose(selector: Selector<'_>, queues: &[MessageQueue], message: &Message) -> Result<MessageQueue> {
    if queues.is_empty() {
        let reason = "no queue can be written to".into();
        return Err(Error::NoBroker { what: message.shared_topic().clone(), reason });
    }
    let index = catch_unwind(AssertUnwindSafe(|| selector(queues, message)))
        .map_err(|_| Error::invalid("the queue selector panicked; nothing was sent"))?;
    queues.get(index).cloned().ok_or_else(|| {
        let last = queues.len() - 1;
        Error::invalid(format!("the selector returned queue index {index}; 0 to {last} are there"))
    })
}

pub(super) fn check_queue(queue: &MessageQueue, prepared: &Prepared) -> Result<()> {
    if queue.topic() != &*prepared.topic {
        let (topic, other) = (&prepared.topic, queue.topic());
        return Err(Error::invalid(format!("the message's topic is {topic}, the queue's is {other}")));
    }
    Ok(())
}
