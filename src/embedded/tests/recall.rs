use super::*;
use crate::embedded::Cluster;
use crate::protocol::recall::RecallHandle;
use crate::protocol::rpc::recall::{RecallMessage, RecallReply};

fn timer(topic: &str, id: &str, millis: &str) -> SendMessage {
    let pairs = [(key::UNIQUE_ID, id), (key::TIMER_DELAY_MILLIS, millis)];
    SendMessage { properties: properties(&pairs), ..message(topic) }
}

fn recall(topic: &str, handle: &str) -> RecallMessage {
    RecallMessage { broker_name: None, producer_group: Some(arc("PG")), handle: handle.to_owned(), topic: arc(topic) }
}

fn refusal(wire: &mut Wire, topic: &str, handle: &str) -> (ResponseCode, String) {
    answer::<RecallReply>(&wire.call(RequestCode::RECALL_MESSAGE, &recall(topic, handle), &[])).unwrap_err()
}

#[test]
fn only_timer_messages_get_a_handle_and_a_recalled_one_is_not_delivered() {
    let cluster = Cluster::start().unwrap();
    let (_, mut wire) = broker(&cluster);
    assert_eq!(wire.send(&message("T"), "now").unwrap().recall_handle, None);
    let level = SendMessage { properties: properties(&[(key::DELAY, "3")]), ..message("T") };
    assert_eq!(wire.send(&level, "by level").unwrap().recall_handle, None);
    let mut handles = Vec::new();
    for id in ["U1", "U2"] {
        handles.push(wire.send(&timer("T", id, "1500"), id).unwrap().recall_handle.unwrap());
    }
    let read = RecallHandle::decode(&handles[0]).unwrap();
    assert_eq!((&*read.topic, &*read.broker_name, &*read.message_id), ("T", "broker-a", "U1"));
    for _ in 0..2 {
        let frame = wire.call(RequestCode::RECALL_MESSAGE, &recall("T", &handles[0]), &[]);
        assert_eq!(answer::<RecallReply>(&frame).unwrap().message_id, "U1", "also for the second time");
    }
    eventually("the other one is delivered", || cluster.stored("T").iter().any(|view| view.body() == b"U2"));
    assert!(cluster.stored("T").iter().all(|view| view.body() != b"U1"));
}

#[test]
fn recalls_are_refused_in_javas_words() {
    let cluster = Cluster::builder().slaves(1).topic("T", 1).topic("U", 1).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    let good = wire.send(&timer("T", "U1", "60000"), "x").unwrap().recall_handle.unwrap();
    let handle = RecallHandle::decode(&good).unwrap();
    assert_eq!(refusal(&mut wire, "V", &good).0, ResponseCode::TOPIC_NOT_EXIST);
    let illegal = |text: &str| (ResponseCode::ILLEGAL_OPERATION, text.to_owned());
    assert_eq!(refusal(&mut wire, "T", "no handle"), illegal("recall handle is invalid"));
    assert_eq!(refusal(&mut wire, "U", &good), illegal("recall failed, topic not match"));
    let foreign = RecallHandle { broker_name: "broker-z".into(), ..handle.clone() }.encode();
    assert_eq!(refusal(&mut wire, "T", &foreign), illegal("recall failed, broker service not available"));
    for deliver_millis in [1, i64::MAX] {
        let wrong = RecallHandle { deliver_millis, ..handle.clone() }.encode();
        assert_eq!(refusal(&mut wire, "T", &wrong), illegal("recall failed, timestamp invalid"));
    }
    let mut slave = Wire::to(cluster.slave("broker-a", 1).addr());
    assert_eq!(refusal(&mut slave, "T", &good).0, ResponseCode::SLAVE_NOT_AVAILABLE);
}

#[test]
fn a_broker_that_does_not_recall_gives_no_handles() {
    let cluster = Cluster::builder().recall(false).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    assert_eq!(wire.send(&timer("T", "U1", "60000"), "x").unwrap().recall_handle, None);
    let forbidden = (ResponseCode::NO_PERMISSION, "recall failed, operation is forbidden".to_owned());
    assert_eq!(refusal(&mut wire, "T", "any"), forbidden);
}
