//! What connections have done and how they are.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::connection::{Connection, Phase};
use super::counter::Counter;

/// Counts over all connections of a client, those that are gone included.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Frames handed over: requests, and answers to servers' requests.
    pub(crate) requests: Counter,
    pub(crate) writes: Counter,
    pub(crate) bytes_written: Counter,
    /// On a line of its own: callers and writers count the others, readers the ones below.
    pub(crate) received: Received,
}

/// What readers count, and what happens rarely.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Received {
    pub(crate) bytes: Counter,
    /// Answers to calls that were given up before.
    pub(crate) late: Counter,
    /// Further answers to calls that were answered.
    pub(crate) duplicate: Counter,
    /// Answers to what was never asked on the connection.
    pub(crate) foreign: Counter,
    /// Calls whose time was over before their answer came.
    pub(crate) timeouts: Counter,
    /// Connections that were established.
    pub(crate) connected: Counter,
    /// Connections made in place of one that was lost or left.
    pub(crate) replaced: Counter,
    pub(crate) go_aways: Counter,
    /// Requests refused for lack of a right.
    pub(crate) refusals: Counter,
    pub(crate) server_requests: Counter,
    /// Server requests that nobody here serves.
    pub(crate) refused_requests: Counter,
    /// Answers that were more than is taken.
    pub(crate) limits_exceeded: Counter,
    pub(crate) damaged_messages: Counter,
    /// Connections ended because what came was no frame.
    pub(crate) malformed_frames: Counter,
    pub(crate) addresses_refused: Counter,
    /// Calls for which too many waited already, or too many bytes.
    pub(crate) calls_refused: Counter,
    /// Connections that were not made because there are so many.
    pub(crate) connections_refused: Counter,
    /// Server requests for which their group had no room, or which were too many.
    pub(crate) dropped_requests: Counter,
}

/// One connection of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// The server's address.
    pub addr: Arc<str>,
    /// How far it has come.
    pub state: ConnectionState,
    /// Calls whose answer has not come, but for those in [`held`](ConnectionStats::held).
    pub in_flight: usize,
    /// Long polls: calls that the server may hold before it answers.
    pub held: usize,
    /// How long ago it was begun.
    pub age: Duration,
    /// How long ago something was received; `None` when nothing was as yet.
    pub silent_for: Option<Duration>,
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionState {
    /// It is not established yet; what is sent over it waits.
    Connecting,
    /// Calls go over it.
    Open,
    /// It finishes what is under way and takes no new calls: the server is leaving, or nobody needs it any more.
    Leaving,
    /// It has ended; the next call makes another one.
    Closed,
}

impl Connection {
    pub(super) fn stats(&self) -> ConnectionStats {
        let phase = self.out().phase;
        let state = match phase {
            Phase::Resolving | Phase::Connecting | Phase::Handshaking | Phase::Doubted => ConnectionState::Connecting,
            Phase::Open if self.leaving.load(Ordering::Relaxed) => ConnectionState::Leaving,
            Phase::Open => ConnectionState::Open,
            Phase::Draining => ConnectionState::Leaving,
            Phase::Gone => ConnectionState::Closed,
        };
        let (in_flight, held) = self.pending.counts();
        ConnectionStats {
            addr: self.addr.clone(),
            state,
            in_flight,
            held,
            age: self.created.elapsed(),
            silent_for: self.has_received().then(|| self.last_received().elapsed()),
        }
    }

    /// Counts an answer that nobody waits for.
    pub(super) fn note_unmatched(&self, opaque: i32) {
        let received = &self.counters.received;
        let what = if self.pending.forgive(opaque) {
            received.late.one();
            "late"
        } else if self.has_issued(opaque) {
            received.duplicate.one();
            "for a second time"
        } else {
            received.foreign.one();
            "without a question"
        };
        log::debug!("{} answered {opaque} {what}: nobody waits for it", self.addr);
    }
}
