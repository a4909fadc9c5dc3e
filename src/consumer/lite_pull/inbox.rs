//! Messages between the engine and those who poll. The engine puts in, any thread takes out; what a thread took is unfinished
//! until it asks for more, or commits.
//!
//! All that callers do reaches the engine as events, sent under the lock so that they arrive in the order in which things
//! happened. The channel has no bound, so nobody waits for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::hands::{Caller, Hands};
use crate::channel::{self, Receiver, Sender};
use crate::consumer::engine::{Answer, Batch, Event, Held, Spell};
use crate::consumer::runner::Events;
use crate::error::{Error, Outcome, Result};
use crate::message::{MessageQueue, MessageView};
use crate::sorted::{SortedMap, SortedSet};

/// A message and the spell it was taken in.
pub(super) type Taken = (Spell, MessageView);

pub(super) struct Inbox {
    state: Mutex<State>,
    filled: Condvar,
    events: Events,
    /// Whether asking for more finishes what a thread has.
    auto_commit: bool,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Parcel>,
    /// What a loop that panicked had: it comes again, before anything else.
    returned: VecDeque<Taken>,
    hands: Hands,
    /// The spell of each queue of which something came.
    spells: SortedMap<MessageQueue, u64>,
    paused: SortedSet<MessageQueue>,
    refusals: VecDeque<Error>,
    /// What was refused already: a topic, and the broker's code.
    told: SortedSet<(Arc<str>, i32)>,
    asks: HashMap<u64, Sender<Answer>>,
    last_ask: u64,
    closing: bool,
    ended: bool,
    /// Threads that finished what they had after closing began.
    finished: usize,
}

struct Parcel {
    spell: Spell,
    messages: std::vec::IntoIter<MessageView>,
}

impl Inbox {
    pub(super) fn new(events: Events, auto_commit: bool) -> Inbox {
        Inbox { state: Mutex::default(), filled: Condvar::new(), events, auto_commit }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, event: Event) {
        // Nobody listens any more once the consumer has ended.
        let _ = self.events.send(event);
    }

    fn tell(&self, state: &State, spell: Spell, offsets: Vec<i64>) {
        let held = self.held(state, &spell);
        self.send(Event::Taken { spell, offsets, held });
    }

    fn held(&self, state: &State, spell: &Spell) -> Held {
        let Held { floor, busy } = state.hands.held(spell);
        let returned = state.returned.iter().filter(|(of, _)| of == spell);
        let lowest = returned.map(|(_, message)| message.queue_offset()).min();
        // Without automatic commits it is the caller's affair what is finished: nobody waits for that.
        Held { floor: floor.into_iter().chain(lowest).min(), busy: busy && self.auto_commit }
    }

    /// Takes up to `max` messages, those of each queue in their order; waits for the first until `until`, for ever if that is
    /// `None`. Returns none when the time is over.
    pub(super) fn take(&self, max: usize, until: Option<Instant>) -> Result<Vec<Taken>> {
        let caller = Caller::current();
        let mut state = self.lock();
        let mut finished = if self.auto_commit { state.hands.finish(&caller) } else { Vec::new() };
        state.finished += usize::from(state.closing && !finished.is_empty());
        loop {
            let refusal = if state.closing {
                Some(Error::Closed { outcome: Outcome::NotSent })
            } else {
                state.refusals.pop_front()
            };
            let taken = if refusal.is_none() { state.pick(max) } else { Vec::new() };
            for (spell, offsets) in spells_of(&taken) {
                finished.retain(|done| *done != spell);
                let (first, last) = (offsets.iter().min(), offsets.iter().max());
                if let (Some(first), Some(last)) = (first, last) {
                    state.hands.take(&caller, &spell, *first, *last);
                }
                self.tell(&state, spell, offsets);
            }
            finished.drain(..).for_each(|spell| self.tell(&state, spell, Vec::new()));
            if let Some(error) = refusal {
                return Err(error);
            }
            let now = Instant::now();
            if !taken.is_empty() || until.is_some_and(|until| now >= until) {
                return Ok(taken);
            }
            state = match until {
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => self.filled.wait_timeout(state, until - now).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// The calling thread has finished what it took.
    pub(super) fn finish(&self) {
        let mut state = self.lock();
        let finished = state.hands.finish(&Caller::current());
        finished.into_iter().for_each(|spell| self.tell(&state, spell, Vec::new()));
    }

    /// Everything of a queue below `offset` is finished, whoever has it.
    pub(super) fn pass(&self, queue: &MessageQueue, offset: i64) {
        let mut state = self.lock();
        if let Some(epoch) = state.spells.get(queue).copied() {
            let spell = Spell { queue: queue.clone(), epoch };
            state.hands.pass(&spell, offset);
            state.returned.retain(|(of, message)| *of != spell || message.queue_offset() >= offset);
            self.tell(&state, spell, Vec::new());
        }
    }

    /// The calling thread did not finish the message it took last: it comes again.
    pub(super) fn give_back(&self, (spell, message): Taken) {
        let mut state = self.lock();
        if state.spells.get(&spell.queue) == Some(&spell.epoch) && !state.closing {
            if self.auto_commit {
                state.hands.finish(&Caller::current());
            }
            state.returned.push_front((spell.clone(), message));
            self.tell(&state, spell, Vec::new());
            self.filled.notify_all();
        }
    }

    /// Nothing of these queues is to be taken, or it may be again.
    pub(super) fn pause(&self, queues: &[MessageQueue], paused: bool) {
        let mut state = self.lock();
        for queue in queues {
            if paused {
                state.paused.insert(queue.clone());
            } else {
                state.paused.remove(queue);
            }
        }
        self.send(Event::Paused { queues: queues.to_vec(), paused });
        self.filled.notify_all();
    }

    /// Sends what a caller wants of the engine; the answer comes through the channel, which disconnects when the engine ends.
    pub(super) fn ask(&self, event: impl FnOnce(u64) -> Event) -> Result<Receiver<Answer>> {
        let (sender, answer) = channel::bounded(1);
        let mut state = self.lock();
        if state.ended {
            return Err(Error::Closed { outcome: Outcome::NotSent });
        }
        state.last_ask += 1;
        let ask = state.last_ask;
        state.asks.insert(ask, sender);
        self.send(event(ask));
        Ok(answer)
    }

    /// Closing begins: nothing more is taken, and nobody waits for the calling thread, or for any if it is the last to know the
    /// consumer.
    pub(super) fn close(&self, is_last: bool) {
        let mut state = self.lock();
        state.closing = true;
        state.ready.clear();
        let caller = Caller::current();
        let abandoned = state.hands.abandon((!is_last).then_some(&caller));
        abandoned.into_iter().for_each(|spell| self.tell(&state, spell, Vec::new()));
        self.filled.notify_all();
    }
}

/// The engine's side.
impl Inbox {
    pub(super) fn put(&self, Batch { spell, messages }: Batch) {
        let mut state = self.lock();
        if state.closing {
            return;
        }
        if !state.told.is_empty() {
            state.told.retain(|(topic, _)| topic != spell.queue.shared_topic());
        }
        if state.spells.get(&spell.queue) != Some(&spell.epoch) {
            state.spells.insert(spell.queue.clone(), spell.epoch);
        }
        state.ready.push_back(Parcel { spell, messages: messages.into_iter() });
        self.filled.notify_all();
    }

    /// A queue goes on elsewhere: nothing of what was is taken any more.
    pub(super) fn moved(&self, queue: &MessageQueue) {
        let mut state = self.lock();
        state.ready.retain(|parcel| parcel.spell.queue != *queue);
        state.returned.retain(|(spell, _)| spell.queue != *queue);
        if let Some(epoch) = state.spells.remove(queue) {
            state.hands.forget(&Spell { queue: queue.clone(), epoch });
        }
    }

    /// A queue is given up.
    pub(super) fn recall(&self, spell: &Spell) {
        let mut state = self.lock();
        let State { ready, returned, hands, spells, paused, .. } = &mut *state;
        ready.retain(|parcel| parcel.spell != *spell);
        returned.retain(|(of, message)| {
            if of == spell {
                hands.leave(spell, message.queue_offset());
            }
            of != spell
        });
        spells.remove(&spell.queue);
        paused.remove(&spell.queue);
        let before = Spell { epoch: spell.epoch.saturating_sub(1), ..spell.clone() };
        hands.forget(&before);
        let held = self.held(&state, spell);
        self.send(Event::Recalled { spell: spell.clone(), held });
    }

    pub(super) fn answer(&self, ask: u64, answer: Answer) {
        if let Some(caller) = self.lock().asks.remove(&ask) {
            // Who asked may not wait any more.
            let _ = caller.try_send(answer);
        }
    }

    /// Something that no repetition mends: somebody is told, once.
    pub(super) fn refused(&self, queue: &MessageQueue, error: Error) {
        let mut state = self.lock();
        let code = error.code().map_or(-1, |code| code.0);
        if !state.closing && state.told.insert((queue.shared_topic().clone(), code)) {
            state.refusals.push_back(error);
            self.filled.notify_all();
        }
    }

    /// What was finished since closing began, and how many have something that they did not finish.
    pub(super) fn tally(&self) -> (usize, usize) {
        let state = self.lock();
        (state.finished, state.hands.count())
    }

    /// Nothing follows.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        (state.closing, state.ended) = (true, true);
        state.asks.clear();
        state.ready.clear();
        self.filled.notify_all();
    }
}

impl State {
    fn pick(&mut self, max: usize) -> Vec<Taken> {
        let State { ready, returned, paused, .. } = self;
        let mut taken = Vec::new();
        while taken.len() < max {
            let Some(at) = returned.iter().position(|(spell, _)| !paused.contains(&spell.queue)) else { break };
            taken.extend(returned.remove(at));
        }
        let mut at = 0;
        while taken.len() < max {
            let Some(parcel) = ready.get_mut(at) else { break };
            if paused.contains(&parcel.spell.queue) {
                at += 1;
                continue;
            }
            let Parcel { spell, messages } = parcel;
            taken.extend(messages.by_ref().take(max - taken.len()).map(|message| (spell.clone(), message)));
            if messages.len() == 0 {
                ready.remove(at);
            }
        }
        taken
    }
}

fn spells_of(taken: &[Taken]) -> Vec<(Spell, Vec<i64>)> {
    let mut all: Vec<(Spell, Vec<i64>)> = Vec::new();
    for (spell, message) in taken {
        match all.iter_mut().rev().find(|(of, _)| of == spell) {
            Some((_, offsets)) => offsets.push(message.queue_offset()),
            None => all.push((spell.clone(), vec![message.queue_offset()])),
        }
    }
    all
}

#[cfg(test)]
mod tests;
