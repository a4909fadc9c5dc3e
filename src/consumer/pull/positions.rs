//! Offsets that a pull consumer keeps for its user and commits from time to time.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::client::Core;
use crate::consumer::engine::Progress;
use crate::consumer::offset_store::Keeper;
use crate::consumer::runner::Commits;
use crate::error::{Error, Outcome, Result};
use crate::message::MessageQueue;

/// What is known of the offsets, and how to store them. Pure.
#[derive(Debug, Default)]
struct Table {
    positions: HashMap<MessageQueue, Position>,
    /// A timer is set.
    scheduled: bool,
    closed: bool,
    /// How many offsets were stored since it was closed.
    persisted: usize,
}

#[derive(Debug)]
struct Position {
    offset: i64,
    progress: Progress,
    /// The queue is another member's now: it is stored once more, and forgotten.
    leaving: bool,
}

impl Table {
    /// Returns whether a timer is to be set.
    fn update(&mut self, queue: &MessageQueue, offset: i64) -> bool {
        let new = || Position { offset, progress: Progress::new(None), leaving: false };
        let position = self.positions.entry(queue.clone()).or_insert_with(new);
        (position.offset, position.leaving) = (offset, false);
        !std::mem::replace(&mut self.scheduled, true)
    }

    fn leave(&mut self, queue: &MessageQueue) {
        if let Some(position) = self.positions.get_mut(queue) {
            position.leaving = true;
            if position.is_stored() {
                self.positions.remove(queue);
            }
        }
    }

    /// What is to be stored now.
    fn due(&mut self) -> Vec<(MessageQueue, i64)> {
        let due = |(queue, position): (&MessageQueue, &mut Position)| {
            position.progress.send(position.offset).map(|offset| (queue.clone(), offset))
        };
        self.positions.iter_mut().filter_map(due).collect()
    }

    fn answered(&mut self, queue: &MessageQueue, stored: bool) {
        if let Some(position) = self.positions.get_mut(queue) {
            position.progress.answered(stored);
            self.persisted += usize::from(stored && self.closed);
            // Tried once more later, it could undo what its next owner has stored.
            if position.leaving {
                self.positions.remove(queue);
            }
        }
    }

    /// Whether everything is stored.
    fn is_clean(&self) -> bool {
        self.positions.values().all(Position::is_stored)
    }
}

impl Position {
    fn is_stored(&self) -> bool {
        self.progress.stored() == Some(self.offset) && !self.progress.is_waiting()
    }
}

/// The offsets of one consumer.
#[derive(Debug)]
pub(super) struct Positions {
    me: Weak<Positions>,
    core: Arc<Core>,
    interval: Duration,
    commits: Arc<Commits>,
    pub(super) keeper: Option<Keeper>,
    table: Mutex<Table>,
    answered: Condvar,
}

impl Positions {
    pub(super) fn new(
        core: &Arc<Core>,
        group: &Arc<str>,
        interval: Duration,
        keeper: Option<Keeper>,
    ) -> Arc<Positions> {
        Arc::new_cyclic(|me| Positions {
            me: me.clone(),
            core: core.clone(),
            interval,
            commits: Commits::new(core, group),
            keeper,
            table: Mutex::default(),
            answered: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, queue: &MessageQueue) -> Option<i64> {
        self.lock().positions.get(queue).map(|position| position.offset)
    }

    pub(super) fn update(&self, queue: &MessageQueue, offset: i64) -> Result<()> {
        let mut table = self.lock();
        if table.closed {
            return Err(Error::Closed { outcome: Outcome::NotSent });
        }
        let first = table.update(queue, offset);
        drop(table);
        if first {
            self.schedule();
        }
        Ok(())
    }

    /// Queues that go to other members are stored at once, and what is kept of them is forgotten.
    pub(super) fn leave<'a>(&self, queues: impl Iterator<Item = &'a MessageQueue>) {
        queues.for_each(|queue| self.lock().leave(queue));
        self.store();
    }

    fn schedule(&self) {
        let me = self.me.clone();
        self.core.timers().at(Instant::now() + self.interval, move || {
            let Some(positions) = me.upgrade() else { return };
            positions.store();
            let mut table = positions.lock();
            // What is under way may fail, and is looked at again.
            table.scheduled = !table.is_clean() && !table.closed;
            let again = table.scheduled;
            drop(table);
            if again {
                positions.schedule();
            }
        });
    }

    /// Submits everything that is not stored. It does not wait.
    fn store(&self) {
        let due = self.lock().due();
        for (queue, offset) in due {
            let (me, named) = (self.me.clone(), queue.clone());
            let done = move |stored: Result<()>| {
                if let Some(positions) = me.upgrade() {
                    positions.lock().answered(&named, stored.is_ok());
                    positions.answered.notify_all();
                }
            };
            match &self.keeper {
                Some(keeper) => keeper.store(queue, offset, done),
                None => self.commits.commit(queue, offset, done),
            }
        }
    }

    /// Stores everything for the last time, waiting until `until`; returns how many were. A second call does nothing.
    pub(super) fn close(&self, until: Instant) -> usize {
        if std::mem::replace(&mut self.lock().closed, true) {
            return 0;
        }
        // What was under way before, and what fails, has a second chance.
        for _ in 0..2 {
            drop(self.wait_answered(until));
            self.store();
        }
        let table = self.wait_answered(until);
        for (queue, position) in table.positions.iter().filter(|(_, position)| !position.is_stored()) {
            log::warn!("{queue}: offset {} is not stored before closing", position.offset);
        }
        table.persisted
    }

    /// Waits until nothing is under way.
    fn wait_answered(&self, until: Instant) -> MutexGuard<'_, Table> {
        let mut table = self.lock();
        loop {
            let time = until.saturating_duration_since(Instant::now());
            if time.is_zero() || !table.positions.values().any(|position| position.progress.is_waiting()) {
                return table;
            }
            table = self.answered.wait_timeout(table, time).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(id: i32) -> MessageQueue {
        MessageQueue::new("T", "b", id)
    }

    #[test]
    fn an_offset_is_stored_once_until_it_changes_and_again_when_that_failed() {
        let mut table = Table::default();
        assert!(table.update(&queue(0), 5), "a timer is needed");
        assert!(!table.update(&queue(0), 6));
        assert_eq!(table.due(), [(queue(0), 6)]);
        table.update(&queue(0), 7);
        assert_eq!(table.due(), [], "one at a time");
        table.answered(&queue(0), false);
        assert_eq!(table.due(), [(queue(0), 7)]);
        table.answered(&queue(0), true);
        assert!(table.due().is_empty() && table.is_clean());
        table.update(&queue(0), 3);
        assert_eq!(table.due(), [(queue(0), 3)], "the user may go back");
    }

    #[test]
    fn what_another_member_has_now_is_stored_for_the_last_time_and_forgotten() {
        let mut table = Table::default();
        for id in 0..3 {
            table.update(&queue(id), 5);
        }
        assert_eq!(table.due().len(), 3);
        (0..3).for_each(|id| table.answered(&queue(id), true));
        table.update(&queue(1), 6);
        table.leave(&queue(0));
        table.leave(&queue(1));
        assert_eq!(table.positions.len(), 2, "what is stored is forgotten at once");
        assert_eq!(table.due(), [(queue(1), 6)]);
        table.answered(&queue(1), false);
        assert!(table.due().is_empty() && !table.positions.contains_key(&queue(1)));
    }
}
