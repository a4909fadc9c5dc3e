//! Connections and their threads, the response-correlation map, and calls over them: frames and requests, no topics.

mod deadline;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use deadline::Deadline;

use crate::code::ResponseCode;
use crate::error::Result;
use crate::protocol::fields::Header;
use crate::protocol::frame::{Frame, HeaderKind};
use crate::protocol::request::{Answer, Request};

/// Finds the addresses behind a host name, on a thread that may be kept waiting.
pub(crate) trait Resolve: Send + Sync {
    /// `host` is a name, never an address. Blocks until the answer or `deadline`.
    fn resolve(&self, host: &str, port: u16, deadline: Deadline) -> std::io::Result<Vec<SocketAddr>>;
}

/// Whoever owns the connections. All methods are called on a reader's thread: they must not block.
pub(crate) trait Owner: Send + Sync {
    /// A connection to `addr` was established, for the first time or anew.
    fn connected(&self, addr: &Arc<str>);

    /// A server sent a request. It is given back when nobody serves its code, and then answered as unsupported.
    fn request(&self, request: ServerRequest) -> Result<(), ServerRequest>;

    /// The earliest deadline of the calls that do not time themselves moved forward to `at`.
    fn wake_at(&self, at: Instant);
}

/// A request a server sent, and the way to answer it.
#[derive(Debug)]
pub(crate) struct ServerRequest {
    pub(crate) addr: Arc<str>,
    pub(crate) frame: Frame,
}

impl ServerRequest {
    /// Answers it; a oneway request is never answered, and an answer to a lost connection is dropped.
    pub(crate) fn answer<H: Header>(self, code: ResponseCode, remark: Option<&str>, header: &H, body: &[u8]) {
        let _ = (code, remark, header, body);
        unimplemented!()
    }
}

/// Settings of all connections of a client.
#[derive(Debug, Clone)]
pub(crate) struct RemotingOptions {
    pub(crate) connect_timeout: Duration,
    pub(crate) header_kind: HeaderKind,
    pub(crate) frame_limit: usize,
    /// Bytes that may wait to be written to one server.
    pub(crate) outbox_limit: usize,
    /// A socket to which nothing could be written for so long is closed.
    pub(crate) stall_limit: Duration,
    /// A connection with waiting calls that received nothing for so long is probed.
    pub(crate) silence_limit: Duration,
    /// How long a probe may take.
    pub(crate) probe_timeout: Duration,
}

impl Default for RemotingOptions {
    fn default() -> Self {
        RemotingOptions {
            connect_timeout: Duration::from_secs(3),
            header_kind: HeaderKind::Json,
            frame_limit: crate::protocol::frame::MAX_FRAME,
            outbox_limit: 64 * 1024 * 1024,
            stall_limit: Duration::from_secs(10),
            silence_limit: Duration::from_secs(5),
            probe_timeout: Duration::from_secs(3),
        }
    }
}

/// All connections of a client, one per address. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Remoting {}

impl Remoting {
    pub(crate) fn new(
        _options: RemotingOptions,
        _resolver: Arc<dyn Resolve>,
        _owner: std::sync::Weak<dyn Owner>,
    ) -> Remoting {
        Remoting {}
    }

    /// Asks and waits for the answer, at most until `deadline`.
    pub(crate) fn call<R: Request>(
        &self,
        _addr: &Arc<str>,
        _request: &R,
        _body: &[u8],
        _deadline: Deadline,
    ) -> Result<Answer<R>> {
        unimplemented!()
    }

    /// Asks without waiting. `done` is called exactly once, on a thread that must not be blocked: it forwards.
    pub(crate) fn submit<R: Request + 'static>(
        &self,
        _addr: &Arc<str>,
        _request: &R,
        _body: &[u8],
        _deadline: Deadline,
        _done: impl FnOnce(Result<Answer<R>>) + Send + 'static,
    ) {
        unimplemented!()
    }

    /// As [`call`](Remoting::call), for a request that the server may hold for `hold` before it answers.
    pub(crate) fn call_held<R: Request>(
        &self,
        _addr: &Arc<str>,
        _request: &R,
        _body: &[u8],
        _hold: Duration,
        _deadline: Deadline,
    ) -> Result<Answer<R>> {
        unimplemented!()
    }

    /// As [`submit`](Remoting::submit), for a request that the server may hold for `hold` before it answers.
    pub(crate) fn submit_held<R: Request + 'static>(
        &self,
        _addr: &Arc<str>,
        _request: &R,
        _body: &[u8],
        _hold: Duration,
        _deadline: Deadline,
        _done: impl FnOnce(Result<Answer<R>>) + Send + 'static,
    ) {
        unimplemented!()
    }

    /// Sends without an answer: returns once the kernel took the whole frame, or with an error by the deadline.
    pub(crate) fn oneway<R: Request>(
        &self,
        _addr: &Arc<str>,
        _request: &R,
        _body: &[u8],
        _deadline: Deadline,
    ) -> Result<()> {
        unimplemented!()
    }

    /// Ends calls whose deadline passed and watches over silent connections; returns when it wants to be called next.
    pub(crate) fn tick(&self, _now: Instant) -> Option<Instant> {
        unimplemented!()
    }

    /// Returns the addresses with a connection that is open.
    pub(crate) fn connected(&self) -> Vec<Arc<str>> {
        unimplemented!()
    }

    /// Closes connections to addresses that are not wanted any more, once nothing is in flight on them.
    pub(crate) fn retain(&self, _keep: impl Fn(&str) -> bool) {
        unimplemented!()
    }

    /// Drains, closes and joins all connections, giving them until `deadline` to write what they have; then fails what still
    /// waits with `Closed`. Later calls fail with `Closed`.
    pub(crate) fn close(&self, _deadline: Instant) {
        unimplemented!()
    }
}
