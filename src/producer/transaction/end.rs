//! Telling a broker how a transaction ended.

use std::sync::Arc;

use super::super::shared::Shared;
use super::resolution::TransactionResolution;
use super::traced::{self, Labels};
use crate::client::{Route, SendResult};
use crate::error::{Error, Outcome, Result};
use crate::message::OffsetMessageId;
use crate::protocol::rpc::transaction::EndTransaction;
use crate::remoting::Deadline;

/// Tells the broker that has the half message how its transaction ended, oneway. Blocks until the kernel took the request,
/// at most for the producer's timeout. A failure is logged, whatever the caller does with it.
pub(super) fn send(
    shared: &Shared,
    sent: &SendResult,
    labels: &Labels,
    resolution: TransactionResolution,
) -> Result<()> {
    let told = sent.offset_message_id().parse().and_then(|place: OffsetMessageId| {
        tell(shared, sent, &place, resolution)?;
        traced::by_sender(shared, labels, sent, &place, resolution);
        Ok(())
    });
    let counts = &shared.stats.transactions;
    match resolution {
        TransactionResolution::Commit => counts.committed.one(),
        TransactionResolution::Rollback => counts.rolled_back.one(),
        TransactionResolution::Unknown => counts.unknown.one(),
    }
    if let Err(error) = &told {
        counts.ends_failed.one();
        let (group, id) = (shared.group(), sent.message_id());
        log::warn!("producer {group}: the {resolution} of transaction {id} is left to the broker's check: {error}");
    }
    told
}

fn tell(shared: &Shared, sent: &SendResult, place: &OffsetMessageId, resolution: TransactionResolution) -> Result<()> {
    let deadline = Deadline::after(shared.settings.timeout);
    let (topic, broker_name) = (sent.queue().shared_topic(), sent.queue().shared_broker_name());
    let id: Arc<str> = sent.message_id().into();
    let request = EndTransaction {
        broker_name: Some(broker_name.clone()),
        commit_log_offset: place.commit_log_offset,
        end: resolution.code(),
        from_check: Some(false),
        message_id: Some(id.clone()),
        producer_group: shared.settings.send.group.clone(),
        topic: Some(topic.clone()),
        half_offset: sent.queue_offset(),
        transaction_id: Some(sent.transaction_id().map_or(id, Arc::from)),
    };
    let remoting = shared.core.remoting();
    let mut tried = None;
    let known = shared.route(topic, deadline).and_then(|route| master(&route, broker_name));
    let failed = match known {
        Ok(addr) => match remoting.oneway(&addr, &request, &[], deadline, false) {
            // Sent twice a commit would make two messages.
            Err(error) if error.outcome() == Outcome::NotSent => {
                tried = Some(addr);
                error
            }
            told => return told,
        },
        Err(error) => error,
    };
    // The broker may have moved since the route was learnt.
    let newer =
        shared.core.routes().refresh(&shared.core, topic, deadline).and_then(|route| master(&route, broker_name));
    match newer {
        Ok(addr) if Some(&addr) != tried.as_ref() => remoting.oneway(&addr, &request, &[], deadline, false),
        _ => Err(failed),
    }
}

fn master(route: &Route, broker_name: &Arc<str>) -> Result<Arc<str>> {
    route.master(broker_name).cloned().ok_or_else(|| Error::NoBroker {
        what: broker_name.clone(),
        reason: format!("the route of {} names no master of this name", route.topic()).into(),
    })
}
