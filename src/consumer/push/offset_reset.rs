use std::fmt;
use std::sync::Arc;

use crate::consumer::engine::Why;
use crate::message::MessageQueue;

/// A queue that goes on at another offset than it would have, as
/// [`PushConsumerBuilder::on_offset_reset`](crate::PushConsumerBuilder::on_offset_reset) is told it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OffsetReset {
    /// The queue.
    pub queue: MessageQueue,
    /// The lowest offset that was not finished.
    pub from: i64,
    /// Where it goes on. What lies between is skipped, or comes again.
    pub to: i64,
    /// Why.
    pub why: ResetReason,
}

/// Why a queue goes on at another offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResetReason {
    /// An operator reset the group's offset, through a broker that tells its clients.
    Operator,
    /// The broker said that it does not have the offset: the messages were deleted, or lost with their disk, or an operator reset
    /// the group's offset at a broker that keeps this to itself (5.2 and later).
    Missing,
}

impl From<Why> for ResetReason {
    fn from(why: Why) -> ResetReason {
        match why {
            // A listener's consumer is not sought.
            Why::Reset | Why::Sought => ResetReason::Operator,
            Why::Missing => ResetReason::Missing,
        }
    }
}

impl fmt::Display for OffsetReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            ResetReason::Operator => "an operator reset it",
            ResetReason::Missing => "the broker does not have the offset",
        };
        write!(f, "{} goes on at {} instead of {}: {why}", self.queue, self.to, self.from)
    }
}

/// Is told of them.
#[derive(Clone)]
pub(super) struct OnReset(pub(super) Arc<dyn Fn(&OffsetReset) + Send + Sync>);

impl fmt::Debug for OnReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnReset")
    }
}
