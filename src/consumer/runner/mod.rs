//! The thread that drives a consumer: it waits for what happens, asks the engine, and has its wishes carried out. It never
//! waits for anything else.

mod commits;
mod hand_back;
mod inputs;
mod perform;
mod pool;
mod queues;
mod requests;
mod running;
mod shared;
mod sink;
mod start;
mod subscriptions;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use self::inputs::{Input, Inputs};
use self::pool::Pool;
pub use self::queues::{ProcessQueue, Standing};
pub(in crate::consumer) use self::requests::Direct;
pub(in crate::consumer) use self::running::{DEFAULT_GRACE, Plan, Running};
pub(in crate::consumer) use self::shared::{Settings, Shared};
pub(in crate::consumer) use self::sink::Sink;
pub use self::start::ConsumeFromWhere;
pub(in crate::consumer) use self::subscriptions::Subscriptions;
use crate::client::{CloseReport, Route};
use crate::consumer::engine::{Action, Engine, Event, Order};
use crate::remoting::Deadline;
use crate::thread::Thread;

/// How soon a route that is not known is asked for again. What is known tells when it changes.
const LOOK: Duration = Duration::from_millis(500);

/// A topic and the route that is known of it.
type Known = (Arc<str>, Option<Arc<Route>>);

struct Runner {
    shared: Arc<Shared>,
    engine: Engine,
    order: Order,
    pool: Option<Pool>,
    inputs: Inputs,
    sink: Box<dyn Sink>,
    /// The thread of an own offset store.
    keeping: Option<Thread>,
    /// What was looked at last, and when.
    looked: Option<(Instant, u64)>,
    routes: Vec<Known>,
    /// Dropped when the thread ends.
    done: Sender<()>,
}

/// How long idle listeners may take to end.
const IDLE: Duration = Duration::from_secs(1);

impl Runner {
    fn run(mut self) {
        let mut actions = Vec::new();
        let mut report = None;
        loop {
            let event = self.next();
            let now = Instant::now();
            if let Some(topics) = self.look_at_routes(now) {
                self.engine.handle(topics, now, &mut actions);
            }
            count(&mut report, &event);
            self.adjust(now);
            self.engine.handle(event, now, &mut actions);
            // Events that are there already are taken together, so that their actions leave together.
            for event in self.inputs.events.try_iter().take(256) {
                count(&mut report, &event);
                self.engine.handle(event, now, &mut actions);
            }
            let closed = actions.iter().any(|action| matches!(action, Action::Closed));
            perform::all(&self.shared, &*self.sink, self.order, actions.drain(..));
            if closed {
                break;
            }
        }
        let Runner { shared, engine, sink, keeping, done, .. } = self;
        let until = Instant::now() + IDLE;
        let mut left = sink.stop(until);
        if let (Some(keeper), Some(thread)) = (&shared.keeper, keeping) {
            keeper.end();
            if thread.wait_until(until) { thread.join() } else { left.push(thread) }
        }
        let mut report = report.unwrap_or_default();
        report.complete = left.is_empty();
        report.abandoned = engine.running();
        shared.ended(report);
        // Whoever closes has given them their time before; the client joins them when it closes.
        shared.core.inherit(left);
        drop(done);
    }

    /// Waits for what happens next.
    fn next(&mut self) -> Event {
        let now = Instant::now();
        let until = [self.look_at(now), self.engine.next_at(), self.pool.as_ref().and_then(Pool::next_at)];
        let until = until.into_iter().flatten().min();
        match self.inputs.next(until) {
            Input::Event(event) => event,
            Input::Request(request) => {
                let describe = || self.describe(now);
                let Runner { shared, sink, order, .. } = &*self;
                let asked = requests::Asked { shared, sink: &**sink, order: *order, describe: &describe };
                requests::serve(&asked, request).unwrap_or(Event::Tick)
            }
            Input::Question(question) => {
                // Who asked may have gone.
                let _ = question.send(self.describe(now));
                Event::Tick
            }
            Input::Time => Event::Tick,
        }
    }

    /// Makes listeners more or fewer, and looks at what was counted.
    fn adjust(&mut self, now: Instant) {
        self.shared.counters.look(now);
        self.shared.counters.dropped_pulls.add(self.engine.take_dropped_pulls());
        let Some(pool) = &mut self.pool else { return };
        let running = self.engine.running();
        let waiting = pool.may_grow() && self.engine.is_starved();
        let Some(count) = pool.look(running, waiting, now) else { return };
        let group = &self.shared.group;
        match self.sink.resize(count) {
            Ok(()) => {
                log::debug!("consumer {group}: {count} listeners may run at once from now on");
                self.engine.slots(count);
            }
            Err(error) => log::warn!("consumer {group}: there are no {count} threads for listeners: {error}"),
        }
    }

    fn describe(&self, now: Instant) -> Vec<ProcessQueue> {
        let mut all = Vec::new();
        self.engine.look(now, |queue, standing| {
            let since = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
            let cache = queue.cache();
            all.push(ProcessQueue {
                queue: queue.spell().queue.clone(),
                next_offset: cache.next_offset(),
                commit_offset: cache.commit_offset(),
                stored_offset: queue.stored(),
                cached: cache.len(),
                cached_bytes: cache.bytes(),
                running: cache.running(),
                since_pull: since(queue.last_pull),
                since_progress: since(queue.last_progress),
                standing: standing.map(Into::into),
                lag: self.shared.counters.end(&queue.spell().queue).map(|end| (end - cache.commit_offset()).max(0)),
            });
        });
        all
    }

    /// When routes are to be looked at though nothing told of a change.
    fn look_at(&self, now: Instant) -> Option<Instant> {
        let Some((at, _)) = self.looked else { return Some(now) };
        self.routes.iter().any(|(_, route)| route.is_none()).then_some(at + LOOK)
    }

    /// Looks at the routes of the subscribed topics; says when something about them is new.
    fn look_at_routes(&mut self, now: Instant) -> Option<Event> {
        let changes = self.shared.changes.load(Ordering::Acquire);
        let changed = self.looked.is_none_or(|(_, seen)| seen != changes);
        if !changed && self.look_at(now).is_none_or(|at| now < at) {
            return None;
        }
        self.looked = Some((now, changes));
        let core = &self.shared.core;
        let topics: Vec<Arc<str>> = self.shared.with_subscriptions(|known| known.topics().cloned().collect());
        let find = |topic: Arc<str>| {
            let route = core.routes().cached(&topic);
            core.routes().watch(&topic);
            if route.is_none() {
                // The retry topic is made by the group's first heartbeat: learnt at once, the first retry is not late.
                let deadline = Deadline::after(core.options().request_timeout);
                core.routes().refresh_async(core, &topic, deadline, |_| ());
            }
            (topic, route)
        };
        let routes: Vec<_> = topics.into_iter().map(find).collect();
        let same = |(old, new): (&Known, &Known)| {
            old.0 == new.0 && old.1.as_ref().map(Arc::as_ptr) == new.1.as_ref().map(Arc::as_ptr)
        };
        if routes.len() == self.routes.len() && self.routes.iter().zip(&routes).all(same) {
            return None;
        }
        self.routes = routes;
        let queues = |route: &Arc<Route>| route.subscribe_queues().clone();
        Some(Event::Topics(
            self.routes.iter().map(|(topic, route)| (topic.clone(), route.as_ref().map(queues))).collect(),
        ))
    }
}

/// Counts what happens once closing has begun.
fn count(report: &mut Option<CloseReport>, event: &Event) {
    match (event, &mut *report) {
        (Event::Close { .. }, None) => *report = Some(CloseReport::default()),
        (Event::Consumed { .. }, Some(report)) => report.finished += 1,
        (Event::Committed { done: true, .. }, Some(report)) => report.persisted += 1,
        _ => {}
    }
}
