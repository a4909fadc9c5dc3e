//! What the cluster was asked, and when.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::code::RequestCode;
use crate::protocol::frame::Frame;

/// A request that a server of the cluster received.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Recorded {
    /// When it had been read.
    pub at: Instant,
    /// The server that received it: `broker-a` for a master, `broker-a/1` for its slave, `name-server`.
    pub server: Arc<str>,
    /// The client's address.
    pub client: std::net::SocketAddr,
    /// What it asked for.
    pub code: RequestCode,
    /// The number that the client gave it on its connection.
    pub opaque: i32,
    /// Whether the client wanted no answer.
    pub oneway: bool,
    /// Its header fields (`extFields`), in the order they were sent.
    pub fields: Vec<(String, String)>,
    /// The length of its body in bytes.
    pub body_len: usize,
}

impl Recorded {
    /// Returns a header field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Keeps the latest requests, undecoded: decoding waits until somebody asks.
#[derive(Debug)]
pub(super) struct Recorder {
    limit: usize,
    kept: Mutex<VecDeque<Kept>>,
}

#[derive(Debug, Clone)]
struct Kept {
    at: Instant,
    server: Arc<str>,
    client: std::net::SocketAddr,
    body_len: usize,
    header: Frame,
}

impl Recorder {
    pub(super) fn new(limit: usize) -> Recorder {
        Recorder { limit, kept: Mutex::default() }
    }

    pub(super) fn add(&self, server: &Arc<str>, client: std::net::SocketAddr, frame: &Frame) {
        if self.limit == 0 {
            return;
        }
        let kept = Kept {
            at: Instant::now(),
            server: server.clone(),
            client,
            body_len: frame.body().len(),
            header: frame.header_only(),
        };
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == self.limit {
            all.pop_front();
        }
        all.push_back(kept);
    }

    pub(super) fn clear(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Returns the kept requests of a code, or all of them.
    pub(super) fn requests(&self, code: Option<RequestCode>) -> Vec<Recorded> {
        let kept: Vec<Kept> = self
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter(|kept| code.is_none_or(|code| kept.header.request_code() == code))
            .cloned()
            .collect();
        kept.into_iter().map(Kept::decode).collect()
    }
}

impl Kept {
    fn decode(self) -> Recorded {
        let fields = self.header.fields().filter_map(Result::ok);
        Recorded {
            at: self.at,
            server: self.server,
            client: self.client,
            code: self.header.request_code(),
            opaque: self.header.opaque,
            oneway: self.header.is_oneway(),
            fields: fields.map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
            body_len: self.body_len,
        }
    }
}
