//! The asynchronous way: a state machine advanced by answers and by the scheduler, under the rules of the blocking way.
//!
//! Answers arrive on a reader's thread, which only forwards: retries are begun by the scheduler, and the user's callback runs
//! on a callback thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::call::{Course, Target};
use super::retry::{Next, Rules};
use super::shared::Shared;
use super::window::Permit;
use crate::client::send::{Prepared, SendResult};
use crate::client::{Route, SendStatus};
use crate::error::{Error, Exhaustion, Outcome, Result, Stage};
use crate::protocol::request::Answer;
use crate::protocol::rpc::send::SendMessage;
use crate::remoting::Deadline;

/// What is told the end of a send, exactly once.
pub(super) type Done = Box<dyn FnOnce(Result<SendResult>) + Send>;

/// How the end is delivered.
pub(super) enum Delivery {
    /// User code: on a callback thread.
    Callback(Done),
    /// Only forwards, so it may run anywhere.
    Forward(Done),
    /// As `Forward`, to one who [notes](note_end) what became of the messages.
    Uncounted(Done),
}

impl Delivery {
    fn is_counted(&self) -> bool {
        !matches!(self, Delivery::Uncounted(_))
    }
}

/// One asynchronous send.
pub(super) struct Background {
    shared: Arc<Shared>,
    prepared: Prepared,
    deadline: Deadline,
    state: Mutex<State>,
}

struct State {
    course: Course,
    route: Option<Arc<Route>>,
    /// Attempts whose end has not come.
    under_way: usize,
    /// A success with a status that is not OK, kept while better is tried.
    degraded: Option<SendResult>,
    /// No further attempt is made, for this reason.
    stopped: Option<Option<Exhaustion>>,
    end: Option<(Delivery, Option<Permit>)>,
}

/// What is to be done once the state is unlocked.
enum Step {
    Wait,
    Begin(Instant),
    End(Result<SendResult>),
}

/// Starts a send whose message has passed all checks. Never blocks.
pub(super) fn start(
    shared: &Arc<Shared>,
    prepared: Prepared,
    target: Target,
    rules: Rules,
    deadline: Deadline,
    delivery: Delivery,
    permit: Permit,
) {
    prepare(shared, prepared, target, rules, deadline, delivery, Some(permit)).start();
}

/// Makes a send ready to be [started](Background::start). Without a permit the caller bounds it.
pub(super) fn prepare(
    shared: &Arc<Shared>,
    prepared: Prepared,
    target: Target,
    rules: Rules,
    deadline: Deadline,
    delivery: Delivery,
    permit: Option<Permit>,
) -> Arc<Background> {
    let state = State {
        course: Course::new(rules, target, deadline),
        route: None,
        under_way: 0,
        degraded: None,
        stopped: None,
        end: Some((delivery, permit)),
    };
    Arc::new(Background { shared: shared.clone(), prepared, deadline, state: Mutex::new(state) })
}

/// Traces and counts what became of a message, or of a batch.
pub(super) fn note_end(shared: &Shared, prepared: &Prepared, started: Instant, result: &Result<SendResult>) {
    if let Some(trace) = &shared.trace {
        trace.sent(prepared, started, result.as_ref());
    }
    shared.stats.ended(prepared, started, result);
}

impl Background {
    /// Begins. Never blocks; the end may be delivered within the call.
    pub(super) fn start(self: &Arc<Self>) {
        let (shared, with_route) = (&self.shared, self.clone());
        let (template, queues) = (&shared.settings.send.template_topic, shared.settings.send.default_queues);
        let (core, topic) = (&shared.core, &self.prepared.topic);
        core.routes().publish_async(core, topic, template, queues, self.deadline, move |route| match route {
            Ok(route) if with_route.is_missing_in(&route) => with_route.look_again(route),
            Ok(route) => with_route.go(route),
            Err(error) => with_route.end(Err(error)),
        });
    }

    /// Makes no further attempt, and delivers no end: nobody waits for it. What is under way may still be stored.
    pub(super) fn give_up(&self) {
        // Dropped outside the lock: it owns the caller's closure.
        let end = self.lock().end.take();
        if end.is_some() {
            self.shared.stats.failed(1, &self.deadline.missed(Stage::Reply, None, Outcome::Unknown));
        }
    }

    fn is_missing_in(&self, route: &Route) -> bool {
        self.lock().course.target.is_missing_in(route)
    }

    fn go(self: &Arc<Self>, route: Arc<Route>) {
        self.lock().route = Some(route);
        self.begin();
    }

    /// Asks for the route anew, because the one that is known does not name the queue's broker; should that fail, it says so.
    fn look_again(self: &Arc<Self>, known: Arc<Route>) {
        let (send, core) = (self.clone(), &self.shared.core);
        let go = move |route: Result<Arc<Route>>| send.go(route.unwrap_or(known));
        core.routes().refresh_async(core, &self.prepared.topic, self.deadline, Box::new(go));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an attempt. Runs on the sender's thread, on the scheduler, or where a route arrived; it never blocks.
    fn begin(self: &Arc<Self>) {
        let mut state = self.lock();
        let Some(route) = state.route.clone() else { return };
        if state.end.is_none() {
            return;
        }
        let index = match state.course.begin(&self.shared, &route) {
            Ok(index) => index,
            Err(error) => {
                let first = state.course.made.is_empty();
                state.stopped = Some(Some(Exhaustion::Brokers));
                let step = if first { Step::End(Err(error)) } else { state.conclude() };
                drop(state);
                return self.perform(step);
            }
        };
        state.under_way += 1;
        let made = &state.course.made[index];
        let (addr, request) = (made.addr.clone(), self.prepared.request(&self.shared.settings.send, &made.queue));
        let share = state.course.share(&route);
        drop(state);
        let answered = self.clone();
        let remoting = self.shared.core.remoting();
        remoting
            .submit(&addr, &request, &self.prepared.body, self.deadline, move |answer| answered.take(index, answer));
        if share < self.deadline.at() {
            let overdue = self.clone();
            self.shared.core.timers().at(share, move || overdue.overdue(index));
        }
    }

    /// Takes the end of an attempt.
    fn take(self: &Arc<Self>, index: usize, answer: Result<Answer<SendMessage>>) {
        let mut state = self.lock();
        state.under_way -= 1;
        if state.end.is_none() {
            return;
        }
        let result = answer.and_then(|answer| self.read(&mut state, index, &answer));
        let result = result.and_then(|sent| self.accept(&mut state, index, sent));
        let step = match result {
            Ok(sent) => Step::End(Ok(sent)),
            Err(error) => {
                state.course.failed(&self.shared, index, error);
                // Of several attempts only the last one's end leads to another.
                if index + 1 == state.course.made.len() { state.advance() } else { state.conclude() }
            }
        };
        drop(state);
        self.perform(step);
    }

    fn read(&self, state: &mut State, index: usize, answer: &Answer<SendMessage>) -> Result<SendResult> {
        let course = &mut state.course;
        let duplicated = course.succeeded(&self.shared, index);
        let attempts = u32::try_from(course.made.len()).unwrap_or(u32::MAX);
        let made = &course.made[index];
        let result = self.prepared.result(answer, &made.queue, attempts, duplicated);
        result.map_err(|error| error.with_addr(&made.addr))
    }

    /// A message that was stored less durably than asked for is tried elsewhere, when that is wanted.
    fn accept(&self, state: &mut State, index: usize, sent: SendResult) -> Result<SendResult> {
        if sent.status() == SendStatus::Ok || !self.shared.settings.retry_when_not_ok {
            return Ok(sent);
        }
        let (addr, status) = (state.course.made[index].addr.clone(), sent.status().to_string().into());
        state.degraded = Some(sent);
        Err(Error::NotDurable { addr, status })
    }

    /// An attempt has used its share of the time: another may begin beside it.
    fn overdue(self: &Arc<Self>, index: usize) {
        let mut state = self.lock();
        if state.end.is_none() || index + 1 != state.course.made.len() || state.stopped.is_some() {
            return;
        }
        let step = state.advance();
        drop(state);
        self.perform(step);
    }

    fn perform(self: &Arc<Self>, step: Step) {
        match step {
            Step::Wait => {}
            Step::Begin(at) => {
                let again = self.clone();
                self.shared.core.timers().at(at, move || again.begin());
            }
            Step::End(result) => self.end(result),
        }
    }

    fn end(&self, result: Result<SendResult>) {
        let Some((delivery, permit)) = self.lock().end.take() else { return };
        if delivery.is_counted() {
            note_end(&self.shared, &self.prepared, self.deadline.started(), &result);
        }
        match delivery {
            Delivery::Forward(done) | Delivery::Uncounted(done) => {
                drop(permit);
                done(result);
            }
            Delivery::Callback(done) => match self.shared.core.callbacks() {
                Ok(callbacks) => callbacks.run(move || {
                    let _permit = permit;
                    done(result);
                }),
                // The client has closed its callback threads; the callback must run all the same.
                Err(_) => done(result),
            },
        }
    }
}

impl State {
    /// Decides what follows the last attempt.
    fn advance(&mut self) -> Step {
        let Some(route) = self.route.clone() else { return Step::Wait };
        match self.course.next(&route) {
            Next::Again { pause, .. } => Step::Begin(Instant::now() + pause),
            Next::Stop(because) => {
                self.stopped = Some(Some(because));
                self.conclude()
            }
            Next::Fail => {
                self.stopped = Some(None);
                self.conclude()
            }
        }
    }

    /// Ends the send once no attempt is under way and none will be begun: with what was kept, else with an error.
    fn conclude(&mut self) -> Step {
        match self.stopped {
            Some(because) if self.under_way == 0 => {
                Step::End(self.degraded.take().ok_or_else(|| self.course.error(because)))
            }
            _ => Step::Wait,
        }
    }
}

impl Drop for Background {
    /// A timer that was dropped at closing took the send with it: its end is told here.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((delivery, permit)) = state.end.take() {
            let error = match state.course.made.is_empty() {
                true => self.deadline.missed(Stage::Route, None, Outcome::NotSent),
                false => state.course.error(Some(Exhaustion::Deadline)),
            };
            let error =
                if self.shared.core.check_open().is_err() { Error::Closed { outcome: error.outcome() } } else { error };
            let result = state.degraded.take().ok_or(error);
            if delivery.is_counted() {
                self.shared.stats.ended(&self.prepared, self.deadline.started(), &result);
            }
            drop(permit);
            let (Delivery::Callback(done) | Delivery::Forward(done) | Delivery::Uncounted(done)) = delivery;
            done(result);
        }
    }
}
