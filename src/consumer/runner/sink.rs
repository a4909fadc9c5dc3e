use std::sync::Arc;
use std::time::Instant;

use super::requests::Direct;
use crate::consumer::Threads;
use crate::consumer::engine::{Answer, Batch, Spell, Why};
use crate::error::{Error, Result};
use crate::message::MessageQueue;
use crate::thread::Thread;

/// Where the messages of a consumer go: to the listeners of a push consumer, to the callers of a lite pull consumer. It is
/// called on the engine's thread, so it must not wait and must not run foreign code.
pub(in crate::consumer) trait Sink: Send {
    /// Takes messages; [`Event::Consumed`](crate::consumer::engine::Event::Consumed) is to follow.
    fn consume(&self, batch: Batch);

    /// The queues of a topic that this member has are others now.
    fn changed(&self, _topic: &Arc<str>, _all: Vec<MessageQueue>, _mine: Vec<MessageQueue>) {}

    /// A queue goes on elsewhere than it would have.
    fn moved(&self, _queue: &MessageQueue, _from: i64, _to: i64, _why: Why) {}

    /// A queue is given up: what nobody has taken of it is dropped, and
    /// [`Event::Recalled`](crate::consumer::engine::Event::Recalled) is to follow.
    fn recall(&self, _spell: &Spell) {}

    /// Something that a caller waits for.
    fn answer(&self, _ask: u64, _answer: Answer) {}

    /// A broker refuses a queue's messages for good.
    fn refused(&self, _queue: &MessageQueue, _error: Error) {}

    /// Called when some route of the client is another one, and before routes are looked at.
    fn look(&self) {}

    /// What was finished since closing began, and what was given up, when it counts that by itself.
    fn tally(&self) -> Option<(usize, usize)> {
        None
    }

    /// Between which numbers of listeners it may be [resized](Sink::resize); `None` where nothing is to be adjusted.
    fn threads(&self) -> Option<Threads> {
        None
    }

    /// So many listeners are to run at once from now on.
    ///
    /// # Errors
    /// There are no more threads to be had; it stays as it is.
    fn resize(&self, _count: usize) -> Result<()> {
        Ok(())
    }

    /// Takes a message that an operator wants to be consumed here; gives it back when that is not possible now.
    fn consume_directly(&self, direct: Direct) -> std::result::Result<(), Direct> {
        Err(direct)
    }

    /// Ends what it runs once what it has is done, until `deadline`; returns the threads that did not end.
    fn stop(self: Box<Self>, deadline: Instant) -> Vec<Thread>;
}
