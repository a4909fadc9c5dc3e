//! What is known of the routes of the subscribed topics.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::client::Route;
use crate::consumer::engine::Event;
use crate::remoting::Deadline;

/// How soon a route that is not known is asked for again. What is known tells when it changes.
const LOOK: Duration = Duration::from_millis(500);
/// A part of a route that is missing is asked for less and less often, but well within the first retry's ten seconds.
const SELDOM: Duration = Duration::from_secs(5);

/// A topic and the route that is known of it.
type Known = (Arc<str>, Option<Arc<Route>>);

pub(super) struct Routes {
    /// When was looked last, and at which change of the subscriptions.
    looked: Option<(Instant, u64)>,
    known: Vec<Known>,
    /// When the retry topic's route is asked for again while brokers are missing from it, and the pause after that.
    again: Option<(Instant, Duration)>,
}

impl Routes {
    pub(super) fn new() -> Routes {
        Routes { looked: None, known: Vec::new(), again: None }
    }

    /// When they are to be looked at though nothing told of a change.
    pub(super) fn look_at(&self, now: Instant) -> Option<Instant> {
        let Some((at, _)) = self.looked else { return Some(now) };
        let is_missing = self.known.iter().any(|(_, route)| route.is_none());
        let again = self.again.map(|(again, _)| again);
        is_missing.then_some(at + LOOK).into_iter().chain(again).min()
    }

    /// Whether something changed, or it is time.
    pub(super) fn are_to_be_looked_at(&self, shared: &Shared, now: Instant) -> bool {
        let changes = shared.changes.load(Ordering::Acquire);
        self.looked.is_none_or(|(_, seen)| changes != seen) || self.look_at(now).is_some_and(|at| at <= now)
    }

    /// Looks at the routes of the subscribed topics when it is time; says when something about them is new.
    pub(super) fn look(&mut self, shared: &Shared, now: Instant) -> Option<Event> {
        if !self.are_to_be_looked_at(shared, now) {
            return None;
        }
        self.looked = Some((now, shared.changes.load(Ordering::Acquire)));
        let topics: Vec<Arc<str>> = shared.with_subscriptions(|known| known.topics().cloned().collect());
        let find = |topic: Arc<str>| {
            let route = shared.core.routes().cached(&topic);
            shared.core.routes().watch(&topic);
            if route.is_none() {
                refresh(shared, &topic);
            }
            (topic, route)
        };
        let known: Vec<_> = topics.into_iter().map(find).collect();
        self.complete(shared, &known, now);
        let same = |(old, new): (&Known, &Known)| {
            old.0 == new.0 && old.1.as_ref().map(Arc::as_ptr) == new.1.as_ref().map(Arc::as_ptr)
        };
        if known.len() == self.known.len() && self.known.iter().zip(&known).all(same) {
            return None;
        }
        self.known = known;
        let queues = |route: &Arc<Route>| route.subscribe_queues().clone();
        Some(Event::Topics(
            self.known.iter().map(|(topic, route)| (topic.clone(), route.as_ref().map(queues))).collect(),
        ))
    }

    /// Each broker makes the retry topic with the group's first heartbeat, one sooner than another. Until its route has them
    /// all, it is asked for: else the first retry of a new group would be late by the time of a refresh.
    fn complete(&mut self, shared: &Shared, known: &[Known], now: Instant) {
        if !lacks_a_broker(known, &shared.retry_topic) {
            self.again = None;
            return;
        }
        let (at, pause) = self.again.unwrap_or((now, LOOK));
        if now >= at {
            refresh(shared, &shared.retry_topic);
            self.again = Some((now + pause, (pause * 2).min(SELDOM)));
        }
    }
}

fn refresh(shared: &Shared, topic: &Arc<str>) {
    let core = &shared.core;
    let deadline = Deadline::after(core.options().request_timeout);
    core.routes().refresh_async(core, topic, deadline, Box::new(|_| ()));
}

/// Whether a master that has another topic is missing from what is known of the retry topic.
fn lacks_a_broker(known: &[Known], retry_topic: &str) -> bool {
    let is_retry = |(topic, _): &&Known| **topic == *retry_topic;
    let Some(retry) = known.iter().find(is_retry).and_then(|(_, route)| route.as_ref()) else { return false };
    let others = known.iter().filter(|one| !is_retry(one)).filter_map(|(_, route)| route.as_ref());
    let masters = others.flat_map(|route| route.brokers()).filter(|(_, addrs)| addrs.contains_key(&0));
    masters.into_iter().any(|(name, _)| retry.any(name).is_none())
}
