//! The thread that drives a consumer: it waits for what happens, asks the engine, and has its wishes carried out. It never
//! waits for anything else.

mod acks;
mod commits;
mod hand_back;
mod inputs;
mod leftovers;
mod perform;
mod pool;
mod pop;
mod queues;
mod requests;
mod routes;
mod running;
mod shared;
mod sink;
mod start;
mod subscriptions;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

pub(in crate::consumer) use self::commits::Commits;
use self::inputs::{Input, Inputs};
pub(in crate::consumer) use self::leftovers::unsubscribe as unsubscribe_leftovers;
use self::pool::Pool;
pub use self::queues::{ProcessQueue, Standing};
pub(in crate::consumer) use self::requests::Direct;
use self::routes::Routes;
pub(in crate::consumer) use self::running::{Close, DEFAULT_GRACE, Plan, Running};
pub(in crate::consumer) use self::shared::{Settings, Shared};
pub(in crate::consumer) use self::sink::Sink;
pub use self::start::ConsumeFromWhere;
pub(in crate::consumer) use self::subscriptions::Subscriptions;
use crate::client::CloseReport;
use crate::consumer::engine::{Action, Engine, Event, Order};
use crate::thread::Thread;

struct Runner {
    shared: Arc<Shared>,
    engine: Engine,
    order: Order,
    pool: Option<Pool>,
    inputs: Inputs,
    sink: Box<dyn Sink>,
    /// The thread of an own offset store.
    keeping: Option<Thread>,
    routes: Routes,
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
            if self.routes.are_to_be_looked_at(&self.shared, now) {
                self.sink.look();
            }
            if let Some(topics) = self.routes.look(&self.shared, now) {
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
        let tally = sink.tally();
        let mut left = sink.stop(until);
        if let (Some(keeper), Some(thread)) = (&shared.keeper, keeping) {
            keeper.end();
            if thread.wait_until(until) { thread.join() } else { left.push(thread) }
        }
        let mut report = report.unwrap_or_default();
        report.complete = left.is_empty();
        (report.finished, report.abandoned) = tally.unwrap_or((report.finished, engine.running()));
        shared.ended(report);
        // Whoever closes has given them their time before; the client joins them when it closes.
        shared.core.inherit(left);
        drop(done);
    }

    /// Waits for what happens next.
    fn next(&mut self) -> Event {
        let now = Instant::now();
        let until = [self.routes.look_at(now), self.engine.next_at(), self.pool.as_ref().and_then(Pool::next_at)];
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
                commit_offset: queue.commit_offset(),
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
        self.engine.look_at_pops(|queue, standing| {
            let since = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
            all.push(ProcessQueue {
                queue: queue.spell().queue.clone(),
                next_offset: -1,
                commit_offset: -1,
                stored_offset: None,
                cached: queue.unacked(),
                cached_bytes: queue.bytes(),
                running: queue.running(),
                since_pull: since(queue.last_pop),
                since_progress: since(queue.last_progress),
                standing: standing.map(Into::into),
                lag: None,
            });
        });
        all
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
