//! What a popped queue wants done, whatever it was told last.

use std::time::{Duration, Instant};

use super::super::event::{Numbered, PopAction};
use super::super::fate::Fate;
use super::{EngineOptions, PopQueue, Stage, State, THRESHOLD};

/// A pop that was not answered for so long is lost.
const POP_LOST: Duration = Duration::from_secs(120);

impl PopQueue {
    /// Says everything that the queue wants done at `now`.
    pub(in crate::consumer::engine::pop) fn advance(
        &mut self,
        options: &EngineOptions,
        suspended: bool,
        now: Instant,
        actions: &mut Vec<PopAction>,
    ) {
        if !std::mem::take(&mut self.touched) && self.next_at.is_none_or(|at| now < at) {
            return;
        }
        self.settle(now, actions);
        if let Stage::Revoked(until) = self.stage {
            let out_of_time = until.is_some_and(|until| now >= until);
            let waits = |state| match state {
                State::Running => !out_of_time,
                State::Asked(_) => true,
                State::Waiting | State::Due(..) => false,
            };
            if !self.held.values().any(|held| waits(held.state)) {
                self.stage = Stage::Gone;
            }
        }
        if self.stage == Stage::Open && !suspended {
            self.pop(options, now, actions);
        }
        self.next_at = self.find_next_at(suspended);
    }

    /// Tells the broker about everything that is done with, as long as that counts.
    fn settle(&mut self, now: Instant, actions: &mut Vec<PopAction>) {
        let (spell, leaving, ack) = (&self.spell, self.is_leaving(), self.acks == 0);
        let mut acks = Vec::new();
        self.held.retain(|number, held| {
            let State::Due(fate, at) = held.state else { return true };
            // It comes again by itself; one that could not be told once is not waited for by a queue that leaves.
            if held.until <= now || (leaving && at > now) {
                log::debug!("{}: {fate:?} could not be told in time", held.message);
                return false;
            }
            if at > now || (fate == Fate::Ack && !ack) {
                return true;
            }
            held.state = State::Asked(fate);
            let numbered = Numbered { number: *number, message: held.message.clone() };
            let spell = spell.clone();
            match fate {
                Fate::Ack => acks.push(numbered),
                Fate::Again(invisible) => {
                    actions.push(PopAction::ChangeInvisible { spell, message: Box::new(numbered), invisible });
                }
                Fate::Bury => actions.push(PopAction::Bury { spell, message: Box::new(numbered) }),
            }
            true
        });
        if !acks.is_empty() {
            self.acks = acks.len();
            actions.push(PopAction::Ack { spell: self.spell.clone(), messages: acks });
        }
    }

    fn pop(&mut self, options: &EngineOptions, now: Instant, actions: &mut Vec<PopAction>) {
        if let Some(since) = self.popping {
            if now.saturating_duration_since(since) < POP_LOST {
                return;
            }
            log::warn!("{}: a pop was not answered for {POP_LOST:?}; popping anew", self.spell.queue);
        }
        let Some(pop) = options.by_broker else { return };
        if now < self.pop_at || self.held.len() > THRESHOLD {
            return;
        }
        self.ticket += 1;
        self.popping = Some(now);
        self.last_pop = Some(now);
        let (ticket, attempt) = (self.ticket, self.attempt);
        actions.push(PopAction::Pop { spell: self.spell.clone(), ticket, attempt, options: pop });
    }

    /// When something happens by itself.
    fn find_next_at(&self, suspended: bool) -> Option<Instant> {
        let stage = match self.stage {
            Stage::Revoked(until) => until,
            Stage::Open => match self.popping {
                Some(since) => Some(since + POP_LOST),
                None => Some(self.pop_at).filter(|_| !suspended && self.held.len() <= THRESHOLD),
            },
            Stage::Gone => None,
        };
        // Acknowledgements wait for the one under way, not for the clock.
        let due = self.held.values().filter_map(|held| match held.state {
            State::Due(fate, at) if fate != Fate::Ack || self.acks == 0 => Some(at.min(held.until)),
            _ => None,
        });
        due.chain(stage).min()
    }
}
