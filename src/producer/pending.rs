use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};

use super::SendError;
use crate::client::SendResult;
use crate::error::{Error, Outcome};
use crate::message::Message;

/// A send under way, made by [`PreparedSend::submit`](crate::PreparedSend::submit): wait for it when the result is needed.
///
/// It ends by its own deadline whether anyone waits or not. Dropping it does not take the message back.
///
/// ```no_run
/// # fn send(producer: &rocketmq_blocking::Producer) -> rocketmq_blocking::Result<()> {
/// use rocketmq_blocking::Message;
///
/// let first = producer.prepare(Message::new("OrderTopic", "first")).submit()?;
/// let second = producer.prepare(Message::new("OrderTopic", "second")).submit()?;
/// println!("{}", first.wait()?);
/// println!("{}", second.wait()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it ignores whether the message was stored"]
pub struct PendingSend<M = Message> {
    result: Receiver<Result<SendResult, SendError<M>>>,
}

impl<M> PendingSend<M> {
    pub(super) fn new(result: Receiver<Result<SendResult, SendError<M>>>) -> PendingSend<M> {
        PendingSend { result }
    }

    /// Waits for the result, at most until the send's own deadline.
    ///
    /// # Errors
    /// The send's error, with the message; see [`Producer::send`](crate::Producer::send).
    pub fn wait(self) -> Result<SendResult, PendingError<M>> {
        match self.result.recv() {
            Ok(result) => result.map_err(PendingError::Failed),
            Err(_) => Err(PendingError::Lost),
        }
    }

    /// Waits at most `timeout`; gives itself back when the result is not there by then.
    ///
    /// # Errors
    /// The inner result is the send's, as [`wait`](PendingSend::wait) returns it.
    pub fn wait_timeout(self, timeout: Duration) -> Result<Result<SendResult, PendingError<M>>, PendingSend<M>> {
        let until = Instant::now().checked_add(timeout);
        let received = match until {
            Some(until) => self.result.recv_deadline(until),
            None => self.result.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(result) => Ok(result.map_err(PendingError::Failed)),
            Err(RecvTimeoutError::Disconnected) => Ok(Err(PendingError::Lost)),
            Err(RecvTimeoutError::Timeout) => Err(self),
        }
    }

    /// Returns the result if it is there; gives itself back if not.
    ///
    /// # Errors
    /// The inner result is the send's, as [`wait`](PendingSend::wait) returns it.
    pub fn try_wait(self) -> Result<Result<SendResult, PendingError<M>>, PendingSend<M>> {
        match self.result.try_recv() {
            Ok(result) => Ok(result.map_err(PendingError::Failed)),
            Err(TryRecvError::Disconnected) => Ok(Err(PendingError::Lost)),
            Err(TryRecvError::Empty) => Err(self),
        }
    }
}

/// How a pending send failed; `?` turns it into an [`Error`].
#[derive(Debug, thiserror::Error)]
pub enum PendingError<M = Message> {
    /// The send failed; the message is given back.
    #[error("{0}")]
    Failed(SendError<M>),
    /// The client was closed and its threads ended before the result was known.
    #[error("the client was closed before the result was known; the message may have been stored")]
    Lost,
}

impl<M> From<PendingError<M>> for Error {
    fn from(error: PendingError<M>) -> Error {
        match error {
            PendingError::Failed(failed) => failed.error,
            PendingError::Lost => Error::Closed { outcome: Outcome::Unknown },
        }
    }
}
