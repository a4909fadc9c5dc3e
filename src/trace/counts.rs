use std::sync::atomic::{AtomicU64, Ordering};

/// What became of the records of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TraceCounts {
    /// Records that were made and had room in the queue.
    pub recorded: u64,
    /// Of those: stored by a broker.
    pub sent: u64,
    /// Records that had no room in the queue; they do not count as recorded.
    pub dropped: u64,
    /// Of those recorded: lost, because their trace message could not be sent, or the producer closed before it was.
    pub failed: u64,
}

/// The same, being counted.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) recorded: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) failed: AtomicU64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, records: usize) {
        counter.fetch_add(records as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> TraceCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TraceCounts {
            recorded: read(&self.recorded),
            sent: read(&self.sent),
            dropped: read(&self.dropped),
            failed: read(&self.failed),
        }
    }
}
