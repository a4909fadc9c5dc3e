//! What the connections need from whoever owns them, and what servers ask of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::connection::Connection;
use super::deadline::Deadline;
use crate::code::ResponseCode;
use crate::error::Result;
use crate::protocol::fields::{Header, NoFields};
use crate::protocol::frame::{self, Frame, Head};

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

    /// The earliest deadline of the calls that do not time themselves may have moved forward to `at`.
    fn wake_at(&self, at: Instant);

    #[cfg_attr(not(feature = "acl"), allow(dead_code, reason = "there are no keys without the feature"))]
    /// The keys that are renewed are needed for the first time, or a server refused them.
    fn keys_wanted(&self) {}
}

/// A request a server sent, and the way to answer it.
#[derive(Debug)]
pub(crate) struct ServerRequest {
    pub(crate) addr: Arc<str>,
    pub(crate) frame: Frame,
    pub(super) connection: Arc<Connection>,
}

impl ServerRequest {
    /// Answers it; a oneway request is never answered, and an answer to a lost connection is dropped.
    pub(crate) fn answer<H: Header>(self, code: ResponseCode, remark: Option<&str>, header: &H, body: &[u8]) {
        if self.frame.is_oneway() {
            return;
        }
        let head = Head::response(self.connection.header_kind(), code, self.frame.opaque, remark);
        let mut response = Vec::new();
        match frame::encode_response(&mut response, &head, header, body) {
            Ok(()) => self.connection.respond(&response),
            Err(error) => log::warn!("the answer to {}'s request {} is lost: {error}", self.addr, self.frame.code),
        }
    }

    /// Says that nobody here serves it.
    pub(super) fn refuse(self) {
        let remark = format!(" request type {} not supported", self.frame.code);
        self.answer(ResponseCode::REQUEST_CODE_NOT_SUPPORTED, Some(&remark), &NoFields, &[]);
    }
}
