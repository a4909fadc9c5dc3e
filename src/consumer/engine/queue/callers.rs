//! What callers of a lite pull consumer do to a queue: they take its messages, finish them, seek, pause and commit.

use std::collections::VecDeque;
use std::time::Instant;

use super::super::event::{Action, Answer, Held, Why};
use super::{EngineOptions, Queue, Stage};
use crate::code::ResponseCode;
use crate::error::Error;
use crate::message::MessageQueue;

#[derive(Debug, Default)]
pub(super) struct Callers {
    held: Held,
    paused: bool,
    /// Of a queue that is given up: whether what nobody has taken is asked back, and whether that is answered.
    recall_asked: bool,
    recalled: bool,
    /// Commits that somebody waits for: an offset, or what is finished.
    wanted: VecDeque<(Option<i64>, u64)>,
    committing: Option<(i64, u64)>,
    answers: Vec<(u64, Answer)>,
    refusal: Option<Error>,
}

impl Callers {
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// The queue begins elsewhere: what callers have is none of it.
    pub(super) fn renew(&mut self, queue: &MessageQueue) {
        self.held = Held::default();
        let reason = "it went on at another offset before it was committed".into();
        self.give_up(&Answer::Failed(Error::NoBroker { what: queue.to_string().into(), reason }));
    }

    pub(super) fn committed(&mut self, result: Result<(), Error>) {
        if let Some((offset, ask)) = self.committing.take() {
            let answer = result.map_or_else(Answer::Failed, |()| Answer::Committed(Some(offset)));
            self.answers.push((ask, answer));
        }
    }

    /// Nothing that callers wait for will come.
    fn give_up(&mut self, answer: &Answer) {
        let committing = self.committing.take().map(|(_, ask)| ask);
        let asks = committing.into_iter().chain(self.wanted.drain(..).map(|(_, ask)| ask));
        self.answers.extend(asks.map(|ask| (ask, answer.clone())));
    }
}

impl Queue {
    /// The lowest offset that is not finished: where the group would go on if this client stopped now.
    pub(crate) fn commit_offset(&self) -> i64 {
        let untaken = self.cache.commit_offset();
        self.callers.held.floor.map_or(untaken, |floor| floor.min(untaken))
    }

    /// Messages that were taken need no room here any more; until they are finished `held` names the lowest.
    pub(in crate::consumer::engine) fn taken(&mut self, offsets: &[i64], held: Held, now: Instant) {
        self.last_progress = Some(now);
        offsets.iter().for_each(|offset| self.cache.finish(*offset));
        self.callers.held = held;
    }

    pub(in crate::consumer::engine) fn recalled(&mut self, held: Held) {
        self.callers.held = held;
        self.callers.recalled = true;
    }

    /// Asks back what nobody has taken; says whether there is something to wait for.
    pub(super) fn recall(&mut self, actions: &mut Vec<Action>) -> bool {
        if !std::mem::replace(&mut self.callers.recall_asked, true) {
            actions.push(Action::Recall { spell: self.spell.clone() });
        }
        !self.callers.recalled || self.callers.held.busy
    }

    pub(in crate::consumer::engine) fn seek(&mut self, offset: i64, ask: u64) {
        self.go_to(offset, Why::Sought);
        self.callers.answers.push((ask, Answer::Done));
    }

    pub(in crate::consumer::engine) fn pause(&mut self, paused: bool) {
        self.callers.paused = paused;
    }

    pub(in crate::consumer::engine) fn commit_asked(&mut self, offset: Option<i64>, ask: u64) {
        match (self.stage, offset) {
            (Stage::Open | Stage::Moving { .. }, _) => self.callers.wanted.push_back((offset, ask)),
            // Nothing of it was consumed yet.
            (_, None) => self.callers.answers.push((ask, Answer::Committed(None))),
            (_, Some(_)) => self.callers.answers.push((ask, Answer::NotHere)),
        }
    }

    /// Takes note of an error that no repetition mends.
    pub(in crate::consumer::engine) fn refused(&mut self, error: &Error, options: &EngineOptions) {
        if options.is_polled() && is_permanent(error) {
            self.callers.refusal = Some(error.clone());
        }
    }

    /// Sends the commits that callers wait for, one after the other.
    pub(super) fn commit_for_callers(&mut self, actions: &mut Vec<Action>) {
        while self.callers.committing.is_none() && !self.progress.is_waiting() {
            let Some((offset, ask)) = self.callers.wanted.pop_front() else { return };
            let offset = offset.unwrap_or_else(|| self.commit_offset());
            match self.progress.send(offset) {
                Some(offset) => {
                    self.callers.committing = Some((offset, ask));
                    actions.push(Action::Commit { spell: self.spell.clone(), offset });
                }
                None => self.callers.answers.push((ask, Answer::Committed(Some(offset)))),
            }
        }
    }

    pub(super) fn tell_callers(&mut self, actions: &mut Vec<Action>) {
        if self.stage == Stage::Gone {
            self.callers.give_up(&Answer::NotHere);
        }
        if let Some(error) = self.callers.refusal.take() {
            actions.push(Action::Refused { queue: self.spell.queue.clone(), error });
        }
        actions.extend(self.callers.answers.drain(..).map(|(ask, answer)| Action::Answer { ask, answer }));
    }
}

/// Whether asking again leads nowhere until somebody changes something.
fn is_permanent(error: &Error) -> bool {
    match error {
        // Pulls carry their subscription, so these pass.
        Error::Rejected {
            code: ResponseCode::SUBSCRIPTION_NOT_EXIST | ResponseCode::SUBSCRIPTION_NOT_LATEST, ..
        } => false,
        // SQL is switched off there. Brokers say it with the code that means anything.
        Error::Rejected { code: ResponseCode::SYSTEM_ERROR, remark, .. } if remark.contains("does not support") => true,
        Error::Closed { .. } => false,
        other => !other.is_retryable(),
    }
}
