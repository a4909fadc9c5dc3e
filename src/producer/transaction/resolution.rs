use std::fmt;

use crate::client::SendResult;
use crate::error::Error;
use crate::protocol::rpc::transaction::end;

/// How a transaction ended, as far as its producer knows (Java: `LocalTransactionState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionResolution {
    /// The message becomes visible to consumers.
    Commit,
    /// The message is dropped; consumers never see it.
    Rollback,
    /// Not known, or not yet: the broker asks later.
    Unknown,
}

impl TransactionResolution {
    /// As the wire has it.
    pub(super) fn code(self) -> i32 {
        match self {
            TransactionResolution::Commit => end::COMMIT,
            TransactionResolution::Rollback => end::ROLLBACK,
            TransactionResolution::Unknown => end::UNKNOWN,
        }
    }
}

impl fmt::Display for TransactionResolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TransactionResolution::Commit => "commit",
            TransactionResolution::Rollback => "rollback",
            TransactionResolution::Unknown => "unknown",
        })
    }
}

/// What became of a transaction that [`TransactionProducer::send`](crate::TransactionProducer::send) went through. It prints
/// on one line.
#[derive(Debug, Clone)]
pub struct TransactionSendResult {
    pub(super) sent: SendResult,
    pub(super) resolution: TransactionResolution,
    pub(super) end_error: Option<Error>,
}

impl TransactionSendResult {
    /// Returns where and how the half message was stored.
    pub fn sent(&self) -> &SendResult {
        &self.sent
    }

    /// Returns what the local transaction resolved to: what the closure returned, `Unknown` when it panicked, `Rollback` when
    /// the half message was stored with a status other than `SEND_OK` and the closure was not run.
    pub fn resolution(&self) -> TransactionResolution {
        self.resolution
    }

    /// Returns why the broker could not be told of the resolution, `None` when it was. The broker then asks, and the check
    /// decides. [`Error::outcome`] tells whether the resolution may have arrived nevertheless.
    pub fn end_error(&self) -> Option<&Error> {
        self.end_error.as_ref()
    }
}

impl fmt::Display for TransactionSendResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.resolution, self.sent)?;
        match &self.end_error {
            Some(error) => write!(f, "; the broker will ask for the end: {error}"),
            None => Ok(()),
        }
    }
}
