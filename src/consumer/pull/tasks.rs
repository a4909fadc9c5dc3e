//! Which queue is to be pulled when. A heap of times, and threads that wait for the first of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::message::MessageQueue;

/// A moment, and a number that makes it the only one.
type Turn = (Instant, u64);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Task {
    Waits(Turn),
    Runs,
    /// Runs, and the queue is another member's now.
    Ends,
}

#[derive(Debug, Default)]
struct Plan {
    turns: BTreeMap<Turn, MessageQueue>,
    tasks: HashMap<MessageQueue, Task>,
    number: u64,
    running: usize,
    closed: bool,
}

impl Plan {
    fn wait(&mut self, queue: MessageQueue, at: Instant) {
        self.number += 1;
        self.turns.insert((at, self.number), queue.clone());
        self.tasks.insert(queue, Task::Waits((at, self.number)));
    }

    fn assign(&mut self, topic: &str, mine: &[MessageQueue], now: Instant) {
        let is_lost = |queue: &&MessageQueue| queue.topic() == topic && !mine.contains(queue);
        let lost: Vec<MessageQueue> = self.tasks.keys().filter(is_lost).cloned().collect();
        for queue in lost {
            match self.tasks.remove(&queue) {
                Some(Task::Waits(turn)) => drop(self.turns.remove(&turn)),
                // What runs, runs to its end, and the queue does not get a second thread meanwhile.
                Some(Task::Runs | Task::Ends) => drop(self.tasks.insert(queue, Task::Ends)),
                None => {}
            }
        }
        for queue in mine {
            match self.tasks.get_mut(queue) {
                Some(task @ Task::Ends) => *task = Task::Runs,
                Some(_) => {}
                None => self.wait(queue.clone(), now),
            }
        }
    }

    /// The queue whose turn it is, or when the next one's is.
    fn next(&mut self, now: Instant) -> Result<MessageQueue, Option<Instant>> {
        match self.turns.first_entry() {
            Some(first) if first.key().0 <= now => {
                let queue = first.remove();
                self.tasks.insert(queue.clone(), Task::Runs);
                self.running += 1;
                Ok(queue)
            }
            first => Err(first.map(|first| first.key().0)),
        }
    }

    fn done(&mut self, queue: MessageQueue, at: Instant) {
        self.running -= 1;
        match self.tasks.remove(&queue) {
            Some(Task::Runs) if !self.closed => self.wait(queue, at),
            _ => {}
        }
    }
}

/// The turns of the queues, shared by the threads that take them.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    plan: Mutex<Plan>,
    changed: Condvar,
}

impl Tasks {
    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These queues of a topic are to be pulled from now on, and no others.
    pub(super) fn assign(&self, topic: &str, mine: &[MessageQueue]) {
        self.lock().assign(topic, mine, Instant::now());
        self.changed.notify_all();
    }

    /// Waits for the next turn; `None` when it is closed.
    pub(super) fn next(&self) -> Option<MessageQueue> {
        let mut plan = self.lock();
        while !plan.closed {
            let now = Instant::now();
            plan = match plan.next(now) {
                Ok(queue) => return Some(queue),
                Err(None) => self.changed.wait(plan).unwrap_or_else(PoisonError::into_inner),
                Err(Some(at)) => self.changed.wait_timeout(plan, at - now).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        None
    }

    /// A turn is over; the queue's next one is after `pause`.
    pub(super) fn done(&self, queue: MessageQueue, pause: Duration) {
        let now = Instant::now();
        self.lock().done(queue, now.checked_add(pause).unwrap_or(now));
        self.changed.notify_all();
    }

    /// No turn begins any more; returns how many are under way.
    pub(super) fn close(&self) -> usize {
        let mut plan = self.lock();
        plan.closed = true;
        let running = plan.running;
        drop(plan);
        self.changed.notify_all();
        running
    }

    pub(super) fn running(&self) -> usize {
        self.lock().running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(id: i32) -> MessageQueue {
        MessageQueue::new("T", "b", id)
    }

    #[test]
    fn each_queue_has_its_turns_and_never_two_at_once() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut plan = Plan::default();
        plan.assign("T", &[queue(0), queue(1)], start);
        assert_eq!((plan.next(start), plan.next(start)), (Ok(queue(0)), Ok(queue(1))));
        assert_eq!(plan.next(start), Err(None));
        plan.done(queue(0), at(200));
        plan.assign("T", &[queue(0), queue(1)], at(10));
        assert_eq!(plan.next(at(199)), Err(Some(at(200))), "what was there stays as it is");
        assert_eq!(plan.next(at(200)), Ok(queue(0)));
        assert_eq!(plan.running, 2);
    }

    #[test]
    fn a_queue_that_is_lost_has_no_further_turn_and_one_that_comes_back_waits_for_its_end() {
        let start = Instant::now();
        let mut plan = Plan::default();
        plan.assign("T", &[queue(0), queue(1)], start);
        assert_eq!(plan.next(start), Ok(queue(0)));
        plan.assign("T", &[], start);
        plan.assign("S", &[], start);
        assert_eq!(plan.next(start), Err(None));
        plan.assign("T", &[queue(0)], start);
        assert_eq!(plan.next(start), Err(None), "it runs still");
        plan.done(queue(0), start);
        assert_eq!(plan.next(start), Ok(queue(0)));
        plan.assign("T", &[], start);
        plan.done(queue(0), start);
        assert_eq!((plan.next(start), plan.tasks.len()), (Err(None), 0));
    }
}
