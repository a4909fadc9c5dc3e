//! Queries against scripted brokers.

use std::net::SocketAddr;

use bytes::Bytes;

use super::*;
use crate::client::peer::{Peer, nobody, refuse, reply};
use crate::message::{Stored, write_property};
use crate::protocol::frame::Frame;
use crate::protocol::record;
use crate::protocol::rpc::query::QueryReply;

const INDEX: QueryReply = QueryReply { last_update_timestamp: None, last_update_offset: None };

/// A message of topic `T`, stored at a time in milliseconds.
fn stored(keys: &str, id: &str, at: i64) -> Stored {
    let mut properties = String::new();
    write_property(&mut properties, key::KEYS, keys);
    write_property(&mut properties, key::UNIQUE_ID, id);
    Stored {
        queue_id: 0,
        flag: 0,
        queue_offset: at,
        commit_log_offset: at,
        sys_flag: 0,
        body_crc: 0,
        born_timestamp: at,
        born_host: SocketAddr::from(([127, 0, 0, 1], 1)),
        store_timestamp: at,
        store_host: SocketAddr::from(([127, 0, 0, 1], 2)),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: Bytes::from_static(b"hello"),
        topic: "T".into(),
        properties: properties.into(),
    }
}

fn records(messages: &[Stored]) -> Vec<u8> {
    let mut out = Vec::new();
    messages.iter().for_each(|stored| record::encode(&mut out, stored));
    out
}

/// A broker that answers everything with these messages.
fn broker(messages: &[Stored]) -> Peer {
    let body = records(messages);
    Peer::start(move |request: &Frame| reply(request, ResponseCode::SUCCESS, &INDEX, &body))
}

fn client(a: String, b: String) -> Client {
    let brokers = vec![("a", vec![(0, a)]), ("b", vec![(1, b)])];
    Peer::name_server(move || brokers.clone()).client()
}

fn ids(found: &[MessageView]) -> Vec<String> {
    found.iter().map(|view| view.message_id().into_owned()).collect()
}

#[test]
fn answers_are_merged_compared_again_sorted_and_cut_to_the_newest() {
    let other_topic = Stored { topic: "Other".into(), ..stored("k", "5", 5) };
    let a = broker(&[stored("x k", "4", 4), stored("k", "1", 1), stored("kk", "2", 2)]);
    let b = broker(&[stored("k", "3", 3), other_topic]);
    let client = client(a.addr.clone(), b.addr.clone());
    let found = client.query_messages("T", "k", 32, ..).unwrap();
    assert_eq!((ids(&found.messages), found.failures.len()), (vec!["1".into(), "3".into(), "4".into()], 0));
    assert_eq!(found.messages[1].queue().broker_name(), "b");
    assert_eq!(ids(&client.query_messages("T", "k", 2, ..).unwrap().messages), ["3", "4"]);
    let period = UNIX_EPOCH + Duration::from_millis(2)..UNIX_EPOCH + Duration::from_millis(4);
    assert_eq!(ids(&client.query_messages("T", "k", 32, period).unwrap().messages), ["3"]);
}

#[test]
fn a_broker_that_fails_is_named_beside_what_the_others_found() {
    let client = client(broker(&[stored("k", "1", 1)]).addr, nobody());
    let found = client.query_messages("T", "k", 32, ..).unwrap();
    assert_eq!(ids(&found.messages), ["1"]);
    assert_eq!(&*found.failures[0].broker_name, "b");
    assert_eq!(client.find_message("T", "1").unwrap().unwrap().queue_offset(), 1);
    let missed = client.find_message("T", "2").unwrap_err();
    assert!(matches!(missed, Error::Exhausted { .. }), "the dead broker may have it: {missed}");
}

#[test]
fn a_query_that_nobody_answers_fails_with_all_causes() {
    let refusing = Peer::start(|request: &Frame| refuse(request, ResponseCode::NO_PERMISSION, "no"));
    let failed = client(refusing.addr.clone(), nobody()).query_messages("T", "k", 32, ..);
    assert!(matches!(failed, Err(Error::Exhausted { attempts, .. }) if attempts.len() == 2));
    let none = Peer::start(|request: &Frame| refuse(request, ResponseCode::QUERY_NOT_FOUND, "none"));
    let found = client(none.addr.clone(), none.addr.clone()).query_messages("T", "k", 32, ..).unwrap();
    assert!(found.messages.is_empty() && found.failures.is_empty());
}

#[test]
fn a_damaged_answer_gives_what_could_be_read_and_its_failure() {
    let mut body = records(&[stored("k", "1", 1), stored("k", "2", 2)]);
    body.truncate(body.len() - 1);
    let damaged = Peer::start(move |request: &Frame| reply(request, ResponseCode::SUCCESS, &INDEX, &body));
    let found = client(damaged.addr.clone(), broker(&[]).addr).query_messages("T", "k", 32, ..).unwrap();
    assert_eq!((ids(&found.messages), found.failures.len()), (vec!["1".into()], 1));
}

#[test]
fn an_offset_id_leads_straight_to_its_broker_and_only_to_the_message_there() {
    let message = stored("k", "1", 700);
    let there = broker(std::slice::from_ref(&message));
    let client = client(nobody(), nobody());
    let id = |commit_log_offset| OffsetMessageId { store_host: there.addr.parse().unwrap(), commit_log_offset };
    let viewed = client.view_message(&id(700).to_string()).unwrap().unwrap();
    assert_eq!(viewed.message_id(), "1");
    assert!(client.view_message(&id(701).to_string()).unwrap().is_none());
    for wrong in ["", "0123", "C0A80101FFFF00000000000000000000"] {
        assert!(matches!(client.view_message(wrong), Err(Error::Invalid { .. })), "{wrong}");
    }
    let remark = "can not find message by the offset, 9";
    let empty = Peer::start(move |request: &Frame| refuse(request, ResponseCode::SYSTEM_ERROR, remark));
    let nothing = OffsetMessageId { store_host: empty.addr.parse().unwrap(), commit_log_offset: 9 };
    assert!(client.view_message(&nothing.to_string()).unwrap().is_none());
}

#[test]
fn wrong_queries_are_refused() {
    let client = client(nobody(), nobody());
    assert!(matches!(client.query_messages("T", " ", 1, ..), Err(Error::Invalid { .. })));
    assert!(matches!(client.query_messages("T", "k", 0, ..), Err(Error::Invalid { .. })));
    assert!(matches!(client.query_messages("T x", "k", 1, ..), Err(Error::Invalid { .. })));
    assert!(matches!(client.find_message("T", " "), Err(Error::Invalid { .. })));
}

fn at(micros: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(micros)
}

#[test]
fn a_period_has_whole_milliseconds_and_honours_its_bounds() {
    let cases = [
        (Period::new(&(..)), (0, i64::MAX)),
        (Period::new(&(at(2_000)..)), (2, i64::MAX)),
        (Period::new(&(at(2_500)..at(4_000))), (2, 3)),
        (Period::new(&(at(2_000)..at(4_500))), (2, 4)),
        (Period::new(&(at(2_000)..=at(4_000))), (2, 4)),
        (Period::new(&(UNIX_EPOCH - Duration::from_secs(9)..at(1_000))), (0, 0)),
    ];
    for (period, (begin, end)) in cases {
        assert_eq!(period, Period { begin, end });
    }
}
