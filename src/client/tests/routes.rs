use super::*;

#[test]
fn all_who_wait_share_one_request() {
    let server = Server::start();
    server.route("T", "b", 4);
    *server.script.pause.lock().unwrap() = Duration::from_millis(100);
    let client = server.client();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let route = client.core().routes().get(client.core(), &topic("T"), within(5000)).unwrap();
                assert_eq!(route.publish_queues().len(), 4);
            });
        }
    });
    assert_eq!(server.asked(RequestCode::GET_ROUTEINFO_BY_TOPIC).len(), 1);
    client.close().unwrap();
}

#[test]
fn a_waiter_with_time_left_outlives_the_one_whose_request_it_shared() {
    let server = Server::start();
    server.route("T", "b", 4);
    *server.script.pause.lock().unwrap() = Duration::from_millis(300);
    let client = server.client();
    let core = client.core();
    std::thread::scope(|scope| {
        let short = scope.spawn(|| core.routes().get(core, &topic("T"), within(100)));
        eventually("the first asked", || !server.asked(RequestCode::GET_ROUTEINFO_BY_TOPIC).is_empty());
        core.routes().get(core, &topic("T"), within(5000)).unwrap();
        assert!(short.join().unwrap().unwrap_err().is_timeout());
    });
    client.close().unwrap();
}

#[test]
fn a_refresh_is_not_content_with_an_answer_to_an_older_question() {
    let server = Server::start();
    server.route("T", "b", 1);
    *server.script.pause.lock().unwrap() = Duration::from_millis(100);
    let client = server.client();
    let core = client.core();
    std::thread::scope(|scope| {
        let older = scope.spawn(|| core.routes().get(core, &topic("T"), within(5000)));
        eventually("the first asked", || !server.asked(RequestCode::GET_ROUTEINFO_BY_TOPIC).is_empty());
        core.routes().refresh(core, &topic("T"), within(5000)).unwrap();
        older.join().unwrap().unwrap();
    });
    assert_eq!(server.asked(RequestCode::GET_ROUTEINFO_BY_TOPIC).len(), 2);
    client.close().unwrap();
}

#[test]
fn an_unknown_topic_is_published_by_the_template_until_it_exists() {
    let server = Server::start();
    server.route("TBW102", "b", 8);
    let client = server.builder().route_interval(Duration::from_millis(20)).build().unwrap();
    let core = client.core();
    let publish = || core.routes().publish(core, &topic("New"), &topic("TBW102"), 4, within(3000));
    assert_eq!(publish().unwrap().publish_queues().len(), 4);
    assert!(core.routes().cached("New").is_none(), "only senders see what is not there yet");
    let error = core.routes().get(core, &topic("New"), within(3000)).unwrap_err();
    assert!(matches!(error, Error::NoRoute { .. }) && error.outcome() == Outcome::NotSent, "{error:?}");
    server.route("New", "b", 2);
    eventually("the topic's own route is used", || publish().unwrap().publish_queues().len() == 2);
    let (done, found) = crossbeam_channel::bounded(1);
    let (asked, template) = (topic("Other"), topic("TBW102"));
    core.routes().publish_async(core, &asked, &template, 3, within(3000), move |found| drop(done.send(found)));
    let route = found.recv_timeout(Duration::from_secs(5)).unwrap().unwrap();
    assert_eq!((route.publish_queues().len(), &**route.topic()), (3, "Other"));
    client.close().unwrap();
}

#[test]
fn without_a_template_the_error_says_what_is_missing() {
    let server = Server::start();
    let client = server.client();
    let core = client.core();
    let error = core.routes().publish(core, &topic("New"), &topic("TBW102"), 4, within(3000)).unwrap_err();
    assert!(error.to_string().contains("do not create topics"), "{error}");
    client.close().unwrap();
}

#[test]
fn a_topic_that_is_gone_is_forgotten_once_nobody_uses_it() {
    let server = Server::start();
    server.route("T", "b", 1);
    let client = server.builder().route_interval(Duration::from_millis(20)).build().unwrap();
    let core = client.core();
    core.routes().get(core, &topic("T"), within(3000)).unwrap();
    core.routes().watch(&topic("Watched"));
    server.script.routes.lock().unwrap().clear();
    let asked = |name: &str| {
        let asked = server.asked(RequestCode::GET_ROUTEINFO_BY_TOPIC);
        asked.iter().filter(|frame| frame.field("topic").unwrap() == name).count()
    };
    eventually("the route is forgotten", || core.routes().addresses().is_empty());
    let before = (asked("T"), asked("Watched"));
    eventually("the watched topic is still asked for", || asked("Watched") > before.1 + 3);
    assert!(asked("T") <= before.0 + 1, "the forgotten topic is still asked for");
    client.close().unwrap();
}

#[test]
fn a_broker_that_is_in_no_route_any_more_is_disconnected() {
    let (server, broker) = (Server::start(), Server::start());
    server.route_at("T", "b", &[(0, &broker.addr)], 1);
    let interval = Duration::from_millis(20);
    let client = server.builder().route_interval(interval).heartbeat_interval(interval).build().unwrap();
    let core = client.core();
    let _membership = join(&client, GroupKind::Producer, "g").unwrap();
    core.routes().get(core, &topic("T"), within(3000)).unwrap();
    eventually("heartbeats reach the broker", || !broker.asked(RequestCode::HEART_BEAT).is_empty());
    assert!(core.remoting().connected().iter().any(|addr| **addr == *broker.addr));
    server.route("T", "c", 1);
    eventually("the old broker is dropped", || core.remoting().connected().iter().all(|addr| **addr == *server.addr));
    client.close().unwrap();
}

#[test]
fn a_broker_that_left_a_route_and_came_back_is_noticed_long_before_the_next_refresh() {
    let server = Server::start();
    server.route("T", "b", 1);
    let client = server.client();
    let core = client.core();
    core.routes().get(core, &topic("T"), within(3000)).unwrap();
    server.route("T", "c", 1);
    core.routes().refresh(core, &topic("T"), within(3000)).unwrap();
    assert!(core.routes().cached("T").unwrap().master("b").is_none());
    server.route("T", "b", 1);
    eventually("it is back", || core.routes().cached("T").unwrap().master("b").is_some());
    // Now the other one is missed; nothing of it keeps the client from closing.
    client.close().unwrap();
}
