use std::sync::Arc;

use super::Handle;
use crate::protocol::rpc::batch_ack::{AckSet, BatchAckBody, MOST_BITS, write_bits};
use crate::sorted;

/// Puts handles into sets, a body for each broker, which is named beside it. `group` and the topics are wire names.
///
/// Handles that fit into no set are returned by their place.
pub(crate) fn batches(group: &Arc<str>, handles: &[(Arc<str>, Handle)]) -> (Vec<(Arc<str>, BatchAckBody)>, Vec<usize>) {
    let mut alone = Vec::new();
    let mut fitting = Vec::new();
    for (at, (topic, handle)) in handles.iter().enumerate() {
        match handle.queue_offset.checked_sub(handle.start_offset).map(usize::try_from) {
            Some(Ok(bit)) if bit < MOST_BITS => fitting.push((topic, handle, bit)),
            _ => alone.push(at),
        }
    }
    sorted::sort_by(&mut fitting, |one, other| key(one.0, one.1).cmp(&key(other.0, other.1)).then(one.2.cmp(&other.2)));
    let mut bodies: Vec<(Arc<str>, BatchAckBody)> = Vec::new();
    for set in fitting.chunk_by(|one, other| key(one.0, one.1) == key(other.0, other.1)) {
        let (topic, handle, _) = set[0];
        let acks = AckSet {
            bits: write_bits(set.iter().map(|(_, _, bit)| *bit)),
            consumer_group: group.clone(),
            invisible_time: handle.invisible_time,
            pop_time: handle.pop_time,
            queue_id: handle.queue_id,
            retry: handle.retry.mark().into(),
            revive_queue_id: handle.revive_queue_id,
            start_offset: handle.start_offset,
            topic: topic.clone(),
        };
        match bodies.last_mut() {
            Some((broker_name, body)) if *broker_name == handle.broker_name => body.acks.push(acks),
            _ => {
                let broker_name = handle.broker_name.clone();
                bodies.push((broker_name.clone(), BatchAckBody { acks: vec![acks], broker_name }));
            }
        }
    }
    (bodies, alone)
}

/// Handles of one set agree in all of this; the broker's name stands first, so that a body's sets are neighbours.
fn key<'a>(topic: &'a str, handle: &'a Handle) -> (&'a str, &'a str, super::Retry, i32, i64, i64, i32, i64) {
    let Handle { start_offset, pop_time, invisible_time, revive_queue_id, retry, queue_id, .. } = handle;
    (&handle.broker_name, topic, *retry, *queue_id, *start_offset, *pop_time, *revive_queue_id, *invisible_time)
}
