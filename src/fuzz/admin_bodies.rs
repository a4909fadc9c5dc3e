use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::bodies::survives;
use crate::protocol::json;
use crate::protocol::properties_text;
use crate::protocol::rpc::by_queue::ByQueue;
use crate::protocol::rpc::{
    assignment, auth, brokers, diagnosis, group, plain_acl, producers, running, topic, topic::TopicStatsBody,
};

/// Bodies that operators get from servers and members, and those they send. The first byte chooses whose.
pub fn admin_bodies(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else { return };
    match kind % 21 {
        0 => survives::<topic::TopicConfigsBody>(body),
        1 => survives::<topic::MappingBody>(body),
        2 => stats(body),
        3 => group_body(body),
        4 => drop(json::decode::<group::GroupsBody>("groups", body)),
        5 => survives::<group::GroupNamesBody>(body),
        6 => survives::<group::GroupTopicsBody>(body),
        7 => survives::<group::GroupSubscriptionBody>(body),
        8 => survives::<group::TimeSpansBody>(body),
        9 => survives::<auth::UserBody>(body),
        10 => survives::<Vec<auth::UserBody>>(body),
        11 => survives::<auth::AclBody>(body),
        12 => survives::<Vec<auth::AclBody>>(body),
        13 => survives::<plain_acl::AccountsBody>(body),
        14 => survives::<brokers::TableBody>(body),
        15 => counters(body),
        16 => survives::<producers::ProducersBody>(body),
        17 => survives::<producers::AllProducersBody>(body),
        18 => running(body),
        19 => survives::<diagnosis::DirectBody>(body),
        _ => survives::<assignment::RequestModeBody>(body),
    }
}

/// The table of a [`ByQueue`], written as Java does it; queues that are named twice, differently written, become one.
fn table<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(read: &ByQueue<T>) -> ByQueue<T> {
    let table = |text: String| json::decode::<ByQueue<T>>("table", text.as_bytes()).expect("what was written is read");
    let again = table(read.text());
    assert!(again.0.len() <= read.0.len() && again.0.iter().all(|entry| read.0.contains(entry)));
    assert_eq!(table(again.text()), again);
    again
}

fn stats(body: &[u8]) {
    let Ok(read) = json::decode::<TopicStatsBody>("statistics", body) else { return };
    let whole = TopicStatsBody { topic_put_tps: 0.5, offset_table: table(&read.offset_table) };
    assert_eq!(json::decode::<TopicStatsBody>("statistics", whole.text().as_bytes()).expect("our own"), whole);
}

/// The settings of a group, with whatever newer brokers keep. Numbers with a fraction may lose their last digit.
fn group_body(body: &[u8]) {
    fn is_whole(value: &Value) -> bool {
        match value {
            Value::Number(number) => !number.is_f64(),
            Value::Array(list) => list.iter().all(is_whole),
            Value::Object(members) => members.values().all(is_whole),
            _ => true,
        }
    }
    let Ok(read) = json::decode::<group::GroupBody>("group", body) else { return };
    let again: group::GroupBody = json::decode("group", &json::encode(&read)).expect("what was written is read");
    if read.more.values().all(is_whole) {
        assert_eq!(again, read);
    }
}

fn counters(body: &[u8]) {
    let Ok(read) = json::decode::<brokers::StatsBody>("counter", body) else { return };
    let again: brokers::StatsBody = json::decode("counter", &json::encode(&read)).expect("what was written is read");
    let sums = |body: &brokers::StatsBody| [body.stats_minute.sum, body.stats_hour.sum, body.stats_day.sum];
    assert_eq!(sums(&again), sums(&read));
}

/// What a member says about itself: what this crate's members say, and others.
fn running(body: &[u8]) {
    let Ok(read) = json::decode::<running::RunningInfoBody>("member", body) else { return };
    let own = diagnosis::RunningBody {
        queues: read.mq_table.0,
        topics: read.status_table,
        subscriptions: read.subscription_set,
        properties: [(diagnosis::property::CONSUME_TYPE, read.properties.into_values().collect())].into(),
    };
    let again: running::RunningInfoBody = json::decode("member", &own.encode()).expect("what was written is read");
    assert_eq!(again.subscription_set, own.subscriptions);
    assert!(again.mq_table.0.iter().all(|(queue, _)| own.queues.iter().any(|(known, _)| known == queue)));
    assert_eq!(again.status_table.len(), own.topics.len());
    assert_eq!(again.properties.get(diagnosis::property::CONSUME_TYPE), own.properties.values().next());
}

/// Settings of servers as text: what was written is read, by Java's rules; and what a server says is one line a setting.
pub fn settings(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let plain = properties_text::read(&text);
    assert!(plain.len() <= text.lines().count());
    for (name, value) in &plain {
        assert!(!name.contains('\n') && !value.contains('\n') && !name.starts_with(['#', '!']));
    }
    let read = properties_text::read_escaped(&text);
    let pairs = |pairs: &[(String, String)]| {
        let written = properties_text::write(pairs.iter().map(|(name, value)| (&**name, &**value)));
        assert!(written.is_ascii());
        written
    };
    assert_eq!(properties_text::read_escaped(&pairs(&read)), read);
    // What Java reads is what was meant, and the plain reader sees no more lines than there are settings.
    assert_eq!(properties_text::read_escaped(&pairs(&plain)), plain);
    assert_eq!(pairs(&plain).lines().count(), plain.len());
}
