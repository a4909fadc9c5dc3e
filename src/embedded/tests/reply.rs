use super::*;
use crate::embedded::{Cluster, Fault};
use crate::protocol::json;
use crate::protocol::rpc::heartbeat::{HeartbeatBody, ProducerBody, UnregisterClient};
use crate::protocol::rpc::reply::PushReply;

const TOPIC: &str = "DefaultCluster_REPLY_TOPIC";

/// Registers a producer group of a client over this connection.
fn produce(wire: &mut Wire, client: &str, group: &str) {
    let body = HeartbeatBody {
        client_id: arc(client),
        consumer_data_set: Vec::new(),
        heartbeat_fingerprint: 0,
        producer_data_set: vec![ProducerBody { group_name: arc(group) }],
        without_sub: false,
    };
    assert_eq!(wire.call(RequestCode::HEART_BEAT, &NoFields, &json::encode(&body)).code, 0);
}

fn leave(wire: &mut Wire, client: &str, group: &str) {
    let request = UnregisterClient { client_id: arc(client), consumer_group: None, producer_group: Some(arc(group)) };
    assert_eq!(wire.call(RequestCode::UNREGISTER_CLIENT, &request, &[]).code, 0);
}

fn reply_to(client: &str) -> SendMessage {
    let pairs = [(key::MESSAGE_TYPE, "reply"), (key::CORRELATION_ID, "c-1"), (key::REPLY_TO_CLIENT, client)];
    SendMessage { properties: properties(&pairs), ..message(TOPIC) }
}

fn start_reply(wire: &mut Wire, client: &str) -> i32 {
    wire.write(RequestCode::SEND_REPLY_MESSAGE_V2, &reply_to(client), &[], b"answer")
}

/// Takes the push as a client does, with this code.
fn take(wire: &mut Wire, code: ResponseCode) -> PushReply {
    let push = wire.read();
    assert_eq!((push.request_code(), push.is_response()), (RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT, false));
    assert_eq!(push.body(), b"answer");
    let mut out = Vec::new();
    frame::encode_error(&mut out, HeaderKind::Json, code, push.opaque, "").unwrap();
    wire.stream.write_all(&out).unwrap();
    push.header().unwrap()
}

#[test]
fn a_reply_is_pushed_to_its_client_and_the_replier_hears_of_it_afterwards() {
    let cluster = Cluster::start().unwrap();
    let (addr, mut requester) = broker(&cluster);
    produce(&mut requester, "client-1", "PG1");
    let mut replier = Wire::to(addr);
    let opaque = start_reply(&mut replier, "client-1");
    assert!(replier.read_within(Duration::from_millis(50)).is_none(), "the client has not taken it yet");
    let header = take(&mut requester, ResponseCode::SUCCESS);
    assert_eq!((&*header.topic, header.producer_group.as_deref(), header.flag), (TOPIC, Some("PG"), 7));
    let pushed = header.properties.unwrap();
    assert!(pushed.contains("CORRELATION_ID\u{1}c-1\u{2}") && pushed.contains("PUSH_REPLY_TIME\u{1}"), "{pushed}");
    assert!(header.born_host.unwrap().starts_with("/127.0.0.1:"));
    let frame = replier.read();
    assert_eq!(frame.opaque, opaque);
    assert_eq!(answer::<SendReply>(&frame).unwrap().queue_offset, 0);
    assert_eq!(cluster.stored(TOPIC)[0].body(), b"answer");
}

#[test]
fn a_client_can_reply_to_itself_over_one_connection() {
    let cluster = Cluster::start().unwrap();
    let (_, mut wire) = broker(&cluster);
    produce(&mut wire, "client-1", "PG1");
    let opaque = start_reply(&mut wire, "client-1");
    take(&mut wire, ResponseCode::SUCCESS);
    let frame = wire.read();
    assert_eq!((frame.opaque, frame.response_code()), (opaque, ResponseCode::SUCCESS));
}

#[test]
fn replies_that_reach_nobody_are_refused_in_javas_words_and_stored() {
    let cluster = Cluster::start().unwrap();
    let (addr, mut requester) = broker(&cluster);
    let mut replier = Wire::to(addr);
    let mut refused = |client: &str| {
        let frame = replier.call(RequestCode::SEND_REPLY_MESSAGE_V2, &reply_to(client), b"answer");
        answer::<SendReply>(&frame).unwrap_err()
    };
    let unknown = "push reply message fail, channel of <client-1> not found.";
    assert_eq!(refused("client-1"), (ResponseCode::SYSTEM_ERROR, unknown.to_owned()));
    produce(&mut requester, "client-1", "PG1");
    produce(&mut requester, "client-1", "PG2");
    leave(&mut requester, "client-1", "PG2");
    produce(&mut requester, "client-1", "PG1");
    assert_eq!(refused("client-1").1, unknown, "one group's leaving loses the way to the client, as in Java");
    leave(&mut requester, "client-1", "PG1");
    produce(&mut requester, "client-1", "PG1");
    start_reply(&mut replier, "client-1");
    take(&mut requester, ResponseCode::SYSTEM_ERROR);
    assert_eq!(answer::<SendReply>(&replier.read()).unwrap_err().1, "push reply message to client-1fail.");
    start_reply(&mut replier, "client-1");
    requester.read();
    drop(requester);
    assert_eq!(answer::<SendReply>(&replier.read()).unwrap_err().1, "push reply message to client-1fail.");
    assert_eq!(cluster.stored_count(TOPIC), 4);
}

#[test]
fn a_reply_a_fault_has_picked_is_pushed_all_the_same() {
    let cluster = Cluster::start().unwrap();
    let (addr, mut requester) = broker(&cluster);
    produce(&mut requester, "client-1", "PG1");
    cluster.broker("broker-a").fault(Fault::drop_reply().on(RequestCode::SEND_REPLY_MESSAGE_V2));
    let mut replier = Wire::to(addr);
    start_reply(&mut replier, "client-1");
    take(&mut requester, ResponseCode::SUCCESS);
    assert!(replier.read_within(Duration::from_millis(50)).is_none());
}
