//! The heart of push consumption: told what happened, it says what is to be done. No threads, no locks, no input or output;
//! the tests drive it with a clock of their own.

mod by_broker;
mod callers;
mod correction;
mod division;
mod event;
mod lock;
mod options;
mod pace;
mod pop;
mod process_queue;
mod progress;
mod queue;
mod queues;
mod rebalance;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod unlocks;

use std::sync::Arc;
use std::time::Instant;

pub(crate) use correction::{Bounds, Illegal};
pub(crate) use event::{Action, Answer, Batch, Event, Held, Pulled, Spell, Start, Verdict, Why};
pub use options::MessageModel;
pub(crate) use options::{EngineOptions, Order};
pub(crate) use pop::{Assignment, Numbered, PopAction, PopEvent, PopOptions, Popped};
pub(crate) use process_queue::{Full, Limits};
pub(crate) use progress::Progress;
pub(crate) use queue::{Queue, Standing};

use self::by_broker::ByBroker;
use self::event::AllQueues;
use self::pace::Pace;
use self::queues::{Number, Queues};
use self::rebalance::Rebalance;
use self::unlocks::Unlocks;
use crate::message::MessageQueue;
use crate::sorted::{SortedMap, SortedSet};

/// All queues of one consumer.
#[derive(Debug)]
pub(crate) struct Engine {
    options: EngineOptions,
    /// The subscribed topics and their queues, sorted; `None` while the route is not known.
    topics: SortedMap<Arc<str>, Option<AllQueues>>,
    queues: Queues,
    by_broker: ByBroker,
    rebalance: Rebalance,
    epoch: u64,
    /// Batches that listeners have.
    running: usize,
    pace: Pace,
    /// The queues that were given; `None` when the group's members share them.
    given: Option<Vec<MessageQueue>>,
    /// Queues whose master was asked for its bounds.
    asked_bounds: SortedSet<Spell>,
    unlocks: Unlocks,
    dropped_pulls: u64,
    suspended: bool,
    closing: bool,
    closed: bool,
}

impl Engine {
    pub(crate) fn new(options: EngineOptions, now: Instant) -> Engine {
        Engine {
            topics: SortedMap::new(),
            queues: Queues::default(),
            by_broker: ByBroker::default(),
            rebalance: Rebalance::new(options.rebalance_interval, now),
            epoch: 0,
            running: 0,
            pace: Pace::default(),
            given: None,
            asked_bounds: SortedSet::new(),
            unlocks: Unlocks::default(),
            dropped_pulls: 0,
            suspended: false,
            closing: false,
            closed: false,
            options,
        }
    }

    /// Takes an event, and appends everything that is to be done at `now`.
    pub(crate) fn handle(&mut self, event: Event, now: Instant, actions: &mut Vec<Action>) {
        let before = actions.len();
        self.take_in(event, now, actions);
        self.balance(now, actions);
        self.advance(now, actions);
        self.unlock(before, now, actions);
        self.dispatch(now, actions);
        self.advance_pops(now, actions);
        if self.closing
            && self.queues.is_empty()
            && self.by_broker.pops.is_empty()
            && !std::mem::replace(&mut self.closed, true)
        {
            actions.push(Action::Closed);
        }
    }

    /// When [`Event::Tick`] is to come at the latest.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        let rebalance = (!self.closing && !self.suspended).then(|| self.rebalance.next_at());
        let own = self.queues.next_at().into_iter().chain(self.unlocks.next_at());
        own.chain(rebalance).chain(self.by_broker.pops.next_at()).min()
    }

    /// How many batches listeners have.
    pub(crate) fn running(&self) -> usize {
        self.running
    }

    /// Whether batches wait although as many listeners run as may.
    pub(crate) fn is_starved(&self) -> bool {
        self.running >= self.batches() && (self.queues.has_ready() || self.by_broker.pops.has_ready())
    }

    /// How many batches may be out at once.
    fn batches(&self) -> usize {
        self.pace.batches(self.options.slots)
    }

    /// So many listeners may run at once from now on.
    pub(crate) fn slots(&mut self, count: usize) {
        self.options.slots = count;
    }

    /// How many answers to pulls came, since this was asked last, when nobody wanted them any more.
    pub(crate) fn take_dropped_pulls(&mut self) -> u64 {
        std::mem::take(&mut self.dropped_pulls)
    }

    fn take_in(&mut self, event: Event, now: Instant, actions: &mut Vec<Action>) {
        match event {
            Event::Tick => {}
            Event::Disturbed => self.rebalance.disturb(now),
            Event::Refiltered { topic } => self.queues.for_each(|queue| {
                if *queue.spell().queue.shared_topic() == topic {
                    queue.pull_anew(now);
                }
            }),
            Event::Topics(topics) => self.subscribe(topics, now, actions),
            Event::Members { topic, members } => match members {
                Ok(members) => self.divide(&topic, members, now, actions),
                Err(error) => {
                    // A refusal lasts; the next periodic rebalance is soon enough.
                    if error.is_refused() {
                        log::warn!("{}: the members of the group are not told: {error}", self.options.group);
                    } else {
                        log::debug!("{}: the members of the group are not known: {error}", self.options.group);
                        self.rebalance.unfinished(now);
                    }
                }
            },
            Event::Assigned { topic, assignment } => self.assigned(&topic, assignment, now, actions),
            Event::Pop(event) => self.by_broker.pops.handle(event, &self.options, now),
            Event::Started { spell, start } => {
                let start = start.inspect_err(|error| log::warn!("{}: no offset to start from: {error}", spell.queue));
                if let Some(queue) = self.queues.of(&spell) {
                    if let Err(error) = &start {
                        queue.refused(error, &self.options);
                    }
                    let is_refused = start.as_ref().is_err_and(|error| error.is_refused());
                    queue.started(start.ok(), &self.options, now);
                    if is_refused {
                        queue.start_refused(now);
                    }
                }
            }
            Event::Locked { spell, given } => {
                if let Some(queue) = self.queues.of(&spell) {
                    queue.locked(given, now);
                } else if given != Some(false) && !self.closing && !self.queues.contains(&spell.queue) {
                    // It was given up while this was under way: now the broker keeps a lock for nobody.
                    actions.push(Action::Unlock { queue: spell.queue });
                }
            }
            Event::Unlocked { queue, done } => self.unlocks.answered(&queue, done, now),
            Event::Pulled { spell, ticket, pulled } => self.pulled(&spell, ticket, pulled, now, actions),
            Event::Bounds { spell, bounds } => {
                self.asked_bounds.remove(&spell);
                if let Some(queue) = self.queues.of(&spell) {
                    queue.correct(bounds, true, now);
                }
            }
            Event::Consumed { spell, offsets, verdict } => {
                self.running = self.running.saturating_sub(1);
                if self.by_broker.pops.consumed(&spell, verdict, &self.options, now) {
                    return;
                }
                if let Some(queue) = self.queues.of(&spell) {
                    if let Some(since) = offsets.first().and_then(|first| queue.cache().running_since(*first)) {
                        self.pace.ended(now.saturating_duration_since(since));
                    }
                    queue.consumed(&offsets, verdict, &self.options, now);
                }
            }
            Event::Dropped { spell, offsets } => {
                if self.by_broker.pops.dropped(&spell, &offsets, &self.options, now) {
                    return;
                }
                if let Some(queue) = self.queues.of(&spell) {
                    queue.dropped(&offsets);
                }
            }
            Event::HandedBack { spell, offset, done } => {
                if let Some(queue) = self.queues.of(&spell) {
                    queue.handed_back(offset, done, now);
                }
            }
            Event::Committed { spell, result } => {
                if let Some(queue) = self.queues.of(&spell) {
                    queue.committed(result);
                }
            }
            Event::Taken { .. }
            | Event::Recalled { .. }
            | Event::Seek { .. }
            | Event::Commit { .. }
            | Event::Paused { .. }
            | Event::Assign(_) => self.called(event, now, actions),
            Event::Reset(offsets) => {
                for (queue, offset) in offsets {
                    if let Some(queue) = self.queues.get_mut(&queue) {
                        queue.go_to(offset, Why::Reset);
                    }
                }
            }
            Event::Suspended(suspended) => {
                self.suspended = suspended;
                self.queues.for_each(|_| ());
                self.by_broker.pops.touch();
                self.rebalance.disturb(now);
            }
            Event::Close { grace } => {
                self.closing = true;
                self.queues.for_each(|queue| queue.revoke(Some(grace), now));
                self.by_broker.pops.revoke(|_| true, Some(grace), now);
            }
        }
    }

    fn pulled(&mut self, spell: &Spell, ticket: u64, pulled: Pulled, now: Instant, actions: &mut Vec<Action>) {
        let illegal = matches!(pulled, Pulled::Illegal(_));
        let asked = self.asked_bounds.contains(spell);
        let Some(queue) = self.queues.of(spell).filter(|queue| queue.awaits(ticket)) else {
            self.dropped_pulls += 1;
            return log::debug!(
                "{}: a pull is dropped, its queue is not here any more or does not wait for it",
                spell.queue
            );
        };
        queue.pulled(pulled, &self.options, now);
        if illegal && queue.correct(None, asked, now) {
            self.asked_bounds.insert(spell.clone());
            actions.push(Action::FindBounds { spell: spell.clone() });
        }
    }

    /// Lets every queue take its steps that something happened to, or whose time has come.
    fn advance(&mut self, now: Instant, actions: &mut Vec<Action>) {
        while let Some(number) = self.queues.next_due(now) {
            let Some(limits) = self.queues.at(number).map(|queue| self.limits(queue)) else { continue };
            let Engine { options, queues, epoch, suspended, .. } = self;
            if let Some(queue) = queues.at_mut(number) {
                queue.advance(options, &limits, epoch, *suspended, now, actions);
            }
            self.settle(number, now);
        }
    }

    /// Repeats what brokers were not told, and takes note of the locks that are given back by the actions from `first` on.
    fn unlock(&mut self, first: usize, now: Instant, actions: &mut Vec<Action>) {
        let queues = &self.queues;
        let due = self.unlocks.due(now, |queue| queues.contains(queue));
        actions.extend(due.into_iter().map(|queue| Action::Unlock { queue }));
        for action in &actions[first..] {
            if let Action::Unlock { queue } = action {
                self.unlocks.told(queue, now);
            }
        }
    }

    fn settle(&mut self, number: Number, now: Instant) {
        let Some(queue) = self.queues.at(number) else { return };
        if queue.is_gone() {
            self.asked_bounds.remove(queue.spell());
        }
        let (next_at, ready) = (queue.next_at(&self.options, now), queue.is_ready(&self.options, now));
        self.queues.settle(number, next_at, ready);
    }

    /// The bounds of one queue: a topic's are divided among its queues that are here.
    fn limits(&self, queue: &Queue) -> Limits {
        let Limits { messages, bytes, span } = self.options.limits;
        let (topic_messages, topic_bytes) = self.options.topic_limits;
        if topic_messages.is_none() && topic_bytes.is_none() {
            return self.options.limits;
        }
        let count = self.queues.count(queue.spell().queue.topic()).max(1);
        let share = |whole: usize| (whole / count).max(1);
        Limits { messages: topic_messages.map_or(messages, share), bytes: topic_bytes.map_or(bytes, share), span }
    }

    /// Hands pulled messages to listeners as long as some are free, each queue in its turn.
    fn dispatch_pulled(&mut self, now: Instant, actions: &mut Vec<Action>) {
        while self.running < self.batches() {
            let Some(number) = self.queues.next_ready() else { return };
            if let Some(batch) = self.queues.at_mut(number).and_then(|queue| queue.take(&self.options, now)) {
                self.running += 1;
                actions.push(Action::Consume(batch));
            }
            self.settle(number, now);
        }
    }

    /// Looks at every queue: its state for statistics and for whoever asks why nothing is consumed.
    pub(crate) fn look(&self, now: Instant, mut at: impl FnMut(&Queue, Option<Standing>)) {
        for queue in self.queues.iter() {
            at(queue, queue.standing(&self.limits(queue), self.suspended, now));
        }
    }
}
