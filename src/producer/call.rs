//! The course of one send: its attempts, and what became of each. Shared by the blocking and the asynchronous way.

use std::sync::Arc;
use std::time::Instant;

use super::retry::{Next, Rules, Situation};
use super::shared::Shared;
use crate::client::Route;
use crate::code::ResponseCode;
use crate::error::{Attempt, Error, Exhaustion, Outcome, Result};
use crate::message::MessageQueue;
use crate::remoting::Deadline;

/// Where a send goes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Target {
    /// Any queue, by round robin, each attempt at another broker while there is one.
    Any,
    /// One queue. `elsewhere` lets later attempts move on to other brokers.
    Queue { queue: MessageQueue, elsewhere: bool },
}

impl Target {
    /// Whether the route leaves open where to send: a newer one may name the queue's master.
    pub(super) fn is_missing_in(&self, route: &Route) -> bool {
        matches!(self, Target::Queue { queue, .. } if route.master(queue.broker_name()).is_none())
    }
}

/// One attempt.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) queue: MessageQueue,
    pub(super) addr: Arc<str>,
    started: Instant,
    /// How it ended, if it did.
    error: Option<(Error, Instant)>,
}

/// All attempts of one send, in order.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) rules: Rules,
    pub(super) target: Target,
    pub(super) deadline: Deadline,
    pub(super) made: Vec<Made>,
    gone_away: u32,
    /// The next attempt goes to the queue of the last one.
    here: bool,
}

impl Course {
    pub(super) fn new(rules: Rules, target: Target, deadline: Deadline) -> Course {
        Course { rules, target, deadline, made: Vec::with_capacity(1), gone_away: 0, here: false }
    }

    /// Chooses where the next attempt goes and takes note of it; returns its number, from 0.
    pub(super) fn begin(&mut self, shared: &Shared, route: &Route) -> Result<usize> {
        let now = Instant::now();
        let beside = self.made.last().map(|last| last.error.is_none());
        let index = self.begin_at(route, now, |tried| shared.choose_queue(route, tried, now))?;
        if let Some(beside) = beside {
            shared.stats.retried(beside);
        }
        Ok(index)
    }

    fn begin_at(
        &mut self,
        route: &Route,
        now: Instant,
        choose: impl FnOnce(&[Arc<str>]) -> Result<MessageQueue>,
    ) -> Result<usize> {
        let last = self.made.last().map(|made| made.queue.clone());
        let queue = match (&self.target, last) {
            (_, Some(last)) if self.here => last,
            (Target::Queue { queue, .. }, None) | (Target::Queue { queue, elsewhere: false }, _) => queue.clone(),
            _ => choose(&self.tried())?,
        };
        self.here = false;
        let addr = route.master(queue.broker_name()).cloned().ok_or_else(|| Error::NoBroker {
            what: queue.shared_broker_name().clone(),
            reason: format!("the route of {} names no master of this name", route.topic()).into(),
        })?;
        self.made.push(Made { queue, addr, started: now, error: None });
        Ok(self.made.len() - 1)
    }

    fn tried(&self) -> Vec<Arc<str>> {
        self.made.iter().map(|made| made.queue.shared_broker_name().clone()).collect()
    }

    /// Whether a broker that was not tried yet could be.
    fn others(&self, route: &Route) -> bool {
        if matches!(self.target, Target::Queue { elsewhere: false, .. }) {
            return false;
        }
        let tried = |queue: &MessageQueue| self.made.iter().any(|made| made.queue.broker_name() == queue.broker_name());
        route.publish_queues().iter().any(|queue| !tried(queue))
    }

    /// Returns when the attempt that was just begun has used its share of the time.
    pub(super) fn share(&self, route: &Route) -> Instant {
        self.share_at(route, Instant::now())
    }

    fn share_at(&self, route: &Route, now: Instant) -> Instant {
        let made = u32::try_from(self.made.len()).unwrap_or(u32::MAX);
        self.rules.share(made, self.others(route), self.deadline, now)
    }

    /// Takes note of how an attempt failed.
    pub(super) fn failed(&mut self, shared: &Shared, index: usize, error: Error) {
        let Some(made) = self.made.get(index) else { return };
        shared.note(made.queue.shared_broker_name(), made.started, Some(&error));
        self.failed_at(index, error, Instant::now());
    }

    fn failed_at(&mut self, index: usize, error: Error, now: Instant) {
        let Some(made) = self.made.get_mut(index) else { return };
        if error.code() == Some(ResponseCode::GO_AWAY) {
            self.gone_away += 1;
        }
        made.error = Some((error, now));
    }

    /// Takes note of a success; says whether an earlier attempt may have been stored too.
    pub(super) fn succeeded(&mut self, shared: &Shared, index: usize) -> bool {
        let Some(made) = self.made.get(index) else { return false };
        shared.note(made.queue.shared_broker_name(), made.started, None);
        if index + 1 < self.made.len() {
            shared.stats.late_success();
        }
        let unknown = |made: &Made| made.error.as_ref().is_none_or(|(error, _)| error.outcome() == Outcome::Unknown);
        self.made.iter().enumerate().any(|(other, made)| other != index && unknown(made))
    }

    /// Decides what follows the attempt that was begun last: it failed, or has used its share of the time.
    pub(super) fn next(&mut self, route: &Route) -> Next {
        self.next_at(route, Instant::now(), fastrand::f64())
    }

    fn next_at(&mut self, route: &Route, now: Instant, random: f64) -> Next {
        let error = self.made.last().and_then(|made| made.error.as_ref()).map(|(error, _)| error);
        let situation = Situation {
            made: u32::try_from(self.made.len()).unwrap_or(u32::MAX),
            gone_away: self.gone_away,
            error,
            others: self.others(route),
            random,
        };
        let next = self.rules.next(situation, self.deadline, now);
        if let Next::Again { here, .. } = next {
            self.here = here;
        }
        next
    }

    /// The error of a send that goes no further. One attempt speaks for itself; several are listed.
    pub(super) fn error(&self, because: Option<Exhaustion>) -> Error {
        let ended = |made: &Made| match &made.error {
            Some((error, at)) => (error.clone(), *at),
            None => {
                let stage = crate::error::Stage::Reply;
                (self.deadline.missed(stage, Some(&made.addr), Outcome::Unknown), Instant::now())
            }
        };
        match self.made.as_slice() {
            [] => self.deadline.missed(crate::error::Stage::Route, None, Outcome::NotSent),
            [only] => ended(only).0,
            all => {
                let attempts = all.iter().map(|made| {
                    let (error, at) = ended(made);
                    let broker_name = made.queue.shared_broker_name().clone();
                    let elapsed = at.saturating_duration_since(made.started);
                    Attempt { broker_name, addr: made.addr.clone(), elapsed, error }
                });
                Error::Exhausted { attempts: attempts.collect(), because: because.unwrap_or(Exhaustion::Attempts) }
            }
        }
    }
}

#[cfg(test)]
mod properties;
