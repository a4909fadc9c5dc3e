//! What a client and its connections have done so far.

use std::fmt;
use std::sync::Arc;

use super::handle::Client;
use crate::remoting::{ConnectionState, ConnectionStats, Counter};

impl Client {
    /// Returns what this client has done since it was made: how its connections are, what went over them, and oddities.
    ///
    /// A snapshot, as [`Producer::stats`](crate::Producer::stats) is: it does not block and asks no server, and its numbers
    /// are read one after another. Clones, and clients of the same explicit instance name, are one client. After
    /// [`close`](Client::close) it goes on answering, with final counts and no connections.
    ///
    /// ```
    /// # use rocketmq_blocking::{Client, embedded::Cluster};
    /// # let cluster = Cluster::start()?;
    /// let client = Client::connect(cluster.name_server())?;
    /// let stats = client.stats();
    /// assert_eq!((stats.connections.len(), stats.timeouts), (1, 0));
    /// println!("{stats}");
    /// # Ok::<(), rocketmq_blocking::Error>(())
    /// ```
    pub fn stats(&self) -> ClientStats {
        let core = self.core();
        let counters = core.remoting().counters();
        let received = &counters.received;
        let (callbacks_queued, callbacks_running) =
            core.started_callbacks().map_or((0, 0), |callbacks| callbacks.occupancy());
        ClientStats {
            name_server: core.name_servers().in_order().into_iter().next(),
            routes: core.routes().count(),
            connections: core.remoting().stats(),
            connects: received.connected.get(),
            reconnects: received.replaced.get(),
            requests: counters.requests.get(),
            writes: counters.writes.get(),
            bytes_written: counters.bytes_written.get(),
            bytes_received: received.bytes.get(),
            timeouts: received.timeouts.get(),
            late_answers: received.late.get(),
            duplicate_answers: received.duplicate.get(),
            foreign_answers: received.foreign.get(),
            go_aways: received.go_aways.get(),
            refusals: received.refusals.get(),
            limits_exceeded: received.limits_exceeded.get(),
            damaged_messages: received.damaged_messages.get(),
            malformed_frames: received.malformed_frames.get(),
            addresses_refused: received.addresses_refused.get(),
            calls_refused: received.calls_refused.get(),
            connections_refused: received.connections_refused.get(),
            server_requests: received.server_requests.get(),
            server_requests_refused: received.refused_requests.get(),
            server_requests_dropped: received.dropped_requests.get(),
            requests_waiting: core.replies().waiting(),
            late_replies: core.replies().late(),
            pulls_dropped: core.groups().dropped_pulls(),
            callbacks_queued,
            callbacks_running,
        }
    }
}

/// What a client has done since it was made, from [`Client::stats`]. It prints on a few lines.
///
/// All counts go over all connections, those that are gone included, and include the client's own calls: routes,
/// heartbeats, leaving.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientStats {
    /// The name server that is asked next; `None` while none is known.
    pub name_server: Option<Arc<str>>,
    /// Topics whose route is known.
    pub routes: usize,
    /// The connections, by address; one that is being replaced stands beside its successor.
    pub connections: Vec<ConnectionStats>,
    /// Connections that were established.
    pub connects: u64,
    /// Connections that were begun in place of one that was lost or whose server was leaving.
    pub reconnects: u64,
    /// Frames handed over for sending: requests, and answers to servers' requests.
    pub requests: u64,
    /// Calls to write to a socket; fewer than requests when several are written together.
    pub writes: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Calls whose time was over before they were answered, or written.
    pub timeouts: u64,
    /// Answers that came after their call was given up; they were dropped.
    pub late_answers: u64,
    /// Second answers to a call; they were dropped. A late answer counts here once a thousand more calls on its connection
    /// were given up.
    pub duplicate_answers: u64,
    /// Answers to what was never asked on their connection; they were dropped.
    pub foreign_answers: u64,
    /// Calls that a server refused because it is leaving (`GO_AWAY`).
    pub go_aways: u64,
    /// Requests that servers refused for lack of a right or of permission ([`Error::is_refused`](crate::Error::is_refused)).
    pub refusals: u64,
    /// Answers that were more than this client takes ([`Error::LimitExceeded`](crate::Error::LimitExceeded)).
    pub limits_exceeded: u64,
    /// Received messages whose body could not be inflated within the limits, or with too many properties
    /// ([`MessageView::check_body`](crate::MessageView::check_body)).
    pub damaged_messages: u64,
    /// Connections that were closed because a server sent something that is no frame, or one beyond
    /// [`frame_limit`](crate::ClientBuilder::frame_limit).
    pub malformed_frames: u64,
    /// Connections that were not made because [`allowed_addresses`](crate::ClientBuilder::allowed_addresses) refused all
    /// addresses of a server.
    pub addresses_refused: u64,
    /// Calls that failed because [`pending_limit`](crate::ClientBuilder::pending_limit) calls to their server waited already,
    /// or [`outbox_limit`](crate::ClientBuilder::outbox_limit) bytes.
    pub calls_refused: u64,
    /// Connections that were not made because there were [`connection_limit`](crate::ClientBuilder::connection_limit) already.
    pub connections_refused: u64,
    /// Requests that servers sent.
    pub server_requests: u64,
    /// Those of them that nothing in this client serves, and diagnosis that was refused.
    pub server_requests_refused: u64,
    /// Those of them for which their group had no room, and those beyond
    /// [`server_request_limit`](crate::ClientBuilder::server_request_limit).
    pub server_requests_dropped: u64,
    /// Requests of all producers ([`Producer::request`](crate::Producer::request)) that wait for their reply.
    pub requests_waiting: usize,
    /// Replies to such requests that came when nobody waited: too late, for a second time, or by mistake; and those that could
    /// not be read. They were dropped.
    pub late_replies: u64,
    /// Pulls of push and lite pull consumers whose group had left before they were answered; what they found was dropped.
    pub pulls_dropped: u64,
    /// Callbacks that wait for a thread.
    pub callbacks_queued: usize,
    /// Callbacks that run.
    pub callbacks_running: usize,
}

impl fmt::Display for ClientStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name_server = self.name_server.as_deref().unwrap_or("none");
        write!(f, "name server: {name_server}, {} routes", self.routes)?;
        write!(f, "\nsent: {} requests, {} bytes in {} writes", self.requests, self.bytes_written, self.writes)?;
        write!(f, "; received: {} bytes", self.bytes_received)?;
        write!(f, "\nconnections: {} made, {} in place of others", self.connects, self.reconnects)?;
        let oddities = [
            (self.timeouts, "timeouts"),
            (self.late_answers, "late answers"),
            (self.duplicate_answers, "duplicate answers"),
            (self.foreign_answers, "foreign answers"),
            (self.go_aways, "refusals of leaving servers"),
            (self.refusals, "refusals for lack of a right"),
            (self.limits_exceeded, "answers beyond a limit"),
            (self.damaged_messages, "damaged messages"),
            (self.malformed_frames, "malformed frames"),
            (self.addresses_refused, "addresses refused"),
            (self.calls_refused, "calls refused"),
            (self.connections_refused, "connections refused"),
            (self.server_requests_refused, "server requests refused"),
            (self.server_requests_dropped, "server requests dropped"),
            (self.late_replies, "late replies"),
        ];
        let oddities: Vec<String> =
            oddities.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        if !oddities.is_empty() {
            write!(f, "\noddities: {}", oddities.join(", "))?;
        }
        write!(f, "\nserver requests: {}", self.server_requests)?;
        write!(f, "; waiting for a reply: {}", self.requests_waiting)?;
        write!(f, "; callbacks: {} queued, {} running", self.callbacks_queued, self.callbacks_running)?;
        if self.pulls_dropped > 0 {
            write!(f, "; pulls of groups that left: {}", self.pulls_dropped)?;
        }
        self.connections.iter().try_for_each(|connection| write!(f, "\n{connection}"))
    }
}

impl fmt::Display for ConnectionStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConnectionStats { addr, state, in_flight, held, age, .. } = self;
        write!(f, "{addr}: {state}, began {age:.1?} ago, {in_flight} in flight, {held} held")?;
        match self.silent_for {
            Some(silent_for) => write!(f, ", last received {silent_for:.1?} ago"),
            None => f.write_str(", nothing received yet"),
        }
    }
}

impl fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConnectionState::Connecting => "connecting",
            ConnectionState::Open => "open",
            ConnectionState::Leaving => "leaving",
            ConnectionState::Closed => "closed",
        })
    }
}

/// Counts of message trace, shared by whoever records and whoever tells.
#[derive(Debug, Default)]
pub(crate) struct TraceCounters {
    /// Records taken up for sending.
    pub(crate) recorded: Counter,
    /// Of those: stored by a broker.
    pub(crate) sent: Counter,
    /// Records that were not taken up, because too many waited.
    pub(crate) dropped: Counter,
    /// Of those taken up: lost, because sending them failed.
    pub(crate) failed: Counter,
}

/// Message trace; all zero where it is off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceStats {
    /// Records taken up for sending.
    pub recorded: u64,
    /// Of those: stored by a broker.
    pub sent: u64,
    /// Records that were not taken up, because too many waited.
    pub dropped: u64,
    /// Of those taken up: lost, because their trace message could not be sent, or its owner closed before it was.
    pub failed: u64,
}

impl TraceCounters {
    pub(crate) fn snapshot(&self) -> TraceStats {
        TraceStats {
            recorded: self.recorded.get(),
            sent: self.sent.get(),
            dropped: self.dropped.get(),
            failed: self.failed.get(),
        }
    }
}
