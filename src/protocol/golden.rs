//! The golden vectors: real bytes decoded, compared, and encoded again to the same bytes.
//!
//! `tests/golden/vectors.json` says of each where it comes from. Every vector stands in one of the lists below, so that
//! none is forgotten silently.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::Value;

use super::bounds::Bounds;
use super::fields::{FieldSink, FieldSource, Header};
use super::frame::{self, Head, HeaderKind, Language, decode_whole};
use super::pop::{self, Handle, Retry};
use super::recall::RecallHandle;
use super::record::{self, Records};
use super::rpc::batch_ack::{BatchAckBody, read_bits};
use super::rpc::route::{GetClusterInfo, GetRoute, RouteBody};
use super::rpc::send::{SendMessage, SendReply};
use super::{batch, json};
use crate::code::RequestCode;
use crate::error::Result;
use crate::message::{OffsetMessageId, Properties, Stored, UniqueIds};

const VECTORS: &str = include_str!("../../tests/golden/vectors.json");

const FRAMES: &[&str] = &[
    "frame_json_request",
    "frame_json_request_oneway",
    "frame_json_request_no_ext",
    "frame_json_response",
    "frame_json_send_v2",
    "frame_json_send_response",
    "frame_rmq_request",
    "frame_rmq_request_no_ext",
    "frame_rmq_response",
    "frame_rmq_send_v2",
];
const RECORDS: &[&str] = &[
    "stored_v1",
    "stored_v2_long_topic",
    "stored_v1_ipv6_hosts",
    "stored_compressed_zlib_legacy",
    "stored_compressed_zlib",
    "stored_compressed_lz4",
    "stored_compressed_zstd",
    "stored_inner_batch",
];
const UNIQUE_IDS: &[&str] = &["uniq_id_v4", "uniq_id_v6"];
const OFFSET_IDS: &[&str] = &["offset_msg_id_v4", "offset_msg_id_v6", "offset_msg_id_v4_b"];
const PROPERTIES: &[&str] = &["properties_string", "properties_string_quirks"];
/// Each has a test of its own.
const SINGLE: &[&str] = &[
    "batch_ack_body",
    "batch_body",
    "pop_ck",
    "pull_body_two_messages",
    "recall_handle",
    "reset_offset_body",
    "route_body_legacy",
    "route_body_standard",
];
/// Tested where requests are signed, in `remoting::signer`.
const SIGNATURES: &[&str] = &["acl_signed_content_route", "acl_signed_content_send_v2", "acl_hmac_primitive"];
/// Tested where traces are read, in `trace::read`.
const TRACES: &[&str] = &["trace_pub", "trace_sub_before", "trace_sub_after", "trace_end_transaction"];

/// One entry of the file.
#[derive(Clone)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) decoded: Value,
}

impl Vector {
    fn text(&self, name: &str) -> &str {
        self.decoded[name].as_str().unwrap_or_else(|| panic!("{}: {name} is text", self.name))
    }

    fn number<T: TryFrom<i64>>(&self, name: &str) -> T {
        let number = self.decoded[name].as_i64().and_then(|number| T::try_from(number).ok());
        number.unwrap_or_else(|| panic!("{}: {name} is a number that fits", self.name))
    }

    fn properties(&self) -> Properties {
        properties_of(&self.decoded["properties"])
    }
}

fn properties_of(value: &Value) -> Properties {
    let mut properties = Properties::default();
    for (name, value) in value.as_object().unwrap() {
        properties.set(name.clone(), value.as_str().unwrap());
    }
    properties
}

/// The same properties in any order.
fn sorted(properties: &Properties) -> Vec<(&str, &str)> {
    let mut sorted: Vec<_> = properties.iter().collect();
    sorted.sort_unstable();
    sorted
}

/// All entries, read once: under Miri that takes seconds.
fn entries() -> &'static [Vector] {
    static ENTRIES: OnceLock<Vec<Vector>> = OnceLock::new();
    ENTRIES.get_or_init(read)
}

fn read() -> Vec<Vector> {
    let list: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    let vector = |value: Value| Vector {
        name: value["name"].as_str().unwrap().to_owned(),
        bytes: unhex(value["hex"].as_str().unwrap()),
        decoded: value["decoded"].clone(),
    };
    list.into_iter().map(vector).collect()
}

pub(crate) fn vectors() -> Vec<Vector> {
    entries().to_vec()
}

pub(crate) fn vector(name: &str) -> Vector {
    entries().iter().find(|vector| vector.name == name).cloned().unwrap_or_else(|| panic!("no vector {name}"))
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Fields as they come, to write a frame of any request again.
#[derive(Debug, PartialEq)]
struct Pairs(Vec<(String, String)>);

impl Header for Pairs {
    fn put<S: FieldSink>(&self, sink: &mut S) {
        for (name, value) in &self.0 {
            sink.text(name, value);
        }
    }

    fn take(fields: FieldSource<'_>) -> Result<Pairs> {
        let pairs: Result<_> =
            fields.map(|field| field.map(|(name, value)| (name.into_owned(), value.into_owned()))).collect();
        pairs.map(Pairs)
    }
}

#[test]
fn every_vector_is_tested() {
    let lists = [FRAMES, RECORDS, UNIQUE_IDS, OFFSET_IDS, PROPERTIES, SINGLE, SIGNATURES, TRACES];
    let mut listed: Vec<&str> = lists.concat();
    listed.sort_unstable();
    let vectors = vectors();
    let mut present: Vec<&str> = vectors.iter().map(|vector| vector.name.as_str()).collect();
    present.sort_unstable();
    assert_eq!(listed, present);
}

#[test]
fn every_frame_is_read_and_written_again_byte_for_byte() {
    for name in FRAMES {
        let vector = vector(name);
        let frame = decode_whole(&vector.bytes).unwrap();
        let pairs: Pairs = frame.header().unwrap();
        for (key, expected) in vector.decoded.as_object().unwrap() {
            let found: Value = match key.as_str() {
                "serialize" => if frame.kind == HeaderKind::Json { "JSON" } else { "ROCKETMQ" }.into(),
                "code" => frame.code.into(),
                "language" if expected.is_string() => frame.language.name().into(),
                "language" => frame.language.0.into(),
                "version" => frame.version.into(),
                "opaque" => frame.opaque.into(),
                "flag" => frame.flag.into(),
                "oneway" => frame.is_oneway().into(),
                "remark" => frame.remark().into(),
                "body_len" => frame.body().len().into(),
                "body_utf8" => std::str::from_utf8(frame.body()).unwrap().into(),
                "header_len" => (vector.bytes.len() - 8 - frame.body().len()).into(),
                "extFields" if expected.is_null() => {
                    assert_eq!(pairs.0, [], "{name}");
                    Value::Null
                }
                "extFields" => pairs.0.iter().map(|(name, value)| (name.clone(), Value::from(value.clone()))).collect(),
                other => panic!("{name}: nobody looks at {other}"),
            };
            assert_eq!(found, *expected, "{name}: {key}");
        }
        assert_eq!(frame.is_response(), frame.flag & 1 == 1);
        let remark = frame.remark();
        let head = Head {
            kind: frame.kind,
            code: frame.code,
            language: frame.language,
            version: frame.version,
            opaque: frame.opaque,
            flag: frame.flag,
            remark: (!remark.is_empty()).then_some(&remark),
        };
        let mut again = Vec::new();
        frame::encode_request(&mut again, &head, &pairs, frame.body()).unwrap();
        assert_eq!(again, vector.bytes, "{name}");
    }
}

fn written<H: Header>(head: Head<'_>, header: &H, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::encode_request(&mut out, &head, header, body).unwrap();
    out
}

#[test]
fn the_tables_write_the_frames_that_java_writes() {
    for (kind, prefix) in [(HeaderKind::Json, "frame_json"), (HeaderKind::Binary, "frame_rmq")] {
        let golden = |name: &str| vector(&format!("{prefix}_{name}")).bytes;
        let route = GetRoute { standard_json: None, topic: "TopicTest".into() };
        assert_eq!(
            written(Head::request(kind, RequestCode::GET_ROUTEINFO_BY_TOPIC, 7), &route, b""),
            golden("request")
        );
        assert_eq!(
            written(Head::request(kind, RequestCode::GET_BROKER_CLUSTER_INFO, 8), &GetClusterInfo, b""),
            golden("request_no_ext")
        );
        let send = Head::request(kind, RequestCode::SEND_MESSAGE_V2, 9);
        assert_eq!(written(send, &send_of_the_vectors(), b"hello"), golden("send_v2"));
        assert_eq!(
            decode_whole(&golden("send_v2")).unwrap().header::<SendMessage>().unwrap(),
            send_of_the_vectors(),
            "{kind:?}"
        );
        let refusal = Head { language: Language::JAVA, ..Head::response(kind, crate::ResponseCode(17), 7, None) };
        let refusal = Head { remark: Some("No topic route"), ..refusal };
        assert_eq!(written(refusal, &super::fields::NoFields, b""), golden("response"));
    }
    let end = Head::request(HeaderKind::Json, RequestCode::END_TRANSACTION, 10).oneway();
    let group = Pairs(vec![("producerGroup".into(), "PG".into())]);
    assert_eq!(written(end, &group, b""), vector("frame_json_request_oneway").bytes);
}

pub(crate) fn send_of_the_vectors() -> SendMessage {
    let properties = "UNIQ_KEY\u{1}AC1100017D2C18B4AAC2018C0A5E0000\u{2}WAIT\u{1}true\u{2}TAGS\u{1}TagA\u{2}";
    SendMessage {
        producer_group: "PG".into(),
        topic: "TopicTest".into(),
        default_topic: "TBW102".into(),
        default_topic_queues: 4,
        queue_id: 1,
        sys_flag: 0,
        born_timestamp: 1_700_000_000_000,
        flag: 0,
        properties: Some(properties.into()),
        reconsume_times: Some(0),
        unit_mode: Some(false),
        max_reconsume_times: None,
        batch: Some(false),
        broker_name: Some("broker-a".into()),
    }
}

#[test]
fn the_answer_to_a_send_is_read_and_survives_both_forms() {
    let reply: SendReply = decode_whole(&vector("frame_json_send_response").bytes).unwrap().header().unwrap();
    assert_eq!((reply.queue_id, reply.queue_offset), (1, 100));
    assert_eq!(reply.msg_id, "0A00000200002A9F0000000000003039");
    assert_eq!(reply.transaction_id.as_deref(), Some("AC1100017D2C18B4AAC2018C0A5E0000"));
    assert_eq!((reply.region_id.as_ref(), reply.trace_on), ("DefaultRegion", true));
    for kind in [HeaderKind::Json, HeaderKind::Binary] {
        let bytes = written(Head::response(kind, crate::ResponseCode::SUCCESS, 9, None), &reply, b"");
        assert_eq!(decode_whole(&bytes).unwrap().header::<SendReply>().unwrap(), reply);
    }
}

fn stored(bytes: Vec<u8>) -> Vec<Stored> {
    Records::new(bytes.into()).collect::<Result<_>>().unwrap()
}

#[test]
fn every_record_is_read_and_written_again_byte_for_byte() {
    for name in RECORDS {
        let vector = vector(name);
        let stored = stored(vector.bytes.clone()).remove(0);
        let text = std::str::from_utf8(&stored.properties).unwrap();
        assert_eq!(Properties::from_wire(text), properties_in_order(&vector, text), "{name}");
        let views = record::messages(vector.bytes.clone().into(), &Arc::from("broker-a"), &Bounds::of_bodies(1024)).0;
        for (key, expected) in vector.decoded.as_object().unwrap() {
            let found: Value = match key.as_str() {
                "queueId" => stored.queue_id.into(),
                "flag" => stored.flag.into(),
                "queueOffset" => stored.queue_offset.into(),
                "physicalOffset" => stored.commit_log_offset.into(),
                "bornTimestamp" => stored.born_timestamp.into(),
                "storeTimestamp" => stored.store_timestamp.into(),
                "bornHost" => stored.born_host.to_string().into(),
                "storeHost" => stored.store_host.to_string().into(),
                "reconsumeTimes" => stored.reconsume_times.into(),
                "preparedTransactionOffset" => stored.prepared_transaction_offset.into(),
                "sysFlag" => stored.sys_flag.into(),
                "topic" => stored.topic.as_ref().into(),
                "topic_len" => stored.topic.len().into(),
                "bodyCRC" => {
                    assert_eq!(stored.body_crc, record::body_crc(&stored.body), "{name}");
                    stored.body_crc.into()
                }
                "stored_body_hex" => stored.body.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
                "body_utf8"
                    if name.ends_with("lz4") && !cfg!(feature = "lz4")
                        || name.ends_with("zstd") && !cfg!(feature = "zstd") =>
                {
                    assert!(views[0].check_body().is_err(), "{name}: this build lacks the feature");
                    continue;
                }
                "body_utf8" => views[0].body_text().unwrap().into(),
                "offsetMsgId" => views[0].offset_message_id().to_string().into(),
                "inner" => {
                    let inner = views.iter().map(|view| {
                        let body = view.body_text().unwrap();
                        serde_json::json!({"queueOffset": view.queue_offset(), "flag": view.flag(), "body_utf8": body})
                    });
                    inner.collect()
                }
                // The magic number is seen when the record is written again.
                "magic" | "properties" => continue,
                other => panic!("{name}: nobody looks at {other}"),
            };
            assert_eq!(found, *expected, "{name}: {key}");
        }
        let mut again = Vec::new();
        record::encode(&mut again, &stored);
        assert_eq!(again, vector.bytes, "{name}");
    }
}

/// The vector's properties, in the order of `text`: JSON objects have none.
fn properties_in_order(vector: &Vector, text: &str) -> Properties {
    let expected = vector.properties();
    let mut ordered: Vec<_> = expected.iter().collect();
    ordered.sort_by_key(|(name, _)| text.find(&format!("{name}\u{1}")));
    let mut properties = Properties::default();
    for (name, value) in ordered {
        properties.set(name.to_owned(), value);
    }
    properties
}

#[test]
fn a_pull_body_holds_its_messages_one_after_another() {
    let messages = stored(vector("pull_body_two_messages").bytes);
    let expected = ["stored_v1", "stored_v1_ipv6_hosts"].map(|name| stored(vector(name).bytes).remove(0));
    assert_eq!(messages, expected);
    let mut again = Vec::new();
    messages.iter().for_each(|stored| record::encode(&mut again, stored));
    assert_eq!(again, vector("pull_body_two_messages").bytes);
}

#[test]
fn a_recall_handle_is_read_and_written_again() {
    let vector = vector("recall_handle");
    let text = vector.text("text");
    assert_eq!(text.as_bytes(), vector.bytes);
    let handle = RecallHandle::decode(text).unwrap();
    let RecallHandle { topic, broker_name, deliver_millis, message_id } = &handle;
    assert_eq!(format!("v1 {topic} {broker_name} {deliver_millis} {message_id}"), vector.text("plain"));
    assert_eq!(handle.encode(), text);
}

#[test]
fn the_handle_of_a_popped_message_is_read_and_written_again() {
    let vector = vector("pop_ck");
    let handle = Handle::decode(std::str::from_utf8(&vector.bytes).unwrap()).unwrap();
    let expected = Handle {
        start_offset: vector.number("ckQueueOffset"),
        pop_time: vector.number("popTime"),
        invisible_time: vector.number("invisibleTime"),
        revive_queue_id: vector.number("reviveQid"),
        retry: Retry::from_mark(vector.text("retry")).unwrap(),
        broker_name: vector.text("brokerName").into(),
        queue_id: vector.number("queueId"),
        queue_offset: vector.number("queueOffset"),
    };
    assert_eq!(handle, expected);
    assert_eq!(handle.encode().as_bytes(), vector.bytes);
}

#[test]
fn a_batch_of_acknowledgements_is_read_and_written_again() {
    let vector = vector("batch_ack_body");
    let body: BatchAckBody = json::decode("batch ack", &vector.bytes).unwrap();
    assert_eq!(json::encode(&body), vector.bytes);
    let set = &body.acks[0];
    assert_eq!((set.bits.as_str(), set.start_offset), (vector.text("b"), vector.number("startOffset")));
    let bits = read_bits(&set.bits).unwrap();
    assert_eq!(Value::from(bits.clone()), vector.decoded["bits_set"]);
    let acked: Vec<i64> = bits.iter().map(|bit| set.start_offset + *bit as i64).collect();
    assert_eq!(Value::from(acked.clone()), vector.decoded["acked_offsets"]);
    let handle = |queue_offset| Handle {
        start_offset: set.start_offset,
        pop_time: set.pop_time,
        invisible_time: set.invisible_time,
        revive_queue_id: set.revive_queue_id,
        retry: Retry::from_mark(&set.retry).unwrap(),
        broker_name: body.broker_name.clone(),
        queue_id: set.queue_id,
        queue_offset,
    };
    let handles: Vec<_> = acked.iter().map(|offset| (set.topic.clone(), handle(*offset))).collect();
    let made = pop::batches(&set.consumer_group, &handles);
    assert_eq!(made, (vec![(body.broker_name.clone(), body.clone())], Vec::new()));
}

#[test]
fn a_batch_body_is_read_and_written_again() {
    let vector = vector("batch_body");
    let items = batch::decode(&Bytes::from(vector.bytes.clone())).unwrap();
    let expected = vector.decoded["messages"].as_array().unwrap();
    assert_eq!(items.len(), expected.len());
    let mut again = Vec::new();
    for (item, expected) in items.iter().zip(expected) {
        let text = std::str::from_utf8(&item.properties).unwrap();
        assert_eq!(i64::from(item.flag), expected["flag"].as_i64().unwrap());
        assert_eq!(item.body, expected["body_utf8"].as_str().unwrap());
        assert_eq!(Properties::from_wire(text), properties_of(&expected["properties"]));
        batch::encode(&mut again, item.flag, &item.body, text);
    }
    assert_eq!(again, vector.bytes);
}

#[test]
fn unique_ids_have_javas_layout() {
    for (name, pid) in UNIQUE_IDS.iter().zip(["pid", "pid_low16"]) {
        let vector = vector(name);
        let hash = u32::from_str_radix(vector.text("loader_hash"), 16).unwrap();
        let ids = UniqueIds::of(vector.text("ip").parse().unwrap(), vector.number(pid), hash);
        // The first month after 1970-01-01 starts at 0.
        let id = ids.at(vector.number("ms_since_month_start"), vector.number("counter"));
        assert_eq!(&*id, vector.text("text"));
        assert_eq!(unhex(&id), vector.bytes);
    }
}

#[test]
fn offset_ids_are_read_and_written_again() {
    for name in OFFSET_IDS {
        let vector = vector(name);
        let id: OffsetMessageId = vector.text("text").parse().unwrap();
        let host = SocketAddr::new(vector.text("host").parse().unwrap(), vector.number("port"));
        assert_eq!(id, OffsetMessageId { store_host: host, commit_log_offset: vector.number("offset") });
        assert_eq!(unhex(&id.to_string()), vector.bytes);
    }
}

#[test]
fn properties_are_read_as_java_reads_them_and_written_as_it_writes_them() {
    for name in PROPERTIES {
        let vector = vector(name);
        let text = String::from_utf8(vector.bytes.clone()).unwrap();
        let properties = Properties::from_wire(&text);
        assert_eq!(sorted(&properties), sorted(&vector.properties()), "{name}");
        let mut again = String::new();
        properties.write_wire(&mut again);
        assert_eq!(again == text, *name == "properties_string", "{name}");
        assert_eq!(Properties::from_wire(&again), properties, "{name}");
    }
}

#[test]
fn both_forms_of_a_route_are_read_and_the_standard_one_is_written() {
    let standard = vector("route_body_standard").bytes;
    let route: RouteBody = json::decode("route", &standard).unwrap();
    assert_eq!(json::decode::<RouteBody>("route", &vector("route_body_legacy").bytes).unwrap(), route);
    let broker = &route.broker_datas[0];
    assert_eq!((broker.broker_name.as_str(), broker.cluster.as_str()), ("broker-a", "DefaultCluster"));
    let addrs: Vec<_> = broker.broker_addrs.iter().map(|(id, addr)| (*id, addr.as_str())).collect();
    assert_eq!(addrs, [(0, "10.0.0.2:10911"), (1, "10.0.0.3:10911")]);
    let queue = &route.queue_datas[0];
    assert_eq!((queue.perm, queue.read_queue_nums, queue.write_queue_nums, queue.topic_sys_flag), (6, 4, 4, 0));
    assert_eq!(json::encode(&route), standard);
}

#[test]
fn an_offset_table_with_objects_as_keys_is_read() {
    let vector = vector("reset_offset_body");
    let tables: std::collections::BTreeMap<String, std::collections::BTreeMap<String, i64>> =
        json::decode("offsets", &vector.bytes).unwrap();
    let table: Vec<Value> = tables["offsetTable"]
        .iter()
        .map(|(queue, offset)| serde_json::json!([serde_json::from_str::<Value>(queue).unwrap(), offset]))
        .collect();
    assert_eq!(Value::from(table), vector.decoded["offsetTable"]);
    // Nothing in this version sends such a table, so nothing writes one: put together it is the same text.
    let entry: String = tables["offsetTable"].iter().map(|(queue, offset)| format!("{queue}:{offset}")).collect();
    assert_eq!(format!("{{\"offsetTable\":{{{entry}}}}}").into_bytes(), vector.bytes);
}
