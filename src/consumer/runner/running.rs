use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::inputs::{Inputs, Question};
use super::pool::Pool;
use super::{Events, ProcessQueue, Routes, Runner, Settings, Shared, Sink, Subscriptions};
use crate::channel;
use crate::client::{Client, CloseReport, GroupKind, Member, RouteWatcher};
use crate::consumer::engine::{Engine, EngineOptions, Event};
use crate::consumer::offset_store::{Keeper, OffsetStore};
use crate::consumer::pull;
use crate::consumer::stats::ConsumerStats;
use crate::error::{Error, Outcome, Result};
use crate::remoting::Deadline;
use crate::thread::{self, Thread};

/// Requests of brokers that may wait for the consumer.
const MAILBOX: usize = 256;
/// The grace period of `close` and of dropping.
pub(in crate::consumer) const DEFAULT_GRACE: Duration = Duration::from_secs(5);
/// What commits and unlocking may take beyond the grace period.
const AFTER_GRACE: Duration = Duration::from_secs(3);
/// How long brokers may take to take note that the group left.
const UNREGISTER_TIMEOUT: Duration = Duration::from_secs(1);

/// What a consumer is started with.
pub(in crate::consumer) struct Plan {
    pub(in crate::consumer) client: Client,
    pub(in crate::consumer) group: Arc<str>,
    pub(in crate::consumer) settings: Settings,
    pub(in crate::consumer) options: EngineOptions,
    pub(in crate::consumer) subscriptions: Subscriptions,
    /// Where offsets are kept when brokers do not.
    pub(in crate::consumer) store: Option<Arc<dyn OffsetStore>>,
}

/// Closes a consumer with its client.
pub(in crate::consumer) type Close = Box<dyn Fn() -> CloseReport + Send + Sync>;

/// Makes what gets an engine's messages.
pub(in crate::consumer) type MakeSink<'a> = Box<dyn FnOnce(&Arc<Shared>) -> Result<Box<dyn Sink>> + 'a>;

/// A consumer whose engine runs on a thread of its own.
pub(in crate::consumer) struct Running {
    pub(in crate::consumer) shared: Arc<Shared>,
    engine: Mutex<Option<Thread>>,
    questions: channel::Sender<Question>,
    done: Receiver<()>,
    _client: Client,
}

impl Running {
    /// Joins the group and starts the engine. `sink` is given what it shares with the engine: the way to tell it what became of
    /// its batches, and where to count.
    pub(in crate::consumer) fn start(
        plan: Plan,
        sink: impl FnOnce(&Arc<Shared>) -> Result<Box<dyn Sink>>,
    ) -> Result<Running> {
        Running::start_within(plan, None, Box::new(sink))
    }

    /// As [`start`](Running::start), for a consumer of which this is a part, and which closes it.
    pub(in crate::consumer) fn start_within(plan: Plan, whole: Option<Close>, sink: MakeSink<'_>) -> Result<Running> {
        let Plan { client, group, settings, options, subscriptions, store } = plan;
        let core = client.core().clone();
        // Its threads are started now, so that their failing is an error here.
        core.callbacks()?;
        let (events, events_out, bell) = Events::channel();
        let (mailbox, requests) = channel::bounded(MAILBOX);
        let (questions, asked) = channel::unbounded();
        let (done, is_done) = crossbeam_channel::bounded(0);
        let puller = Arc::new(pull::Shared::of_engine(&core, &group));
        let (keeper, keeping) = store.map(|store| Keeper::start(&group, store)).transpose()?.unzip();
        let shared = Shared::new(core.clone(), group.clone(), settings, puller, events, subscriptions, keeper);
        let shared = Arc::new(shared);
        let sink = sink(&shared)?;
        let closing = Arc::downgrade(&shared);
        let watcher: Weak<dyn RouteWatcher> = Arc::<Shared>::downgrade(&shared);
        core.routes().tell(watcher);
        let closed = is_done.clone();
        let member = Member {
            kind: GroupKind::Consumer,
            group: group.clone(),
            // Who subscribes to nothing yet may be given queues instead.
            consumer: shared.with_subscriptions(|known| known.shares() && !known.is_empty()).then(|| shared.body()),
            mailbox: Some(mailbox),
            checks: None,
            close: whole.unwrap_or_else(|| {
                Box::new(move || {
                    let Some(shared) = closing.upgrade() else { return CloseReport::default() };
                    let deadline = shared.core.close_deadline();
                    let grace = deadline.map_or(DEFAULT_GRACE, |deadline| deadline.left(Instant::now()));
                    close(&shared, &closed, &Mutex::new(None), grace)
                })
            }),
        };
        shared.joined(core.groups().join(&core, member)?);
        let order = options.order;
        let runner = Runner {
            shared: shared.clone(),
            engine: Engine::new(options, Instant::now()),
            order,
            pool: sink.threads().map(|threads| Pool::new(threads, Instant::now())),
            events: events_out,
            sink,
            keeping,
            routes: Routes::new(),
            actions: Vec::new(),
            report: None,
            closed: false,
            sleeps_until: None,
            done,
        };
        shared.baton.put(Box::new(runner));
        let (driven, inputs) = (shared.clone(), Inputs { bell, requests, questions: asked });
        let thread = Thread::spawn(format!("mq-engine {group}"), move || super::run(&driven, inputs));
        // It and what is shared hold each other until the thread ends.
        let thread = thread.inspect_err(|_| drop(shared.baton.remove()))?;
        Ok(Running { shared, engine: Mutex::new(Some(thread)), questions, done: is_done, _client: client })
    }

    /// Looks at every queue; blocks until the engine's thread has looked.
    pub(in crate::consumer) fn queues(&self) -> Result<Vec<ProcessQueue>> {
        self.shared.check_open()?;
        let (answer, queues) = channel::bounded(1);
        self.questions.try_send(answer).map_err(|_| closed())?;
        // The thread drops the question when it ends.
        queues.recv().map_err(|_| closed())
    }

    /// What was counted, and what the queues say; after the end without queues.
    pub(in crate::consumer) fn stats(&self) -> ConsumerStats {
        self.shared.counters.snapshot(Instant::now()).with_queues(&self.queues().unwrap_or_default())
    }

    pub(in crate::consumer) fn tell(&self, event: Event) -> Result<()> {
        self.shared.check_open()?;
        self.shared.events.send(event).map_err(|_| closed())
    }

    /// Gives up all queues, then leaves the group. In a listener it waits for nothing.
    pub(in crate::consumer) fn close(&self, grace: Duration) -> CloseReport {
        close(&self.shared, &self.done, &self.engine, grace)
    }
}

fn closed() -> Error {
    Error::Closed { outcome: Outcome::NotSent }
}

fn close(shared: &Shared, done: &Receiver<()>, engine: &Mutex<Option<Thread>>, grace: Duration) -> CloseReport {
    if shared.close() {
        let _ = shared.events.send(Event::Close { grace });
    }
    let waits = !thread::is_own();
    let until = Instant::now() + if waits { grace + AFTER_GRACE } else { Duration::ZERO };
    // Nothing is ever sent: it disconnects when the engine's thread has ended.
    let ended = !matches!(done.recv_deadline(until), Err(crossbeam_channel::RecvTimeoutError::Timeout));
    let engine = engine.lock().unwrap_or_else(PoisonError::into_inner).take();
    match engine {
        Some(engine) if ended => engine.join(),
        // A listener closes its own consumer, or one hangs: the client joins the thread when it closes.
        left => shared.core.inherit(left.into_iter().collect()),
    }
    shared.puller.close(Deadline::after(Duration::ZERO));
    if let Some(membership) = shared.membership() {
        membership.leave(Deadline::after(if waits { UNREGISTER_TIMEOUT } else { Duration::ZERO }));
    }
    shared.report()
}
