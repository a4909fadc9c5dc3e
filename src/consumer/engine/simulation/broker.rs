//! One simulated queue, as its broker has it, with what the tests know about it beside.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::{Illegal, Pulled};
use crate::consumer::tests::{read_from, stored};
use crate::message::MessageQueue;

/// How long the simulated broker keeps a lock.
const LOCK: Duration = Duration::from_secs(60);
/// Messages that a pull finds, at most.
const PULL: i64 = 8;

/// Identifies a message whatever queue it is delivered in: the queue it was first stored in, and its place there.
pub(super) type Identity = (i32, i64);

#[derive(Debug)]
pub(super) struct SimMessage {
    pub(super) identity: Identity,
    pub(super) tries: i32,
    /// It was consumed, handed back, or passed by an operator.
    pub(super) is_finished: bool,
}

#[derive(Debug, Default)]
pub(super) struct SimQueue {
    pub(super) messages: Vec<SimMessage>,
    pub(super) committed: Option<i64>,
    /// Where an operator wants the group to go on; the next pull takes it there. Until then no commit counts.
    reset: Option<i64>,
    lock: Option<(usize, Instant)>,
    /// Whose listeners are at it right now, with the epochs of their spells.
    pub(super) consuming: BTreeMap<(usize, u64), usize>,
    /// Behind the highest offset that a listener consumed.
    pub(super) reached: i64,
    /// How often something happened of which nobody can know how it ended: so often a message may come again.
    pub(super) doubts: u32,
}

impl SimQueue {
    pub(super) fn len(&self) -> i64 {
        self.messages.len() as i64
    }

    pub(super) fn push(&mut self, identity: Identity, tries: i32) {
        self.messages.push(SimMessage { identity, tries, is_finished: false });
    }

    pub(super) fn start(&self) -> Option<i64> {
        self.reset.or(self.committed)
    }

    pub(super) fn pull(&mut self, queue: &MessageQueue, offset: i64) -> Pulled {
        let len = self.len();
        if let Some(next) = self.reset.take() {
            return Pulled::Illegal(Illegal { asked: offset, next, max: len, from_master: true });
        }
        if offset > len {
            return Pulled::Illegal(Illegal { asked: offset, next: len, max: len, from_master: true });
        }
        let next = len.min(offset + PULL);
        let message = |offset: i64| {
            let mut stored = stored("", offset);
            stored.reconsume_times = self.messages[offset as usize].tries;
            read_from(queue.clone(), stored)
        };
        match offset {
            _ if offset == len => Pulled::Nothing { next },
            _ => Pulled::Found { messages: (offset..next).map(message).collect(), next },
        }
    }

    /// Takes a commit, and checks that it passes nothing and goes back only where it may.
    pub(super) fn commit(&mut self, queue: &MessageQueue, offset: i64) {
        let passed = self.messages[..offset as usize].iter().find(|message| !message.is_finished);
        assert!(passed.is_none(), "{queue}: the commit of {offset} passes {passed:?}");
        let before = self.committed.unwrap_or(0);
        assert!(offset >= before || self.doubts > 0, "{queue}: commits went back from {before} to {offset}");
        if self.reset.is_none() {
            self.committed = Some(offset);
        }
    }

    /// Gives the lock, if nobody else has it.
    pub(super) fn lock(&mut self, member: usize, now: Instant) -> bool {
        let free = self.lock.is_none_or(|(owner, until)| owner == member || until <= now);
        if free {
            self.lock = Some((member, now + LOCK));
        }
        free
    }

    pub(super) fn unlock(&mut self, member: usize) {
        self.lock = self.lock.filter(|(owner, _)| *owner != member);
    }

    /// An operator wants the group to go on here: the broker sees to it with the next pull, or each member was told.
    pub(super) fn reset(&mut self, to: i64, by_broker: bool) {
        self.doubts += 1;
        self.reached = self.reached.max(to);
        self.messages[..to as usize].iter_mut().for_each(|message| message.is_finished = true);
        self.committed = Some(to);
        if by_broker {
            self.reset = Some(to);
        }
    }
}
