//! What a failed call may have done, and how far it had come.

use std::fmt;

#[cfg(doc)]
use super::Error;

/// What became of a message, or of any request, whose call failed.
///
/// Java leaves this to guesswork; here every [`Error`] answers it through [`Error::outcome`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// No byte of the request reached the network, or it was refused locally. Sending it again cannot duplicate it.
    NotSent,
    /// The server said no and did not carry it out.
    Rejected,
    /// The request may have been carried out: the message may be stored. Sending it again may duplicate it.
    Unknown,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::NotSent => "not sent",
            Outcome::Rejected => "rejected",
            Outcome::Unknown => "may have been stored",
        })
    }
}

/// The wait during which a deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// A place in the window of calls in flight did not become free.
    Admission,
    /// The first credentials were not known in time.
    Credentials,
    /// The topic's route was not known in time.
    Route,
    /// A host name was not resolved in time.
    Resolve,
    /// The connection was not established in time, so nothing was written.
    Connect,
    /// The connection was not encrypted in time, so nothing of the request was written.
    Handshake,
    /// The request waited for its turn to be written, or for the peer to read.
    Write,
    /// The request was written and no answer came.
    Reply,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Credentials => "waiting for the first credentials",
            Stage::Admission => "waiting for a place among the calls in flight",
            Stage::Route => "looking up the route",
            Stage::Resolve => "resolving the host name",
            Stage::Connect => "connecting",
            Stage::Handshake => "during the TLS handshake",
            Stage::Write => "writing the request",
            Stage::Reply => "waiting for the answer",
        })
    }
}
