//! What a client and its connections have done so far.

use crate::remoting::Counter;

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
