use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::error::{Error, Result};
use crate::message::{MessageView, Stored, key, write_property};
use crate::protocol::bounds::Bounds;
use crate::protocol::record;
use crate::protocol::rpc::pop::{ChangeInvisibleReply, PopReply};

fn record(topic: &str, queue_id: i32, queue_offset: i64, properties: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::new();
    properties.iter().for_each(|(name, value)| write_property(&mut text, name, value));
    let stored = Stored {
        queue_id,
        flag: 0,
        queue_offset,
        commit_log_offset: 0,
        sys_flag: 0,
        body_crc: 0,
        born_timestamp: 1,
        born_host: ([127, 0, 0, 1], 1).into(),
        store_timestamp: 2,
        store_host: ([127, 0, 0, 1], 10911).into(),
        reconsume_times: 2,
        prepared_transaction_offset: 0,
        body: "hello".into(),
        topic: topic.into(),
        properties: text.into(),
    };
    let mut out = Vec::new();
    record::encode(&mut out, &stored);
    out
}

fn reply(starts: Option<&str>, messages: &str, orders: &str) -> PopReply {
    PopReply {
        pop_time: 1000,
        invisible_time: 60_000,
        revive_queue_id: 3,
        rest: Some(0),
        start_offsets: starts.map(str::to_owned),
        message_offsets: Some(messages.to_owned()),
        order_counts: Some(orders.to_owned()),
    }
}

fn read(reply: &PopReply, body: Vec<u8>, order: bool) -> Result<(Vec<MessageView>, Option<Error>)> {
    let (topic, broker_name) = (Arc::from("T"), Arc::from("b"));
    messages(
        reply,
        body.into(),
        Asked { topic: &topic, broker_name: &broker_name, order, now: Instant::now() },
        &Bounds::of_bodies(1024),
    )
}

fn handles(views: &[MessageView]) -> Vec<&str> {
    views.iter().map(|view| view.receipt_handle().unwrap()).collect()
}

#[test]
fn each_message_gets_the_handle_that_the_infos_say() {
    let body = [
        record("T", 1, 100, &[]),
        record("T", 0, 7, &[]),
        record("%RETRY%g_T", 0, 4, &[]),
        record("%RETRY%g+T", 0, 5, &[]),
    ];
    let reply = reply(Some("0 1 99;0 0 7;1 0 4;2 0 5"), "0 1 100;0 0 7;1 0 4;2 0 5", "");
    let (views, broken) = read(&reply, body.concat(), false).unwrap();
    assert!(broken.is_none());
    let expected =
        ["99 1000 60000 3 0 b 1 100", "7 1000 60000 3 0 b 0 7", "4 1000 60000 3 1 b 0 4", "5 1000 60000 3 2 b 0 5"];
    assert_eq!(handles(&views), expected);
    assert!(views.iter().all(|view| view.topic() == "T" && view.queue().topic() == "T" && view.reconsume_times() == 2));
}

#[test]
fn without_infos_the_first_message_of_a_queue_says_where_it_starts() {
    let body = [record("T", 1, 100, &[]), record("T", 0, 7, &[]), record("T", 1, 103, &[])].concat();
    for starts in [None, Some("")] {
        let (views, _) = read(&reply(starts, "", ""), body.clone(), false).unwrap();
        let expected = ["100 1000 60000 3 0 b 1 100", "7 1000 60000 3 0 b 0 7", "100 1000 60000 3 0 b 1 103"];
        assert_eq!(handles(&views), expected);
    }
}

#[test]
fn a_handle_the_broker_wrote_is_kept_unless_it_is_of_another_time() {
    let (written, older) = ("4 1000 60000 3 1 b 0 4", "1 999 60000 3 1 elsewhere 0 1");
    let body = [record("T", 0, 4, &[(key::POP_HANDLE, written)]), record("T", 1, 9, &[(key::POP_HANDLE, older)])];
    let (views, _) = read(&reply(Some("1 0 4;0 1 9"), "1 0 4;0 1 9", ""), body.concat(), false).unwrap();
    assert_eq!(handles(&views), [written, "9 1000 60000 3 0 b 1 9"]);
}

#[test]
fn messages_that_are_stored_together_are_known_by_the_first_of_them() {
    let body = [record("T", 0, 10, &[]), record("T", 0, 11, &[]), record("T", 0, 12, &[])].concat();
    let (views, _) = read(&reply(Some("0 0 10"), "0 0 10,12", ""), body, false).unwrap();
    let offsets: Vec<i64> =
        views.iter().map(|view| Handle::decode(view.receipt_handle().unwrap()).unwrap().queue_offset).collect();
    assert_eq!(offsets, [10, 10, 12]);
}

#[test]
fn a_message_without_a_handle_is_left_out_and_told() {
    let body = [record("T", 0, 10, &[]), record("T", 5, 11, &[])].concat();
    let (views, broken) = read(&reply(Some("0 0 10"), "0 0 10", ""), body, false).unwrap();
    assert_eq!(views.len(), 1);
    assert!(broken.unwrap().to_string().contains("T/b/5 at 11"));
}

#[test]
fn orderly_pops_take_how_often_from_the_infos() {
    let body = [record("T", 0, 10, &[]), record("T", 0, 11, &[]), record("T", 1, 3, &[])].concat();
    let reply = reply(Some("0 0 10;0 1 3"), "0 0 10,11;0 1 3", "0 0 4;0 qo0%11 7;0 1 0");
    let counts = |order| {
        let (views, _) = read(&reply, body.clone(), order).unwrap();
        views.iter().map(MessageView::reconsume_times).collect::<Vec<_>>()
    };
    assert_eq!(counts(true), [4, 7, 2]);
    assert_eq!(counts(false), [2, 2, 2]);
}

#[test]
fn infos_that_are_none_are_refused() {
    for (starts, messages, orders) in [
        ("0 0", "", ""),
        ("0 0 1 2", "", ""),
        ("0 x 1", "", ""),
        ("0 0 1;0 0 2", "", ""),
        ("0 0 1", "0 0 1,", ""),
        ("0 0 1", "0 0 1;0 0 1", ""),
        ("0 0 1", "", "0 qo0 1"),
        ("0 0 1", "", "0 0 x"),
        ("0 0 99999999999999999999", "", ""),
    ] {
        let refused = read(&reply(Some(starts), messages, orders), record("T", 0, 1, &[]), true);
        assert!(matches!(refused, Err(Error::Malformed { .. })), "{starts} | {messages} | {orders}");
    }
    assert!(read(&reply(Some("9 0 1;0 0 1;"), "", ""), Vec::new(), true).is_ok(), "a mark of the future");
}

#[test]
fn handles_that_are_none_are_refused() {
    let good = "100 1700000000000 60000 3 0 broker-a 1 102";
    assert_eq!(Handle::decode(good).unwrap().encode(), good);
    assert!(Handle::decode(&format!("{good} more")).is_some());
    for wrong in ["", " ", "1 2 3 4 0 b 6", "1 2 3 4 7 b 6 7", "1 2 3 4 0  6 7", "x 2 3 4 0 b 6 7", "1 2 3 4 0 b 6 -"] {
        assert_eq!(Handle::decode(wrong), None, "{wrong:?}");
    }
}

#[test]
fn a_changed_handle_starts_at_its_own_message() {
    let handle = Handle::decode("100 1 60000 3 1 b 1 102").unwrap();
    let reply = ChangeInvisibleReply { pop_time: 5, invisible_time: 10, revive_queue_id: 6 };
    assert_eq!(handle.changed(&reply).encode(), "102 5 10 6 1 b 1 102");
}

#[test]
fn retry_topics_are_told_apart_by_their_names() {
    let topic: Arc<str> = "ns%T".into();
    for (retry, name) in [(Retry::Normal, "ns%T"), (Retry::V1, "%RETRY%ns%g_ns%T"), (Retry::V2, "%RETRY%ns%g+ns%T")] {
        assert_eq!(&*retry.topic("ns%g", &topic), name);
        assert_eq!(Retry::of_topic(name), retry);
    }
}

#[test]
fn handles_of_one_pop_share_a_set_and_the_far_apart_go_alone() {
    let text = [
        "100 1 60000 3 0 b 1 102",
        "100 1 60000 3 0 b 1 100",
        "0 1 60000 3 0 a 1 0",
        "100 1 60000 3 1 b 1 100",
        "0 1 60000 3 0 b 1 70000",
        "5 1 60000 3 0 b 1 4",
    ];
    let handles: Vec<_> = text.iter().map(|text| (Arc::from("T"), Handle::decode(text).unwrap())).collect();
    let (bodies, alone) = batches(&"g".into(), &handles);
    let sets: Vec<_> = bodies
        .iter()
        .flat_map(|(broker, body)| body.acks.iter().map(move |set| (&**broker, &*set.retry, set.bits.as_str())))
        .collect();
    assert_eq!(sets, [("a", "0", "AQ=="), ("b", "0", "BQ=="), ("b", "1", "AQ==")]);
    assert_eq!((bodies.len(), alone), (2, vec![4, 5]));
}

/// Infos and handles come from peers; reading them must not panic, nor allocate out of proportion.
#[test]
fn damaged_infos_and_handles_are_refused_or_read_as_others() {
    let mut random = fastrand::Rng::with_seed(7);
    let body = [record("T", 0, 10, &[]), record("T", 1, i64::MAX, &[(key::POP_HANDLE, "4 1000 6 3 1 b 0 4")])].concat();
    for _ in 0..crate::rounds(5000) {
        let mut texts = ["0 0 10;0 1 9223372036854775807", "0 0 10,11;0 1 3", "0 0 4;0 qo0%11 7", "1 2 3 4 0 b 6 7"]
            .map(|text| text.as_bytes().to_vec());
        for _ in 0..random.usize(1..6) {
            let text = &mut texts[random.usize(..4)];
            let at = random.usize(..text.len());
            text[at] = b"0123456789 ;,%qo-\xC3x"[random.usize(..19)];
        }
        let [starts, messages, orders, handle] = texts.map(|text| String::from_utf8_lossy(&text).into_owned());
        let mut reply = reply(Some(&starts), &messages, &orders);
        reply.invisible_time = random.i64(..);
        if let Ok((views, _)) = read(&reply, body.clone(), true) {
            let found: Vec<_> =
                handles(&views).iter().map(|text| (Arc::from("T"), Handle::decode(text).unwrap())).collect();
            batches(&"g".into(), &found);
        }
        let _ = Handle::decode(&handle);
    }
}

#[test]
fn a_receipt_is_good_for_as_long_as_the_broker_said() {
    let now = Instant::now();
    assert_eq!(valid_until(now, 60_000), now + Duration::from_secs(60));
    assert_eq!(valid_until(now, -1), now);
    assert!(valid_until(now, i64::MAX) > now + Duration::from_secs(24 * 3600));
}
