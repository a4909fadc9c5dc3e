//! Asking several servers the same thing at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use super::offsets::is_connection_over;
use crate::channel;
use crate::error::{Attempt, Error, Outcome, Result, Stage};
use crate::protocol::request::{Answer, Request};
use crate::remoting::Deadline;

/// How long to wait beyond the deadline for the connections' own, more exact error.
const GRACE: Duration = Duration::from_millis(20);

/// A broker to ask.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) broker_name: Arc<str>,
    pub(crate) addr: Arc<str>,
}

/// What one broker answered.
#[derive(Debug)]
pub(super) struct Gathered<R: Request> {
    pub(super) server: Server,
    pub(super) elapsed: Duration,
    pub(super) answer: Result<Answer<R>>,
}

impl<R: Request> Gathered<R> {
    /// Splits it into the answer with its server, and the failure.
    pub(super) fn split(self) -> Result<(Server, Answer<R>), Attempt> {
        let Gathered { server, elapsed, answer } = self;
        answer.map(|answer| (server.clone(), answer)).map_err(|error| server.failed(elapsed, error))
    }
}

impl Server {
    pub(super) fn failed(&self, elapsed: Duration, error: Error) -> Attempt {
        Attempt { broker_name: self.broker_name.clone(), addr: self.addr.clone(), elapsed, error }
    }
}

/// Asks all servers at once and waits for all answers, at most until `deadline`; returns one result a server, in the
/// order of their answers.
///
/// Only for requests that may be repeated: one whose connection broke is asked once more.
pub(super) fn gather<R>(
    core: &Core,
    servers: &[Server],
    request: &R,
    body: &[u8],
    deadline: Deadline,
) -> Vec<Gathered<R>>
where
    R: Request + Send + 'static,
{
    // One call per server is under way at a time, so sending never blocks a reader.
    let (done, answers) = channel::bounded(servers.len());
    let ask = |number: usize| {
        let done = done.clone();
        core.remoting().submit(&servers[number].addr, request, body, deadline, move |answer| {
            // Nobody listens any more once the deadline has passed.
            let _ = done.try_send((number, answer));
        });
    };
    (0..servers.len()).for_each(ask);
    let mut gathered = Vec::with_capacity(servers.len());
    let mut tried = vec![0; servers.len()];
    let mut missing: Vec<bool> = vec![true; servers.len()];
    while gathered.len() < servers.len() {
        let Ok((number, answer)) = answers.recv_deadline(deadline.at() + GRACE) else { break };
        tried[number] += 1;
        if answer.as_ref().is_err_and(is_connection_over) && tried[number] == 1 {
            ask(number);
            continue;
        }
        missing[number] = false;
        let elapsed = deadline.started().elapsed();
        gathered.push(Gathered { server: servers[number].clone(), elapsed, answer });
    }
    for (server, _) in servers.iter().zip(missing).filter(|(_, missing)| *missing) {
        let answer = Err(deadline.missed(Stage::Reply, Some(&server.addr), Outcome::Unknown));
        gathered.push(Gathered { server: server.clone(), elapsed: Instant::now() - deadline.started(), answer });
    }
    gathered
}
