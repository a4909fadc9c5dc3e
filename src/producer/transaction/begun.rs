use std::fmt;
use std::sync::Arc;

use super::super::shared::Shared;
use super::end;
use super::resolution::TransactionResolution;
use super::traced::Labels;
use crate::client::{Client, SendResult};
use crate::error::Result;

/// A transaction whose half message is stored and that has not ended; made by
/// [`TransactionProducer::begin`](crate::TransactionProducer::begin).
///
/// Consumers do not see the message before [`commit`](Transaction::commit). Dropping it without an answer leaves the end
/// unknown, which is logged and sends nothing: the broker asks later, and the check decides. It can be answered from any
/// thread, also after its producer was closed, as long as the client is open, and keeps the client alive.
#[must_use = "dropped without commit or rollback, the transaction's end is unknown until the broker asks"]
pub struct Transaction {
    shared: Arc<Shared>,
    sent: SendResult,
    labels: Labels,
    answered: bool,
    /// Last, so that everything else is gone should this close the client.
    _client: Client,
}

impl Transaction {
    pub(super) fn new(shared: Arc<Shared>, client: Client, sent: SendResult, labels: Labels) -> Transaction {
        Transaction { shared, sent, labels, answered: false, _client: client }
    }

    /// Returns where the half message is stored: the queue is the one it will appear in, the offset that of the internal
    /// queue it waits in.
    pub fn sent(&self) -> &SendResult {
        &self.sent
    }

    /// Returns the transaction's id, which is the message's unique id. Consumers and the check find it in
    /// [`MessageView::transaction_id`](crate::MessageView::transaction_id).
    pub fn transaction_id(&self) -> &str {
        self.sent.transaction_id().unwrap_or_else(|| self.sent.message_id())
    }

    /// Makes the message visible to consumers.
    ///
    /// Brokers do not answer: this blocks until the kernel took the request, at most for the producer's timeout.
    ///
    /// # Errors
    /// What kept the broker from being told, logged as well. [`Error::outcome`](crate::Error::outcome) is `NotSent` when nothing left, else
    /// `Unknown`; either way the broker asks later, and the check decides.
    pub fn commit(self) -> Result<SendResult> {
        self.end(TransactionResolution::Commit)
    }

    /// Drops the message: consumers never see it. Blocks as [`commit`](Transaction::commit) does.
    ///
    /// # Errors
    /// As [`commit`](Transaction::commit).
    pub fn rollback(self) -> Result<SendResult> {
        self.end(TransactionResolution::Rollback)
    }

    fn end(mut self, resolution: TransactionResolution) -> Result<SendResult> {
        self.answered = true;
        end::send(&self.shared, &self.sent, &self.labels, resolution)?;
        Ok(self.sent.clone())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.answered {
            self.shared.stats.transactions.unknown.one();
            let (group, id) = (self.shared.group(), self.transaction_id());
            log::warn!("producer {group}: transaction {id} was dropped without an answer; the broker's check decides");
        }
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("sent", &self.sent).finish_non_exhaustive()
    }
}
