use super::*;

#[test]
fn a_group_is_told_to_the_brokers_when_it_joins_and_when_it_leaves() {
    let server = Server::start();
    server.route("T", "b", 1);
    let client = server.client();
    let core = client.core();
    core.routes().get(core, &topic("T"), within(3000)).unwrap();
    let producer = join(&client, GroupKind::Producer, "g").unwrap();
    let consumer = join(&client, GroupKind::Consumer, "g").unwrap();
    let last = || {
        let beats = server.asked(RequestCode::HEART_BEAT);
        beats.last().map(|beat| json::decode::<HeartbeatBody>("heartbeat", beat.body()).unwrap())
    };
    eventually("both groups are told", || {
        last().is_some_and(|beat| beat.producer_data_set.len() == 1 && beat.consumer_data_set.len() == 1)
    });
    assert_eq!(&*last().unwrap().client_id, client.client_id());
    // The answer follows what it answers.
    eventually("its version is known", || core.broker_version(&server.addr) == Some(frame::VERSION));
    consumer.leave(within(3000));
    consumer.leave(within(3000));
    let left = server.asked(RequestCode::UNREGISTER_CLIENT);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].field("consumerGroup").as_deref(), Some("g"));
    assert_eq!(left[0].field("clientID").as_deref(), Some(client.client_id()));
    drop(producer);
    client.close().unwrap();
    assert_eq!(server.asked(RequestCode::UNREGISTER_CLIENT).len(), 1, "a dropped membership leaves silently");
}

#[test]
fn slaves_get_heartbeats_only_for_consumers() {
    let (server, slave) = (Server::start(), Server::start());
    server.route_at("T", "b", &[(0, &server.addr), (1, &slave.addr)], 1);
    let client = server.client();
    client.core().routes().get(client.core(), &topic("T"), within(3000)).unwrap();
    let _producer = join(&client, GroupKind::Producer, "p").unwrap();
    eventually("the master knows", || !server.asked(RequestCode::HEART_BEAT).is_empty());
    assert!(slave.asked(RequestCode::HEART_BEAT).is_empty());
    let _consumer = join(&client, GroupKind::Consumer, "c").unwrap();
    eventually("the slave knows", || !slave.asked(RequestCode::HEART_BEAT).is_empty());
    client.close().unwrap();
}

#[test]
fn a_group_may_join_once_for_each_kind() {
    let server = Server::start();
    let client = server.client();
    let first = join(&client, GroupKind::Producer, "g").unwrap();
    assert!(matches!(join(&client, GroupKind::Producer, "g"), Err(Error::GroupInUse { .. })));
    let _other_kind = join(&client, GroupKind::Consumer, "g").unwrap();
    drop(first);
    let _again = join(&client, GroupKind::Producer, "g").unwrap();
    client.close().unwrap();
    assert!(matches!(join(&client, GroupKind::Producer, "h"), Err(Error::Closed { .. })));
}

#[test]
fn a_new_connection_to_a_broker_gets_a_heartbeat_at_once() {
    let server = Server::start();
    server.route("T", "b", 1);
    let broker = Server::start();
    server.route_at("T", "b", &[(0, &broker.addr)], 1);
    let client = server.client();
    client.core().routes().get(client.core(), &topic("T"), within(3000)).unwrap();
    let _membership = join(&client, GroupKind::Producer, "g").unwrap();
    eventually("the first heartbeat", || !broker.asked(RequestCode::HEART_BEAT).is_empty());
    let before = broker.asked(RequestCode::HEART_BEAT).len();
    broker.script.streams.lock().unwrap().drain(..).for_each(|stream| drop(stream.shutdown(std::net::Shutdown::Both)));
    // Anything that is asked of the broker connects again.
    let request = ConsumerList { consumer_group: "g".into() };
    let addr: Arc<str> = broker.addr.as_str().into();
    eventually("connected again", || client.core().remoting().call(&addr, &request, &[], within(500)).is_ok());
    eventually("another heartbeat", || broker.asked(RequestCode::HEART_BEAT).len() > before);
    client.close().unwrap();
}

#[test]
fn requests_of_brokers_reach_the_mailbox_of_their_group_and_others_are_refused() {
    let server = Server::start();
    server.route("T", "b", 1);
    let client = server.client();
    let core = client.core();
    core.routes().get(core, &topic("T"), within(3000)).unwrap();
    let (mailbox, letters) = crate::channel::bounded(1);
    let consumer = Member { mailbox: Some(mailbox), ..member(GroupKind::Consumer, "g") };
    let _membership = core.groups().join(core, consumer).unwrap();
    let send = |code: i32, group: &str, opaque: i32| {
        let mut out = Vec::new();
        let head = Head::request(HeaderKind::Json, RequestCode(code), opaque);
        let header = ConsumerList { consumer_group: group.into() };
        frame::encode_request(&mut out, &head, &header, &[]).unwrap();
        server.script.streams.lock().unwrap()[0].write_all(&out).unwrap();
    };
    send(307, "g", 1);
    let letter = letters.recv_deadline(Instant::now() + Duration::from_secs(5)).unwrap();
    assert_eq!(letter.frame.request_code(), RequestCode::GET_CONSUMER_RUNNING_INFO);
    letter.answer(ResponseCode::SUCCESS, None, &NoFields, b"{}");
    let answered = |opaque: i32| {
        let asked = server.script.asked.lock().unwrap();
        asked.iter().find(|frame| frame.is_response() && frame.opaque == opaque).map(|frame| frame.code)
    };
    eventually("the answer arrives", || answered(1) == Some(0));
    send(307, "other", 2);
    send(9999, "g", 3);
    eventually("both are refused", || answered(2) == Some(1) && answered(3) == Some(3));
    send(307, "g", 4);
    eventually("the mailbox is full", || letters.news().is_full());
    send(307, "g", 5);
    eventually("one too many is told to come back", || answered(5) == Some(2));
    client.close().unwrap();
}
