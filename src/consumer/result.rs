use std::time::Duration;

use crate::consumer::engine::Verdict;

/// What a listener says about the messages it got.
///
/// A listener may also return nothing, which is [`Success`](ConsumeResult::Success), or a `Result`, of which an error means
/// [`Retry`](ConsumeResult::Retry). A panic means `Retry` too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConsumeResult {
    /// All are consumed (Java: `CONSUME_SUCCESS`).
    Success,
    /// None is. Concurrent consumers get them again from the broker, after 10 s the first time and later from time to time
    /// (Java: `RECONSUME_LATER`); an orderly consumer gets the same ones again after a second, and nothing of their queue
    /// before (Java: `SUSPEND_CURRENT_QUEUE_A_MOMENT`).
    Retry,
    /// The first so many are consumed, the others are not (Java: `ackIndex`). For an orderly consumer as `Retry`.
    RetryFrom(usize),
    /// None is; the broker is to deliver them again after the time of this delay level, from 1 (Java:
    /// `delayLevelWhenNextConsume`). For an orderly consumer as `Retry`; for messages that were popped see
    /// [`allocation_by_broker`](crate::PushConsumerBuilder::allocation_by_broker).
    RetryAtLevel(i32),
    /// They are to become dead letters at once. For an orderly consumer as `Retry`.
    DeadLetter,
    /// They are to come again after a time, and nothing of their queue before (orderly consumers; for others as `Retry`,
    /// unless the messages were popped: they come again after that time).
    SuspendFor(Duration),
}

impl From<ConsumeResult> for Verdict {
    fn from(result: ConsumeResult) -> Verdict {
        match result {
            ConsumeResult::Success => Verdict::Success,
            ConsumeResult::Retry => Verdict::Later { consumed: 0, delay_level: 0 },
            ConsumeResult::RetryFrom(consumed) => Verdict::Later { consumed, delay_level: 0 },
            ConsumeResult::RetryAtLevel(level) => Verdict::Later { consumed: 0, delay_level: level.max(0) },
            ConsumeResult::DeadLetter => Verdict::Later { consumed: 0, delay_level: -1 },
            ConsumeResult::SuspendFor(pause) => Verdict::Suspend(Some(pause)),
        }
    }
}

impl From<()> for ConsumeResult {
    fn from((): ()) -> ConsumeResult {
        ConsumeResult::Success
    }
}

impl<E: std::fmt::Display> From<Result<(), E>> for ConsumeResult {
    fn from(result: Result<(), E>) -> ConsumeResult {
        match result {
            Ok(()) => ConsumeResult::Success,
            Err(error) => {
                log::warn!("a listener failed: {error}; its messages will be delivered again");
                ConsumeResult::Retry
            }
        }
    }
}
