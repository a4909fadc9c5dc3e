//! Where offsets are kept when brokers do not keep them.

pub(crate) mod format;
mod keeper;
mod local_file;
mod place;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::sync::Arc;

pub(in crate::consumer) use keeper::Keeper;
pub use local_file::LocalFileOffsetStore;
pub(in crate::consumer) use place::Place;

use crate::message::MessageQueue;

/// Keeps the offsets of one consumer somewhere else than at the brokers (Java: `OffsetStore`): in a database, say, in one
/// transaction with what its listener does. See
/// [`PushConsumerBuilder::offset_store`](crate::PushConsumerBuilder::offset_store).
///
/// An offset is that of the next message to consume. The methods are called by one thread at a time, which does nothing
/// else, so they may block; while they do, no queue begins and no offset is stored. A panic counts as an error.
pub trait OffsetStore: Send + Sync {
    /// Returns what is stored for a queue that the consumer takes over, `None` when nothing is: then
    /// [`ConsumeFromWhere`](crate::ConsumeFromWhere) decides.
    ///
    /// # Errors
    /// The queue is not consumed; it is asked for again every second, and logged. So trouble must be an error, never `None`.
    fn load(&self, queue: &MessageQueue) -> Result<Option<i64>, Box<dyn Error + Send + Sync>>;

    /// Stores the offsets of some queues, each of them once. An offset may be smaller than before: after a reset.
    ///
    /// # Errors
    /// All of them count as not stored; they are stored again with the next [interval](crate::PushConsumerBuilder::persist_interval),
    /// once more when the queue is given up, and the trouble is logged when it begins and when it ends.
    fn store(&self, offsets: &[(MessageQueue, i64)]) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// Takes note that the consumer has given a queue up, after its last offset was stored: what is kept in memory for it can
    /// be forgotten. What is stored must stay, because whoever has the queue next goes on there. Does nothing by default.
    ///
    /// # Errors
    /// Are logged.
    fn remove(&self, _queue: &MessageQueue) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

/// So that whoever made a store can go on looking at it.
impl<S: OffsetStore + ?Sized> OffsetStore for Arc<S> {
    fn load(&self, queue: &MessageQueue) -> Result<Option<i64>, Box<dyn Error + Send + Sync>> {
        (**self).load(queue)
    }

    fn store(&self, offsets: &[(MessageQueue, i64)]) -> Result<(), Box<dyn Error + Send + Sync>> {
        (**self).store(offsets)
    }

    fn remove(&self, queue: &MessageQueue) -> Result<(), Box<dyn Error + Send + Sync>> {
        (**self).remove(queue)
    }
}
