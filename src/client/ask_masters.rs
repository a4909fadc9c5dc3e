//! Asking all masters of a topic, or other servers, the same thing.

use std::sync::Arc;

use super::core::Core;
use super::gather::{Server, gather};
use super::offsets::is_connection_over;
use crate::error::{Attempt, Error, Exhaustion, Result};
use crate::protocol::request::{Answer, Request};
use crate::remoting::Deadline;

/// What several servers answered: the masters of a topic, or others.
#[derive(Debug)]
pub(crate) struct AskedMasters<R: Request> {
    pub(crate) answers: Vec<FromMaster<R>>,
    pub(crate) failures: Vec<Attempt>,
}

/// The answer of one of them.
#[derive(Debug)]
pub(crate) struct FromMaster<R: Request> {
    pub(crate) broker_name: Arc<str>,
    pub(crate) addr: Arc<str>,
    pub(crate) answer: Answer<R>,
}

impl<R: Request> AskedMasters<R> {
    /// The answers and the failures; when nobody answered, an error that lists the failures.
    pub(crate) fn some(self) -> Result<AskedMasters<R>> {
        if self.answers.is_empty() { Err(failed(self.failures)) } else { Ok(self) }
    }

    /// The answers, when everybody answered; else an error that lists the failures.
    pub(crate) fn all(self) -> Result<Vec<FromMaster<R>>> {
        if self.failures.is_empty() { Ok(self.answers) } else { Err(failed(self.failures)) }
    }
}

/// The error of the only master, or a list.
fn failed(mut failures: Vec<Attempt>) -> Error {
    match failures.pop() {
        Some(only) if failures.is_empty() => only.error,
        last => {
            failures.extend(last);
            Error::Exhausted { attempts: failures.into(), because: Exhaustion::Brokers }
        }
    }
}

impl Core {
    /// Asks every master on which a topic lies, all at once, and waits for their answers, at most until `deadline`. `why` says
    /// what masters are needed for.
    ///
    /// Only for requests that may be repeated.
    pub(crate) fn ask_masters<R: Request + Send + 'static>(
        self: &Arc<Self>,
        topic: &Arc<str>,
        why: &str,
        request: &R,
        deadline: Deadline,
    ) -> Result<AskedMasters<R>> {
        self.check_open()?;
        let masters = self.masters(topic, why, deadline)?;
        Ok(self.ask_servers(&masters, request, &[], deadline))
    }

    /// As [`ask_masters`](Core::ask_masters), for servers whose addresses are known.
    pub(crate) fn ask_servers<R: Request + Send + 'static>(
        &self,
        servers: &[Server],
        request: &R,
        body: &[u8],
        deadline: Deadline,
    ) -> AskedMasters<R> {
        let mut asked = AskedMasters { answers: Vec::new(), failures: Vec::new() };
        for gathered in gather(self, servers, request, body, deadline) {
            match gathered.split() {
                Ok((server, answer)) => {
                    asked.answers.push(FromMaster { broker_name: server.broker_name, addr: server.addr, answer });
                }
                Err(failure) => asked.failures.push(failure),
            }
        }
        asked
    }

    /// Asks one server whose address is known; when the connection broke, once more.
    ///
    /// Only for requests that may be repeated.
    pub(crate) fn ask_server<R: Request + Send + 'static>(
        &self,
        addr: &str,
        request: &R,
        body: &[u8],
        deadline: Deadline,
    ) -> Result<Answer<R>> {
        self.check_open()?;
        let addr: Arc<str> = addr.into();
        match self.remoting().call(&addr, request, body, deadline) {
            Err(error) if is_connection_over(&error) => self.remoting().call(&addr, request, body, deadline),
            answer => answer,
        }
    }

    /// Asks all name servers, which do not talk to each other, the same thing at once.
    ///
    /// Only for requests that may be repeated.
    pub(crate) fn ask_name_servers<R: Request + Send + 'static>(
        &self,
        request: &R,
        body: &[u8],
        deadline: Deadline,
    ) -> Result<AskedMasters<R>> {
        self.check_open()?;
        if self.name_servers().is_empty() {
            self.discover(deadline)?;
        }
        let server = |addr| Server { broker_name: "name server".into(), addr };
        let servers: Vec<Server> = self.name_servers().in_order().into_iter().map(server).collect();
        Ok(self.ask_servers(&servers, request, body, deadline))
    }
}
