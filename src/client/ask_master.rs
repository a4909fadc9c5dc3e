//! Asking the master of a queue without waiting.

use std::sync::Arc;

use super::core::Core;
use super::offsets::{is_connection_over, may_have_moved};
use crate::error::{Error, Result};
use crate::message::MessageQueue;
use crate::protocol::request::{Answer, Request};
use crate::remoting::{Deadline, Hold};

/// A question on its way.
struct Question<R: Request> {
    core: Arc<Core>,
    queue: MessageQueue,
    request: R,
    body: Vec<u8>,
    hold: Option<Hold>,
    deadline: Deadline,
    done: Box<dyn FnOnce(Result<Answer<R>>) + Send>,
}

impl Core {
    /// Asks the master of a queue; when it cannot be reached where it was, the route is asked for once more. `done` must
    /// only forward: it may run on a reader's thread.
    ///
    /// Only for requests that may be repeated.
    pub(crate) fn ask_master_async<R: Request + Clone + Send + 'static>(
        self: &Arc<Self>,
        queue: &MessageQueue,
        request: R,
        body: Vec<u8>,
        deadline: Deadline,
        done: impl FnOnce(Result<Answer<R>>) + Send + 'static,
    ) {
        self.ask_master_held_async(queue, request, body, None, deadline, done);
    }

    /// As [`ask_master_async`](Core::ask_master_async), but while the route names no master a slave is asked; `done` is told
    /// whether it was one.
    pub(crate) fn ask_readable_async<R: Request + Clone + Send + 'static>(
        self: &Arc<Self>,
        queue: &MessageQueue,
        request: R,
        deadline: Deadline,
        done: impl FnOnce(Result<Answer<R>>, bool) + Send + 'static,
    ) {
        let (core, queue, topic) = (self.clone(), queue.clone(), queue.shared_topic().clone());
        self.routes().get_async(self, &topic, deadline, move |route| {
            let slave = route.ok().filter(|route| route.master(queue.broker_name()).is_none());
            match slave.and_then(|route| route.any(queue.broker_name()).cloned()) {
                Some(addr) => core.remoting().submit(&addr, &request, &[], deadline, move |answer| done(answer, true)),
                None => {
                    core.ask_master_async(&queue, request, Vec::new(), deadline, move |answer| done(answer, false));
                }
            }
        });
    }

    /// As [`ask_master_async`](Core::ask_master_async), for a request that the broker may hold before it answers.
    pub(crate) fn ask_master_held_async<R: Request + Clone + Send + 'static>(
        self: &Arc<Self>,
        queue: &MessageQueue,
        request: R,
        body: Vec<u8>,
        hold: Option<Hold>,
        deadline: Deadline,
        done: impl FnOnce(Result<Answer<R>>) + Send + 'static,
    ) {
        let (core, topic) = (self.clone(), queue.shared_topic().clone());
        let question = Question { core, queue: queue.clone(), request, body, hold, deadline, done: Box::new(done) };
        self.routes().get_async(self, &topic, deadline, move |route| match route {
            Ok(route) => match route.master(question.queue.broker_name()).cloned() {
                Some(addr) => question.ask(addr),
                None => question.look_again(None),
            },
            Err(error) => (question.done)(Err(error)),
        });
    }
}

impl<R: Request + Clone + Send + 'static> Question<R> {
    fn ask(self, addr: Arc<str>) {
        let (core, request, body) = (self.core.clone(), self.request.clone(), self.body.clone());
        let (hold, deadline, asked) = (self.hold, self.deadline, addr.clone());
        submit(&core, &addr, &request, &body, hold, deadline, move |answer| match answer {
            Err(error) if may_have_moved(&error) => self.look_again(Some((asked, error))),
            answer => (self.done)(answer),
        });
    }

    /// Looks the route up, and asks the master it names, unless that is the one that just failed.
    fn look_again(self, failed: Option<(Arc<str>, Error)>) {
        let (core, topic, deadline) = (self.core.clone(), self.queue.shared_topic().clone(), self.deadline);
        core.routes().refresh_async(&core, &topic, deadline, move |route| {
            let Question { core, queue, request, body, hold, done, .. } = self;
            let route = match route {
                Ok(route) => route,
                Err(error) => return done(Err(failed.map_or(error, |(_, first)| first))),
            };
            match (route.master(queue.broker_name()), failed) {
                (Some(addr), Some((asked, error))) if *addr == asked && !is_connection_over(&error) => done(Err(error)),
                (Some(addr), _) => submit(&core, addr, &request, &body, hold, deadline, done),
                (None, Some((_, error))) => done(Err(error)),
                (None, None) => done(Err(Error::NoBroker {
                    what: queue.to_string().into(),
                    reason: format!("the route of topic {} names no master of this broker", queue.topic()).into(),
                })),
            }
        });
    }
}

fn submit<R: Request + 'static>(
    core: &Core,
    addr: &Arc<str>,
    request: &R,
    body: &[u8],
    hold: Option<Hold>,
    deadline: Deadline,
    done: impl FnOnce(Result<Answer<R>>) + Send + 'static,
) {
    match hold {
        None => core.remoting().submit(addr, request, body, deadline, done),
        Some(hold) => core.remoting().submit_held(addr, request, body, hold, deadline, done),
    }
}
