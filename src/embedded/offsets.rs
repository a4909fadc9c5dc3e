//! How far each group has consumed each queue, and the questions about a queue's offsets.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::broker::Broker;
use super::call::{Call, Handled};
use super::topics::is_group_name;
use crate::code::ResponseCode;
use crate::protocol::fields::NoFields;
use crate::protocol::rpc::group::GroupBody;
use crate::protocol::rpc::offset::{
    ConsumerOffset, ConsumerOffsetReply, EarliestStoreTime, MaxOffset, MinOffset, OffsetReply, SearchOffset,
    TimestampReply, UpdateConsumerOffset,
};

/// The groups a broker knows from the start.
const SYSTEM_GROUPS: [&str; 8] = [
    "TOOLS_CONSUMER",
    "FILTERSRV_CONSUMER",
    "SELF_TEST_C_GROUP",
    "CID_ONS-HTTP-PROXY",
    "CID_ONSAPI_PULL",
    "CID_ONSAPI_PERMISSION",
    "CID_ONSAPI_OWNER",
    "CID_RMQ_SYS_TRANS",
];

/// What a group begins with.
fn settings(group: &Arc<str>) -> GroupBody {
    GroupBody { group_name: group.clone(), ..GroupBody::default() }
}

/// The offsets of a topic's queues.
type ByQueue = HashMap<i32, i64>;

/// The consumer groups of a broker and their offsets.
#[derive(Debug)]
pub(super) struct Offsets {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    groups: BTreeMap<Arc<str>, GroupBody>,
    offsets: HashMap<Arc<str>, HashMap<Arc<str>, ByQueue>>,
    /// How far clients have pulled.
    pulled: HashMap<Arc<str>, HashMap<Arc<str>, ByQueue>>,
    /// Where an operator has sent groups, until they come for it: what they commit before that means nothing.
    resets: HashMap<(Arc<str>, Arc<str>, i32), i64>,
}

impl Table {
    fn new() -> Table {
        let groups = SYSTEM_GROUPS.into_iter().map(|name| (name.into(), settings(&name.into()))).collect();
        Table { groups, ..Table::default() }
    }
}

impl Offsets {
    pub(super) fn new() -> Offsets {
        Offsets { table: Mutex::new(Table::new()) }
    }

    pub(super) fn clear(&self) {
        *self.lock() = Table::new();
    }

    /// Knows the group or makes it, as brokers do by default; false when its name is illegal.
    pub(super) fn ensure_group(&self, group: &Arc<str>) -> bool {
        let mut table = self.lock();
        if table.groups.contains_key(group) {
            return true;
        }
        let legal = is_group_name(group);
        if legal {
            table.groups.insert(group.clone(), settings(group));
        }
        legal
    }

    pub(super) fn has_group(&self, group: &str) -> bool {
        self.lock().groups.contains_key(group)
    }

    pub(super) fn is_disabled(&self, group: &str) -> bool {
        self.lock().groups.get(group).is_some_and(|group| !group.consume_enable)
    }

    pub(super) fn disable(&self, group: &str, disabled: bool) {
        let group: Arc<str> = group.into();
        self.lock().groups.entry(group.clone()).or_insert_with(|| settings(&group)).consume_enable = !disabled;
    }

    /// The settings of a group.
    pub(super) fn group(&self, group: &str) -> Option<GroupBody> {
        self.lock().groups.get(group).cloned()
    }

    pub(super) fn groups(&self) -> BTreeMap<Arc<str>, GroupBody> {
        self.lock().groups.clone()
    }

    pub(super) fn put_group(&self, group: GroupBody) {
        self.lock().groups.insert(group.group_name.clone(), group);
    }

    pub(super) fn delete_group(&self, group: &str, with_offsets: bool) {
        let mut table = self.lock();
        table.groups.remove(group);
        if with_offsets {
            table.offsets.remove(group);
            table.pulled.remove(group);
            table.resets.retain(|(of, _, _), _| **of != *group);
        }
    }

    /// The groups that have offsets of a topic.
    pub(super) fn groups_of(&self, topic: &str) -> Vec<Arc<str>> {
        let table = self.lock();
        let of_topic = table.offsets.iter().filter(|(_, topics)| topics.contains_key(topic));
        of_topic.map(|(group, _)| group.clone()).collect()
    }

    /// Gives a group the offsets of another one.
    pub(super) fn clone_offsets(&self, from: &str, to: &Arc<str>, topic: &Arc<str>) {
        let mut table = self.lock();
        if let Some(offsets) = table.offsets.get(from).and_then(|topics| topics.get(topic)).cloned() {
            table.offsets.entry(to.clone()).or_default().insert(topic.clone(), offsets);
        }
    }

    /// Stores blindly: a smaller offset replaces a larger one.
    pub(super) fn commit(&self, group: &Arc<str>, topic: &Arc<str>, queue_id: i32, offset: i64) {
        let mut table = self.lock();
        let topics = table.offsets.entry(group.clone()).or_default();
        topics.entry(topic.clone()).or_default().insert(queue_id, offset);
    }

    pub(super) fn committed(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        self.lock().offsets.get(group)?.get(topic)?.get(&queue_id).copied()
    }

    /// Notes how far a client has pulled.
    pub(super) fn pull(&self, group: &Arc<str>, topic: &Arc<str>, queue_id: i32, next: i64) {
        let mut table = self.lock();
        let topics = table.pulled.entry(group.clone()).or_default();
        topics.entry(topic.clone()).or_default().insert(queue_id, next);
    }

    pub(super) fn pulled(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        self.lock().pulled.get(group)?.get(topic)?.get(&queue_id).copied()
    }

    /// Sends a group elsewhere.
    pub(super) fn reset(&self, group: &Arc<str>, topic: &Arc<str>, queue_id: i32, offset: i64) {
        self.commit(group, topic, queue_id, offset);
        self.lock().resets.insert((group.clone(), topic.clone(), queue_id), offset);
    }

    /// Where the group has been sent, told once.
    pub(super) fn take_reset(&self, group: &Arc<str>, topic: &Arc<str>, queue_id: i32) -> Option<i64> {
        let mut table = self.lock();
        if table.resets.is_empty() { None } else { table.resets.remove(&(group.clone(), topic.clone(), queue_id)) }
    }

    fn is_reset(&self, group: &Arc<str>, topic: &Arc<str>, queue_id: i32) -> bool {
        self.lock().resets.contains_key(&(group.clone(), topic.clone(), queue_id))
    }

    /// The topics of which a group has committed offsets, sorted.
    pub(super) fn topics(&self, group: &str) -> Vec<Arc<str>> {
        let mut topics: Vec<_> = self.lock().offsets.get(group).into_iter().flat_map(HashMap::keys).cloned().collect();
        topics.sort();
        topics
    }

    /// Forgets what groups have consumed of a deleted topic.
    pub(super) fn remove_topic(&self, topic: &str) {
        let mut table = self.lock();
        for topics in table.offsets.values_mut() {
            topics.remove(topic);
        }
        for topics in table.pulled.values_mut() {
            topics.remove(topic);
        }
        table.resets.retain(|(_, at, _), _| **at != *topic);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker {
    pub(super) fn query_offset(&self, call: &mut Call<'_>) -> Handled {
        let asked: ConsumerOffset = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let committed = self.set.offsets.committed(&asked.consumer_group, &asked.topic, asked.queue_id);
        if let Some(offset) = committed.filter(|offset| *offset >= 0) {
            return call.fields(&ConsumerOffsetReply { offset: Some(offset) });
        }
        if asked.zero_if_not_found == Some(false) {
            let remark = "Not found, do not set to zero, maybe this group boot first";
            return call.error(ResponseCode::QUERY_NOT_FOUND, remark);
        }
        let store = self.set.store();
        let young = store.min_offset(&asked.topic, asked.queue_id) <= 0;
        let begun = store.max_offset(&asked.topic, asked.queue_id) > 0;
        drop(store);
        if young && begun {
            return call.fields(&ConsumerOffsetReply { offset: Some(0) });
        }
        let remark = "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first";
        call.error(ResponseCode::QUERY_NOT_FOUND, remark)
    }

    pub(super) fn update_offset(&self, call: &mut Call<'_>) -> Handled {
        let asked: UpdateConsumerOffset = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        if !self.set.offsets.has_group(&asked.consumer_group) {
            let remark = format!("Group {} not exist!", asked.consumer_group);
            return call.error(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, &remark);
        }
        if self.set.topics.get(&asked.topic).is_none() {
            return call.error(ResponseCode::TOPIC_NOT_EXIST, &format!("Topic {} not exist!", asked.topic));
        }
        if self.set.offsets.is_reset(&asked.consumer_group, &asked.topic, asked.queue_id) {
            return call.reply(ResponseCode::SUCCESS, Some("Offset has been previously reset"), &NoFields, &[]);
        }
        self.set.offsets.commit(&asked.consumer_group, &asked.topic, asked.queue_id, asked.commit_offset);
        call.done()
    }

    pub(super) fn max_offset(&self, call: &mut Call<'_>) -> Handled {
        match call.frame.header::<MaxOffset>() {
            Ok(asked) => {
                let offset = self.set.store().max_offset(&asked.topic, asked.queue_id);
                call.fields(&OffsetReply { offset })
            }
            Err(error) => call.unreadable(&error),
        }
    }

    pub(super) fn min_offset(&self, call: &mut Call<'_>) -> Handled {
        match call.frame.header::<MinOffset>() {
            Ok(asked) => {
                let offset = self.set.store().min_offset(&asked.topic, asked.queue_id);
                call.fields(&OffsetReply { offset })
            }
            Err(error) => call.unreadable(&error),
        }
    }

    pub(super) fn search_offset(&self, call: &mut Call<'_>) -> Handled {
        match call.frame.header::<SearchOffset>() {
            Ok(asked) => {
                let upper = asked.boundary.is_some_and(|boundary| boundary.eq_ignore_ascii_case("UPPER"));
                let offset = self.set.store().offset_by_time(&asked.topic, asked.queue_id, asked.timestamp, upper);
                call.fields(&OffsetReply { offset })
            }
            Err(error) => call.unreadable(&error),
        }
    }

    pub(super) fn earliest_time(&self, call: &mut Call<'_>) -> Handled {
        match call.frame.header::<EarliestStoreTime>() {
            Ok(asked) => {
                let timestamp = self.set.store().earliest_time(&asked.topic, asked.queue_id);
                call.fields(&TimestampReply { timestamp })
            }
            Err(error) => call.unreadable(&error),
        }
    }
}
