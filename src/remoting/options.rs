//! Settings of connections.

use std::sync::Arc;
use std::time::Duration;

use super::allowed::Allowed;
#[cfg(feature = "acl")]
use super::keys::Signing;
#[cfg(feature = "tls")]
use super::trust::TlsOptions;
use crate::protocol::frame::{self, HeaderKind};
use crate::protocol::namespace::Namespace;

/// Settings of all connections of a client.
#[derive(Debug, Clone)]
pub(crate) struct RemotingOptions {
    pub(crate) connect_timeout: Duration,
    pub(crate) header_kind: HeaderKind,
    /// Bound of the length of one received frame.
    pub(crate) frame_limit: usize,
    /// Bytes that may wait to be written to one server.
    pub(crate) outbox_limit: usize,
    /// Calls that may wait for an answer of one server.
    pub(crate) pending_limit: usize,
    /// Connections of a client.
    pub(crate) connection_limit: usize,
    /// Requests of one server in a second.
    pub(crate) server_request_limit: usize,
    /// Where connections may go.
    pub(crate) allowed: Allowed,
    /// A socket to which nothing could be written for so long is closed.
    pub(crate) stall_limit: Duration,
    /// A connection with waiting calls that received nothing for so long is probed.
    pub(crate) silence_limit: Duration,
    /// How long a probe may take.
    pub(crate) probe_timeout: Duration,
    /// Where the names in requests are; see [`namespace`](crate::protocol::namespace).
    pub(crate) namespace: Option<Namespace>,
    /// Fields that every request gets.
    pub(crate) fields: Vec<(&'static str, Arc<str>)>,
    #[cfg(feature = "acl")]
    pub(crate) signing: Signing,
    /// All connections are encrypted, or none.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsOptions>,
}

impl Default for RemotingOptions {
    fn default() -> Self {
        RemotingOptions {
            connect_timeout: Duration::from_secs(3),
            header_kind: HeaderKind::Json,
            frame_limit: frame::MAX_FRAME,
            outbox_limit: 64 * 1024 * 1024,
            pending_limit: 262_144,
            connection_limit: 2048,
            server_request_limit: 10_000,
            allowed: Allowed::default(),
            stall_limit: Duration::from_secs(10),
            silence_limit: Duration::from_secs(5),
            probe_timeout: Duration::from_secs(3),
            namespace: None,
            fields: Vec::new(),
            #[cfg(feature = "acl")]
            signing: Signing::Off,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}
