//! Queues whose messages the broker hands out one by one, to any member: a smaller policy beside the queues that are
//! pulled. Nothing is committed; what is not acknowledged in time comes again by itself.

mod event;
mod fate;
mod queue;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub(crate) use event::{Assignment, Numbered, PopAction, PopEvent, PopOptions, Popped};
pub(crate) use queue::PopQueue;

use super::event::{Batch, Spell, Verdict};
use super::options::{EngineOptions, Order};
use super::rebalance::{Change, change};
use crate::message::{MessageQueue, MessageView};
use crate::sorted::SortedMap;

/// Messages that a listener has.
#[derive(Debug)]
struct Handed {
    from: Spell,
    /// By their offsets, which are different within a batch.
    numbers: Vec<(i64, u64)>,
}

/// All popped queues of one consumer.
#[derive(Debug, Default)]
pub(super) struct PopQueues {
    queues: SortedMap<MessageQueue, PopQueue>,
    /// Each batch is a spell of its own, as several of one queue are out at once: its epoch leads here.
    handed: BTreeMap<u64, Handed>,
    last_number: u64,
    /// Messages that came when their queue was given up already.
    unwanted: Vec<(Spell, MessageView)>,
    /// Where the search for the next batch begins.
    turn: usize,
}

impl PopQueues {
    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Whether a topic is popped here, or still was a moment ago.
    pub(super) fn has(&self, topic: &str) -> bool {
        self.queues.keys().any(|queue| queue.topic() == topic)
    }

    /// Compares the queues of a topic with those that this member is to have.
    pub(super) fn change(&self, topic: &str, wanted: Vec<MessageQueue>) -> Change {
        let has = self.queues.iter().filter(|(queue, state)| queue.topic() == topic && !state.is_leaving());
        change(has.map(|(queue, _)| queue), wanted)
    }

    /// Whether messages of a pulled queue may be among those that are popped here.
    pub(super) fn overlaps(&self, pulled: &MessageQueue) -> bool {
        self.queues.keys().any(|queue| overlap(queue, pulled))
    }

    /// Takes a queue over; not while it is still being given up here, nor in order while another one with its messages is.
    pub(super) fn gain(&mut self, queue: &MessageQueue, order: Order, epoch: u64, now: Instant) -> bool {
        let is_here = |other: &MessageQueue| other == queue || (order == Order::Orderly && overlap(other, queue));
        if self.queues.keys().any(is_here) {
            return false;
        }
        self.queues.insert(queue.clone(), PopQueue::new(queue.clone(), epoch, now));
        true
    }

    /// Gives up those of the queues for which that holds.
    pub(super) fn revoke(&mut self, is: impl Fn(&MessageQueue) -> bool, grace: Option<Duration>, now: Instant) {
        self.queues.iter_mut().filter(|(queue, _)| is(queue)).for_each(|(_, state)| state.revoke(grace, now));
    }

    pub(super) fn handle(&mut self, event: PopEvent, options: &EngineOptions, now: Instant) {
        match event {
            PopEvent::Popped { spell, ticket, popped } => match (of(&mut self.queues, &spell), popped) {
                (Some(queue), popped) => queue.popped(ticket, popped, options, &mut self.last_number, now),
                (None, Popped::Found { messages, .. }) => {
                    self.unwanted.extend(messages.into_iter().map(|message| (spell.clone(), message)));
                }
                _ => {}
            },
            PopEvent::Settled { spell, numbers, done } => {
                if let Some(queue) = of(&mut self.queues, &spell) {
                    queue.settled(&numbers, done, now);
                }
            }
        }
    }

    /// Takes what a listener said; returns whether its batch was popped.
    pub(super) fn consumed(&mut self, batch: &Spell, verdict: Verdict, options: &EngineOptions, now: Instant) -> bool {
        let Some(Handed { from, numbers }) = self.handed.remove(&batch.epoch) else { return false };
        if let Some(queue) = of(&mut self.queues, &from) {
            let numbers: Vec<u64> = numbers.into_iter().map(|(_, number)| number).collect();
            queue.consumed(&numbers, verdict, options, now);
        }
        true
    }

    /// Takes what a filter dropped of a batch before a listener got it; returns whether that was popped.
    pub(super) fn dropped(&mut self, batch: &Spell, offsets: &[i64], options: &EngineOptions, now: Instant) -> bool {
        let Some(Handed { from, numbers }) = self.handed.get_mut(&batch.epoch) else { return false };
        let (dropped, kept): (Vec<_>, _) = numbers.drain(..).partition(|(offset, _)| offsets.contains(offset));
        *numbers = kept;
        if let Some(queue) = of(&mut self.queues, from) {
            let dropped: Vec<u64> = dropped.into_iter().map(|(_, number)| number).collect();
            queue.consumed(&dropped, Verdict::Success, options, now);
        }
        true
    }

    /// Says everything that is to be done at `now`.
    pub(super) fn advance(
        &mut self,
        options: &EngineOptions,
        suspended: bool,
        now: Instant,
        actions: &mut Vec<PopAction>,
    ) {
        for (spell, message) in self.unwanted.drain(..) {
            // Nobody waits for the answer: the number is none that was given.
            let message = Box::new(Numbered { number: 0, message });
            actions.push(PopAction::ChangeInvisible { spell, message, invisible: Duration::ZERO });
        }
        for queue in self.queues.values_mut() {
            queue.advance(options, suspended, now, actions);
        }
        self.queues.retain(|_, queue| !queue.is_gone());
    }

    /// Hands out the next batch, each queue in its turn.
    pub(super) fn take(&mut self, options: &EngineOptions, epoch: &mut u64, now: Instant) -> Option<Batch> {
        for _ in 0..self.queues.len() {
            let at = self.turn % self.queues.len();
            self.turn = self.turn.wrapping_add(1);
            let Some(queue) = self.queues.values_mut().nth(at).filter(|queue| queue.has_waiting()) else { continue };
            if let Some((numbers, messages)) = queue.take(options, now) {
                *epoch += 1;
                let from = queue.spell().clone();
                let spell = Spell { queue: from.queue.clone(), epoch: *epoch };
                let numbers = messages.iter().map(MessageView::queue_offset).zip(numbers).collect();
                self.handed.insert(*epoch, Handed { from, numbers });
                return Some(Batch { spell, messages });
            }
        }
        None
    }

    /// Whether messages wait for a listener.
    pub(super) fn has_ready(&self) -> bool {
        self.queues.values().any(PopQueue::has_waiting)
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.queues.values().filter_map(PopQueue::next_at).min()
    }

    /// Something changed that concerns all of them.
    pub(super) fn touch(&mut self) {
        self.queues.values_mut().for_each(PopQueue::touch);
    }

    pub(super) fn look(&self, mut at: impl FnMut(&PopQueue)) {
        self.queues.values().for_each(&mut at);
    }

    /// The queues of a topic that this member has.
    pub(super) fn of_topic(&self, topic: &str) -> Vec<MessageQueue> {
        let mine = self.queues.iter().filter(|(queue, state)| queue.topic() == topic && !state.is_leaving());
        mine.map(|(queue, _)| queue.clone()).collect()
    }
}

/// Whether two queues have messages in common; a negative number stands for all queues of the broker.
pub(super) fn overlap(one: &MessageQueue, other: &MessageQueue) -> bool {
    let same_broker = one.topic() == other.topic() && one.broker_name() == other.broker_name();
    let any = one.queue_id() < 0 || other.queue_id() < 0;
    same_broker && (any || one.queue_id() == other.queue_id())
}

/// The queue of a spell, unless that is over.
fn of<'a>(queues: &'a mut SortedMap<MessageQueue, PopQueue>, spell: &Spell) -> Option<&'a mut PopQueue> {
    queues.get_mut(&spell.queue).filter(|queue| queue.spell().epoch == spell.epoch)
}
