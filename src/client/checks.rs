//! Brokers' questions how a transaction ended: on the reader's thread only found their group and put into its mailbox.

use std::sync::atomic::Ordering;

use super::core::Core;
use super::groups::GroupKind;
use super::mailbox::Refused;
use crate::message::{find_in_wire, key};
use crate::protocol::frame::Frame;
use crate::protocol::record::Records;
use crate::remoting::ServerRequest;

/// Hands a question to the producer group it is about. It is never answered here, and one that finds nobody or no room is
/// dropped: the broker asks again, perhaps somebody else.
pub(super) fn hand_over(core: &Core, request: ServerRequest) {
    let Some(group) = group(&request.frame) else {
        return log::warn!("{} asks about a transaction of no readable producer group", request.addr);
    };
    let addr = request.addr.clone();
    match core.groups().mailbox(GroupKind::Producer, &group).map(|mailbox| (mailbox.offer(request), mailbox)) {
        Some((Ok(()), _)) => {}
        Some((Err(Refused::Full(_)), mailbox)) => {
            let dropped = mailbox.refused().load(Ordering::Relaxed);
            if worth_telling(dropped) {
                log::warn!("producer {group}: more transaction checks than there is room for, {dropped} dropped so far");
            }
        }
        Some((Err(Refused::Gone(_)), _)) => log::debug!("{addr} asks about a transaction of {group}, which is closing"),
        None => {
            let stray = core.groups().stray_checks.fetch_add(1, Ordering::Relaxed) + 1;
            if worth_telling(stray) {
                log::warn!(
                    "{addr} asks about a transaction of producer group {group}, which has no transaction producer \
                     here; {stray} such questions so far: every producer of the group must be one"
                );
            }
        }
    }
}

/// In a storm every message would be one too many.
fn worth_telling(count: u64) -> bool {
    count.is_power_of_two()
}

/// The group stands in the message itself.
fn group(frame: &Frame) -> Option<String> {
    let stored = Records::new(frame.body_bytes()).next()?.ok()?;
    let properties = std::str::from_utf8(&stored.properties).ok()?;
    find_in_wire(properties, key::PRODUCER_GROUP).map(str::to_owned)
}
