//! What a client and its connections have done so far.

use crate::remoting::Counter;

/// Counts of message trace, shared by whoever records and whoever tells.
#[derive(Debug, Default)]
#[allow(dead_code, reason = "counted once trace is there")]
pub(crate) struct TraceCounters {
    /// Records taken up for sending.
    pub(crate) recorded: Counter,
    /// Records that will not be sent: too many waited, or sending failed.
    pub(crate) dropped: Counter,
}
