use super::*;
use crate::embedded::Cluster;
use crate::protocol::batch;
use crate::protocol::rpc::offset::{
    EarliestStoreTime, MaxOffset, MinOffset, OffsetReply, SearchOffset, TimestampReply,
};
use crate::protocol::rpc::query::{QueryMessage, ViewMessage};

#[test]
fn a_message_is_stored_with_what_the_broker_adds() {
    let cluster = Cluster::start().unwrap();
    let (addr, mut wire) = broker(&cluster);
    let send = SendMessage { properties: properties(&[("UNIQ_KEY", "U1"), ("KEYS", "k1 k2")]), ..message("T") };
    let first = wire.send(&send, "one").unwrap();
    let second = wire.send(&send, "two").unwrap();
    assert_eq!((first.queue_id, first.queue_offset, second.queue_offset), (0, 0, 1));
    assert_eq!(first.transaction_id.as_deref(), Some("U1"));
    assert!(first.trace_on && first.region_id == "DefaultRegion");
    let id: crate::OffsetMessageId = second.msg_id.parse().unwrap();
    assert_eq!(id.store_host, addr);
    let stored = cluster.stored("T");
    assert_eq!((stored.len(), cluster.stored_count("T")), (2, 2));
    assert_eq!(stored[0].body(), b"one");
    let expected =
        [("UNIQ_KEY", "U1"), ("MSG_REGION", "DefaultRegion"), ("TRACE_ON", "true"), ("CLUSTER", "DefaultCluster")];
    for (name, value) in expected {
        assert_eq!(stored[0].property(name), Some(value), "{name}");
    }
    let view = ViewMessage { offset: id.commit_log_offset, topic: None };
    assert!(wire.call(RequestCode::VIEW_MESSAGE_BY_ID, &view, &[]).body().windows(3).any(|part| part == b"two"));
    let wrong = wire.call(RequestCode::VIEW_MESSAGE_BY_ID, &ViewMessage { offset: 1, topic: None }, &[]);
    assert_eq!(wrong.response_code(), ResponseCode::SYSTEM_ERROR);
    for (key, unique, found) in [("k2", false, true), ("U1", true, true), ("k3", false, false)] {
        let query = QueryMessage {
            unique_id_query: Some(unique),
            begin_timestamp: 0,
            end_timestamp: i64::MAX,
            key: key.into(),
            max_messages: 10,
            topic: arc("T"),
        };
        let frame = wire.call(RequestCode::QUERY_MESSAGE, &query, &[]);
        assert_eq!(frame.response_code() == ResponseCode::SUCCESS, found, "{key}");
        assert_eq!(found, !frame.body().is_empty());
    }
}

#[test]
fn the_first_form_of_a_send_has_long_names() {
    let cluster = Cluster::start().unwrap();
    let (_, mut wire) = broker(&cluster);
    let fields = [
        ("producerGroup", "PG"),
        ("topic", "T"),
        ("defaultTopic", "TBW102"),
        ("defaultTopicQueueNums", "2"),
        ("queueId", "1"),
        ("sysFlag", "0"),
        ("bornTimestamp", "1"),
        ("flag", "0"),
        ("batch", "false"),
    ];
    for kind in [HeaderKind::Json, HeaderKind::Binary] {
        wire.kind = kind;
        wire.write(RequestCode::SEND_MESSAGE, &NoFields, &fields, b"body");
        assert_eq!(answer::<SendReply>(&wire.read()).unwrap().queue_id, 1);
    }
    wire.write(RequestCode::SEND_MESSAGE, &NoFields, &fields[1..], b"body");
    let (code, remark) = answer::<SendReply>(&wire.read()).unwrap_err();
    assert_eq!(code, ResponseCode::SYSTEM_ERROR);
    assert!(remark.contains("<a> is null"), "{remark}");
}

#[test]
fn refusals_have_javas_codes_and_remarks() {
    let cluster = Cluster::builder().message_limit(100).transactions(false).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    wire.send(&message("T"), "body").unwrap();
    let large = "x".repeat(101);
    let long = SendMessage { properties: properties(&[("a", &"x".repeat(32_700))]), ..message("T") };
    let half = SendMessage { properties: properties(&[("TRAN_MSG", "true")]), ..message("T") };
    let cases: [(SendMessage, &str, ResponseCode, &str); 8] = [
        (message("a b"), "x", ResponseCode::INVALID_PARAMETER, "The specified topic: a b, contains illegal characters"),
        (
            message("SCHEDULE_TOPIC_XXXX"),
            "x",
            ResponseCode::NO_PERMISSION,
            "Sending message to topic[SCHEDULE_TOPIC_XXXX] is forbidden.",
        ),
        (
            SendMessage { queue_id: 4, ..message("T") },
            "x",
            ResponseCode::INVALID_PARAMETER,
            "request queueId[4] is illegal, TopicConfig [topicName=T, readQueueNums=4, writeQueueNums=4, perm=RW-, ",
        ),
        (message("T"), &large, ResponseCode::MESSAGE_ILLEGAL, "the message is illegal, maybe msg body or properties"),
        (long, "x", ResponseCode::MESSAGE_ILLEGAL, "the message is illegal, maybe msg body or properties"),
        (half, "x", ResponseCode::NO_PERMISSION, "the broker[127.0.0.1] sending transaction message is forbidden"),
        (message("T"), "", ResponseCode::SYSTEM_ERROR, "java.lang.NullPointerException"),
        (
            SendMessage { default_topic: arc("Unknown"), ..message("New") },
            "x",
            ResponseCode::TOPIC_NOT_EXIST,
            "topic[New] not exist, apply first please!\nSee https://",
        ),
    ];
    for (send, body, code, remark) in cases {
        let (got, text) = wire.send(&send, body).unwrap_err();
        assert_eq!(got, code, "{text}");
        assert!(text.starts_with(remark), "{text}");
    }
    assert_eq!(cluster.stored_count("T"), 1);
    let auto = Cluster::builder().auto_create_topics(false).start().unwrap();
    let (code, _) = broker(&auto).1.send(&message("T"), "x").unwrap_err();
    assert_eq!(code, ResponseCode::TOPIC_NOT_EXIST);
}

#[test]
fn a_negative_queue_is_any_queue() {
    let cluster = Cluster::start().unwrap();
    let (_, mut wire) = broker(&cluster);
    let anywhere = SendMessage { queue_id: -1, ..message("T") };
    let queues: std::collections::HashSet<i32> =
        (0..100).map(|_| wire.send(&anywhere, "x").unwrap().queue_id).collect();
    assert_eq!(queues.len(), 4);
}

#[test]
fn a_batch_is_stored_message_by_message() {
    let cluster = Cluster::start().unwrap();
    let (_, mut wire) = broker(&cluster);
    let mut body = Vec::new();
    for number in 0..3 {
        let own = properties(&[("UNIQ_KEY", &format!("U{number}"))]).unwrap();
        batch::encode(&mut body, number, &[b'm', b'0' + number as u8], &own);
    }
    let send = SendMessage { batch: Some(true), properties: properties(&[("WAIT", "true")]), ..message("T") };
    let frame = wire.call(RequestCode::SEND_BATCH_MESSAGE, &send, &body);
    let reply: SendReply = answer(&frame).unwrap();
    assert_eq!((reply.msg_id.split(',').count(), reply.queue_offset, reply.transaction_id), (3, 0, None));
    let stored = cluster.stored("T");
    let bodies: Vec<&[u8]> = stored.iter().map(|message| message.body()).collect();
    assert_eq!(bodies, [b"m0", b"m1", b"m2"]);
    assert_eq!(stored[2].property("UNIQ_KEY"), Some("U2"));
    let cut = wire.call(RequestCode::SEND_BATCH_MESSAGE, &send, &body[..body.len() - 1]);
    assert_eq!(cut.response_code(), ResponseCode::SYSTEM_ERROR);
    let retry = SendMessage { topic: arc("%RETRY%G"), ..send };
    let refused = wire.call(RequestCode::SEND_BATCH_MESSAGE, &retry, &body);
    assert_eq!(refused.response_code(), ResponseCode::MESSAGE_ILLEGAL);
}

#[test]
fn delayed_messages_are_parked_and_arrive_later() {
    let cluster = Cluster::builder().delay_level_scale(0.02).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    let level = SendMessage { properties: properties(&[("DELAY", "3"), ("TAGS", "a")]), ..message("T") };
    let timer = SendMessage { properties: properties(&[("TIMER_DELAY_MS", "300"), ("TAGS", "b")]), ..message("T") };
    let late = SendMessage { properties: properties(&[("TIMER_DELAY_SEC", "259300")]), ..message("T") };
    let begun = Instant::now();
    assert_eq!(wire.send(&level, "level").unwrap().queue_id, 0, "the requested queue, not the internal one");
    wire.send(&timer, "timer").unwrap();
    assert_eq!(cluster.stored_count("T"), 0);
    assert_eq!((cluster.stored_count("SCHEDULE_TOPIC_XXXX"), cluster.stored_count("rmq_sys_wheel_timer")), (1, 1));
    let (code, remark) = wire.send(&late, "late").unwrap_err();
    assert_eq!(code, ResponseCode::MESSAGE_ILLEGAL);
    assert!(
        remark.starts_with("timer message illegal, the delay time should not be bigger than the max delay 259200000ms")
    );
    eventually("both arrive", || cluster.stored_count("T") == 2);
    assert!(begun.elapsed() >= Duration::from_millis(200));
    let stored = cluster.stored("T");
    assert_eq!((stored[0].body(), stored[1].body()), (&b"level"[..], &b"timer"[..]));
    assert_eq!(stored[0].tag(), Some("a"));
    wire.send(&SendMessage { properties: properties(&[("TIMER_DELIVER_MS", "1000")]), ..message("T") }, "past")
        .unwrap();
    assert_eq!(cluster.stored_count("T"), 3);
}

#[test]
fn offsets_are_asked_by_queue_and_time() {
    let cluster = Cluster::start().unwrap();
    let (_, mut wire) = broker(&cluster);
    let search = |timestamp, boundary: Option<&str>| SearchOffset {
        topic: arc("T"),
        queue_id: 0,
        timestamp,
        boundary: boundary.map(str::to_owned),
        broker_name: None,
    };
    let max = MaxOffset { topic: arc("T"), queue_id: 0, broker_name: None };
    let min = MinOffset { topic: arc("T"), queue_id: 0, broker_name: None };
    let earliest = EarliestStoreTime { topic: arc("T"), queue_id: 0, broker_name: None };
    let offset = |frame: Frame| frame.header::<OffsetReply>().unwrap().offset;
    assert_eq!(offset(wire.call(RequestCode::GET_MAX_OFFSET, &max, &[])), 0);
    let time = wire.call(RequestCode::GET_EARLIEST_MSG_STORETIME, &earliest, &[]);
    assert_eq!(time.header::<TimestampReply>().unwrap().timestamp, -1);
    for _ in 0..3 {
        wire.send(&message("T"), "x").unwrap();
    }
    assert_eq!(offset(wire.call(RequestCode::GET_MAX_OFFSET, &max, &[])), 3);
    assert_eq!(offset(wire.call(RequestCode::GET_MIN_OFFSET, &min, &[])), 0);
    assert_eq!(offset(wire.call(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP, &search(0, None), &[])), 0);
    assert_eq!(offset(wire.call(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP, &search(i64::MAX, None), &[])), 3);
    assert_eq!(offset(wire.call(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP, &search(i64::MAX, Some("upper")), &[])), 2);
}

#[cfg(feature = "acl")]
#[test]
fn with_credentials_unsigned_requests_are_code_16() {
    let cluster = Cluster::builder().credentials("user", "secret").start().unwrap();
    let (code, remark) = broker(&cluster).1.send(&message("T"), "x").unwrap_err();
    assert_eq!((code, remark.as_str()), (ResponseCode::NO_PERMISSION, "username cannot be null."));
}

#[test]
fn a_full_store_drops_the_oldest_messages() {
    let cluster = Cluster::builder().store_limit(10_000).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    for _ in 0..100 {
        wire.send(&message("T"), &"x".repeat(500)).unwrap();
    }
    let min = MinOffset { topic: arc("T"), queue_id: 0, broker_name: None };
    let first = wire.call(RequestCode::GET_MIN_OFFSET, &min, &[]).header::<OffsetReply>().unwrap().offset;
    assert!(first > 80 && cluster.stored_count("T") as i64 == 100 - first, "{first}");
    let moved = wire.pull(&pull_from("T", 0));
    assert_eq!(moved.response_code(), ResponseCode::PULL_OFFSET_MOVED);
}
