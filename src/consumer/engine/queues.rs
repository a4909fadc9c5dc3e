//! The queues of a consumer, and which of them are to be looked at: those something happened to, those whose time has come,
//! and those that have messages for a listener. What an event costs depends on the queues it concerns, not on how many there
//! are. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::event::Spell;
use super::queue::Queue;
use crate::message::MessageQueue;
use crate::sorted::SortedMap;

/// Names a queue among those of its engine, and never another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number(u64);

#[derive(Debug)]
struct Place {
    queue: Queue,
    is_touched: bool,
    is_ready: bool,
    timer: Option<Instant>,
}

#[derive(Debug, Default)]
pub(super) struct Queues {
    numbers: BTreeMap<MessageQueue, Number>,
    places: BTreeMap<Number, Place>,
    /// How many there are of each topic.
    counts: SortedMap<Arc<str>, usize>,
    last: u64,
    /// Something happened to these. What is gone may still be named here, and in `ready`.
    touched: VecDeque<Number>,
    /// Something will happen to these by itself.
    timers: BTreeSet<(Instant, Number)>,
    /// These have messages for a listener; the first has waited longest, so that no queue starves the others.
    ready: VecDeque<Number>,
    /// How often a queue was looked at.
    #[cfg(test)]
    pub(super) looks: usize,
}

impl Queues {
    pub(super) fn insert(&mut self, queue: Queue) {
        self.last += 1;
        let (name, number) = (queue.spell().queue.clone(), Number(self.last));
        *self.counts.get_or_insert_with(name.shared_topic().clone(), || 0) += 1;
        self.numbers.insert(name, number);
        self.places.insert(number, Place { queue, is_touched: true, is_ready: false, timer: None });
        self.touched.push_back(number);
    }

    fn remove(&mut self, number: Number) {
        let Some(Place { queue, timer, .. }) = self.places.remove(&number) else { return };
        if let Some(at) = timer {
            self.timers.remove(&(at, number));
        }
        let name = &queue.spell().queue;
        self.numbers.remove(name);
        if let Some(count) = self.counts.get_mut(name.topic()) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(name.topic());
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many there are of a topic.
    pub(super) fn count(&self, topic: &str) -> usize {
        self.counts.get(topic).copied().unwrap_or(0)
    }

    pub(super) fn contains(&self, name: &MessageQueue) -> bool {
        self.numbers.contains_key(name)
    }

    /// All queues, in the order of their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Queue> {
        self.numbers.values().filter_map(|number| self.at(*number))
    }

    /// Something happens to all queues.
    pub(super) fn for_each(&mut self, mut change: impl FnMut(&mut Queue)) {
        for (number, place) in &mut self.places {
            if !std::mem::replace(&mut place.is_touched, true) {
                self.touched.push_back(*number);
            }
            change(&mut place.queue);
        }
    }

    /// Something happens to this queue.
    pub(super) fn get_mut(&mut self, name: &MessageQueue) -> Option<&mut Queue> {
        let number = *self.numbers.get(name)?;
        let place = self.places.get_mut(&number)?;
        if !std::mem::replace(&mut place.is_touched, true) {
            self.touched.push_back(number);
        }
        Some(&mut place.queue)
    }

    /// Something happens to the queue of this spell, unless that is over.
    pub(super) fn of(&mut self, spell: &Spell) -> Option<&mut Queue> {
        self.get_mut(&spell.queue).filter(|queue| queue.spell().epoch == spell.epoch)
    }

    pub(super) fn at(&self, number: Number) -> Option<&Queue> {
        self.places.get(&number).map(|place| &place.queue)
    }

    /// For the steps of a queue itself, which end with [`settle`](Queues::settle).
    pub(super) fn at_mut(&mut self, number: Number) -> Option<&mut Queue> {
        self.places.get_mut(&number).map(|place| &mut place.queue)
    }

    /// A queue that something happened to, or whose time has come.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<Number> {
        while let Some(number) = self.touched.pop_front() {
            if let Some(place) = self.places.get_mut(&number) {
                place.is_touched = false;
                return Some(number);
            }
        }
        let (at, number) = self.timers.first().copied().filter(|(at, _)| *at <= now)?;
        self.timers.remove(&(at, number));
        self.places.get_mut(&number)?.timer = None;
        Some(number)
    }

    /// The queue that has waited longest for a listener.
    pub(super) fn next_ready(&mut self) -> Option<Number> {
        while let Some(number) = self.ready.pop_front() {
            if let Some(place) = self.places.get_mut(&number) {
                place.is_ready = false;
                return Some(number);
            }
        }
        None
    }

    /// Whether a queue may have messages that could be consumed now; one that has lost them meanwhile counts.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes note of what a queue waits for. `next_at` must be later than now.
    pub(super) fn settle(&mut self, number: Number, next_at: Option<Instant>, is_ready: bool) {
        #[cfg(test)]
        {
            self.looks += 1;
        }
        let Some(place) = self.places.get_mut(&number) else { return };
        if place.queue.is_gone() {
            return self.remove(number);
        }
        if is_ready && !std::mem::replace(&mut place.is_ready, true) {
            self.ready.push_back(number);
        }
        if place.timer == next_at {
            return;
        }
        if let Some(at) = std::mem::replace(&mut place.timer, next_at) {
            self.timers.remove(&(at, number));
        }
        if let Some(at) = next_at {
            self.timers.insert((at, number));
        }
    }

    /// When the time of a queue comes, at the earliest.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }
}
