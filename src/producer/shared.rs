//! What all sends of one producer share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use super::accumulator::{Accumulator, AutoBatch};
use super::latency::{Faults, choose};
use super::prepare::Limits;
use super::retry::blames_broker;
use super::stats::Counters;
use super::window::Window;
use crate::client::CloseReport;
use crate::client::hooks::Hooks;
use crate::client::send::SendSettings;
use crate::client::{Core, Membership, Route};
use crate::error::{Error, Outcome, Result};
use crate::message::MessageQueue;
use crate::protocol::rpc::offset::MaxOffset;
use crate::remoting::Deadline;
use crate::thread;
use crate::trace::Tracer;

/// The settings of a producer.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) send: SendSettings,
    pub(super) limits: Limits,
    pub(super) timeout: Duration,
    pub(super) retries: u32,
    pub(super) async_retries: u32,
    pub(super) retry_unknown: bool,
    pub(super) attempt_timeout: Option<Duration>,
    pub(super) avoid_faulty: bool,
    pub(super) avoid_slow: bool,
    pub(super) retry_when_not_ok: bool,
    pub(super) auto_batch: Option<AutoBatch>,
}

/// How long a broker that failed may take to answer a probe.
const PROBE: Duration = Duration::from_secs(1);
/// How long leaving the brokers may take at closing.
const LEAVE: Duration = Duration::from_secs(1);

pub(super) struct Shared {
    me: Weak<Shared>,
    pub(super) core: Arc<Core>,
    pub(super) settings: Settings,
    pub(super) hooks: Hooks,
    pub(super) window: Arc<Window>,
    pub(super) accumulator: Accumulator,
    pub(super) trace: Option<Tracer>,
    pub(super) stats: Counters,
    membership: OnceLock<Membership>,
    closed: AtomicBool,
    pub(super) faults: Mutex<Faults>,
    /// Where each topic's round robin stands.
    pub(super) rounds: RwLock<HashMap<Arc<str>, AtomicUsize>>,
}

impl Shared {
    pub(super) fn new(
        core: Arc<Core>,
        settings: Settings,
        hooks: Hooks,
        window: Window,
        trace: Option<Tracer>,
    ) -> Arc<Shared> {
        let mut stats = Counters::default();
        if let Some(trace) = &trace {
            stats.trace = trace.counters().clone();
        }
        Arc::new_cyclic(|me| Shared {
            me: me.clone(),
            accumulator: Accumulator::new(settings.auto_batch.as_ref(), settings.timeout),
            core,
            settings,
            hooks,
            window: Arc::new(window),
            trace,
            stats,
            membership: OnceLock::new(),
            closed: AtomicBool::new(false),
            faults: Mutex::default(),
            rounds: RwLock::default(),
        })
    }

    pub(super) fn joined(&self, membership: Membership) {
        let _ = self.membership.set(membership);
    }

    pub(super) fn group(&self) -> &str {
        &self.settings.send.group
    }

    pub(super) fn default_grace(&self) -> Duration {
        self.settings.timeout
    }

    pub(super) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed { outcome: Outcome::NotSent });
        }
        self.core.check_open()
    }

    /// Returns the route to publish by, asking for it when it is unknown.
    pub(super) fn route(&self, topic: &Arc<str>, deadline: Deadline) -> Result<Arc<Route>> {
        let SendSettings { template_topic, default_queues, .. } = &self.settings.send;
        self.core.routes().publish(&self.core, topic, template_topic, *default_queues, deadline)
    }

    /// Learns the brokers of these topics, and those that create topics, at once and for good.
    pub(super) fn watch(&self, topics: &[Arc<str>]) {
        let template = &self.settings.send.template_topic;
        for topic in topics.iter().chain([template]) {
            self.core.routes().watch(topic);
        }
        let (named, deadline) = (template.clone(), Deadline::after(self.core.options().request_timeout));
        self.core.routes().get_async(&self.core, template, deadline, move |found| {
            if let Err(error) = found {
                log::debug!("the route of {named}: {error}");
            }
        });
    }

    /// Chooses the queue of an attempt, by the round robin of its topic.
    pub(super) fn choose_queue(&self, route: &Route, tried: &[Arc<str>], now: Instant) -> Result<MessageQueue> {
        let queues = route.publish_queues();
        let start = self.next_round(route.topic());
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let due = if faults.is_empty() { Vec::new() } else { faults.take_due(now) };
        let chosen = choose(queues, MessageQueue::broker_name, start, tried, &faults, now);
        drop(faults);
        for broker_name in due {
            self.probe(route, broker_name);
        }
        let chosen = chosen.and_then(|index| queues.get(index)).cloned();
        chosen.ok_or_else(|| Error::NoBroker {
            what: route.topic().clone(),
            reason: "the topic has a route, but no queue on it can be written to".into(),
        })
    }

    fn next_round(&self, topic: &Arc<str>) -> usize {
        let rounds = self.rounds.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(round) = rounds.get(topic) {
            return round.fetch_add(1, Ordering::Relaxed);
        }
        drop(rounds);
        // Begins anywhere, so that many producers do not all begin at the first queue.
        let start = fastrand::usize(..);
        let mut rounds = self.rounds.write().unwrap_or_else(PoisonError::into_inner);
        rounds.entry(topic.clone()).or_insert_with(|| AtomicUsize::new(start)).fetch_add(1, Ordering::Relaxed)
    }

    /// Takes note of how an attempt ended, for the choice of later ones.
    pub(super) fn note(&self, broker_name: &Arc<str>, started: Instant, error: Option<&Error>) {
        if !self.settings.avoid_faulty {
            return;
        }
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some(error) if blames_broker(error) => {
                faults.failed(broker_name, Instant::now());
                self.stats.broker_failed();
            }
            Some(_) => {}
            None => {
                if !faults.is_empty() {
                    faults.answered(broker_name);
                }
                if self.settings.avoid_slow {
                    let now = Instant::now();
                    faults.slow(broker_name, now.saturating_duration_since(started), now);
                }
            }
        }
    }

    /// Asks a broker that failed whether it is back; the answer, whatever it is, clears it.
    fn probe(&self, route: &Route, broker_name: Arc<str>) {
        let Some(addr) = route.master(&broker_name).cloned() else {
            return self.faults.lock().unwrap_or_else(PoisonError::into_inner).answered(&broker_name);
        };
        let request = MaxOffset { topic: route.topic().clone(), queue_id: 0, broker_name: Some(broker_name.clone()) };
        let Some(shared) = self.me.upgrade() else { return };
        let deadline = Deadline::after(PROBE);
        self.core.remoting().submit(&addr, &request, &[], deadline, move |answer| {
            let failed = answer.is_err_and(|error| blames_broker(&error));
            let mut faults = shared.faults.lock().unwrap_or_else(PoisonError::into_inner);
            if failed { faults.failed(&broker_name, Instant::now()) } else { faults.answered(&broker_name) }
        });
    }

    /// Takes no more, waits for what is under way, and leaves. On one of the crate's own threads it does not wait.
    pub(super) fn close(&self, grace: Duration) -> CloseReport {
        self.close_by(Deadline::after(grace), !thread::is_own())
    }

    /// As [`close`](Shared::close), as part of closing the client, which has a grace period of its own and happens on a
    /// thread that may wait.
    pub(super) fn close_with_client(&self) -> CloseReport {
        self.close_by(self.close_deadline(), true)
    }

    /// When the closing of the client that is under way wants this to be closed.
    pub(super) fn close_deadline(&self) -> Deadline {
        self.core.close_deadline().unwrap_or_else(|| Deadline::after(self.default_grace()))
    }

    fn close_by(&self, deadline: Deadline, waits: bool) -> CloseReport {
        let first = !self.closed.swap(true, Ordering::AcqRel);
        self.window.close();
        if let Some(me) = self.me.upgrade() {
            Accumulator::close(&me);
        }
        let before = self.window.in_flight();
        let left = if waits { self.window.drain(deadline.at()) } else { before };
        if waits {
            self.accumulator.drain(deadline.at());
        }
        if waits && left > 0 {
            // Requests would wait for replies that nobody is there to take.
            self.core.replies().end_all_of(self.group(), &Error::Closed { outcome: Outcome::Unknown });
        }
        // Behind the sends, whose records it sends; a second closing may have more time.
        let traced = self.trace.as_ref().is_none_or(|trace| trace.close(waits.then_some(deadline)));
        if let Some(membership) = self.membership.get().filter(|_| first) {
            // From a callback only the announcement is sent; nobody waits for the brokers to take note.
            membership.leave(Deadline::after(if waits { LEAVE } else { Duration::ZERO }));
        }
        CloseReport::of_calls(before.saturating_sub(left), left, waits && left == 0 && traced)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("group", &self.settings.send.group).finish_non_exhaustive()
    }
}
