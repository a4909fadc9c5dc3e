//! What the cache of routes keeps for one topic: its routes, and who waits for the answer that is under way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::core::Core;
use super::heartbeat;
use super::lost_brokers::LostBrokers;
use super::route::Route;
use crate::code::ResponseCode;
use crate::error::{Error, Outcome, Result, Stage};
use crate::remoting::Deadline;

/// A topic that name servers did not know so many times in a row, and that nobody used for [`IDLE_ROUNDS`], is forgotten.
const MISSING_LIMIT: u32 = 3;
const IDLE_ROUNDS: u32 = 2;
/// What is known about one topic.
#[derive(Default)]
pub(super) struct Entry {
    /// What name servers answered last.
    pub(super) route: Option<Arc<Route>>,
    /// Made from the template while name servers do not know the topic.
    pub(super) made: Option<Arc<Route>>,
    pub(super) used: AtomicBool,
    idle_rounds: u32,
    /// Times in a row that name servers did not know the topic.
    missing: u32,
    pub(super) watched: bool,
    /// Whether the last request failed, so that trouble is logged when it starts and when it ends.
    failing: bool,
    /// Looked for until they are back.
    pub(super) lost: LostBrokers,
    /// Who waits for the request that is under way.
    pub(super) flight: Option<Vec<Waiter>>,
}

impl Entry {
    /// Counts a round of the periodic refresh, and forgets the routes of a topic that is gone and not used any more.
    pub(super) fn next_round(&mut self) {
        self.idle_rounds = if self.used.swap(false, Ordering::Relaxed) { 0 } else { self.idle_rounds + 1 };
        if self.missing >= MISSING_LIMIT && self.idle_rounds >= IDLE_ROUNDS {
            (self.route, self.made) = (None, None);
        }
    }

    /// Nothing is known, and nobody waits or wants to be told.
    pub(super) fn is_empty(&self) -> bool {
        self.route.is_none() && self.made.is_none() && !self.watched && self.flight.is_none()
    }
}

/// Why there is no route.
#[derive(Debug, Clone)]
pub(super) enum Miss {
    /// The name servers do not know the topic.
    Unknown(Arc<str>),
    Failed(Error),
}

impl Miss {
    pub(super) fn into_error(self, topic: &Arc<str>) -> Error {
        match self {
            Miss::Unknown(reason) => Error::NoRoute { topic: topic.clone(), reason },
            Miss::Failed(error) => error,
        }
    }

    /// What a failed question means for the call that needs the route: whatever happened, its message was not sent.
    pub(super) fn from_error(topic: &Arc<str>, error: Error) -> Miss {
        match error {
            Error::Rejected { code: ResponseCode::TOPIC_NOT_EXIST, .. } => Miss::Unknown(error.to_string().into()),
            Error::Timeout { addr, after, .. } => {
                Miss::Failed(Error::Timeout { stage: Stage::Route, addr, after, outcome: Outcome::NotSent })
            }
            error if error.outcome() == Outcome::NotSent => Miss::Failed(error),
            error => Miss::Failed(Error::NoRoute { topic: topic.clone(), reason: error.to_string().into() }),
        }
    }
}

pub(super) type Found = Result<Arc<Route>, Miss>;
pub(super) type Done = Box<dyn FnOnce(Found) + Send>;

/// Someone who waits for a route; whoever comes first, the answer or the deadline, takes `done`.
#[derive(Clone)]
pub(super) struct Waiter {
    pub(super) deadline: Deadline,
    /// Wants an answer to a question asked from now on, not to one that is under way already.
    pub(super) wants_newer: bool,
    done: Arc<Mutex<Option<Done>>>,
}

impl Waiter {
    pub(super) fn new(deadline: Deadline, done: Done) -> Waiter {
        Waiter { deadline, wants_newer: false, done: Arc::new(Mutex::new(Some(done))) }
    }

    pub(super) fn finish(&self, found: Found) {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(done) = done {
            done(found);
        }
    }

    pub(super) fn missed(&self) -> Found {
        Err(Miss::Failed(self.deadline.missed(Stage::Route, None, Outcome::NotSent)))
    }
}

impl Entry {
    /// Keeps an answer. An equal route leaves the old one in place, so that those who hold it see no change.
    pub(super) fn take_in(&mut self, found: Found) -> (Found, News) {
        let was_failing = std::mem::replace(&mut self.failing, matches!(found, Err(Miss::Failed(_))));
        match found {
            Ok(route) => {
                (self.missing, self.made) = (0, None);
                let news = match &self.route {
                    Some(old) if *old == route => {
                        if was_failing {
                            News::TroubleOver
                        } else {
                            News::None
                        }
                    }
                    Some(old) => {
                        self.lost.replaced(old, &route, Instant::now());
                        News::Changed(route.clone())
                    }
                    None => News::Known(route.clone()),
                };
                let route = match (&self.route, &news) {
                    (Some(old), News::None | News::TroubleOver) => old.clone(),
                    _ => route,
                };
                self.route = Some(route.clone());
                (Ok(route), news)
            }
            Err(miss) => {
                let news = match &miss {
                    Miss::Unknown(_) => {
                        self.missing = self.missing.saturating_add(1);
                        News::None
                    }
                    Miss::Failed(_) if was_failing || self.route.is_none() => News::None,
                    Miss::Failed(error) => News::Trouble(error.to_string()),
                };
                (Err(miss), news)
            }
        }
    }
}

/// What is worth telling about an answer.
pub(super) enum News {
    None,
    Known(Arc<Route>),
    Changed(Arc<Route>),
    Trouble(String),
    TroubleOver,
}

impl News {
    pub(super) fn report(self, core: &Arc<Core>, topic: &str) {
        match self {
            News::None => return,
            News::Known(route) => log::debug!("route of {topic}: {route:?}"),
            News::Changed(route) => log::info!("the route of {topic} changed: {route:?}"),
            News::Trouble(reason) => return log::warn!("the route of {topic} cannot be refreshed: {reason}"),
            News::TroubleOver => return log::info!("the route of {topic} can be refreshed again"),
        }
        core.routes().changed();
        // There may be new brokers, which do not know the groups yet.
        heartbeat::soon(core);
    }
}
