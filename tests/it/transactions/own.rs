//! What goes over the wire, and what an embedded cluster of the test's own can be made to do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rocketmq_blocking::embedded::{self, Fault};
use rocketmq_blocking::{
    Error, Message, RequestCode, ResponseCode, SendStatus,
    TransactionResolution::{Commit, Rollback, Unknown},
};

use crate::support::{PATIENCE, client_builder, eventually};

/// A cluster of this test's own, which asks as soon as it can when `hurried`, and does not give up after a third of a second.
fn own(hurried: bool) -> (embedded::Cluster, rocketmq_blocking::Client) {
    let age = if hurried { Duration::from_millis(1) } else { Duration::from_secs(3600) };
    let builder = embedded::Cluster::builder().transaction_timeout(age).transaction_check_max(10_000).topic("T", 1);
    let cluster = builder.transaction_check_interval(Duration::from_millis(20)).start().unwrap();
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    (cluster, client)
}

#[test]
fn what_is_sent_is_what_java_sends() {
    let (cluster, client) = own(false);
    let producer = client.transaction_producer("g").check(|_| Unknown).start().unwrap();
    let committed = producer.begin(Message::new("T", "x")).unwrap().commit().unwrap();
    producer.begin(Message::new("T", "x")).unwrap().rollback().unwrap();
    producer.send(Message::new("T", "x"), |_| Unknown).unwrap();
    drop(producer.begin(Message::new("T", "x")).unwrap());
    eventually(PATIENCE, || match cluster.requests_of(RequestCode::END_TRANSACTION).len() {
        3 => Ok(()),
        other => Err(format!("{other} ends: of a dropped transaction none is sent")),
    });
    let halves = cluster.requests_of(RequestCode::SEND_MESSAGE_V2);
    let properties = halves[0].field("i").unwrap();
    assert!(properties.contains("TRAN_MSG\u{1}true\u{2}") && properties.contains("PGROUP\u{1}g\u{2}"), "{properties}");
    assert_eq!(halves[0].field("f"), Some("4"));
    let ends = cluster.requests_of(RequestCode::END_TRANSACTION);
    let codes: Vec<_> = ends.iter().map(|end| end.field("commitOrRollback").unwrap()).collect();
    assert_eq!(codes, ["8", "12", "0"]);
    let place: rocketmq_blocking::OffsetMessageId = committed.offset_message_id().parse().unwrap();
    let expected = [
        ("bname", "broker-a"),
        ("commitLogOffset", &place.commit_log_offset.to_string()),
        ("fromTransactionCheck", "false"),
        ("msgId", committed.message_id()),
        ("producerGroup", "g"),
        ("topic", "T"),
        ("tranStateTableOffset", &committed.queue_offset().to_string()),
        ("transactionId", committed.message_id()),
    ];
    assert!(ends[0].oneway);
    for (name, value) in expected {
        assert_eq!(ends[0].field(name), Some(value), "{name}");
    }
}

#[test]
fn a_check_is_answered_with_its_own_offsets_to_the_broker_that_asked() {
    let (cluster, client) = own(true);
    let producer = client.transaction_producer("g").check(|_| Rollback).start().unwrap();
    let begun = producer.begin(Message::new("T", "x")).unwrap();
    let first = begun.sent().queue_offset();
    drop(begun);
    let end = eventually(PATIENCE, || cluster.requests_of(RequestCode::END_TRANSACTION).pop().ok_or("no answer"));
    assert_eq!((end.oneway, end.field("fromTransactionCheck")), (true, Some("true")));
    assert_eq!((end.field("commitOrRollback"), end.field("producerGroup")), (Some("12"), Some("g")));
    assert_ne!(end.field("tranStateTableOffset"), Some(&*first.to_string()), "the half message was stored anew");
    assert_eq!(end.field("topic"), Some("RMQ_SYS_TRANS_HALF_TOPIC"));
    eventually(PATIENCE, || match cluster.broker("broker-a").half_messages() {
        0 => Ok(()),
        left => Err(format!("{left} half messages are left")),
    });
}

#[test]
fn a_half_message_that_is_not_stored_well_is_rolled_back() {
    let (cluster, client) = own(false);
    let producer = client.transaction_producer("g").check(|_| Unknown).start().unwrap();
    let weak = Fault::error_after(ResponseCode::FLUSH_DISK_TIMEOUT, "slow disk").on(RequestCode::SEND_MESSAGE_V2);
    cluster.broker("broker-a").fault(weak);
    let runs = AtomicUsize::new(0);
    let done = producer.send(Message::new("T", "x"), |_| {
        runs.fetch_add(1, Ordering::SeqCst);
        Commit
    });
    let done = done.unwrap();
    assert_eq!(
        (done.resolution(), done.sent().status(), runs.into_inner()),
        (Rollback, SendStatus::FlushDiskTimeout, 0)
    );
    let failed = producer.begin(Message::new("T", "x")).unwrap_err();
    assert!(matches!(&failed.error, Error::NotDurable { status, .. } if &**status == "FLUSH_DISK_TIMEOUT"), "{failed}");
    eventually(PATIENCE, || match cluster.broker("broker-a").half_messages() {
        0 => Ok(()),
        left => Err(format!("{left} half messages are left")),
    });
    assert_eq!(cluster.stored_count("T"), 0);
}

#[test]
fn a_producer_that_is_not_transactional_is_asked_in_vain_and_another_one_answers() {
    let (cluster, client) = own(true);
    let wrong = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let ordinary = wrong.producer("g").start().unwrap();
    ordinary.send(Message::new("T", "ordinary")).unwrap();
    eventually(PATIENCE, || match cluster.broker("broker-a").producers("g").len() {
        1 => Ok(()),
        others => Err(others),
    });
    let producer = client.transaction_producer("g").check(|_| Commit).start().unwrap();
    // One at a time: brokers ask the members of a group in turn, so of two messages one could be asked about in vain each
    // time, until the broker gives it up.
    for visible in 2..6 {
        drop(producer.begin(Message::new("T", "x")).unwrap());
        eventually(PATIENCE, || match cluster.stored_count("T") {
            count if count == visible => Ok(()),
            other => Err(format!("{other} are visible")),
        });
    }
    ordinary.send(Message::new("T", "still there")).unwrap();
}
