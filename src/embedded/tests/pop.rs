use bytes::Bytes;

use super::*;
use crate::embedded::Cluster;
use crate::protocol::bounds::Bounds;
use crate::protocol::json;
use crate::protocol::pop::{self, Handle};
use crate::protocol::rpc::assignment::{
    AssignedBody, AssignmentBody, MessageRequestMode, QueryAssignment, RequestModeBody, SetMessageRequestMode,
};
use crate::protocol::rpc::batch_ack::{BatchAck, BatchAckBody};
use crate::protocol::rpc::heartbeat::{ConsumerBody, Heartbeat, HeartbeatBody};
use crate::protocol::rpc::pop::{
    ANY_QUEUE, AckMessage, ChangeInvisible, ChangeInvisibleReply, Notification, NotificationReply, PopMessage,
    PopReply, init_mode,
};

const SHORT: Duration = Duration::from_millis(300);
const MINUTE: Duration = Duration::from_secs(60);

fn pop_of(topic: &str, max: i32, invisible: Duration) -> PopMessage {
    PopMessage {
        consumer_group: "CG".into(),
        topic: topic.into(),
        queue_id: ANY_QUEUE,
        max_messages: max,
        invisible_time: invisible,
        poll_time: Duration::ZERO,
        born_time: 0,
        init_mode: init_mode::MIN,
        expression_type: None,
        expression: None,
        order: None,
        attempt_id: None,
        broker_name: None,
    }
}

/// Each message's text, how often it came before, and its handle.
fn popped(frame: &Frame, topic: &str) -> Vec<(String, i32, Handle)> {
    if frame.response_code() != ResponseCode::SUCCESS {
        assert_eq!(frame.response_code(), ResponseCode::POLLING_TIMEOUT, "{}", frame.remark());
        return Vec::new();
    }
    let (topic, broker_name) = (arc(topic), arc("broker-a"));
    let asked = pop::Asked { topic: &topic, broker_name: &broker_name, order: true, now: Instant::now() };
    let reply: PopReply = frame.header().unwrap();
    let (views, broken) = pop::messages(&reply, frame.body_bytes(), asked, &Bounds::of_bodies(1 << 20)).unwrap();
    assert!(broken.is_none(), "{broken:?}");
    let of = |view: &crate::MessageView| {
        let handle = Handle::decode(view.receipt_handle().unwrap()).unwrap();
        (view.body_text().unwrap().to_owned(), view.reconsume_times(), handle)
    };
    views.iter().map(of).collect()
}

fn pop(wire: &mut Wire, pop: &PopMessage) -> Vec<(String, i32, Handle)> {
    let frame = wire.call(RequestCode::POP_MESSAGE, pop, &[]);
    popped(&frame, &pop.topic)
}

fn ack(wire: &mut Wire, topic: &str, handle: &Handle) -> ResponseCode {
    let ack = AckMessage {
        consumer_group: "CG".into(),
        topic: handle.retry.topic("CG", &arc(topic)),
        queue_id: handle.queue_id,
        extra_info: handle.encode().into(),
        offset: handle.queue_offset,
        broker_name: None,
    };
    wire.call(RequestCode::ACK_MESSAGE, &ack, &[]).response_code()
}

#[test]
fn what_was_handed_out_comes_again_through_the_retry_topic() {
    let cluster = Cluster::builder().topic("T", 2).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    wire.send(&message("T"), "one").unwrap();
    let first = pop(&mut wire, &pop_of("T", 32, SHORT)).remove(0);
    assert!(pop(&mut wire, &pop_of("T", 32, SHORT)).is_empty(), "it is invisible");
    assert_eq!(cluster.stored_count("%RETRY%CG_T"), 0);
    eventually("it is stored again", || cluster.stored_count("%RETRY%CG_T") == 1);
    let again = pop(&mut wire, &pop_of("T", 32, MINUTE)).remove(0);
    assert_eq!((again.0.as_str(), again.1, again.2.retry), ("one", 1, pop::Retry::V1));
    // The old handle is good for nothing, and says nothing.
    assert_eq!(ack(&mut wire, "T", &first.2), ResponseCode::SUCCESS);
    assert_eq!(ack(&mut wire, "T", &again.2), ResponseCode::SUCCESS);
    let beyond = Handle { queue_offset: 99, ..again.2 };
    assert_eq!(ack(&mut wire, "T", &beyond), ResponseCode::NO_MESSAGE);
}

#[test]
fn a_pop_that_waits_is_answered_by_a_message_that_its_filter_wants() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    let (_, mut sender) = broker(&cluster);
    let waiting = PopMessage { poll_time: LONG, expression: Some("a".into()), ..pop_of("T", 32, MINUTE) };
    wire.write(RequestCode::POP_MESSAGE, &waiting, &[], &[]);
    sender.send(&tagged("T", "b"), "not wanted").unwrap();
    assert!(wire.read_within(SHORT).is_none());
    sender.send(&tagged("T", "a"), "wanted").unwrap();
    assert_eq!(popped(&wire.read(), "T")[0].0, "wanted");
    // One that waits in vain is told when its time is up.
    let began = Instant::now();
    assert!(pop(&mut wire, &PopMessage { poll_time: SHORT, ..pop_of("T", 32, MINUTE) }).is_empty());
    assert!(began.elapsed() >= SHORT);
}

#[test]
fn word_of_a_message_takes_none() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    let (_, mut sender) = broker(&cluster);
    let ask = |poll_time| Notification {
        consumer_group: "CG".into(),
        topic: "T".into(),
        queue_id: ANY_QUEUE,
        poll_time,
        born_time: 0,
        order: None,
        attempt_id: None,
        expression_type: None,
        expression: None,
        broker_name: None,
    };
    let has = |frame: Frame| frame.header::<NotificationReply>().unwrap().has_message;
    assert!(!has(wire.call(RequestCode::NOTIFICATION, &ask(Duration::ZERO), &[])));
    wire.write(RequestCode::NOTIFICATION, &ask(LONG), &[], &[]);
    sender.send(&message("T"), "one").unwrap();
    assert!(has(wire.read()));
    assert!(has(wire.call(RequestCode::NOTIFICATION, &ask(Duration::ZERO), &[])));
    assert_eq!(pop(&mut wire, &pop_of("T", 1, SHORT)).len(), 1);
    // What comes again is worth a word, too.
    wire.write(RequestCode::NOTIFICATION, &ask(LONG), &[], &[]);
    assert!(has(wire.read()));
}

#[test]
fn a_set_of_acknowledgements_and_a_changed_time_hold() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    for number in 0..4 {
        wire.send(&message("T"), &number.to_string()).unwrap();
    }
    let found = pop(&mut wire, &pop_of("T", 32, SHORT));
    let handles: Vec<_> = found[..3].iter().map(|(_, _, handle)| (arc("T"), handle.clone())).collect();
    let (bodies, _) = pop::batches(&arc("CG"), &handles);
    assert_eq!(bodies.len(), 1);
    let frame = wire.call(RequestCode::BATCH_ACK_MESSAGE, &BatchAck, &json::encode(&bodies[0].1));
    assert_eq!(frame.response_code(), ResponseCode::SUCCESS);
    let nothing = json::encode(&BatchAckBody::default());
    let frame = wire.call(RequestCode::BATCH_ACK_MESSAGE, &BatchAck, &nothing);
    assert_eq!(frame.response_code(), ResponseCode::NO_MESSAGE);
    let handle = &found[3].2;
    let change = ChangeInvisible {
        consumer_group: "CG".into(),
        topic: "T".into(),
        queue_id: 0,
        extra_info: handle.encode().into(),
        offset: handle.queue_offset,
        invisible_time: SHORT * 3,
        broker_name: None,
    };
    let (began, frame) = (Instant::now(), wire.call(RequestCode::CHANGE_MESSAGE_INVISIBLETIME, &change, &[]));
    let reply: ChangeInvisibleReply = frame.header().unwrap();
    assert_eq!((reply.invisible_time, reply.pop_time >= handle.pop_time), (900, true));
    eventually("it comes again", || cluster.stored_count("%RETRY%CG_T") > 0);
    assert!(began.elapsed() >= SHORT * 3);
    assert_eq!(cluster.stored_count("%RETRY%CG_T"), 1, "the others are done with");
}

#[test]
fn a_pop_in_order_that_waits_is_answered_when_the_queue_is_free() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    let (_, mut other) = broker(&cluster);
    wire.send(&message("T"), "one").unwrap();
    wire.send(&message("T"), "two").unwrap();
    let in_order = |invisible| PopMessage { order: Some(true), poll_time: LONG, ..pop_of("T", 1, invisible) };
    let first = pop(&mut wire, &in_order(MINUTE)).remove(0);
    other.write(RequestCode::POP_MESSAGE, &in_order(SHORT), &[], &[]);
    assert!(other.read_within(SHORT).is_none());
    assert_eq!(ack(&mut wire, "T", &first.2), ResponseCode::SUCCESS);
    assert_eq!(popped(&other.read(), "T")[0].0, "two");
    // And when the time of the one before is up.
    let again = pop(&mut wire, &in_order(SHORT)).remove(0);
    assert_eq!((again.0.as_str(), again.1), ("two", 1));
}

#[test]
fn wrong_pops_are_refused_as_java_does() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    let right = pop_of("T", 1, SHORT);
    for (wrong, code) in [
        (PopMessage { max_messages: 33, ..right.clone() }, ResponseCode::INVALID_PARAMETER),
        (PopMessage { queue_id: 1, ..right.clone() }, ResponseCode::INVALID_PARAMETER),
        (PopMessage { topic: "Unknown".into(), ..right.clone() }, ResponseCode::TOPIC_NOT_EXIST),
        (PopMessage { consumer_group: "a b".into(), ..right.clone() }, ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST),
        (PopMessage { born_time: 1, ..right.clone() }, ResponseCode::POLLING_TIMEOUT),
        (
            PopMessage { expression: Some("a =".into()), expression_type: Some("SQL92".into()), ..right },
            ResponseCode::SUBSCRIPTION_PARSE_FAILED,
        ),
    ] {
        assert_eq!(wire.call(RequestCode::POP_MESSAGE, &wrong, &[]).response_code(), code, "{wrong:?}");
    }
    let old = Cluster::builder().topic("T", 1).pop(false).start().unwrap();
    let (_, mut wire) = broker(&old);
    let refused = wire.call(RequestCode::POP_MESSAGE, &pop_of("T", 1, SHORT), &[]);
    assert_eq!(refused.response_code(), ResponseCode::REQUEST_CODE_NOT_SUPPORTED);
}

#[test]
fn queues_are_assigned_in_the_mode_that_was_set() {
    let cluster = Cluster::builder().brokers(2).topic("T", 2).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    let ask = AssignmentBody {
        client_id: "me".into(),
        consumer_group: "CG".into(),
        message_model: "CLUSTERING".into(),
        strategy_name: "AVG".into(),
        topic: "T".into(),
    };
    let assigned = |wire: &mut Wire, ask: &AssignmentBody| {
        let frame = wire.call(RequestCode::QUERY_ASSIGNMENT, &QueryAssignment, &json::encode(ask));
        let body: AssignedBody = json::decode("assignment", frame.body()).unwrap();
        body.message_queue_assignments.map(|all| {
            let place = |one: crate::protocol::rpc::assignment::Assigned| {
                (one.message_queue.broker_name.to_string(), one.message_queue.queue_id, one.mode)
            };
            all.into_iter().map(place).collect::<Vec<_>>()
        })
    };
    assert_eq!(assigned(&mut wire, &ask), None, "nobody has joined");
    let consumer = ConsumerBody {
        group_name: "CG".into(),
        consume_type: "CONSUME_PASSIVELY".into(),
        message_model: "CLUSTERING".into(),
        consume_from_where: "CONSUME_FROM_LAST_OFFSET".into(),
        subscription_data_set: Vec::new(),
        unit_mode: false,
    };
    let heartbeat = HeartbeatBody {
        client_id: "me".into(),
        consumer_data_set: vec![consumer],
        heartbeat_fingerprint: 0,
        producer_data_set: Vec::new(),
        without_sub: false,
    };
    wire.write(RequestCode::HEART_BEAT, &Heartbeat, &[], &json::encode(&heartbeat));
    let answers = [wire.read(), wire.read()].map(|frame| frame.is_response());
    assert!(answers.contains(&true) && answers.contains(&false), "the answer, and word that the group has changed");
    assert_eq!(assigned(&mut wire, &ask).unwrap().len(), 4);
    assert_eq!(assigned(&mut wire, &AssignmentBody { strategy_name: "OWN".into(), ..ask.clone() }), None);
    let mut mode = RequestModeBody {
        consumer_group: "CG".into(),
        mode: MessageRequestMode::Pop,
        pop_share_queue_num: 0,
        topic: "T".into(),
    };
    let set = |wire: &mut Wire, mode: &RequestModeBody| {
        let body = Bytes::from(json::encode(mode));
        wire.call(RequestCode::SET_MESSAGE_REQUEST_MODE, &SetMessageRequestMode, &body).response_code()
    };
    assert_eq!(set(&mut wire, &mode), ResponseCode::SUCCESS);
    let popping = ["broker-a", "broker-b"].map(|name| (name.to_owned(), ANY_QUEUE, MessageRequestMode::Pop));
    assert_eq!(assigned(&mut wire, &ask).unwrap(), popping);
    mode.topic = "%RETRY%CG".into();
    assert_eq!(set(&mut wire, &mode), ResponseCode::NO_PERMISSION);
    mode.topic = "Unknown".into();
    assert_eq!(set(&mut wire, &mode), ResponseCode::TOPIC_NOT_EXIST);
}
