//! One request under way: first the brokers are told who asks, then it is sent, then its reply is waited for. The first end counts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::super::background::{self, Background, Delivery};
use super::super::prepared_send::{Ready, context_of};
use super::super::shared::Shared;
use super::super::window::Permit;
use crate::client::hooks::SendMode;
use crate::client::send::{Prepared, SendResult};
use crate::client::{Pushed, Route, introduce};
use crate::error::{Error, Outcome, Result, Stage};
use crate::message::Message;
use crate::producer::call::Target;
use crate::producer::retry::Rules;
use crate::remoting::Deadline;

/// How long a blocked requester waits beyond its deadline for the send's own, more exact error.
pub(super) const SETTLE: Duration = Duration::from_millis(50);

/// Takes the end of a request, exactly once.
type Done = Box<dyn FnOnce(Result<Pushed>) + Send>;

/// How the end is delivered.
pub(super) enum Finish {
    /// User code: on a callback thread.
    Callback(Done),
    /// Only forwards, so it may run anywhere.
    Forward(Done),
}

/// A request under way.
pub(super) struct Exchange {
    shared: Arc<Shared>,
    id: Arc<str>,
    deadline: Deadline,
    state: Mutex<State>,
}

struct State {
    /// Taken by whatever ends the request first.
    end: Option<(Finish, Permit)>,
    sending: Sending,
    /// The message as it is sent, for the hooks, which have not been told yet how the send ended.
    unheard: Option<Message>,
}

/// How far the send is.
enum Sending {
    NotBegun,
    Begun(Weak<Background>),
    Stored(SendResult),
    /// It has failed, or will not begin.
    Over,
}

/// What is sent, once the way is clear.
struct Checked {
    prepared: Prepared,
    target: Target,
    rules: Rules,
}

impl Exchange {
    /// Starts a request that has passed its checks. Never blocks. An error means that nothing was begun.
    pub(super) fn begin(
        shared: &Arc<Shared>,
        id: Arc<str>,
        ready: Ready,
        message: Message,
        finish: Finish,
        permit: Permit,
    ) -> Result<Arc<Exchange>> {
        let Ready { prepared, target, rules, deadline, .. } = ready;
        let unheard = (!shared.hooks.is_empty()).then_some(message);
        let state = State { end: Some((finish, permit)), sending: Sending::NotBegun, unheard };
        let exchange = Arc::new(Exchange { shared: shared.clone(), id, deadline, state: Mutex::new(state) });
        let waiting = exchange.clone();
        let group = shared.settings.send.group.clone();
        let replies = shared.core.replies();
        let registered = replies.wait(exchange.id.clone(), group, move |reply| waiting.end(reply));
        // Closing ends the requests it finds; one that came behind it must not be left.
        if let Err(error) = registered.and_then(|()| shared.check_open()) {
            // The caller is told here and now.
            let end = exchange.lock().end.take();
            drop(end);
            replies.forget(&exchange.id);
            shared.stats.failed(1, &error);
            return Err(error);
        }
        let (topic, found) = (prepared.topic.clone(), exchange.clone());
        let (template, queues) = (&shared.settings.send.template_topic, shared.settings.send.default_queues);
        let checked = Checked { prepared, target, rules };
        shared.core.routes().publish_async(
            &shared.core,
            &topic,
            template,
            queues,
            deadline,
            move |route| match route {
                Ok(route) => found.introduce(&route, checked),
                Err(error) => found.end(Err(error)),
            },
        );
        Ok(exchange)
    }

    /// Makes sure that the reply finds its way back, then sends.
    fn introduce(self: &Arc<Self>, route: &Route, checked: Checked) {
        let settings = &self.shared.settings.send;
        let template = (&settings.template_topic, settings.default_queues);
        let introduced = self.clone();
        introduce(&self.shared.core, &settings.group, route, template, self.deadline, move || introduced.send(checked));
    }

    fn send(self: &Arc<Self>, checked: Checked) {
        let mut state = self.lock();
        if state.end.is_none() {
            return;
        }
        let Checked { prepared, target, rules } = checked;
        let sent = self.clone();
        let delivery = Delivery::Forward(Box::new(move |result| sent.sent(result)));
        let background = background::prepare(&self.shared, prepared, target, rules, self.deadline, delivery, None);
        state.sending = Sending::Begun(Arc::downgrade(&background));
        drop(state);
        background.start();
    }

    /// Takes the end of the send.
    fn sent(self: &Arc<Self>, result: Result<SendResult>) {
        let mut state = self.lock();
        let unheard = state.unheard.take();
        state.sending = match &result {
            Ok(sent) => Sending::Stored(sent.clone()),
            Err(_) => Sending::Over,
        };
        drop(state);
        self.tell_hooks(unheard, result.clone().map(Some));
        match result {
            Ok(_) if self.deadline.is_over(Instant::now()) => self.miss(),
            Ok(_) => {}
            Err(error) => self.end(Err(error)),
        }
    }

    /// The deadline has passed, or closing does not wait for it. A send that is still under way ends by itself, and says more.
    pub(super) fn miss(&self) {
        let state = self.lock();
        let error = match &state.sending {
            Sending::Stored(sent) => {
                let after = self.deadline.at() - self.deadline.started();
                Error::NoReply { message_id: sent.message_id().into(), after }
            }
            Sending::NotBegun => self.deadline.missed(Stage::Route, None, Outcome::NotSent),
            Sending::Begun(_) | Sending::Over => return,
        };
        let early = !self.deadline.is_over(Instant::now());
        self.end_in(state, Err(if early { Error::Closed { outcome: error.outcome() } } else { error }));
    }

    /// Ends the request although its send is under way.
    pub(super) fn give_up(&self) {
        self.end(Err(self.deadline.missed(Stage::Reply, None, Outcome::Unknown)));
    }

    /// Ends the request, unless it has ended.
    fn end(&self, result: Result<Pushed>) {
        self.end_in(self.lock(), result);
    }

    fn end_in(&self, mut state: MutexGuard<'_, State>, result: Result<Pushed>) {
        let Some((finish, permit)) = state.end.take() else { return };
        let unheard = state.unheard.take();
        let begun = match std::mem::replace(&mut state.sending, Sending::Over) {
            Sending::Begun(background) => background.upgrade(),
            Sending::NotBegun => {
                if let Err(error) = &result {
                    self.shared.stats.failed(1, error);
                }
                None
            }
            Sending::Stored(_) | Sending::Over => None,
        };
        drop(state);
        self.count(&result);
        self.shared.core.replies().forget(&self.id);
        if let Some(background) = begun {
            background.give_up();
        }
        // A reply shows that the send went well, although its answer has not come.
        self.tell_hooks(unheard, result.as_ref().map(|_| None).map_err(Error::clone));
        match finish {
            Finish::Forward(done) => {
                drop(permit);
                done(result);
            }
            Finish::Callback(done) => match self.shared.core.callbacks() {
                Ok(callbacks) => callbacks.run(move || {
                    let _permit = permit;
                    done(result);
                }),
                // The client has closed its callback threads; the callback must run all the same.
                Err(_) => done(result),
            },
        }
    }

    fn count(&self, result: &Result<Pushed>) {
        let counters = &self.shared.stats.requests;
        match result {
            Ok(_) => counters.replied.one(),
            Err(Error::NoReply { .. }) => counters.timed_out.one(),
            Err(_) => {}
        }
    }

    /// Tells the hooks how the send ended, on a callback thread: they are user code.
    fn tell_hooks(&self, message: Option<Message>, result: Result<Option<SendResult>>) {
        let (Some(message), Ok(callbacks)) = (message, self.shared.core.callbacks()) else { return };
        let shared = self.shared.clone();
        callbacks.run(move || {
            let context = context_of(&shared, SendMode::Async, std::slice::from_ref(&message), None);
            shared.hooks.after(&context, result.as_ref().map(Option::as_ref));
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Exchange {
    /// Something that would have gone on with it was dropped at closing: its end is told here.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((Finish::Callback(done) | Finish::Forward(done), permit)) = state.end.take() {
            drop(permit);
            let begun = !matches!(state.sending, Sending::NotBegun);
            done(Err(Error::Closed { outcome: if begun { Outcome::Unknown } else { Outcome::NotSent } }));
        }
    }
}
