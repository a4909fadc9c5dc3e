//! Where a queue goes on, and how far the group is.

use std::time::SystemTime;

use super::LitePullConsumer;
use crate::channel::{self, Receiver};
use crate::client::{check_offset, check_queue};
use crate::consumer::engine::{Answer, Event};
use crate::error::{Error, Outcome, QueueCommit, Result};
use crate::message::MessageQueue;

/// All that seek drop what is in memory of the queue and what is on its way: once the call has returned, polls give messages
/// from the new place only. With automatic commits the group's offset moves there too; what was taken before does not count
/// any more.
impl LitePullConsumer {
    /// Lets a queue go on at an offset (Java: `seek`), which may lie before or behind where it is.
    ///
    /// Blocks until the broker has said which offsets the queue has, at most for the client's request timeout (3 s by default)
    /// each.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a queue that this consumer does not have (queues come with a rebalance, within a second or two of
    /// the start) and for an offset the queue does not have; as [`Client::min_offset`](crate::Client::min_offset);
    /// [`Error::Closed`].
    pub fn seek(&self, queue: &MessageQueue, offset: i64) -> Result<()> {
        check_offset(offset)?;
        self.check_mine(queue)?;
        let core = &self.running.shared.core;
        let min = core.min_offset(queue, core.request_deadline())?;
        let max = core.max_offset(queue, core.request_deadline())?;
        if !(min..=max).contains(&offset) {
            return Err(Error::invalid(format!("offset {offset} of {queue}: it has those from {min} to {max}")));
        }
        self.go_to(queue, offset)
    }

    /// Lets a queue go on at the first message it still has (Java: `seekToBegin`). Errors and blocking as
    /// [`seek`](LitePullConsumer::seek).
    pub fn seek_to_begin(&self, queue: &MessageQueue) -> Result<()> {
        self.check_mine(queue)?;
        let core = &self.running.shared.core;
        self.go_to(queue, core.min_offset(queue, core.request_deadline())?)
    }

    /// Lets a queue go on behind its last message (Java: `seekToEnd`). Errors and blocking as
    /// [`seek`](LitePullConsumer::seek).
    pub fn seek_to_end(&self, queue: &MessageQueue) -> Result<()> {
        self.check_mine(queue)?;
        let core = &self.running.shared.core;
        self.go_to(queue, core.max_offset(queue, core.request_deadline())?)
    }

    /// Lets a queue go on at the first message that was stored at `time` or later. Errors and blocking as
    /// [`seek`](LitePullConsumer::seek); when there is none, as [`Client::search_offset`](crate::Client::search_offset) says.
    pub fn seek_to_time(&self, queue: &MessageQueue, time: SystemTime) -> Result<()> {
        self.check_mine(queue)?;
        let core = &self.running.shared.core;
        self.go_to(queue, core.search_offset(queue, time, core.request_deadline())?)
    }

    fn check_mine(&self, queue: &MessageQueue) -> Result<()> {
        check_queue(queue)?;
        if self.assignment()?.contains(queue) { Ok(()) } else { Err(self.not_here(queue)) }
    }

    fn not_here(&self, queue: &MessageQueue) -> Error {
        let why = if self.running.shared.with_subscriptions(|known| known.is_assigned()) {
            "it was not assigned"
        } else {
            "another member of the group may, or the group is about to be rebalanced"
        };
        Error::invalid(format!("consumer {} does not have {queue}: {why}", self.group()))
    }

    fn go_to(&self, queue: &MessageQueue, offset: i64) -> Result<()> {
        let answer = self.inbox.ask(|ask| Event::Seek { queue: queue.clone(), offset, ask })?;
        match answer.recv() {
            Ok(Answer::Done) => Ok(()),
            Ok(_) => Err(self.not_here(queue)),
            Err(_) => Err(Error::Closed { outcome: Outcome::NotSent }),
        }
    }

    /// Stops giving messages of queues, also those that are in memory already; polls go on with the others. It lasts until
    /// [`resume`](LitePullConsumer::resume) or until the queue goes to another member.
    ///
    /// Does not block for longer than [`assignment`](LitePullConsumer::assignment).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a queue that this consumer does not have (none is paused then), [`Error::Closed`].
    pub fn pause(&self, queues: &[MessageQueue]) -> Result<()> {
        let mine = self.assignment()?;
        if let Some(other) = queues.iter().find(|queue| !mine.contains(queue)) {
            return Err(self.not_here(other));
        }
        self.inbox.pause(queues, true);
        Ok(())
    }

    /// Goes on with queues after [`pause`](LitePullConsumer::pause); others are left alone.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn resume(&self, queues: &[MessageQueue]) -> Result<()> {
        self.running.shared.check_open()?;
        self.inbox.pause(queues, false);
        Ok(())
    }

    /// Says that the calling thread has finished everything it got so far, the message it is at included, and commits all
    /// queues (Java: `commit`, `commitSync`).
    ///
    /// Blocks until the brokers have it; those that do not answer are given 5 s. What other threads have got stays unfinished:
    /// who finishes messages that another thread took uses [`commit_queue`](LitePullConsumer::commit_queue).
    ///
    /// # Errors
    /// [`Error::NotCommitted`] when an offset was not taken, which says of every queue what became of it and why: what is
    /// finished stays finished, and the next commit tries again. [`Error::Closed`].
    pub fn commit(&self) -> Result<()> {
        self.running.shared.check_open()?;
        self.inbox.finish();
        self.rounds.finish();
        let queues = self.assignment()?;
        let asked = queues.iter().map(|queue| self.ask_commit(queue, None)).collect::<Result<Vec<_>>>()?;
        let mut all = Vec::with_capacity(queues.len());
        for (queue, answer) in queues.iter().zip(asked) {
            let (offset, error) = match self.committed_by(queue, &answer) {
                Ok(offset) => (offset, None),
                Err(closed @ Error::Closed { .. }) => return Err(closed),
                Err(error) => (None, Some(error)),
            };
            let (topic, broker_name) = (queue.shared_topic().clone(), queue.shared_broker_name().clone());
            all.push(QueueCommit { topic, broker_name, queue_id: queue.queue_id(), offset, error });
        }
        if all.iter().all(|queue| queue.error.is_none()) {
            Ok(())
        } else {
            Err(Error::NotCommitted { queues: all.into() })
        }
    }

    /// Commits an offset of one queue: that of the next message the group is to get, so one more than the last finished one's
    /// (Java: `commit(Map, persist)`). What lies before counts as finished, whichever thread has it.
    ///
    /// Blocks as [`commit`](LitePullConsumer::commit). To skip messages, or to go back, [`seek`](LitePullConsumer::seek):
    /// the next automatic commit writes what is finished.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a queue that this consumer does not have and for a negative offset; what asking the broker, or
    /// an own store, failed with: what is finished stays finished, and the next commit tries again. [`Error::Closed`].
    pub fn commit_queue(&self, queue: &MessageQueue, offset: i64) -> Result<()> {
        check_offset(offset)?;
        self.check_mine(queue)?;
        self.inbox.pass(queue, offset);
        self.committed_by(queue, &self.ask_commit(queue, Some(offset))?).map(drop)
    }

    fn ask_commit(&self, queue: &MessageQueue, offset: Option<i64>) -> Result<Receiver<Answer>> {
        self.inbox.ask(|ask| Event::Commit { queue: queue.clone(), offset, ask })
    }

    /// Waits until the offset of a queue is committed, and returns it.
    fn committed_by(&self, queue: &MessageQueue, answer: &Receiver<Answer>) -> Result<Option<i64>> {
        match answer.recv() {
            Ok(Answer::Committed(offset)) => Ok(offset),
            Ok(Answer::Failed(error)) => Err(error),
            Ok(Answer::Done | Answer::NotHere) => Err(self.not_here(queue)),
            Err(_) => Err(Error::Closed { outcome: Outcome::Unknown }),
        }
    }

    /// Returns the offset that the group committed for a queue, `None` when it never did.
    ///
    /// Any queue of any topic may be asked about. Brokers before 5.0 answer 0 instead of nothing while the queue still has its
    /// first message in memory. Blocks at most for the client's request timeout (3 s by default).
    ///
    /// # Errors
    /// As [`Client::min_offset`](crate::Client::min_offset), or what an own store fails with. Trouble is never taken for "no
    /// offset".
    pub fn committed(&self, queue: &MessageQueue) -> Result<Option<i64>> {
        let shared = &self.running.shared;
        shared.check_open()?;
        let Some(keeper) = &shared.keeper else {
            return shared.core.committed_offset(&shared.group, queue, shared.core.request_deadline());
        };
        let (sender, answer) = channel::bounded(1);
        keeper.load(queue.clone(), move |stored| {
            // Fails when nobody waits any more.
            let _ = sender.try_send(stored);
        });
        answer.recv().unwrap_or_else(|_| Err(Error::Closed { outcome: Outcome::NotSent }))
    }

    /// Returns the offset of the first message of a queue that was stored at `time` or later. Errors and blocking as
    /// [`Client::search_offset`](crate::Client::search_offset).
    pub fn offset_for_timestamp(&self, queue: &MessageQueue, time: SystemTime) -> Result<i64> {
        self.running.shared.check_open()?;
        let core = &self.running.shared.core;
        core.search_offset(queue, time, core.request_deadline())
    }
}
