//! Brokers' questions how a transaction ended: on the reader's thread they are only put into the queue of their group.

use std::sync::atomic::Ordering;

use super::check_queue::Asked;
use super::core::Core;
use crate::message::{find_in_wire, key};
use crate::protocol::frame::Frame;
use crate::protocol::record::Records;
use crate::remoting::ServerRequest;

/// Hands a question to the producer group it is about. It is never answered here, and one that finds nobody or no room is
/// dropped: the broker asks again, perhaps somebody else.
pub(super) fn hand_over(core: &Core, request: ServerRequest) {
    let ServerRequest { addr, frame, .. } = request;
    let Some((group, transaction)) = group_and_transaction(&frame) else {
        return log::warn!("{addr} asks about a transaction, but the message names no producer group");
    };
    let group = core.own_name(&group);
    let Some(queue) = core.groups().checks(&group) else {
        let stray = core.groups().stray_checks.fetch_add(1, Ordering::Relaxed) + 1;
        if worth_telling(stray) {
            log::warn!(
                "{addr} asks about a transaction of group {group}, which has no transaction producer here ({stray} such \
                 questions so far): every producer of the group must be one"
            );
        }
        return;
    };
    match queue.offer(&transaction, Asked { addr, frame }) {
        Err(dropped) if worth_telling(dropped) => {
            log::warn!(
                "producer {group}: more checks than there is room for; {dropped} dropped so far, which come again"
            );
        }
        _ => {}
    }
}

/// In a storm every message would be one too many.
pub(super) fn worth_telling(count: u64) -> bool {
    count.is_power_of_two()
}

/// The group stands in the message itself, and so does the transaction's id.
fn group_and_transaction(frame: &Frame) -> Option<(String, String)> {
    let stored = Records::new(frame.body_bytes()).next()?.ok()?;
    let properties = std::str::from_utf8(&stored.properties).ok()?;
    let group = find_in_wire(properties, key::PRODUCER_GROUP)?.to_owned();
    let id = find_in_wire(properties, key::UNIQUE_ID).map(str::to_owned);
    Some((group, id.unwrap_or_else(|| stored.commit_log_offset.to_string())))
}
