use rocketmq_blocking::{MessageQueue, PullConsumer, PullResult, PullStatus};

use crate::failure::Failure;

/// How far one queue has been read.
#[derive(Debug)]
pub(crate) struct Cursor {
    queue: MessageQueue,
    /// The next offset to read: all before has been printed, or was left out by the filter.
    offset: i64,
    committed: Option<i64>,
    at_end: bool,
    /// The last answer said that the queue does not have the offset.
    astray: bool,
    failed: bool,
    /// It has failed, and nothing has succeeded since.
    told: bool,
}

impl Cursor {
    pub(crate) fn new(queue: MessageQueue, offset: i64) -> Cursor {
        Cursor { queue, offset, committed: None, at_end: false, astray: false, failed: false, told: false }
    }

    pub(super) fn queue(&self) -> &MessageQueue {
        &self.queue
    }

    pub(super) fn offset(&self) -> i64 {
        self.offset
    }

    /// Whether nothing was left to read at the last look, or will be read any more.
    pub(super) fn at_end(&self) -> bool {
        self.at_end || self.failed
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Gives the queue up, at least for now; returns whether that is news.
    pub(super) fn fail(&mut self) -> bool {
        self.failed = true;
        !std::mem::replace(&mut self.told, true)
    }

    /// Takes up a queue that failed; returns whether it had.
    pub(super) fn try_again(&mut self) -> bool {
        std::mem::take(&mut self.failed)
    }

    /// Moves behind a message that was printed.
    pub(super) fn pass(&mut self, offset: i64) {
        self.offset = offset.saturating_add(1);
    }

    /// Moves to where the answer says, once all its messages have been printed. Returns whether it makes sense to go on.
    pub(super) fn follow(&mut self, result: &PullResult) -> bool {
        let lost = result.status() == PullStatus::OffsetIllegal;
        let lost_again = lost && self.astray;
        self.astray = lost;
        self.told &= lost;
        self.offset = result.next_offset();
        self.at_end = result.status() == PullStatus::NoNewMessage || self.offset >= result.max_offset();
        !lost_again
    }

    /// Commits the offset unless it is the one committed last.
    pub(crate) fn commit(&mut self, consumer: &PullConsumer) -> Result<(), Failure> {
        if self.committed != Some(self.offset) {
            consumer.commit_offset(&self.queue, self.offset)?;
            self.committed = Some(self.offset);
        }
        Ok(())
    }
}
