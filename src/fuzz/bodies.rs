use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::limits::Limits;
use crate::client::route::Route;
use crate::protocol::json;
use crate::protocol::rpc::by_queue::ByQueue;
use crate::protocol::rpc::{assignment, batch_ack, check, diagnosis, heartbeat, inspect, lock, reset, route, topic};

/// Bodies that are JSON, with the liberties that old servers take. The first byte chooses whose.
pub fn bodies(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else { return };
    match kind % 18 {
        0 => route_body(body),
        1 => survives::<route::ClusterBody>(body),
        2 => survives::<route::TopicListBody>(body),
        3 => survives::<topic::TopicConfigBody>(body),
        4 => survives::<heartbeat::HeartbeatBody>(body),
        5 => survives::<heartbeat::ConsumerListBody>(body),
        6 => survives::<inspect::ConnectionsBody>(body),
        7 => progress(body),
        8 => drop(json::decode::<inspect::RunningQueuesBody>("queues", body)),
        9 => survives::<lock::LockBody>(body),
        10 => survives::<lock::LockedBody>(body),
        11 => survives::<assignment::AssignmentBody>(body),
        12 => survives::<assignment::AssignedBody>(body),
        13 => survives::<batch_ack::BatchAckBody>(body),
        14 => survives::<check::CheckClientBody>(body),
        15 => offsets(body),
        16 => statuses(body),
        _ => any(body),
    }
}

pub(super) fn survives<T: DeserializeOwned + Serialize + PartialEq + Debug>(body: &[u8]) {
    let Ok(read) = json::decode::<T>("body", body) else { return };
    let again = json::decode::<T>("body", &json::encode(&read)).expect("what was written is read");
    assert_eq!(again, read);
}

fn route_body(body: &[u8]) {
    survives::<route::RouteBody>(body);
    let Ok(body) = json::decode::<route::RouteBody>("route", body) else { return };
    let topic: Arc<str> = "T".into();
    // A few bytes may ask for all the queues that are allowed: by default more than the memory a target gets.
    let limits = Limits { route: 4_096, ..Limits::default() };
    for vip in [false, true] {
        let Ok(route) = Route::read(&topic, body.clone(), None, vip, &limits) else { continue };
        let queues = (route.publish_queues(), route.subscribe_queues());
        assert!(queues.0.len() <= limits.route && queues.1.len() <= limits.route);
        assert!(queues.0.iter().chain(queues.1.iter()).all(|queue| queue.topic() == "T" && queue.queue_id() >= 0));
        for (name, addrs) in route.brokers() {
            assert!(addrs.values().all(|addr| !addr.trim().is_empty()));
            let _ = (route.queue_counts(name).write, route.master(name));
        }
        if let Ok(template) = route.as_template(&"New".into(), 4) {
            assert!(template.publish_queues().len() <= 4 * body.queue_datas.len());
        }
    }
}

fn progress(body: &[u8]) {
    let Ok(read) = json::decode::<inspect::ConsumeStatsBody>("progress", body) else { return };
    let table =
        |text: String| json::decode::<ByQueue<inspect::ProgressBody>>("table", text.as_bytes()).expect("our own");
    // Queues that are named twice, differently written, are one entry from then on.
    let again = table(read.offset_table.text());
    assert!(again.0.len() <= read.offset_table.0.len());
    assert!(again.0.iter().all(|entry| read.offset_table.0.contains(entry)));
    assert_eq!(table(again.text()), again);
    let whole = inspect::ConsumeStatsBody { consume_tps: 0.5, offset_table: again };
    assert_eq!(json::decode::<inspect::ConsumeStatsBody>("progress", whole.text().as_bytes()).expect("our own"), whole);
}

fn offsets(body: &[u8]) {
    let Ok(read) = reset::read(body) else { return };
    let text = diagnosis::encode_status(&read);
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Status {
        message_queue_table: ByQueue<i64>,
    }
    let again: Status = json::decode("status", &text).expect("our own");
    assert!(again.message_queue_table.0.iter().all(|entry| read.contains(entry)));
}

/// What members answered, put together by a broker.
fn statuses(body: &[u8]) {
    let text = diagnosis::encode_statuses([("one", body), ("other", body)].into_iter());
    let again: Value = json::decode("statuses", &text).expect("our own");
    assert_eq!(again["consumerTable"].as_object().map(|members| members.len()), Some(2), "{again}");
}

/// Standard JSON means what it says, also where it is not what was hoped for.
fn any(body: &[u8]) {
    let read = json::decode::<Value>("any", body);
    if let Ok(standard) = serde_json::from_slice::<Value>(body) {
        assert_eq!(read.expect("standard JSON"), standard);
    }
    let _ = json::decode::<BTreeMap<String, BTreeMap<i64, Value>>>("tables", body);
}
