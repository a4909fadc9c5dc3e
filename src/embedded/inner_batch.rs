//! Batches stored as one record, by topics with `queue.type=BatchCQ`.

use super::broker::Broker;
use super::records::NewRecord;
use super::store::Place;
use crate::message::{key, sys_flag, write_property};
use crate::protocol::batch::FIXED;
use crate::protocol::rpc::send::SendReply;

impl Broker {
    /// Stores a batch with a unique id of its own. Each of its `count` messages takes an offset of the queue; a pull of any
    /// of them is given the whole record.
    pub(super) fn store_inner_batch(&self, blank: NewRecord, sent: &str, count: usize, reply: SendReply) -> SendReply {
        let mut properties = String::with_capacity(sent.len() + 64);
        properties.push_str(sent);
        write_property(&mut properties, key::CLUSTER, &self.set.settings.cluster);
        write_property(&mut properties, key::INNER_COUNT, &count.to_string());
        let record = NewRecord {
            sys_flag: blank.sys_flag | sys_flag::INNER_BATCH | sys_flag::NEED_UNWRAP,
            properties: properties.into(),
            ..blank
        };
        let Place { queue_offset, commit_log_offset, .. } = self.set.put(&record);
        let msg_id = self.set.message_id(commit_log_offset);
        SendReply { msg_id, queue_offset, batch_unique_id: reply.transaction_id.clone(), ..reply }
    }
}

impl NewRecord {
    /// How many messages are in it, each of which takes an offset of its queue.
    pub(super) fn count(&self) -> usize {
        if self.sys_flag & sys_flag::INNER_BATCH == 0 {
            return 1;
        }
        let count = crate::message::find_in_wire(self.properties(), key::INNER_COUNT);
        // Whoever sent it may say what they like; there are no more than the body has room for.
        let most = (self.body.len() / FIXED).max(1);
        count.and_then(|count| count.parse().ok()).map_or(1, |count: usize| count.min(most))
    }
}
