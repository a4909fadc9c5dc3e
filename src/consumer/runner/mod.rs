//! What drives a consumer: it is told what happened, asks the engine, and has its wishes carried out. It never waits for
//! anything. One thread at a time does that: the engine's own, or one that has something for the engine.

mod acks;
mod baton;
mod commits;
mod events;
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

use crossbeam_channel::{Receiver, Sender};

pub(in crate::consumer) use self::commits::Commits;
pub(in crate::consumer) use self::events::Events;
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
use crate::remoting;
use crate::thread::Thread;

/// What drives an engine: it lies in the [`Baton`] while nobody does.
struct Runner {
    shared: Arc<Shared>,
    engine: Engine,
    order: Order,
    pool: Option<Pool>,
    events: Receiver<Event>,
    sink: Box<dyn Sink>,
    /// The thread of an own offset store.
    keeping: Option<Thread>,
    routes: Routes,
    actions: Vec<Action>,
    /// How far closing has come, once it has begun.
    report: Option<CloseReport>,
    closed: bool,
    /// When the engine's thread wakes up by itself.
    sleeps_until: Option<Instant>,
    /// Dropped when the thread ends.
    done: Sender<()>,
}

/// How long idle listeners may take to end.
const IDLE: Duration = Duration::from_secs(1);
/// Events that are taken together, so that their actions leave together.
const TOGETHER: usize = 256;

/// The engine's thread. It drives when time has passed, when somebody asks, and for all who do not drive themselves.
fn run(shared: &Shared, mut inputs: Inputs) {
    let mut input = Input::Time;
    loop {
        let mut turn = shared.baton.wait(&shared.events, &inputs.bell);
        let Some(runner) = turn.runner() else { return };
        let until = runner.run(input);
        if runner.closed {
            if let Some(runner) = turn.keep() {
                runner.end();
            }
            return;
        }
        drop(turn);
        // What others put in meanwhile they left to this thread, without a ring.
        input = if shared.events.is_empty() { inputs.next(until) } else { Input::Bell };
    }
}

impl Runner {
    /// Drives for the engine's own thread; says until when it may sleep.
    fn run(&mut self, input: Input) -> Option<Instant> {
        let now = Instant::now();
        if self.closed {
            return None;
        }
        if self.routes.are_to_be_looked_at(&self.shared, now) {
            self.sink.look();
        }
        if let Some(topics) = self.routes.look(&self.shared, now) {
            self.engine.handle(topics, now, &mut self.actions);
        }
        let event = self.take_in(input, now);
        self.engine.handle(event, now, &mut self.actions);
        self.turn(now);
        self.sleeps_until = self.next_at(now);
        self.sleeps_until
    }

    /// Drives on a thread that has something for the engine; says whether the engine's own thread sleeps for too long now.
    fn run_beside(&mut self, now: Instant) -> bool {
        if self.closed {
            return false;
        }
        self.turn(now);
        let next = self.next_at(now);
        let late = next.is_some_and(|next| self.sleeps_until.is_none_or(|until| next < until));
        if late {
            self.sleeps_until = next;
        }
        late || self.closed
    }

    /// Takes in what happened, and has what follows carried out.
    fn turn(&mut self, now: Instant) {
        for event in self.events.try_iter().take(TOGETHER) {
            count(&mut self.report, &event);
            self.engine.handle(event, now, &mut self.actions);
        }
        self.adjust(now);
        self.closed |= self.actions.iter().any(|action| matches!(action, Action::Closed));
        let Runner { shared, sink, order, actions, .. } = self;
        remoting::together(|| perform::all(shared, &**sink, *order, actions.drain(..)));
    }

    fn end(self) {
        let Runner { shared, engine, sink, keeping, report, done, .. } = self;
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

    /// When something is to be done though nothing happens.
    fn next_at(&self, now: Instant) -> Option<Instant> {
        let until = [self.routes.look_at(now), self.engine.next_at(), self.pool.as_ref().and_then(Pool::next_at)];
        until.into_iter().flatten().min()
    }

    fn take_in(&self, input: Input, now: Instant) -> Event {
        match input {
            Input::Request(request) => {
                let describe = || self.describe(now);
                let Runner { shared, sink, order, .. } = self;
                let asked = requests::Asked { shared, sink: &**sink, order: *order, describe: &describe };
                requests::serve(&asked, request).unwrap_or(Event::Tick)
            }
            Input::Question(question) => {
                // Who asked may have gone.
                let _ = question.try_send(self.describe(now));
                Event::Tick
            }
            Input::Bell | Input::Time => Event::Tick,
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
                lag: self.shared.counters.end(&queue.spell().queue).map(|end| (end - queue.commit_offset()).max(0)),
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
        (Event::Committed { result: Ok(()), .. }, Some(report)) => report.persisted += 1,
        _ => {}
    }
}
