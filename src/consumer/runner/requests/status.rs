//! What a consumer says about itself: no stacks, nothing of the environment, no secrets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::client::to_millis;
use crate::consumer::engine::{MessageModel, Order};
use crate::consumer::runner::{ProcessQueue, Shared, Standing};
use crate::message::MessageQueue;
use crate::protocol::rpc::diagnosis::{QueueStatus, RunningBody, TopicStatus, encode_status, property};
use crate::protocol::rpc::lock::QueueBody;

/// How far the queues of a topic are finished.
pub(super) fn offsets(shared: &Shared, queues: &[ProcessQueue], topic: &str) -> Vec<u8> {
    let of_topic = queues.iter().filter(|queue| queue.queue.topic() == topic);
    let offsets: Vec<_> = of_topic.map(|queue| (named(shared, &queue.queue), queue.commit_offset)).collect();
    encode_status(&offsets)
}

/// Everything Java's tools show of a consumer.
pub(super) fn running(shared: &Shared, order: Order, queues: &[ProcessQueue]) -> Vec<u8> {
    let locked = order == Order::Orderly && shared.settings.model == MessageModel::Clustering;
    let body = RunningBody {
        queues: queues.iter().map(|queue| (named(shared, &queue.queue), status(queue, locked))).collect(),
        properties: properties(shared, order),
        topics: topics(shared),
        subscriptions: shared.subscription_bodies(),
    };
    body.encode()
}

fn named(shared: &Shared, queue: &MessageQueue) -> QueueBody {
    let (broker_name, topic) = (queue.shared_broker_name().clone(), shared.core.wire_name(queue.shared_topic()));
    QueueBody { broker_name, queue_id: queue.queue_id(), topic }
}

fn status(queue: &ProcessQueue, locked: bool) -> QueueStatus {
    let ago = |since: Option<Duration>| since.map_or(0, |since| to_millis(SystemTime::now() - since));
    QueueStatus {
        cached_msg_count: queue.cached,
        cached_msg_min_offset: if queue.cached > 0 { queue.commit_offset } else { 0 },
        cached_msg_max_offset: if queue.cached > 0 { queue.next_offset - 1 } else { 0 },
        cached_msg_size_in_mi_b: queue.cached_bytes >> 20,
        commit_offset: queue.commit_offset,
        droped: queue.standing == Some(Standing::Leaving),
        last_consume_timestamp: ago(queue.since_progress),
        last_pull_timestamp: ago(queue.since_pull),
        locked: locked && queue.standing != Some(Standing::WaitsForLock),
        ..QueueStatus::default()
    }
}

fn properties(shared: &Shared, order: Order) -> BTreeMap<&'static str, String> {
    let (settings, core) = (&shared.settings, &shared.core);
    let model = match settings.model {
        MessageModel::Clustering => "CLUSTERING",
        MessageModel::Broadcasting => "BROADCASTING",
    };
    let name_servers: String = core.name_server_addresses().iter().map(|addr| format!("{addr};")).collect();
    BTreeMap::from([
        (property::CONSUME_TYPE, settings.consume_type.to_owned()),
        (property::STARTED, to_millis(shared.counters.started).to_string()),
        (property::ORDERLY, (order == Order::Orderly).to_string()),
        (property::THREADS, shared.counters.allowed_threads().to_string()),
        (property::NAME_SERVERS, name_servers),
        (property::CLIENT_VERSION, concat!("rocketmq-blocking ", env!("CARGO_PKG_VERSION")).to_owned()),
        ("consumerGroup", shared.group.to_string()),
        ("messageModel", model.to_owned()),
        ("consumeFromWhere", settings.from.wire_name().to_owned()),
        ("pullBatchSize", settings.pull_batch.to_string()),
        ("maxReconsumeTimes", settings.max_reconsume.unwrap_or(-1).to_string()),
    ])
}

fn topics(shared: &Shared) -> BTreeMap<Arc<str>, TopicStatus> {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let mut topics = BTreeMap::new();
    for topic in shared.counters.topics(Instant::now()) {
        let status = TopicStatus {
            failed: topic.failed,
            failed_per_second: topic.failed_per_second,
            consumed_per_second: topic.consumed_per_second,
            listener_time: millis(topic.listener_time),
            pull_time: millis(topic.pull_time),
            pulled_per_second: topic.pulled_per_second,
        };
        topics.insert(shared.core.wire_name(&topic.topic), status);
    }
    topics
}
