use super::*;
use crate::client::CheckQueue;
use crate::message::{Stored, write_property};
use crate::protocol::record;
use crate::protocol::rpc::transaction::CheckTransaction;

/// The message of a question, as brokers send it.
fn half(group: Option<&str>, id: &str) -> Vec<u8> {
    let mut properties = String::new();
    write_property(&mut properties, "UNIQ_KEY", id);
    if let Some(group) = group {
        write_property(&mut properties, "PGROUP", group);
    }
    let host = "127.0.0.1:10911".parse().unwrap();
    let stored = Stored {
        queue_id: 0,
        flag: 0,
        queue_offset: 5,
        commit_log_offset: 6,
        sys_flag: 0,
        body_crc: 0,
        born_timestamp: 0,
        born_host: host,
        store_timestamp: 0,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: b"body".as_slice().into(),
        topic: "T".into(),
        properties: properties.into(),
    };
    let mut out = Vec::new();
    record::encode(&mut out, &stored);
    out
}

/// Asks over the connection that a client has made to the server.
fn ask(server: &Server, body: &[u8], opaque: i32, oneway: bool) {
    let header = CheckTransaction {
        broker_name: None,
        commit_log_offset: 6,
        message_id: None,
        offset_message_id: None,
        topic: None,
        half_offset: 5,
        transaction_id: None,
    };
    let head = Head::request(HeaderKind::Json, RequestCode::CHECK_TRANSACTION_STATE, opaque);
    let mut out = Vec::new();
    frame::encode_request(&mut out, &if oneway { head.oneway() } else { head }, &header, body).unwrap();
    server.script.streams.lock().unwrap()[0].write_all(&out).unwrap();
}

#[test]
fn questions_about_transactions_reach_their_group_and_are_never_answered_by_the_client() {
    let server = Server::start();
    server.route("T", "b", 1);
    let client = server.client();
    let core = client.core();
    core.routes().get(core, &topic("T"), within(3000)).unwrap();
    let queue = Arc::new(CheckQueue::new(2));
    let producer = Member { checks: Some(queue.clone()), ..member(GroupKind::Producer, "asked") };
    let _asked = core.groups().join(core, producer).unwrap();
    let _ordinary = core.groups().join(core, member(GroupKind::Producer, "ordinary")).unwrap();
    let strays = [half(Some("ordinary"), "1"), half(Some("unknown"), "2"), half(None, "3"), b"damaged".to_vec()];
    for (number, stray) in (1..).zip(&strays) {
        // Also one that wants an answer gets none.
        ask(&server, stray, number, number % 2 == 0);
    }
    for (number, id) in [(11, "a"), (12, "b"), (13, "c")] {
        ask(&server, &half(Some("asked"), id), number, true);
    }
    eventually("one too many is dropped", || queue.dropped().get() == 1);
    for number in [11, 12] {
        let (key, asked) = queue.next().unwrap();
        assert_eq!((asked.frame.opaque, &*asked.addr), (number, &*server.addr));
        queue.finish(&key).unwrap();
    }
    assert_eq!(core.groups().stray_checks.load(std::sync::atomic::Ordering::Relaxed), 2);
    client.close().unwrap();
    assert!(!server.script.asked.lock().unwrap().iter().any(Frame::is_response));
}
