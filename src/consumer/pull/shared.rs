//! What pulls, the consumer and its group share; it never holds the handle that closes it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::condition::Conditions;
use super::prepare::Pull;
use super::result::{Asked, PullResult};
use super::source::{Source, Suggestions};
use super::window::{Callback, Window};
use super::{PullOptions, PullStatus};
use crate::channel;
use crate::client::{CloseReport, Core, Membership, Route, heartbeat, is_connection_over};
use crate::error::{Error, Outcome, Result, Stage};
use crate::protocol::json;
use crate::protocol::record;
use crate::protocol::request::Answer;
use crate::protocol::rpc::check::CheckClientConfig;
use crate::protocol::rpc::pull::PullMessage;
use crate::remoting::{Asker, Deadline, Hold};

/// How long to wait beyond the deadline for the connection's own, more exact error.
const GRACE: Duration = Duration::from_millis(20);
/// How long brokers may take to take note that the group left.
const UNREGISTER_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(in crate::consumer) struct Shared {
    core: Arc<Core>,
    group: Arc<str>,
    options: PullOptions,
    asker: Asker,
    suggestions: Suggestions,
    conditions: Conditions,
    window: Window,
    /// Pulls wait until the broker knows the group.
    greets: bool,
    /// Callbacks only pass on what they get, so that the thread that read an answer may run them.
    forwards: bool,
    /// Dropped by closing, which wakes the pulls that wait for a message.
    open: Mutex<Option<Sender<()>>>,
    closing: Receiver<()>,
    membership: Mutex<Option<Arc<Membership>>>,
}

impl Shared {
    pub(super) fn new(core: &Arc<Core>, group: &Arc<str>, options: PullOptions) -> Shared {
        let (open, closing) = crossbeam_channel::bounded(0);
        Shared {
            core: core.clone(),
            group: group.clone(),
            suggestions: Suggestions::default(),
            conditions: Conditions::default(),
            window: Window::new(options.window),
            forwards: false,
            options,
            asker: Asker::new(),
            greets: false,
            open: Mutex::new(Some(open)),
            closing,
            membership: Mutex::new(None),
        }
    }

    /// For an engine, which has a pull of each queue under way and joins the group by itself.
    pub(in crate::consumer) fn of_engine(core: &Arc<Core>, group: &Arc<str>) -> Shared {
        let options = PullOptions { window: usize::MAX, ..PullOptions::default() };
        Shared { forwards: true, greets: true, ..Shared::new(core, group, options) }
    }

    pub(super) fn joined(&self, membership: Membership) {
        *self.membership.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(membership));
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(super) fn group(&self) -> &Arc<str> {
        &self.group
    }

    pub(super) fn options(&self) -> &PullOptions {
        &self.options
    }

    pub(super) fn check_open(&self) -> Result<()> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if open { self.core.check_open() } else { Err(Error::Closed { outcome: Outcome::NotSent }) }
    }

    /// Pulls, and blocks until the answer is there.
    pub(super) fn fetch(&self, pull: &Pull) -> Result<PullResult> {
        let source = self.find(pull)?;
        match self.ask(pull, &source) {
            Err(error) if source.is_worth_leaving(&error) => {
                self.suggestions.forget(&pull.queue);
                let Some(next) = self.find_other(pull, &source, &error) else { return Err(error) };
                log::debug!("pulling {} from {} failed: {error}; trying {}", pull.queue, source.addr, next.addr);
                self.take_in(pull, &next, self.ask(pull, &next))
            }
            answer => self.take_in(pull, &source, answer),
        }
    }

    /// Where to read; the route is asked for once more when it does not name the broker.
    fn find(&self, pull: &Pull) -> Result<Source> {
        let (routes, topic) = (self.core.routes(), pull.queue.shared_topic());
        let route = routes.get(&self.core, topic, pull.deadline)?;
        self.choose(pull, &route).or_else(|_| {
            let route = routes.refresh(&self.core, topic, pull.deadline)?;
            self.choose(pull, &route)
        })
    }

    fn choose(&self, pull: &Pull, route: &Route) -> Result<Source> {
        let name = pull.queue.broker_name();
        Source::choose(route, name, self.suggestions.of(&pull.queue)).ok_or_else(|| Error::NoBroker {
            what: pull.queue.to_string().into(),
            reason: format!("the route of topic {} does not name broker {name}", pull.queue.topic()).into(),
        })
    }

    /// Where to go after an error. A slave's master is known; that a master moved, the name servers know.
    fn find_other(&self, pull: &Pull, failed: &Source, error: &Error) -> Option<Source> {
        let (routes, topic) = (self.core.routes(), pull.queue.shared_topic());
        let route = if failed.is_slave() {
            routes.get(&self.core, topic, pull.deadline)
        } else {
            // What is known is better than nothing when no name server answers.
            let fresh = routes.refresh(&self.core, topic, pull.deadline);
            fresh.or_else(|_| routes.get(&self.core, topic, pull.deadline))
        };
        failed.next(error, &*route.ok()?, pull.queue.broker_name())
    }

    fn ask(&self, pull: &Pull, source: &Source) -> Result<Answer<PullMessage>> {
        let request = pull.request(&self.group);
        let (remoting, addr, deadline) = (self.core.remoting(), &source.addr, pull.deadline);
        if let Some(question) = self.question(pull) {
            self.conditions.learn(&pull.filter, remoting.call(addr, &CheckClientConfig, &question, deadline))?;
        }
        let Some(hold) = pull.hold else {
            return remoting.call(addr, &request, &[], deadline);
        };
        // Waiting on a channel lets closing end the wait.
        let (done, answered) = channel::bounded(1);
        let hold = Hold::of(self.asker, hold);
        remoting.submit_held(addr, &request, &[], hold, deadline, move |answer| {
            // Fails when nobody waits any more.
            let _ = done.try_send(answer);
        });
        self.withdraw_if_closed();
        let late = || deadline.missed(Stage::Reply, Some(addr), Outcome::Unknown);
        crossbeam_channel::select! {
            recv(answered.news()) -> _ => answered.take().unwrap_or_else(|| Err(late())),
            recv(self.closing) -> _ => Err(Error::Closed { outcome: Outcome::Unknown }),
            recv(crossbeam_channel::at(deadline.at() + GRACE)) -> _ => Err(late()),
        }
    }

    fn question(&self, pull: &Pull) -> Option<Vec<u8>> {
        let question = self.conditions.question(pull, self.core.client_id(), &self.group);
        question.map(|mut body| {
            body.group = self.core.wire_name(&body.group);
            body.subscription_data.topic = self.core.wire_name(&body.subscription_data.topic);
            json::encode(&body)
        })
    }

    /// Reads what a source answered, and remembers from where to read next.
    fn take_in(&self, pull: &Pull, source: &Source, answer: Result<Answer<PullMessage>>) -> Result<PullResult> {
        let result = answer.and_then(|answer| {
            let namespace = self.core.namespace();
            let asked = Asked { queue: &pull.queue, offset: pull.offset, filter: &pull.filter, namespace };
            let (code, body) = (answer.code(), answer.frame.body_bytes());
            let bounds = &self.core.options().limits.messages;
            let read = answer.header().and_then(|reply| PullResult::from_reply(code, &reply, body, asked, bounds));
            read.map_err(|error| error.with_addr(&source.addr))
        });
        let mut result = result;
        match &mut result {
            Ok(result) => {
                if result.status() == PullStatus::OffsetIllegal {
                    log::warn!("offset {} of {} is illegal: {result}", pull.offset, pull.queue);
                }
                self.core.note_messages(result.messages(), result.cut());
                result.read_from(source.is_slave());
                self.suggestions.learn(&pull.queue, result.suggested_broker_id());
            }
            // The master is the one to ask next.
            Err(error) => {
                self.core.note_limit(error);
                self.suggestions.forget(&pull.queue);
            }
        }
        result
    }

    /// Pulls without blocking; the callback is called once unless this fails.
    pub(in crate::consumer) fn fetch_async(self: &Arc<Self>, pull: Pull, callback: Callback) -> Result<()> {
        // Makes sure that there are threads for it.
        self.core.callbacks()?;
        let ticket = self.window.admit(callback)?;
        let (shared, topic, deadline) = (self.clone(), pull.queue.shared_topic().clone(), pull.deadline);
        self.core.routes().get_async(&self.core, &topic, deadline, move |route| {
            match route.and_then(|route| Ok((shared.choose(&pull, &route)?, route))) {
                Ok((source, route)) => shared.submit(pull, ticket, source, Some(route)),
                Err(error) => shared.complete(ticket, move |_| Err(error)),
            }
        });
        Ok(())
    }

    /// `route` is where to look for another source when this one fails; `None` when this already is that other one.
    fn submit(self: Arc<Self>, pull: Pull, ticket: u64, source: Source, route: Option<Arc<Route>>) {
        if !self.greets {
            return self.submit_known(pull, ticket, source, route);
        }
        // A broker refuses the pulls of a group it does not know, and it forgets groups with their connection.
        let (core, addr, deadline) = (self.core.clone(), source.addr.clone(), pull.deadline);
        heartbeat::before(&core, &addr, deadline, move || self.submit_known(pull, ticket, source, route));
    }

    fn submit_known(self: Arc<Self>, pull: Pull, ticket: u64, source: Source, route: Option<Arc<Route>>) {
        let Some(question) = self.question(&pull) else {
            return self.submit_pull(pull, ticket, source, route);
        };
        let (core, addr, deadline) = (self.core.clone(), source.addr.clone(), pull.deadline);
        core.remoting().submit(&addr, &CheckClientConfig, &question, deadline, move |answer| {
            match self.conditions.learn(&pull.filter, answer) {
                Ok(()) => self.submit_pull(pull, ticket, source, route),
                Err(error) => self.answered(pull, ticket, source, route, Err(error)),
            }
        });
    }

    fn submit_pull(self: Arc<Self>, pull: Pull, ticket: u64, source: Source, route: Option<Arc<Route>>) {
        let (core, request, deadline, hold) = (self.core.clone(), pull.request(&self.group), pull.deadline, pull.hold);
        let addr = source.addr.clone();
        let me = self.clone();
        let done = move |answer| self.answered(pull, ticket, source, route, answer);
        match hold {
            None => core.remoting().submit(&addr, &request, &[], deadline, done),
            Some(hold) => {
                let hold = Hold::of(me.asker, hold);
                core.remoting().submit_held(&addr, &request, &[], hold, deadline, done);
                me.withdraw_if_closed();
            }
        }
    }

    /// Closing may have come before a pull was registered.
    fn withdraw_if_closed(&self) {
        if self.open.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            self.core.remoting().withdraw(self.asker);
        }
    }

    fn answered(
        self: Arc<Self>,
        pull: Pull,
        ticket: u64,
        source: Source,
        route: Option<Arc<Route>>,
        answer: Result<Answer<PullMessage>>,
    ) {
        if answer.as_ref().is_err_and(is_connection_over) {
            heartbeat::lost(&self.core, &source.addr);
        }
        let name = pull.queue.broker_name();
        let other = match (&answer, route) {
            (Err(error), Some(route)) if source.is_worth_leaving(error) => source.next(error, &route, name),
            _ => None,
        };
        match other {
            Some(other) => {
                self.suggestions.forget(&pull.queue);
                self.submit(pull, ticket, other, None);
            }
            None => {
                // Reading the answer can take long when messages have to be inflated.
                let is_slow = answer.as_ref().is_ok_and(|answer| record::any_compressed(answer.frame.body()));
                let result = move |shared: &Shared| shared.take_in(&pull, &source, answer);
                if self.forwards && !is_slow {
                    return self.complete_here(ticket, result);
                }
                self.complete(ticket, result);
            }
        }
    }

    /// Runs the callback of a pull on a callback thread, unless closing did so before.
    fn complete(self: &Arc<Self>, ticket: u64, result: impl FnOnce(&Shared) -> Result<PullResult> + Send + 'static) {
        if let Some(callback) = self.window.take(ticket) {
            self.deliver(callback, result);
        }
    }

    /// Runs the callback on the thread that read the answer.
    fn complete_here(&self, ticket: u64, result: impl FnOnce(&Shared) -> Result<PullResult>) {
        if let Some(callback) = self.window.take(ticket) {
            let _running = self.window.started();
            callback(result(self));
        }
    }

    fn deliver(
        self: &Arc<Self>,
        callback: Callback,
        result: impl FnOnce(&Shared) -> Result<PullResult> + Send + 'static,
    ) {
        let shared = self.clone();
        let job = move || {
            let _running = shared.window.started();
            callback(result(&shared));
        };
        match self.core.callbacks() {
            Ok(callbacks) => callbacks.run(job),
            // They were started before the pull was let in.
            Err(error) => log::error!("{error}: a callback is lost; this is a bug in rocketmq-blocking"),
        }
    }

    /// Ends the pulls that wait, gives callbacks until `deadline`, and leaves the group. On a thread of the crate it
    /// does not wait for callbacks. Callbacks that got `Closed` are reported as abandoned.
    pub(in crate::consumer) fn close(self: &Arc<Self>, deadline: Deadline) -> CloseReport {
        let report = self.stop(deadline);
        self.leave();
        report
    }

    /// All of [`close`](Shared::close) but leaving the group.
    pub(super) fn stop(self: &Arc<Self>, deadline: Deadline) -> CloseReport {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(open);
        let (waiting, busy) = self.window.close();
        let abandoned = waiting.len();
        for callback in waiting {
            self.deliver(callback, |_| Err(Error::Closed { outcome: Outcome::Unknown }));
        }
        // Brokers may hold them for long, and nobody waits any more.
        self.core.remoting().withdraw(self.asker);
        let wait_until = if crate::thread::is_own() { deadline.started() } else { deadline.at() };
        let left = self.window.wait_idle(wait_until);
        CloseReport::of_calls(busy.saturating_sub(left), abandoned, left == 0)
    }

    pub(super) fn leave(&self) {
        let membership = self.membership.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(membership) = membership {
            membership.leave(Deadline::after(UNREGISTER_TIMEOUT));
        }
    }
}
