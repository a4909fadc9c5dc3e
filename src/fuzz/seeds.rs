//! What fuzzing starts from: the golden vectors, and a little by hand where there are none. Written into `fuzz/corpus` by
//! `cargo test --lib fuzz -- --ignored`.

use crate::message::sys_flag;
use crate::protocol::compress::Compression;
use crate::protocol::frame::{self, Head, HeaderKind};
use crate::protocol::golden::{vector, vectors};
use crate::protocol::rpc::route::GetRoute;

mod admin;
mod server;

/// A target and an input.
pub(super) type Seed = (&'static str, Vec<u8>);

/// The bodies that targets of `bodies` are chosen for, with their numbers.
const BODIES: &[(u8, &str)] = &[
    (
        1,
        r#"{"brokerAddrTable":{"a":{"brokerAddrs":{0:"1.2.3.4:10911",1:"h:1"},"brokerName":"a","cluster":"c"}},"clusterAddrTable":{"c":["a"]}}"#,
    ),
    (2, r#"{"brokerAddr":"x","topicList":["TBW102","%RETRY%g"]}"#),
    (
        3,
        r#"{"attributes":{"message.type":"FIFO"},"order":true,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":0,"writeQueueNums":4}"#,
    ),
    (
        4,
        r#"{"clientID":"1@2","consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"g","messageModel":"CLUSTERING","subscriptionDataSet":[{"classFilterMode":false,"codeSet":[97],"expressionType":"TAG","subString":"a","subVersion":"1700000000000","tagsSet":["a"],"topic":"T"}],"unitMode":false}],"heartbeatFingerprint":0,"producerDataSet":[{"groupName":"p"}],"withoutSub":false}"#,
    ),
    (5, r#"{"consumerIdList":["1@2","3@4"]}"#),
    (
        6,
        r#"{"connectionSet":[{"clientAddr":"1.2.3.4:5","clientId":"c","language":"JAVA","version":513}],"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","subscriptionTable":{"T":{"codeSet":[],"subString":"*","subVersion":1,"tagsSet":[],"topic":"T"}}}"#,
    ),
    (
        7,
        r#"{"consumeTps":1.5,"offsetTable":{{"brokerName":"b","queueId":2,"topic":"T"}:{"brokerOffset":10,"consumerOffset":5,"lastTimestamp":1700000000000,"pullOffset":7}}}"#,
    ),
    (
        8,
        r#"{"jstack":"x","mqTable":{{"brokerName":"b","queueId":2,"topic":"T"}:{"commitOffset":5,"droped":false}},"properties":{"PROP_CONSUME_TYPE":"CONSUME_PASSIVELY"},"statusTable":{}}"#,
    ),
    (
        9,
        r#"{"clientId":"c","consumerGroup":"g","mqSet":[{"brokerName":"b","queueId":0,"topic":"T"}],"onlyThisBroker":false}"#,
    ),
    (10, r#"{"lockOKMQSet":[{"brokerName":"b","queueId":0,"topic":"T"}]}"#),
    (11, r#"{"clientId":"c","consumerGroup":"g","messageModel":"CLUSTERING","strategyName":"AVG","topic":"T"}"#),
    (
        12,
        r#"{"messageQueueAssignments":[{"attachments":{},"messageQueue":{"brokerName":"b","queueId":-1,"topic":"T"},"mode":"POP"}]}"#,
    ),
    (
        14,
        r#"{"clientId":"c","group":"g","subscriptionData":{"codeSet":[],"expressionType":"SQL92","subString":"a > 1","subVersion":1,"tagsSet":[],"topic":"T"}}"#,
    ),
    (15, r#"{"offsetTable":[{"brokerName":"b","offset":123,"queueId":3,"topic":"T"}]}"#),
    (15, r#"{"offsetTable":[[{"brokerName":"b","queueId":3,"topic":"T"},123]]}"#),
    (16, r#"{"consumerTable":{},"messageQueueTable":{{"brokerName":"b","queueId":0,"topic":"T"}:5}}"#),
    (17, r#"{0:null,"a":{"$ref":"$.b"},{"k":[1,"\u00e9\\"]}:-1.5e3,b:[{},[]]}"#),
];

const CONDITIONS: &[&str] = &[
    "a between 5 and 7",
    "NOT a BETWEEN 6 AND 7.5 OR ok = TRUE",
    "name IN ('x', 'o''neil') AND missing IS NULL",
    "(a = 1 OR a <> 5) AND NOT (b >= 1e2L)",
    "name CONTAINS 'nei' and name STARTSWITH 'o' and name NOT ENDSWITH 'x'",
    "-1 < a and +5 >= a",
];

const TEXTS: &[(&str, &[&str])] = &[
    ("subscription", &["*", "", "paid || refunded", "a||b|| ", " * ", "||", "a || *", "中文"]),
    (
        "name_servers",
        &[
            "a:9876;b:9877, c",
            "0http://x.y/1.2.3.4:80",
            "0[::1]:9876;::2;[fd00::1]",
            "1HTTP/1.1 200 OK\r\nContent-Length: 14\r\nServer: x\r\n\r\n10.0.0.1:9876\nrest",
            "2HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n1.2.3\r\n7;x=y\r\n.4:9876\r\n0\r\n\r\n",
            "3HTTP/1.0 200 OK\r\n\r\n10.0.0.1:9876;10.0.0.2:9876",
            "4HTTP/1.1 404 Not Found\r\n\r\n",
        ],
    ),
    (
        "namespaces",
        &["ns\0orders", "ns\0%RETRY%ns%group", "ns\0%DLQ%group", "ns\0ns%orders", "ns\0rmq_sys_x", "ns\0x_REPLY_TOPIC"],
    ),
    (
        "offset_file",
        &[
            "{\n\t\"offsetTable\":{\n\t\t{\"brokerName\":\"b\",\"queueId\":0,\"topic\":\"T\"}:12,{\"brokerName\":\"b\",\"queueId\":1,\"topic\":\"T\"}:7\n\t}\n}",
            r#"{"offsetTable":[[{"topic":"T","brokerName":"b","queueId":0},12]]}"#,
            r#"{"offsetTable":{"{\"brokerName\":\"b\",\"queueId\":0,\"topic\":\"T\"}":12}}"#,
            r#"{"offsetTable":{}}"#,
            "10.0.0.1@77#123@unit",
        ],
    ),
    (
        "pop",
        &[
            "100 1700000000000 60000 3 0 broker-a 2 105\x000 2 100;1 0 5\x000 2 100,101,105;1 0 5\x000 qo2%101 3;0 1 2\0BQI=",
            "0 1 2 3 2 b 0 0\x000 0 0\0-\0-\0AAAAAAAAAIA=",
            "\0-\0-\0-\0",
        ],
    ),
    ("ids", &["0AAF0895000078BF000000000009BB4A", "FDBDDC4100010136C800000000000024000078BF0000000000004F45"]),
    ("properties", &["a\u{1}1\u{2}TAGS\u{1}x\u{2}a\u{1}2"]),
    ("trace", &["Recall\u{1}5\u{1}region\u{1}G\u{1}T\u{1}M\u{1}true\u{2}"]),
];

/// All of them.
pub(super) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for vector in vectors() {
        seeds.extend(of_vector(&vector.name, vector.bytes));
    }
    for (kind, body) in BODIES {
        seeds.push(("bodies", [&[*kind], body.as_bytes()].concat()));
    }
    for condition in CONDITIONS {
        seeds.push(("sql", format!("a=5;b=2.5;name=o'neil;ok=true\0{condition}").into_bytes()));
    }
    for (target, texts) in TEXTS {
        seeds.extend(texts.iter().map(|text| (*target, text.as_bytes().to_vec())));
    }
    seeds.extend(compressed());
    for (kind, body) in admin::BODIES {
        seeds.push(("admin_bodies", [&[*kind], body.as_bytes()].concat()));
    }
    seeds.extend(admin::SETTINGS.iter().map(|text| ("settings", text.as_bytes().to_vec())));
    seeds.extend(server::seeds().map(|input| ("server", input)));
    seeds
}

/// The targets that one real value is for.
fn of_vector(name: &str, bytes: Vec<u8>) -> Vec<Seed> {
    let behind = |first: &[u8]| [first, &bytes].concat();
    let header = || bytes[8..8 + usize::from(u16::from_be_bytes([bytes[6], bytes[7]]))].to_vec();
    match name {
        _ if name.starts_with("frame_json") => vec![("stream", behind(&[0, 0])), ("json_header", header())],
        _ if name.starts_with("frame_rmq") => vec![("stream", behind(&[1, 16])), ("binary_header", header())],
        _ if name.starts_with("stored_") => vec![("records", behind(&[64])), ("pop", behind(b"\0-\0-\0-\0"))],
        "pull_body_two_messages" => vec![("records", behind(&[64])), ("pop", behind(b"\x000 0 0\0-\0-\0"))],
        "batch_body" => vec![("batch", bytes)],
        "batch_ack_body" => vec![("bodies", behind(&[13]))],
        "reset_offset_body" => vec![("bodies", behind(&[15])), ("offset_file", bytes)],
        "route_body_legacy" | "route_body_standard" => vec![("bodies", behind(&[0]))],
        "pop_ck" => vec![("pop", bytes)],
        "recall_handle" => vec![("ids", bytes)],
        _ if name.contains("_id_") => vec![("ids", bytes)],
        _ if name.starts_with("properties_") => vec![("properties", bytes)],
        _ if name.starts_with("trace_") => vec![("trace", bytes)],
        _ => Vec::new(),
    }
}

/// Bodies of every type, to be inflated and to be deflated; and a large frame, whose body follows in zeros.
fn compressed() -> Vec<Seed> {
    let plain: Vec<u8> = (0..200u32).flat_map(|number| (number % 100).to_be_bytes()).collect();
    let kinds = [
        Compression::Zlib,
        Compression::Lz4,
        #[cfg(feature = "zstd")]
        Compression::Zstd,
    ];
    let mut seeds = Vec::new();
    for (kind, number) in kinds.into_iter().zip(0..) {
        seeds.extend(kind.deflate(&plain, None).map(|(body, flag)| {
            let kind = (flag & sys_flag::COMPRESSION_MASK) >> 8;
            ("inflate", [&[kind as u8, 32], &*body].concat())
        }));
        seeds.push(("inflate", [&[0x80 | number, 32], &plain[..64]].concat()));
    }
    // A vector has the only frame of Zstandard where the feature is off.
    let stored = vector("stored_compressed_zstd").bytes;
    if let Some(at) = stored.windows(4).position(|bytes| bytes == [0x28, 0xB5, 0x2F, 0xFD]) {
        seeds.push(("inflate", [&[2, 32], &stored[at..]].concat()));
    }
    let (mut large, head) = (vec![3, 0xF0], Head::request(HeaderKind::Json, crate::RequestCode(105), 1));
    let header = GetRoute { standard_json: Some(true), topic: "T".into() };
    frame::encode(&mut large, &head, &header, &[], 200_000).expect("it is not above the limit");
    seeds.push(("stream", large));
    seeds
}
