//! What the consumer's calls and its group share; it never holds the handle that closes it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, Sender};

use super::builder::SimpleOptions;
use super::news::News;
use crate::channel;
use crate::client::{CloseReport, Core, Membership, to_millis};
use crate::consumer::Filter;
use crate::consumer::around::Around;
use crate::consumer::hooks::Hooks;
use crate::consumer::runner::Subscriptions;
use crate::consumer::stats::Counters;
use crate::error::{Error, Outcome, Result, Stage};
use crate::protocol::rpc::heartbeat::ConsumerBody;
use crate::remoting::{Asker, Deadline};

/// How long to wait beyond the deadline for the connection's own, more exact error.
const GRACE: Duration = Duration::from_millis(20);
/// How long brokers may take to take note that the group left.
const UNREGISTER_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Shared {
    core: Arc<Core>,
    group: Arc<str>,
    pub(super) options: SimpleOptions,
    pub(super) counters: Counters,
    pub(super) around: Around,
    subscribed: Mutex<Subscribed>,
    pub(super) news: Arc<News>,
    pub(super) asker: Asker,
    /// Which place is the first to be asked by the next receive.
    turn: AtomicUsize,
    /// The places that fail, so that trouble is logged when it starts and when it ends.
    pub(super) failing: Mutex<HashSet<super::news::Place>>,
    /// Brokers that cannot take many acknowledgements at once.
    pub(super) one_by_one: Mutex<HashSet<Arc<str>>>,
    /// Dropped by closing, which wakes the calls that wait for an answer.
    open: Mutex<Option<Sender<()>>>,
    closing: Receiver<()>,
    membership: Mutex<Option<Arc<Membership>>>,
}

#[derive(Debug)]
struct Subscribed {
    subscriptions: Subscriptions,
    /// Grows with every change, which is how brokers know the newest.
    version: i64,
}

impl Shared {
    pub(super) fn new(
        core: &Arc<Core>,
        group: &Arc<str>,
        options: SimpleOptions,
        subscriptions: Subscriptions,
        hooks: Hooks,
    ) -> Result<Shared> {
        let counters = Counters::default();
        let around = Around::start(hooks, core, group, &counters)?;
        let (open, closing) = crossbeam_channel::bounded(0);
        Ok(Shared {
            core: core.clone(),
            group: group.clone(),
            options,
            counters,
            around,
            subscribed: Mutex::new(Subscribed { subscriptions, version: to_millis(SystemTime::now()) }),
            news: Arc::default(),
            asker: Asker::new(),
            // So that consumers that start together do not all begin at the same broker.
            turn: AtomicUsize::new(fastrand::usize(..1 << 16)),
            failing: Mutex::default(),
            one_by_one: Mutex::default(),
            open: Mutex::new(Some(open)),
            closing,
            membership: Mutex::new(None),
        })
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(super) fn group(&self) -> &Arc<str> {
        &self.group
    }

    pub(super) fn joined(&self, membership: Membership) {
        *self.membership.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(membership));
    }

    pub(super) fn subscriptions(&self) -> Vec<(Arc<str>, Filter)> {
        let subscribed = self.subscribed();
        let filter = |topic: &Arc<str>| Some((topic.clone(), subscribed.subscriptions.filter(topic)?.clone()));
        subscribed.subscriptions.topics().filter_map(filter).collect()
    }

    /// Takes a subscription, or ends it without a filter, and tells the brokers.
    pub(super) fn subscribe(&self, topic: Arc<str>, filter: Option<Filter>) -> Result<()> {
        self.check_open()?;
        let mut subscribed = self.subscribed();
        let changed = match filter {
            Some(filter) => subscribed.subscriptions.add(topic, filter),
            None => subscribed.subscriptions.remove(&topic),
        };
        if changed {
            subscribed.version = to_millis(SystemTime::now()).max(subscribed.version + 1);
        }
        drop(subscribed);
        let membership = self.membership.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(membership) = membership.filter(|_| changed) {
            membership.update(self.heartbeat());
        }
        Ok(())
    }

    /// What heartbeats say.
    pub(super) fn heartbeat(&self) -> ConsumerBody {
        let subscribed = self.subscribed();
        ConsumerBody {
            group_name: self.group.clone(),
            // As RocketMQ 5's proxies say of simple consumers; brokers before 5.0 know no other kind that fits.
            consume_type: "CONSUME_ACTIVELY".into(),
            message_model: "CLUSTERING".into(),
            consume_from_where: self.options.from_where.wire_name().into(),
            subscription_data_set: subscribed.subscriptions.bodies(subscribed.version),
            unit_mode: self.core.options().unit_mode,
        }
    }

    pub(super) fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn check_open(&self) -> Result<()> {
        if self.news.is_closed() {
            return Err(Error::Closed { outcome: Outcome::NotSent });
        }
        self.core.check_open()
    }

    /// Starts something asynchronous and waits for its end, or until the consumer is closed.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        deadline: Deadline,
        start: impl FnOnce(Box<dyn FnOnce(Result<T>) + Send>),
    ) -> Result<T> {
        let (done, answered) = channel::bounded(1);
        start(Box::new(move |result| {
            // Fails when nobody waits any more.
            let _ = done.try_send(result);
        }));
        let late = || deadline.missed(Stage::Reply, None, Outcome::Unknown);
        crossbeam_channel::select! {
            recv(answered.news()) -> _ => answered.take().unwrap_or_else(|| Err(late())),
            recv(self.closing) -> _ => Err(Error::Closed { outcome: Outcome::Unknown }),
            recv(crossbeam_channel::at(deadline.at() + GRACE)) -> _ => Err(late()),
        }
    }

    /// Ends the calls that wait and leaves the group.
    pub(super) fn close(&self, deadline: Deadline) -> CloseReport {
        if self.news.close() {
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop(open);
            self.core.remoting().withdraw(self.asker);
            self.around.close();
            let membership = self.membership.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(membership) = membership {
                membership.leave(Deadline::after(UNREGISTER_TIMEOUT).sooner(deadline.at()));
            }
        }
        CloseReport::of_calls(0, 0, true)
    }

    fn subscribed(&self) -> MutexGuard<'_, Subscribed> {
        self.subscribed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
