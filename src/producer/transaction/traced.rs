//! Tracing the ends of transactions.

use super::super::shared::Shared;
use super::resolution::TransactionResolution;
use crate::client::SendResult;
use crate::message::{Message, MessageView, OffsetMessageId, key};
use crate::trace::{Ending, TransactionState};

/// What a trace says of a half message, kept while its transaction runs. Empty in a producer that does not trace.
#[derive(Debug, Default)]
pub(super) struct Labels {
    tags: String,
    keys: String,
}

impl Labels {
    pub(super) fn of(shared: &Shared, message: &Message) -> Labels {
        if shared.trace.is_none() {
            return Labels::default();
        }
        let property = |name| message.property(name).unwrap_or_default().to_owned();
        Labels { tags: property(key::TAGS), keys: property(key::KEYS) }
    }
}

/// Records an end that its sender has told the broker.
pub(super) fn by_sender(
    shared: &Shared,
    labels: &Labels,
    sent: &SendResult,
    place: &OffsetMessageId,
    resolution: TransactionResolution,
) {
    let Some(trace) = &shared.trace else { return };
    trace.end_transaction(Ending {
        topic: sent.queue().shared_topic(),
        message_id: sent.message_id(),
        transaction_id: sent.transaction_id().unwrap_or_else(|| sent.message_id()),
        tags: &labels.tags,
        keys: &labels.keys,
        store_host: &place.store_host.to_string(),
        region: sent.region_id(),
        state: state(resolution),
        from_check: false,
    });
}

/// Records an end that the broker at `addr` has asked for.
pub(super) fn by_check(
    shared: &Shared,
    half: &MessageView,
    transaction_id: Option<&str>,
    addr: &str,
    resolution: TransactionResolution,
) {
    let Some(trace) = &shared.trace else { return };
    if half.property(key::TRACE_ON) == Some("false") {
        return;
    }
    let message_id = half.message_id();
    trace.end_transaction(Ending {
        topic: half.queue().shared_topic(),
        message_id: &message_id,
        transaction_id: transaction_id.unwrap_or(&message_id),
        tags: half.tag().unwrap_or_default(),
        keys: half.property(key::KEYS).unwrap_or_default(),
        store_host: addr,
        region: half.property(key::REGION).unwrap_or_default(),
        state: state(resolution),
        from_check: true,
    });
}

fn state(resolution: TransactionResolution) -> TransactionState {
    match resolution {
        TransactionResolution::Commit => TransactionState::Commit,
        TransactionResolution::Rollback => TransactionState::Rollback,
        TransactionResolution::Unknown => TransactionState::Unknown,
    }
}
