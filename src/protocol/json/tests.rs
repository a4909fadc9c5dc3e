use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::protocol::golden::vectors;
use crate::protocol::rpc::heartbeat::HeartbeatBody;
use crate::protocol::rpc::route::{ClusterBody, RouteBody, TopicListBody};

#[test]
fn bare_numbers_are_read_as_keys() {
    let read: BTreeMap<i64, String> = decode("test", br#"{0:"a:1", 1 : "b", -1:"c"}"#).unwrap();
    assert_eq!(read, BTreeMap::from([(0, "a:1".into()), (1, "b".into()), (-1, "c".into())]));
}

#[test]
fn objects_are_read_as_keys_that_hold_their_text() {
    let body = br#"{"offsetTable":{{"brokerName":"b\"}","queueId":0,"topic":"t"}:123}}"#;
    let read: BTreeMap<String, BTreeMap<String, i64>> = decode("test", body).unwrap();
    let (key, offset) = read["offsetTable"].iter().next().unwrap();
    assert_eq!((key.as_str(), *offset), (r#"{"brokerName":"b\"}","queueId":0,"topic":"t"}"#, 123));
}

#[test]
fn a_key_that_holds_an_objects_text_already_stays_as_it_is() {
    let body = br#"{"t":{"{\"queueId\":0}":5, 7:6}}"#;
    let read: BTreeMap<String, BTreeMap<String, i64>> = decode("test", body).unwrap();
    assert_eq!(read["t"], BTreeMap::from([(r#"{"queueId":0}"#.into(), 5), ("7".into(), 6)]));
}

#[test]
fn the_standard_form_of_new_servers_is_read() {
    let body = r#"{"brokerDatas":[{"brokerAddrs":{"0":"10.0.0.2:10911"},"brokerName":"\u4E2D\/b","cluster":"\ud83d\ude00",
        "zoneName":"z"}],"queueDatas":[{"brokerName":"\u4E2D\/b","perm":6,"readQueueNums":1,"writeQueueNums":2}],
        "topicQueueMappingByBroker":{"b":{"epoch":"9007199254740993"}}}"#;
    let route: RouteBody = decode("route", body.as_bytes()).unwrap();
    assert_eq!(route.broker_datas[0].broker_name, "中/b");
    assert_eq!(route.broker_datas[0].cluster, "😀");
    assert_eq!(route.queue_datas[0].write_queue_nums, 2);
}

#[test]
fn the_bodies_of_old_servers_are_read() {
    let body = r#"{"brokerDatas":[{"brokerAddrs":{0:"h:1",2:"[::1]:2"},"brokerName":"b"}],"filterServerTable":{},
        "queueDatas":[{"brokerName":"b","perm":6,"readQueueNums":4,"topicSynFlag":9,"writeQueueNums":4}]}"#;
    let route: RouteBody = decode("route", body.as_bytes()).unwrap();
    assert_eq!(route.queue_datas[0].topic_sys_flag, 9);
    assert_eq!(route.broker_datas[0].broker_addrs[&2], "[::1]:2");
    let body = r#"{"brokerAddrTable":{"b":{"brokerAddrs":{0:"h:1"},"brokerName":"b","cluster":"c"}},
        "clusterAddrTable":{"c":["b"]}}"#;
    let cluster: ClusterBody = decode("cluster", body.as_bytes()).unwrap();
    assert_eq!(cluster.broker_addr_table["b"].broker_addrs[&0], "h:1");
}

#[test]
fn nulls_count_as_absent() {
    let body = br#"{"brokerDatas":[{"brokerAddrs":{0:"h:1",1:null},"brokerName":"b","cluster":null}],
        "filterServerTable":null,"orderTopicConf":null,"queueDatas":[]}"#;
    let route: RouteBody = decode("route", body).unwrap();
    assert_eq!(route.broker_datas[0].broker_addrs, BTreeMap::from([(0, "h:1".into())]));
    assert_eq!((route.broker_datas[0].cluster.as_str(), route.order_topic_conf), ("", None));
}

#[test]
fn an_object_written_before_counts_as_empty_instead_of_failing_the_body() {
    let body = br#"{"brokerDatas":[{"brokerAddrs":{0:"h:1"},"brokerName":"b"},
        {"brokerAddrs":{"$ref":"$.brokerDatas[0].brokerAddrs"},"brokerName":"c"},{"$ref":"$.brokerDatas[0]"}]}"#;
    let route: RouteBody = decode("route", body).unwrap();
    assert_eq!(route.broker_datas[0].broker_addrs[&0], "h:1");
    assert_eq!((route.broker_datas[1].broker_name.as_str(), route.broker_datas[1].broker_addrs.len()), ("c", 0));
    assert_eq!(route.broker_datas[2], Default::default());
}

#[test]
fn a_large_integer_may_stand_in_quotes() {
    #[derive(Deserialize)]
    struct Body {
        #[serde(deserialize_with = "integer")]
        long: i64,
        #[serde(default, deserialize_with = "integer")]
        short: i32,
    }
    for (text, long) in [("\"9007199254740993\"", 9_007_199_254_740_993), ("-5", -5), ("\" 7 \"", 7)] {
        let body: Body = decode("test", format!("{{\"long\":{text},\"short\":\"3\"}}").as_bytes()).unwrap();
        assert_eq!((body.long, body.short), (long, 3));
    }
    for wrong in ["\"\"", "\"x\"", "1.5", "true", "9223372036854775808", "\"9223372036854775808\"", "{}"] {
        assert!(decode::<Body>("test", format!("{{\"long\":{wrong}}}").as_bytes()).is_err(), "{wrong}");
    }
    assert!(decode::<Body>("test", b"{\"long\":1,\"short\":2147483648}").is_err());
}

#[test]
fn what_is_not_json_is_an_error_that_names_the_body() {
    for wrong in ["", "{", "{0", "{:1}", "[[", "\"", "{\"a\":\"\\", "nonsense", "{,:,}", "{\"a\" 1}", "{\"a\":1]"] {
        let error = decode::<BTreeMap<String, i64>>("route", wrong.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{wrong}: {error:?}");
        assert!(error.to_string().contains("route"), "{wrong}: {error}");
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_stack_overflow() {
    for piece in ["{", "[", "{\"a\":", "{{", "{0:[", "[{"] {
        let deep = piece.repeat(crate::rounds(100_000));
        assert!(decode::<BTreeMap<String, i64>>("route", deep.as_bytes()).is_err(), "{piece}");
    }
}

#[test]
fn keys_within_keys_are_an_error_before_their_quotes_double_at_each_level() {
    let nested = |levels: usize| format!("{}\"a\":1{}", "{".repeat(levels), "}:1".repeat(levels - 1) + "}");
    assert!(standardize(nested(2).as_bytes()).is_some());
    assert!(standardize(nested(3).as_bytes()).is_some());
    assert!(standardize(nested(4).as_bytes()).is_none());
    assert!(standardize(nested(60).as_bytes()).is_none());
    let list = format!("[{}]", [r#"{{"queueId":0}:1}"#; 5].join(","));
    assert!(standardize(list.as_bytes()).is_some(), "one beside the other is no nesting");
}

#[test]
fn a_list_with_more_entries_than_any_cluster_has_is_refused_while_it_is_read() {
    let body = |entries: usize| format!("{{\"queueDatas\":[{}]}}", vec!["{}"; entries].join(","));
    let read = |entries| decode::<RouteBody>("route", body(entries).as_bytes());
    assert_eq!(read(MOST_IN_BODY).unwrap().queue_datas.len(), MOST_IN_BODY);
    let error = read(MOST_IN_BODY + 1).unwrap_err();
    assert!(matches!(&error, Error::Malformed { .. }) && error.to_string().contains("more than"), "{error}");
    assert!(decode::<RouteBody>("route", b"{\"queueDatas\":null}").unwrap().queue_datas.is_empty());
}

/// Every cut and every flipped byte of real bodies, read as each of the types: an answer or an error, never a panic.
#[test]
fn a_damaged_body_never_panics() {
    let read = |bytes: &[u8]| {
        let _ = decode::<RouteBody>("route", bytes);
        let _ = decode::<ClusterBody>("cluster", bytes);
        let _ = decode::<TopicListBody>("topics", bytes);
        let _ = decode::<HeartbeatBody>("heartbeat", bytes);
        let _ = decode::<BTreeMap<String, BTreeMap<String, i64>>>("offsets", bytes);
    };
    for vector in vectors().iter().filter(|vector| vector.name.contains("_body") && vector.bytes[0] == b'{') {
        let all = vector.bytes.iter().enumerate().flat_map(|(at, byte)| {
            let flips = [b'{', b'"', b',', 0, 0xFF, byte ^ 1].map(Some);
            [None].into_iter().chain(flips).map(move |flip| (at, flip))
        });
        for (at, flip) in crate::large_sampled(all) {
            let mut damaged = vector.bytes.clone();
            match flip {
                Some(byte) => damaged[at] = byte,
                None => damaged.truncate(at),
            }
            read(&damaged);
        }
    }
}
