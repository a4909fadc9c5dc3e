//! What the handle, the engine's thread and the users of messages of one consumer share.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use crossbeam_channel::SendError;

use super::acks::OneByOne;
use super::baton::Baton;
use super::commits::Commits;
use super::events::Events;
use super::start::ConsumeFromWhere;
use super::subscriptions::Subscriptions;
use crate::client::{CloseReport, Core, Membership, RouteWatcher, to_millis};
use crate::consumer::engine::{Event, MessageModel};
use crate::consumer::offset_store::Keeper;
use crate::consumer::pull;
use crate::consumer::stats::Counters;
use crate::error::{Error, Outcome, Result};
use crate::protocol::rpc::heartbeat::{ConsumerBody, SubscriptionBody};
use crate::remoting::{self, Owed};

/// The settings that concern requests.
#[derive(Debug, Clone)]
pub(in crate::consumer) struct Settings {
    /// What heartbeats call this kind of consumer.
    pub(in crate::consumer) consume_type: &'static str,
    pub(in crate::consumer) model: MessageModel,
    pub(in crate::consumer) from: ConsumeFromWhere,
    pub(in crate::consumer) pull_batch: usize,
    pub(in crate::consumer) pull_bytes: Option<usize>,
    pub(in crate::consumer) hold: Duration,
    pub(in crate::consumer) max_reconsume: Option<i32>,
}

/// It must not wait.
pub(in crate::consumer) type BeforeClose = Box<dyn Fn() + Send + Sync>;

pub(in crate::consumer) struct Shared {
    pub(in crate::consumer) core: Arc<Core>,
    pub(in crate::consumer) group: Arc<str>,
    pub(in crate::consumer) retry_topic: Arc<str>,
    pub(in crate::consumer) settings: Settings,
    pub(in crate::consumer) puller: Arc<pull::Shared>,
    pub(in crate::consumer) events: Events,
    pub(super) baton: Baton,
    pub(in crate::consumer) commits: Arc<Commits>,
    pub(in crate::consumer) one_by_one: OneByOne,
    pub(in crate::consumer) counters: Counters,
    /// Where offsets are kept when brokers do not.
    pub(in crate::consumer) keeper: Option<Keeper>,
    subscriptions: Mutex<Subscriptions>,
    /// Grows with every change; never the same twice, even within a millisecond.
    version: AtomicI64,
    membership: OnceLock<Membership>,
    closed: AtomicBool,
    /// Called by whoever closes, before anything else.
    before_close: OnceLock<BeforeClose>,
    /// How closing went, once it has ended.
    report: OnceLock<CloseReport>,
    /// How often subscriptions or routes changed, for the engine's thread to see.
    pub(in crate::consumer) changes: AtomicU64,
}

impl Shared {
    pub(in crate::consumer) fn new(
        core: Arc<Core>,
        group: Arc<str>,
        settings: Settings,
        puller: Arc<pull::Shared>,
        events: Events,
        subscriptions: Subscriptions,
        keeper: Option<Keeper>,
    ) -> Shared {
        Shared {
            commits: Commits::new(&core, &group),
            core,
            retry_topic: format!("%RETRY%{group}").into(),
            group,
            settings,
            puller,
            events,
            baton: Baton::default(),
            one_by_one: OneByOne::default(),
            counters: Counters::default(),
            keeper,
            subscriptions: Mutex::new(subscriptions),
            version: AtomicI64::new(0),
            membership: OnceLock::new(),
            closed: AtomicBool::new(false),
            before_close: OnceLock::new(),
            report: OnceLock::new(),
            changes: AtomicU64::new(1),
        }
    }

    pub(in crate::consumer) fn joined(&self, membership: Membership) {
        let _ = self.membership.set(membership);
    }

    pub(in crate::consumer) fn membership(&self) -> Option<&Membership> {
        self.membership.get()
    }

    pub(in crate::consumer) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed { outcome: Outcome::NotSent });
        }
        self.core.check_open()
    }

    /// Has something called on the thread that closes.
    pub(in crate::consumer) fn before_close(&self, call: BeforeClose) {
        let _ = self.before_close.set(call);
    }

    /// Tells the engine of something, and drives it on this thread unless somebody does already: here and now, or once for
    /// all that was received together. It does not wait, but the caller must hold no lock: what the engine wants done may
    /// need it. Fails once the engine has ended.
    pub(in crate::consumer) fn tell(self: &Arc<Self>, event: Event) -> std::result::Result<(), SendError<Event>> {
        self.events.put(event)?;
        if !remoting::owe(self) {
            self.baton.drive(&self.events);
        }
        Ok(())
    }

    /// Returns whether this was the first to close it.
    pub(in crate::consumer) fn close(&self) -> bool {
        let first = !self.closed.swap(true, Ordering::AcqRel);
        if let Some(before) = self.before_close.get().filter(|_| first) {
            before();
        }
        first
    }

    pub(in crate::consumer) fn ended(&self, report: CloseReport) {
        // The engine's thread ends once.
        let _ = self.report.set(report);
    }

    /// How closing went; not complete while it goes on.
    pub(in crate::consumer) fn report(&self) -> CloseReport {
        self.report.get().cloned().unwrap_or_default()
    }

    pub(in crate::consumer) fn with_subscriptions<T>(&self, look: impl FnOnce(&mut Subscriptions) -> T) -> T {
        look(&mut self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells the engine that the subscriptions are others now.
    pub(in crate::consumer) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        // Nobody listens any more once the consumer has ended.
        let _ = self.events.send(Event::Disturbed);
    }

    /// Tells the engine that a topic is subscribed to, perhaps with another filter than before.
    pub(in crate::consumer) fn subscribed(&self, topic: Arc<str>) {
        self.changed();
        let _ = self.events.send(Event::Refiltered { topic });
    }

    /// The subscriptions as heartbeats said them last.
    pub(in crate::consumer) fn subscription_bodies(&self) -> Vec<SubscriptionBody> {
        let version = self.version.load(Ordering::Acquire);
        self.with_subscriptions(|subscriptions| subscriptions.bodies(version))
    }

    /// What heartbeats say, under a version that is newer than all before.
    pub(in crate::consumer) fn body(&self) -> ConsumerBody {
        let now = to_millis(SystemTime::now());
        let before = self.version.fetch_max(now, Ordering::AcqRel);
        let version = if before >= now { self.version.fetch_add(1, Ordering::AcqRel) + 1 } else { now };
        ConsumerBody {
            group_name: self.group.clone(),
            consume_type: self.settings.consume_type.into(),
            message_model: self.settings.model.wire_name().into(),
            consume_from_where: self.settings.from.wire_name().into(),
            subscription_data_set: self.with_subscriptions(|subscriptions| subscriptions.bodies(version)),
            unit_mode: self.core.options().unit_mode,
        }
    }
}

impl Owed for Shared {
    fn settle(&self) {
        self.baton.drive(&self.events);
    }

    fn leave(&self) {
        self.events.ring();
    }
}

impl RouteWatcher for Shared {
    fn routes_changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        // Nobody listens any more once the consumer has ended.
        let _ = self.events.send(Event::Tick);
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("group", &self.group).finish_non_exhaustive()
    }
}
