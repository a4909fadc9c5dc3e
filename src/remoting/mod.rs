//! Connections and their threads, the response-correlation map, and calls over them: frames and requests, no topics.
//!
//! One connection per address: a reader thread, which also connects, a writer thread, and a map of the calls that wait.
//! Callers write themselves when they are alone and leave it to the writer when they are many.

mod allowed;
mod answers;
mod byte_queue;
mod connection;
mod cork;
mod counter;
mod deadline;
mod delivery;
mod door;
mod dress;
mod ending;
mod hold;
#[cfg(feature = "acl")]
mod keys;
mod liveness;
mod options;
mod outbox;
mod owner;
mod pending;
mod pool;
mod quota;
mod reader;
mod scratch;
#[cfg(feature = "acl")]
mod signer;
mod slot;
mod stats;
mod submit;
mod sync;
mod ticket;
#[cfg(feature = "tls")]
mod tls;
mod transport;
#[cfg(feature = "tls")]
mod trust;
mod upkeep;
mod writer;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod models;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub(crate) use allowed::Allowed;
pub(crate) use answers::{answer_of, answered};
pub(crate) use cork::{Owed, owe, together};
pub(crate) use counter::Counter;
pub(crate) use deadline::Deadline;
pub(crate) use dress::Asking;
pub(crate) use hold::{Asker, Hold};
#[cfg(feature = "acl")]
pub(crate) use keys::{Keys, Signing};
pub(crate) use options::RemotingOptions;
pub(crate) use owner::{Owner, Resolve, ServerRequest};
#[cfg(feature = "acl")]
pub(crate) use signer::Signer;
pub(crate) use slot::Slot;
pub use stats::{ConnectionState, ConnectionStats};
pub(crate) use ticket::Ticket;
#[cfg(feature = "tls")]
pub(crate) use trust::{TlsOptions, Trust, server_name};

use self::answers::checked;
use self::connection::Connection;
use self::pending::Waiter;
use self::pool::Pool;
use self::scratch::with_scratch;
use self::submit::Outgoing;
use crate::code::ResponseCode;
use crate::error::{Error, Outcome, Result};
use crate::protocol::frame::Frame;
use crate::protocol::request::{Answer, Request};

/// All connections of a client, one per address. Clones share them.
#[derive(Clone)]
pub(crate) struct Remoting {
    pool: Arc<Pool>,
}

impl fmt::Debug for Remoting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.pool.all()).finish()
    }
}

/// All of a call but who waits for its end.
#[derive(Clone, Copy)]
struct Call<'a> {
    request: &'a dyn Asking,
    body: &'a [u8],
    hold: Option<Hold>,
    deadline: Deadline,
    /// Whether to wait for room in a full outbox.
    patient: bool,
}

impl Remoting {
    pub(crate) fn new(
        options: RemotingOptions,
        resolver: Arc<dyn Resolve>,
        owner: std::sync::Weak<dyn Owner>,
    ) -> Remoting {
        Remoting { pool: Arc::new(Pool::new(options, resolver, owner)) }
    }

    /// Asks and waits for the answer, at most until `deadline`.
    pub(crate) fn call<R: Request>(
        &self,
        addr: &Arc<str>,
        request: &R,
        body: &[u8],
        deadline: Deadline,
    ) -> Result<Answer<R>> {
        self.ask(addr, request, body, deadline).map(Answer::new)
    }

    fn ask(&self, addr: &Arc<str>, request: &dyn Asking, body: &[u8], deadline: Deadline) -> Result<Frame> {
        let mut refused = false;
        loop {
            let slot = Slot::mine();
            let waiter = Waiter::Slot(slot.clone(), 0);
            let ticket = self.start(addr, request, body, deadline, waiter)?;
            let answer = checked(addr, ticket.end(&slot, deadline)?, request.answers());
            // A server that leaves did nothing: ask once more on a new connection.
            match &answer {
                Err(error) if !refused && error.code() == Some(ResponseCode::GO_AWAY) => refused = true,
                _ => return answer,
            }
        }
    }

    /// Asks without waiting. `done` is called exactly once, on a thread that must not be blocked: it forwards.
    pub(crate) fn submit<R: Request>(
        &self,
        addr: &Arc<str>,
        request: &R,
        body: &[u8],
        deadline: Deadline,
        done: impl FnOnce(Result<Answer<R>>) + Send + 'static,
    ) {
        let done = answered(addr, R::ANSWERS, |answer| done(answer.map(Answer::new)));
        self.submit_any(addr, request, body, None, deadline, done);
    }

    /// As [`submit`](Remoting::submit), for a request that the server may hold before it answers.
    pub(crate) fn submit_held<R: Request>(
        &self,
        addr: &Arc<str>,
        request: &R,
        body: &[u8],
        hold: Hold,
        deadline: Deadline,
        done: impl FnOnce(Result<Answer<R>>) + Send + 'static,
    ) {
        let done = answered(addr, R::ANSWERS, |answer| done(answer.map(Answer::new)));
        self.submit_any(addr, request, body, Some(hold), deadline, done);
    }

    /// As [`submit`](Remoting::submit), whatever is asked. What `done` gets can be any frame; see [`answered`].
    pub(crate) fn submit_any(
        &self,
        addr: &Arc<str>,
        request: &dyn Asking,
        body: &[u8],
        hold: Option<Hold>,
        deadline: Deadline,
        done: Box<dyn FnOnce(Result<Frame>) + Send>,
    ) {
        #[cfg(feature = "acl")]
        if let Some(keys) = self.missing_keys() {
            let (me, addr, request, body) = (self.clone(), addr.clone(), request.keep(), body.to_vec());
            let then = move |known| match known {
                Ok(()) => me.submit_signed(&addr, &*request, &body, hold, deadline, done),
                Err(error) => done(Err(error)),
            };
            keys.when_known(deadline, Box::new(then));
            return self.wake_owner(deadline);
        }
        self.submit_signed(addr, request, body, hold, deadline, done);
    }

    /// As [`submit_any`](Remoting::submit_any), once there are keys to sign with.
    fn submit_signed(
        &self,
        addr: &Arc<str>,
        request: &dyn Asking,
        body: &[u8],
        hold: Option<Hold>,
        deadline: Deadline,
        done: Box<dyn FnOnce(Result<Frame>) + Send>,
    ) {
        let call = Call { request, body, hold, deadline, patient: false };
        match self.begin(addr, call, Waiter::Callback(done)) {
            // Once it is registered: a tick that came in between would not see it, and forget when to come back.
            Ok(_) => self.wake_owner(deadline),
            Err((waiter, error)) => waiter.complete(Err(error)),
        }
    }

    /// Starts one attempt of a blocked caller, who waits for room in a full outbox.
    fn start(
        &self,
        addr: &Arc<str>,
        request: &dyn Asking,
        body: &[u8],
        deadline: Deadline,
        waiter: Waiter,
    ) -> Result<Ticket> {
        self.await_keys(deadline)?;
        let call = Call { request, body, hold: None, deadline, patient: true };
        self.begin(addr, call, waiter).map_err(|(_, error)| error)
    }

    /// Starts one attempt of a blocked caller; its end goes to `slot` under the number `attempt`.
    pub(crate) fn attempt(
        &self,
        addr: &Arc<str>,
        request: &dyn Asking,
        body: &[u8],
        deadline: Deadline,
        slot: &Arc<Slot>,
        attempt: u32,
    ) -> Result<Ticket> {
        self.start(addr, request, body, deadline, Waiter::Slot(slot.clone(), attempt))
    }

    /// Keys that are renewed and not known yet; they are asked for now at the latest.
    #[cfg(feature = "acl")]
    fn missing_keys(&self) -> Option<&Arc<Keys>> {
        let keys = self.pool.options().signing.keys().filter(|keys| !keys.are_known())?;
        if let Some(owner) = self.pool.owner() {
            owner.keys_wanted();
        }
        Some(keys)
    }

    /// Blocks while the first keys to sign with are asked for, at most until `deadline`.
    fn await_keys(&self, deadline: Deadline) -> Result<()> {
        let _ = deadline;
        #[cfg(feature = "acl")]
        if let Some(keys) = self.missing_keys() {
            return keys.wait(deadline);
        }
        Ok(())
    }

    /// Gives a call to the connection to `addr`.
    fn begin(&self, addr: &Arc<str>, call: Call<'_>, mut waiter: Waiter) -> Result<Ticket, (Waiter, Error)> {
        loop {
            let connection = match self.pool.connection(addr, call.deadline) {
                Ok(connection) => connection,
                Err(error) => return Err((waiter, error)),
            };
            match self.hand_over(&connection, call, waiter) {
                Ok(opaque) => return Ok(Ticket { connection, opaque }),
                // It was retired since the pool named it, which has another one now, or is closed and says so.
                Err((unused, Error::Closed { .. })) => waiter = unused,
                Err(refused) => return Err(refused),
            }
        }
    }

    /// Encodes a call's request and gives it to the connection.
    fn hand_over(&self, connection: &Arc<Connection>, call: Call<'_>, waiter: Waiter) -> Result<i32, (Waiter, Error)> {
        let Call { request, body, hold, deadline, patient } = call;
        let opaque = connection.next_opaque();
        with_scratch(|head| {
            if let Err(error) = request.encode(self.pool.options(), head, body, opaque, false) {
                return Err((waiter, error));
            }
            let waiting = Connection::waiting(waiter, deadline, hold);
            connection.start(&Outgoing { opaque, head, body }, waiting, patient).map(|()| opaque)
        })
    }

    /// Sends without an answer: returns once the kernel took the whole frame, or with an error by the deadline. A
    /// `buffered` one returns when it waits to be written.
    pub(crate) fn oneway(
        &self,
        addr: &Arc<str>,
        request: &dyn Asking,
        body: &[u8],
        deadline: Deadline,
        buffered: bool,
    ) -> Result<()> {
        self.await_keys(deadline)?;
        loop {
            let connection = self.pool.connection(addr, deadline)?;
            let opaque = connection.next_opaque();
            let sent = with_scratch(|head| {
                request.encode(self.pool.options(), head, body, opaque, true)?;
                connection.send_oneway(&Outgoing { opaque, head, body }, deadline, buffered)
            });
            match sent {
                // As for calls: it was retired meanwhile.
                Err(Error::Closed { outcome: Outcome::NotSent }) => {}
                sent => return sent,
            }
        }
    }

    fn wake_owner(&self, deadline: Deadline) {
        if let Some(owner) = self.pool.owner() {
            owner.wake_at(deadline.at());
        }
    }
}
