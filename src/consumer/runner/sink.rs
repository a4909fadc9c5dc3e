use std::sync::Arc;
use std::time::Instant;

use crate::consumer::engine::{Batch, Why};
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

    /// Ends what it runs once what it has is done, until `deadline`; returns the threads that did not end.
    fn stop(self: Box<Self>, deadline: Instant) -> Vec<Thread>;
}
