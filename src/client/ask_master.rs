//! Asking the master of a queue without waiting.

use std::sync::Arc;

use super::core::Core;
use super::offsets::{is_connection_over, may_have_moved};
use super::route::Route;
use crate::error::{Error, Result};
use crate::message::MessageQueue;
use crate::protocol::frame::Frame;
use crate::protocol::request::{Answer, Request};
use crate::remoting::{Asking, Deadline, Hold, answered};

/// A question on its way.
struct Question {
    core: Arc<Core>,
    queue: MessageQueue,
    request: Box<dyn Asking + Send>,
    body: Vec<u8>,
    hold: Option<Hold>,
    deadline: Deadline,
    done: Box<dyn FnOnce(Result<Frame>) + Send>,
}

impl Core {
    /// Asks the master of a queue; when it cannot be reached where it was, the route is asked for once more. `done` must
    /// only forward: it may run on a reader's thread.
    ///
    /// Only for requests that may be repeated.
    pub(crate) fn ask_master_async<R: Request>(
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
    pub(crate) fn ask_readable_async<R: Request>(
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
    pub(crate) fn ask_master_held_async<R: Request>(
        self: &Arc<Self>,
        queue: &MessageQueue,
        request: R,
        body: Vec<u8>,
        hold: Option<Hold>,
        deadline: Deadline,
        done: impl FnOnce(Result<Answer<R>>) + Send + 'static,
    ) {
        let (request, done) = (Box::new(request), move |answer: Result<Frame>| done(answer.map(Answer::new)));
        let (core, queue) = (self.clone(), queue.clone());
        Question { core, queue, request, body, hold, deadline, done: Box::new(done) }.begin();
    }
}

impl Question {
    fn begin(self) {
        let (core, topic) = (self.core.clone(), self.queue.shared_topic().clone());
        core.routes().get_async(&core, &topic, self.deadline, move |route| match route {
            Ok(route) => match route.master(self.queue.broker_name()).cloned() {
                Some(addr) => self.ask(addr),
                None => self.look_again(None),
            },
            Err(error) => (self.done)(Err(error)),
        });
    }

    fn ask(self, addr: Arc<str>) {
        let (core, request, body) = (self.core.clone(), self.request.keep(), self.body.clone());
        let (hold, deadline, asked) = (self.hold, self.deadline, addr.clone());
        let done = answered(&addr, request.answers(), move |answer| match answer {
            Err(error) if may_have_moved(&error) => self.look_again(Some((asked, error))),
            answer => (self.done)(answer),
        });
        core.remoting().submit_any(&addr, &*request, &body, hold, deadline, done);
    }

    /// Looks the route up, and asks the master it names, unless that is the one that just failed.
    fn look_again(self, failed: Option<(Arc<str>, Error)>) {
        let (core, topic, deadline) = (self.core.clone(), self.queue.shared_topic().clone(), self.deadline);
        let done = move |route: Result<Arc<Route>>| {
            let route = match route {
                Ok(route) => route,
                Err(error) => return (self.done)(Err(failed.map_or(error, |(_, first)| first))),
            };
            match (route.master(self.queue.broker_name()), failed) {
                (Some(addr), Some((asked, error))) if *addr == asked && !is_connection_over(&error) => {
                    (self.done)(Err(error));
                }
                (Some(addr), _) => self.ask_last(addr),
                (None, Some((_, error))) => (self.done)(Err(error)),
                (None, None) => {
                    let reason = format!("the route of topic {} names no master of this broker", self.queue.topic());
                    let what = self.queue.to_string().into();
                    (self.done)(Err(Error::NoBroker { what, reason: reason.into() }));
                }
            }
        };
        core.routes().refresh_async(&core, &topic, deadline, Box::new(done));
    }

    fn ask_last(self, addr: &Arc<str>) {
        let Question { core, request, body, hold, deadline, done, .. } = self;
        let done = answered(addr, request.answers(), done);
        core.remoting().submit_any(addr, &*request, &body, hold, deadline, done);
    }
}
