use super::*;
use crate::embedded::{Cluster, ClusterBuilder};
use crate::message::{find_in_wire, sys_flag};
use crate::protocol::json;
use crate::protocol::record::Records;
use crate::protocol::rpc::heartbeat::{HeartbeatBody, ProducerBody};
use crate::protocol::rpc::transaction::{CheckTransaction, EndTransaction, end};

const HALF: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
const ENDED: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
const GIVEN_UP: &str = "TRANS_CHECK_MAX_TIME_TOPIC";

/// Nothing is checked while a test of another thing runs.
fn unhurried() -> ClusterBuilder {
    Cluster::builder().transaction_timeout(Duration::from_secs(3600))
}

fn hurried() -> ClusterBuilder {
    Cluster::builder().transaction_timeout(Duration::ZERO).transaction_check_interval(Duration::from_millis(20))
}

fn half(more: &[(&str, &str)]) -> SendMessage {
    let mut pairs = vec![("TRAN_MSG", "true"), ("PGROUP", "PG"), ("UNIQ_KEY", "U1"), ("TAGS", "a")];
    pairs.extend_from_slice(more);
    SendMessage { queue_id: 1, sys_flag: sys_flag::PREPARED, properties: properties(&pairs), ..message("T") }
}

/// A half message that was made just now: its age counts from there.
fn young_half(more: &[(&str, &str)]) -> SendMessage {
    SendMessage { born_timestamp: super::super::records::now_millis(), ..half(more) }
}

fn ended(reply: &SendReply, how: i32) -> EndTransaction {
    let id: crate::OffsetMessageId = reply.msg_id.parse().unwrap();
    EndTransaction {
        broker_name: None,
        commit_log_offset: id.commit_log_offset,
        end: how,
        from_check: None,
        message_id: Some(arc("U1")),
        producer_group: arc("PG"),
        topic: Some(arc("T")),
        half_offset: reply.queue_offset,
        transaction_id: None,
    }
}

fn tell(wire: &mut Wire, end: &EndTransaction) -> (ResponseCode, String) {
    let frame = wire.call(RequestCode::END_TRANSACTION, end, &[]);
    (frame.response_code(), frame.remark().into_owned())
}

/// A client of the group: what it reads are checks.
fn member(addr: SocketAddr, id: &str) -> Wire {
    let mut wire = Wire::to(addr);
    let body = HeartbeatBody {
        client_id: id.into(),
        consumer_data_set: Vec::new(),
        heartbeat_fingerprint: 0,
        producer_data_set: vec![ProducerBody { group_name: arc("PG") }],
        without_sub: false,
    };
    wire.write(RequestCode::HEART_BEAT, &NoFields, &[], &json::encode(&body));
    while !wire.read().is_response() {}
    wire
}

#[test]
fn a_half_message_is_parked_and_appears_when_it_is_committed() {
    let cluster = unhurried().start().unwrap();
    let (_, mut wire) = broker(&cluster);
    let first = wire.send(&half(&[]), "one").unwrap();
    let second = wire.send(&half(&[]), "two").unwrap();
    assert_eq!((first.queue_id, first.queue_offset, second.queue_offset), (1, 0, 1), "the internal queue's offsets");
    let parked = cluster.stored(HALF);
    assert_eq!((parked.len(), cluster.stored_count("T"), cluster.broker("broker-a").half_messages()), (2, 0, 2));
    let expected = [("REAL_TOPIC", "T"), ("REAL_QID", "1"), ("__transactionId__", "U1"), ("TRAN_MSG", "true")];
    for (name, value) in expected {
        assert_eq!(parked[0].property(name), Some(value), "{name}");
    }
    assert_eq!(tell(&mut wire, &ended(&second, end::COMMIT)).0, ResponseCode::SUCCESS);
    assert_eq!(tell(&mut wire, &ended(&first, end::ROLLBACK)).0, ResponseCode::SUCCESS);
    let stored = cluster.stored("T");
    assert_eq!((stored.len(), stored[0].body(), stored[0].queue().queue_id()), (1, &b"two"[..], 1));
    assert_eq!(
        (stored[0].tag(), stored[0].transaction_id(), stored[0].property("PGROUP")),
        (Some("a"), Some("U1"), Some("PG"))
    );
    for gone in ["REAL_TOPIC", "REAL_QID", "TRAN_MSG"] {
        assert_eq!(stored[0].property(gone), None, "{gone}");
    }
    let ends = cluster.stored(ENDED);
    let bodies: Vec<&[u8]> = ends.iter().map(|end| end.body()).collect();
    assert_eq!((bodies, ends[0].tag()), (vec![&b"1"[..], &b"0"[..]], Some("d")));
    assert_eq!(cluster.broker("broker-a").half_messages(), 0);
}

#[test]
fn wrong_ends_are_refused_as_java_does() {
    let cluster = unhurried().slaves(1).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    let reply = wire.send(&half(&[]), "x").unwrap();
    let right = ended(&reply, end::COMMIT);
    let cases = [
        (EndTransaction { producer_group: arc("Other"), ..right.clone() }, "The producer group wrong"),
        (EndTransaction { half_offset: 7, ..right.clone() }, "The transaction state table offset wrong"),
        (EndTransaction { commit_log_offset: 1, ..right.clone() }, "Find prepared transaction message failed"),
    ];
    for (wrong, remark) in cases {
        assert_eq!(tell(&mut wire, &wrong), (ResponseCode::SYSTEM_ERROR, remark.to_owned()));
    }
    let mut slave = Wire::to(cluster.slave("broker-a", 1).addr());
    assert_eq!(tell(&mut slave, &right).0, ResponseCode::SLAVE_NOT_AVAILABLE);
    wire.write(RequestCode::END_TRANSACTION, &EndTransaction { end: end::UNKNOWN, ..right.clone() }, &[], &[]);
    assert!(wire.read_within(Duration::from_millis(50)).is_none(), "an unknown end is not answered");
    assert_eq!((cluster.stored_count("T"), cluster.broker("broker-a").half_messages()), (0, 1));
    wire.write_oneway(RequestCode::END_TRANSACTION, &right, &[]);
    eventually("a oneway end is carried out", || cluster.stored_count("T") == 1);
}

#[test]
fn a_delay_counts_from_the_commit() {
    let cluster = unhurried().delay_level_scale(0.02).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    let reply = wire.send(&half(&[("DELAY", "3")]), "x").unwrap();
    assert_eq!((cluster.stored_count(HALF), cluster.stored_count("SCHEDULE_TOPIC_XXXX")), (1, 0));
    tell(&mut wire, &ended(&reply, end::COMMIT));
    assert_eq!((cluster.stored_count("T"), cluster.stored_count("SCHEDULE_TOPIC_XXXX")), (0, 1));
    eventually("it arrives", || cluster.stored_count("T") == 1);
}

#[test]
fn a_group_is_asked_in_turn_with_new_offsets_until_somebody_answers() {
    let cluster = hurried().start().unwrap();
    let (addr, mut wire) = broker(&cluster);
    let mut members = [member(addr, "one"), member(addr, "two")];
    let reply = wire.send(&half(&[]), "x").unwrap();
    let mut offsets = vec![reply.queue_offset];
    let mut last = None;
    for round in 0..4 {
        let frame =
            members[round % 2].read_within(LONG).or_else(|| members[(round + 1) % 2].read_within(LONG)).unwrap();
        assert_eq!((frame.request_code(), frame.is_oneway()), (RequestCode::CHECK_TRANSACTION_STATE, true));
        let asked: CheckTransaction = frame.header().unwrap();
        assert_eq!((asked.topic.as_deref(), asked.transaction_id.as_deref()), (Some(HALF), Some("U1")));
        assert_eq!(asked.message_id, asked.offset_message_id);
        let stored = Records::new(frame.body_bytes()).next().unwrap().unwrap();
        assert_eq!((&*stored.topic, stored.queue_id, &stored.body[..]), ("T", 1, &b"x"[..]));
        assert_eq!(stored.commit_log_offset, asked.commit_log_offset);
        let properties = std::str::from_utf8(&stored.properties).unwrap();
        assert!(find_in_wire(properties, "TRANSACTION_CHECK_TIMES").is_some(), "{properties}");
        offsets.push(asked.half_offset);
        last = Some(asked);
    }
    assert!(offsets.windows(2).all(|pair| pair[0] != pair[1]), "{offsets:?}");
    let asked = last.unwrap();
    let answer = EndTransaction {
        from_check: Some(true),
        commit_log_offset: asked.commit_log_offset,
        half_offset: asked.half_offset,
        ..ended(&reply, end::COMMIT)
    };
    tell(&mut wire, &answer);
    assert_eq!(cluster.stored_count("T"), 1);
}

#[test]
fn a_message_that_is_checked_too_often_is_given_up() {
    let cluster = hurried().transaction_check_max(3).start().unwrap();
    let (addr, mut wire) = broker(&cluster);
    let mut member = member(addr, "one");
    wire.send(&half(&[]), "x").unwrap();
    let mut checks = 0;
    eventually("it is given up", || {
        checks += usize::from(member.read_within(Duration::from_millis(10)).is_some());
        cluster.stored_count(GIVEN_UP) == 1
    });
    while member.read_within(Duration::from_millis(100)).is_some() {
        checks += 1;
    }
    assert_eq!((checks, cluster.stored_count(HALF), cluster.broker("broker-a").half_messages()), (3, 4, 0));
}

#[test]
fn the_age_of_the_first_check_can_be_named_and_ends_late_commits() {
    let cluster = hurried().start().unwrap();
    let (addr, mut wire) = broker(&cluster);
    let mut member = member(addr, "one");
    let sent = Instant::now();
    let reply = wire.send(&young_half(&[("CHECK_IMMUNITY_TIME_IN_SECONDS", "1")]), "x").unwrap();
    assert!(member.read().request_code() == RequestCode::CHECK_TRANSACTION_STATE);
    assert!(sent.elapsed() >= Duration::from_millis(990), "{:?}", sent.elapsed());
    eventually("a commit that answers no check is refused", || {
        tell(&mut wire, &ended(&reply, end::COMMIT)).0 == ResponseCode::ILLEGAL_OPERATION
    });
    let from_check = EndTransaction { from_check: Some(true), ..ended(&reply, end::COMMIT) };
    assert_eq!(tell(&mut wire, &from_check).0, ResponseCode::SUCCESS);
}

#[test]
fn half_messages_outlive_a_restart_but_not_the_loss_of_the_disk() {
    let cluster = hurried().transaction_check_max(1000).start().unwrap();
    let (addr, mut wire) = broker(&cluster);
    wire.send(&half(&[]), "x").unwrap();
    let broker = cluster.broker("broker-a");
    broker.kill();
    let before = cluster.stored_count(HALF);
    assert_eq!(broker.half_messages(), 1);
    broker.restart().unwrap();
    eventually("it is checked again", || cluster.stored_count(HALF) > before);
    assert_eq!(member(addr, "one").read().request_code(), RequestCode::CHECK_TRANSACTION_STATE);
    broker.restart_empty().unwrap();
    assert_eq!((broker.half_messages(), cluster.stored_count(HALF)), (0, 0));
}
