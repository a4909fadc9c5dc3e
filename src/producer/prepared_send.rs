use std::sync::Arc;
use std::time::Duration;

use super::accumulator::Joined;
use super::background::{self, Delivery};
use super::call::Target;
use super::given_queue::{Selector, check_queue, choose};
use super::pending::PendingSend;
use super::retry::Rules;
use super::sendable::Sendable;
use super::shared::Shared;
use super::window::Permit;
use super::{SendError, accumulator, prepare, sync};
use crate::client::Route;
use crate::client::hooks::{SendContext, SendMode};
use crate::client::send::{Prepared, SendResult};
use crate::error::{Error, Result};
use crate::message::{Message, MessageQueue};
use crate::remoting::Deadline;

/// A send with options, made by [`Producer::prepare`](crate::Producer::prepare). It ends in a verb: `send`, `send_async`,
/// `submit` or `send_oneway`.
#[must_use = "a prepared send does nothing until its verb is called"]
pub struct PreparedSend<'a, M = Message> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) message: M,
    pub(super) timeout: Duration,
    queue: Option<MessageQueue>,
    selector: Option<Selector<'a>>,
    retries: Option<u32>,
    retry_elsewhere: bool,
    retry_unknown: bool,
    attempt_timeout: Option<Duration>,
    buffered: bool,
    pub(super) inner_batch: bool,
    auto_batch: bool,
    /// A time or retries of its own keep it out of every batch.
    has_own_rules: bool,
}

impl<M> std::fmt::Debug for PreparedSend<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreparedSend")
            .field("timeout", &self.timeout)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

impl<'a, M> PreparedSend<'a, M> {
    pub(super) fn new(shared: &'a Arc<Shared>, message: M) -> PreparedSend<'a, M> {
        PreparedSend {
            message,
            timeout: shared.settings.timeout,
            queue: None,
            selector: None,
            retries: None,
            retry_elsewhere: false,
            retry_unknown: shared.settings.retry_unknown,
            attempt_timeout: shared.settings.attempt_timeout,
            buffered: false,
            inner_batch: false,
            auto_batch: shared.accumulator.on,
            has_own_rules: false,
            shared,
        }
    }

    /// Sets the time for everything together: route, connection, all attempts, waiting. The producer's (3 s) by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self.has_own_rules = true;
        self
    }

    /// Sends to this queue. One attempt, unless [`retries`](PreparedSend::retries) says otherwise.
    pub fn queue(mut self, queue: &MessageQueue) -> Self {
        self.queue = Some(queue.clone());
        self
    }

    /// Sends to the queue whose index `selector` returns: it gets the topic's writable queues, sorted by broker and number as
    /// in Java, and the message (of a batch the first). One attempt, unless [`retries`](PreparedSend::retries) says
    /// otherwise. [`select`](crate::select) has ready-made ones.
    ///
    /// An index beyond the queues, and a panic of the selector, are [`Error::Invalid`]; nothing is sent then. It is called
    /// once, on the calling thread, which it makes wait for the topic's route if that is unknown.
    pub fn select(mut self, selector: impl FnOnce(&[MessageQueue], &Message) -> usize + Send + 'a) -> Self {
        self.selector = Some(Box::new(selector));
        self
    }

    /// Sets how often a failed attempt is repeated. By default the producer's number (2), and 0 for a given or selected
    /// queue, for which the same queue is tried again, so that order is kept (`autoRetryTimes` of `SendMessageOrderly`).
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self.has_own_rules = true;
        self
    }

    /// Lets the retries of a given or selected queue move on to queues of other brokers, which gives up order for
    /// availability. The selector is not asked again. Off by default.
    pub fn retry_elsewhere(mut self, elsewhere: bool) -> Self {
        self.retry_elsewhere = elsewhere;
        self
    }

    /// Sets whether an attempt whose outcome is unknown is repeated, which may duplicate the message. The producer's
    /// setting by default, which is on, as in Java.
    pub fn retry_unknown(mut self, retry: bool) -> Self {
        self.retry_unknown = retry;
        self.has_own_rules = true;
        self
    }

    /// Sets how long an attempt may take before another is begun beside it. By default 60 % of the time left while another
    /// broker can be tried.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self.has_own_rules = true;
        self
    }

    /// Sets whether the message may be gathered into a batch, see [`AutoBatch`](crate::AutoBatch); what is sent by itself in
    /// any case stays so. As the producer is set by default; with `true` and a producer without automatic batching its
    /// default settings hold.
    pub fn auto_batch(mut self, batch: bool) -> Self {
        self.auto_batch = batch;
        self
    }

    /// Makes [`send_oneway`](PreparedSend::send_oneway) return when the message waits to be written, instead of when the
    /// kernel has it. Faster, and a message can be lost without an error; closing the client writes what waits.
    pub fn buffered(mut self, buffered: bool) -> Self {
        self.buffered = buffered;
        self
    }
}

/// What is known once a send has passed its checks.
pub(super) struct Ready {
    pub(super) prepared: Prepared,
    pub(super) target: Target,
    pub(super) rules: Rules,
    pub(super) deadline: Deadline,
    pub(super) route: Option<Arc<Route>>,
}

impl<M: Sendable> PreparedSend<'_, M> {
    /// Sends and waits for the result; see [`Producer::send`](crate::Producer::send).
    ///
    /// # Errors
    /// [`SendError`] with what was to be sent and the reason.
    pub fn send(mut self) -> Result<SendResult, SendError<M>> {
        let joined = self.gathered().map(|message| accumulator::send(self.shared, message));
        let _alone = match joined {
            Some(Joined::Ended(result)) => return result.map_err(|error| SendError { error, message: self.message }),
            Some(Joined::Alone(alone)) => Some(alone),
            None => None,
        };
        let retries = self.shared.settings.retries;
        let result = self.routed(SendMode::Sync, retries).and_then(|(ready, route)| {
            let Ready { prepared, target, rules, deadline, .. } = ready;
            let result = sync::send(self.shared, &prepared, &route, target, rules, deadline);
            self.after(SendMode::Sync, result.as_ref().map(Some));
            result
        });
        result.map_err(|error| SendError { error, message: self.message })
    }

    /// Sends without asking for a result; see [`Producer::send_oneway`](crate::Producer::send_oneway).
    ///
    /// # Errors
    /// [`SendError`] with what was to be sent and the reason.
    pub fn send_oneway(mut self) -> Result<(), SendError<M>> {
        let result = self.routed(SendMode::Oneway, 0).and_then(|(ready, route)| {
            let result = self.oneway(&ready, &route);
            match &result {
                Ok(()) => self.shared.stats.handed_over(&ready.prepared),
                Err(error) => self.refused(error),
            }
            self.after(SendMode::Oneway, result.as_ref().map(|()| None));
            result
        });
        result.map_err(|error| SendError { error, message: self.message })
    }

    fn oneway(&self, ready: &Ready, route: &Route) -> Result<()> {
        let mut course = super::call::Course::new(ready.rules, ready.target.clone(), ready.deadline);
        let index = course.begin(self.shared, route)?;
        let made = &course.made[index];
        let request = ready.prepared.request(&self.shared.settings.send, &made.queue);
        let remoting = self.shared.core.remoting();
        let sent = remoting.oneway(&made.addr, &request, &ready.prepared.body, ready.deadline, self.buffered);
        sent.inspect_err(|error| course.failed(self.shared, index, error.clone()))
    }

    /// Sends; `callback` gets the result on a callback thread. See [`Producer::send_async`](crate::Producer::send_async).
    ///
    /// # Errors
    /// [`SendError`] when it was not accepted: the message's own checks, a window still full at the timeout, a closed
    /// producer. The callback is not called then.
    pub fn send_async(
        self,
        callback: impl FnOnce(Result<SendResult, SendError<M>>) + Send + 'static,
    ) -> Result<(), SendError<M>> {
        self.start(true, Delivery::Callback, callback)
    }

    /// As [`send_async`](PreparedSend::send_async), but a full window is [`Error::Busy`] at once.
    ///
    /// # Errors
    /// As [`send_async`](PreparedSend::send_async).
    pub fn try_send_async(
        self,
        callback: impl FnOnce(Result<SendResult, SendError<M>>) + Send + 'static,
    ) -> Result<(), SendError<M>> {
        self.start(false, Delivery::Callback, callback)
    }

    /// Sends and returns what to wait on, for having many sends under way without callbacks.
    ///
    /// # Errors
    /// As [`send_async`](PreparedSend::send_async).
    pub fn submit(self) -> Result<PendingSend<M>, SendError<M>> {
        self.submit_within(true)
    }

    /// As [`submit`](PreparedSend::submit), but a full window is [`Error::Busy`] at once.
    ///
    /// # Errors
    /// As [`send_async`](PreparedSend::send_async).
    pub fn try_submit(self) -> Result<PendingSend<M>, SendError<M>> {
        self.submit_within(false)
    }

    fn submit_within(self, patient: bool) -> Result<PendingSend<M>, SendError<M>> {
        let (sender, receiver) = crossbeam_channel::bounded(1);
        // Hooks are user code, which must not run on a reader's thread.
        let quiet = self.shared.hooks.is_empty();
        let delivery = move |done| if quiet { Delivery::Forward(done) } else { Delivery::Callback(done) };
        // There is room for the one result; nobody may be waiting for it any more.
        self.start(patient, delivery, move |result| drop(sender.try_send(result)))?;
        Ok(PendingSend::new(receiver))
    }

    fn start(
        mut self,
        patient: bool,
        delivery: impl FnOnce(background::Done) -> Delivery,
        callback: impl FnOnce(Result<SendResult, SendError<M>>) + Send + 'static,
    ) -> Result<(), SendError<M>> {
        if let Some(message) = self.gathered() {
            let admitted = match accumulator::admit(self.shared, message, patient) {
                Ok(admitted) => admitted,
                Err(error) => {
                    self.refused(&error);
                    return Err(SendError { error, message: self.message });
                }
            };
            let shared = self.shared.clone();
            admitted.join(&shared, delivery(self.done(callback)));
            return Ok(());
        }
        let retries = self.shared.settings.async_retries;
        let admitted = self.ready(SendMode::Async, retries).and_then(|ready| {
            // Its threads are started now, so that their failing is an error here.
            self.shared.core.callbacks()?;
            let permit = self.enter(&ready, patient)?;
            Ok((ready, permit))
        });
        let (ready, permit) = match admitted {
            Ok(admitted) => admitted,
            Err(error) => {
                self.refused(&error);
                return Err(SendError { error, message: self.message });
            }
        };
        let Ready { prepared, target, rules, deadline, .. } = ready;
        let shared = self.shared;
        background::start(shared, prepared, target, rules, deadline, delivery(self.done(callback)), permit);
        Ok(())
    }

    /// What is done at the end of a send whose sender does not wait.
    fn done(self, callback: impl FnOnce(Result<SendResult, SendError<M>>) + Send + 'static) -> background::Done {
        let (shared, queue, message) = (self.shared.clone(), self.queue, self.message);
        Box::new(move |result| {
            if !shared.hooks.is_empty() {
                let context = context_of(&shared, SendMode::Async, message.messages(), queue.as_ref());
                shared.hooks.after(&context, result.as_ref().map(Some));
            }
            callback(result.map_err(|error| SendError { error, message }));
        })
    }

    /// Returns the message if it is one that may travel with others.
    fn gathered(&self) -> Option<&Message> {
        if !self.auto_batch || self.has_own_rules || self.queue.is_some() || self.selector.is_some() {
            return None;
        }
        match self.message.messages() {
            [message] if !self.message.is_batch() => Some(message),
            _ => None,
        }
        .filter(|message| accumulator::takes(self.shared, message))
    }

    pub(super) fn enter(&self, ready: &Ready, patient: bool) -> Result<Permit> {
        // A callback that sends must not wait for a window that only callbacks free.
        let may_wait = patient && !self.shared.core.callbacks()?.is_callback_thread();
        self.shared.window.enter(ready.prepared.body.len(), may_wait.then_some(ready.deadline))
    }

    /// Runs all checks and finds the route; one that fails has ended the send.
    fn routed(&mut self, mode: SendMode, default_retries: u32) -> Result<(Ready, Arc<Route>)> {
        let ready = self.ready(mode, default_retries);
        let routed = ready.and_then(|ready| self.route(&ready).map(|route| (ready, route)));
        routed.inspect_err(|error| self.refused(error))
    }

    /// Counts a send that was not begun.
    pub(super) fn refused(&self, error: &Error) {
        self.shared.stats.failed(self.message.messages().len() as u64, error);
    }

    /// Runs all checks, resolves the selector, and tells the hooks.
    pub(super) fn ready(&mut self, mode: SendMode, default_retries: u32) -> Result<Ready> {
        let deadline = Deadline::after(self.timeout);
        self.shared.check_open()?;
        let messages = self.message.messages();
        let (ids, limits) = (self.shared.core.unique_ids(), &self.shared.settings.limits);
        let prepared = match messages {
            [message] if !self.message.is_batch() => prepare::message(message, ids, limits)?,
            messages => prepare::batch(messages, ids, limits, self.inner_batch)?,
        };
        let mut route = None;
        if let Some(selector) = self.selector.take() {
            let found = self.shared.route(&prepared.topic, deadline)?;
            self.queue = Some(choose(selector, found.publish_queues(), &messages[0])?);
            route = Some(found);
        }
        if let Some(queue) = &self.queue {
            check_queue(queue, &prepared)?;
        }
        if !self.shared.hooks.is_empty() {
            self.shared.hooks.before(&context_of(self.shared, mode, messages, self.queue.as_ref()))?;
        }
        let fixed = self.queue.is_some();
        let retries = self.retries.unwrap_or(if fixed { 0 } else { default_retries });
        let target = match &self.queue {
            Some(queue) => Target::Queue { queue: queue.clone(), elsewhere: self.retry_elsewhere },
            None => Target::Any,
        };
        let rules = Rules {
            attempts: retries.saturating_add(1),
            retry_unknown: self.retry_unknown,
            attempt_timeout: self.attempt_timeout,
        };
        Ok(Ready { prepared, target, rules, deadline, route })
    }

    /// Returns the route that is known already, or asks for it. One that does not name the queue's broker is asked for anew.
    fn route(&self, ready: &Ready) -> Result<Arc<Route>> {
        let topic = &ready.prepared.topic;
        let route = match &ready.route {
            Some(route) => route.clone(),
            None => self.shared.route(topic, ready.deadline)?,
        };
        if !ready.target.is_missing_in(&route) {
            return Ok(route);
        }
        // Should that fail, the old route says that the broker is missing.
        Ok(self.shared.core.routes().refresh(&self.shared.core, topic, ready.deadline).unwrap_or(route))
    }

    fn after(&self, mode: SendMode, result: Result<Option<&SendResult>, &Error>) {
        if !self.shared.hooks.is_empty() {
            let context = context_of(self.shared, mode, self.message.messages(), self.queue.as_ref());
            self.shared.hooks.after(&context, result);
        }
    }
}

pub(super) fn context_of<'c>(
    shared: &'c Shared,
    mode: SendMode,
    messages: &'c [Message],
    queue: Option<&'c MessageQueue>,
) -> SendContext<'c> {
    SendContext { group: shared.group(), mode, messages, queue }
}
