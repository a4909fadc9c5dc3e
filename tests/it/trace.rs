//! Message trace: what is recorded of sends, where it goes, and that it never disturbs them.

mod sending;

use std::fmt::Display;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rocketmq_blocking::{
    Client, Message, MessageQueue, MessageView, Outcome, Producer, RequestCode, SendResult, Trace,
    TransactionResolution, embedded, select,
};

use crate::support::{
    Feature, PATIENCE, Scene, client_builder, eventually, live_variable, mqadmin, noise, say, scene, supports, unique,
};

/// The topic of brokers that trace, `traceTopicEnable` set.
pub(crate) const SYSTEM: &str = "RMQ_SYS_TRACE_TOPIC";

/// Records leave at once, so that no test waits for the interval.
pub(crate) fn at_once() -> Trace {
    Trace::default().batch(1)
}

/// Records leave when the producer closes.
fn at_the_end() -> Trace {
    Trace::default().batch(20).interval(Duration::from_secs(3600))
}

fn producer(scene: &Scene, trace: Trace) -> Producer {
    scene.client.producer(&*scene.group).timeout(PATIENCE).trace(trace).start().expect("a producer")
}

/// The records of one trace message, each as its fields.
fn records(message: &MessageView) -> Vec<Vec<String>> {
    let body = message.body_text().expect("a trace is text").to_owned();
    assert!(body.ends_with('\u{2}'), "{body:?}");
    let fields = |record: &str| record.split('\u{1}').map(str::to_owned).collect();
    body.split_terminator('\u{2}').map(fields).collect()
}

/// Waits for records of a send that can be found by `key`, and returns them.
#[track_caller]
pub(crate) fn found_in(client: &Client, topic: &str, key: &str) -> Vec<Vec<String>> {
    eventually(PATIENCE, || {
        let told = |error: &dyn Display| format!("nothing in {topic} under {key}: {error}");
        let found = client.query_messages(topic, key, 32, ..).map_err(|error| told(&error))?;
        let all: Vec<Vec<String>> = found.messages.iter().flat_map(records).collect();
        if all.is_empty() { Err(told(&"no message")) } else { Ok(all) }
    })
}

/// The one record of a message id in the system's topic.
#[track_caller]
fn record_of(scene: &Scene, id: &str) -> Vec<String> {
    let mut found = found_in(&scene.client, SYSTEM, id);
    found.retain(|record| record[5] == id);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// What a record should say of one message.
struct Expected<'a> {
    id: &'a str,
    offset_id: &'a str,
    tags: &'a str,
    keys: &'a str,
    length: &'a str,
    kind: &'a str,
}

/// Checks all fields of the record of a send that succeeded.
#[track_caller]
fn check(scene: &Scene, sent: &SendResult, message: Expected<'_>) {
    let Expected { id, offset_id, tags, keys, length, kind } = message;
    let record = record_of(scene, id);
    let route = scene.client.topic_route(&scene.topic).unwrap();
    let broker = route.brokers().iter().find(|broker| broker.name() == sent.queue().broker_name()).unwrap();
    let expected = [
        ("kind of record", 0, "Pub"),
        ("region", 2, sent.region_id()),
        ("group", 3, &scene.group),
        ("topic", 4, &scene.topic),
        ("id", 5, id),
        ("tags", 6, tags),
        ("keys", 7, keys),
        ("broker", 8, &broker.addresses()[&0]),
        ("length", 9, length),
        ("kind of message", 11, kind),
        ("offset id", 12, offset_id),
        ("success", 13, "true"),
    ];
    for (what, at, expected) in expected {
        assert_eq!(record[at], expected, "{what} in {record:?}");
    }
    assert_eq!(record.len(), 14, "{record:?}");
    let (began, cost): (i64, i64) = (record[1].parse().unwrap(), record[10].parse().unwrap());
    let now = millis(SystemTime::now());
    assert!(began <= now && began > now - 300_000, "{began} is not just before {now}");
    assert!((0..60_000).contains(&cost), "{cost} ms");
}

#[track_caller]
fn check_one(scene: &Scene, sent: &SendResult, tags: &str, keys: &str, length: &str, kind: &str) {
    let (id, offset_id) = (sent.message_id(), sent.offset_message_id());
    check(scene, sent, Expected { id, offset_id, tags, keys, length, kind });
}

#[test]
fn sends_of_every_mode_leave_a_record_each_and_oneway_ones_none() {
    let scene = Scene::with_queues(1);
    let producer = producer(&scene, at_once());
    let sync = producer.send(Message::builder(&*scene.topic, "12345").tag("TagA").keys(["k1", "k2"])).unwrap();
    let (done, called_back) = mpsc::channel();
    producer.send_async(scene.message("async"), move |result| done.send(result.unwrap()).unwrap()).unwrap();
    let called_back = called_back.recv_timeout(PATIENCE).unwrap();
    let submitted = producer.prepare(scene.message("submit")).submit().unwrap().wait().unwrap();
    let selected = producer.prepare(scene.message("selected")).select(select::same_queue("x")).send().unwrap();
    producer.send_oneway(Message::builder(&*scene.topic, "oneway").key(format!("oneway-{}", scene.topic))).unwrap();
    scene.arrived(5);
    check_one(&scene, &sync, "TagA", "k1 k2", "5", "0");
    check_one(&scene, &called_back, "", "", "5", "0");
    check_one(&scene, &submitted, "", "", "6", "0");
    check_one(&scene, &selected, "", "", "8", "0");
    // Everything before it has been recorded.
    let oneway = scene.client.query_messages(SYSTEM, &format!("oneway-{}", scene.topic), 32, ..).unwrap();
    assert!(oneway.messages.is_empty(), "{oneway:?}");
}

#[test]
fn each_message_of_a_batch_has_a_record_of_its_own() {
    let scene = Scene::with_queues(1);
    let producer = producer(&scene, at_once());
    let first = Message::builder(&*scene.topic, "one").tag("a").key("first").build();
    let second = Message::builder(&*scene.topic, "three").key("second").build();
    let sent = producer.send_batch(vec![first, second]).unwrap();
    let ids: Vec<&str> = sent.message_ids().collect();
    let offset_ids: Vec<&str> = sent.offset_message_id().split(',').collect();
    assert_eq!((ids.len(), offset_ids.len()), (2, 2));
    let of = |at: usize, tags, keys, length| {
        check(&scene, &sent, Expected { id: ids[at], offset_id: offset_ids[at], tags, keys, length, kind: "0" });
    };
    of(0, "a", "first", "3");
    of(1, "", "second", "5");
}

#[test]
fn the_record_says_what_kind_of_message_it_was() {
    let scene = Scene::with_queues(1);
    let producer = producer(&scene, at_once());
    let message = || Message::builder(&*scene.topic, "x");
    let delayed = producer.send(message().delay_level(1)).unwrap();
    let ordered = producer.send(message().sharding_key("customer-17")).unwrap();
    check_one(&scene, &delayed, "", "", "1", "3");
    check_one(&scene, &ordered, "", "", "1", "4");
    if supports(Feature::TimerMessages) {
        let timed = producer.send(message().deliver_after(Duration::from_secs(1))).unwrap();
        check_one(&scene, &timed, "", "", "1", "3");
    }
    let compressed = producer.send(Message::new(&*scene.topic, vec![b'x'; 10_000])).unwrap();
    let length: usize = record_of(&scene, compressed.message_id())[9].parse().unwrap();
    assert!(length < 1000, "what was sent counts, as in Java: {length}");
}

#[test]
fn records_go_to_the_topic_that_is_named_and_are_found_by_id_and_keys() {
    let (scene, traces) = (Scene::with_queues(1), Scene::with_queues(1));
    let producer = producer(&scene, at_once().topic(&*traces.topic));
    let sent = producer.send(Message::builder(&*scene.topic, "x").keys(["k1", "k2"])).unwrap();
    let stored = traces.arrived(1);
    let keys: Vec<&str> = stored[0].keys().collect();
    assert_eq!(keys, [sent.message_id(), "k1", "k2"]);
    assert_eq!(records(&stored[0])[0][5], sent.message_id());
    assert_eq!(found_in(&scene.client, &traces.topic, "k2").len(), 1);
    assert!(scene.client.query_messages(SYSTEM, sent.message_id(), 32, ..).unwrap().messages.is_empty());
}

#[test]
fn sends_to_the_trace_topic_are_not_traced() {
    let traces = Scene::with_queues(1);
    let producer = producer(&traces, at_once().topic(&*traces.topic));
    producer.send(traces.message("not a trace")).unwrap();
    producer.send_batch(vec![traces.message("1"), traces.message("2")]).unwrap();
    producer.close().unwrap();
    assert_eq!(traces.arrived(3).len(), 3);
}

#[test]
fn a_failed_send_is_recorded_as_one() {
    let scene = Scene::with_queues(1);
    let producer = producer(&scene, at_once());
    let beyond = MessageQueue::new(&*scene.topic, scene.queue().broker_name(), 9);
    let key = unique("failed");
    producer.prepare(Message::builder(&*scene.topic, "x").key(&key)).queue(&beyond).send().unwrap_err();
    let record = found_in(&scene.client, SYSTEM, &key).remove(0);
    assert_eq!((&*record[0], &*record[7], &*record[12], &*record[13]), ("Pub", &*key, "", "false"));
    let route = scene.client.topic_route(&scene.topic).unwrap();
    let broker = route.brokers().iter().find(|broker| broker.name() == beyond.broker_name()).unwrap();
    assert_eq!(record[8], broker.addresses()[&0], "the broker that refused");
}

#[test]
fn a_missing_trace_topic_neither_disturbs_sends_nor_is_created() {
    let scene = Scene::with_queues(1);
    let missing = unique("missing");
    let producer = producer(&scene, at_once().topic(&*missing));
    for number in 0..50 {
        producer.send(scene.message(format!("{number}"))).unwrap();
    }
    let began = Instant::now();
    producer.close_within(PATIENCE).unwrap();
    assert!(began.elapsed() < PATIENCE / 2, "closing took {:?}", began.elapsed());
    scene.arrived(50);
    let trace = producer.stats().trace;
    assert_eq!((trace.recorded, trace.sent, trace.dropped, trace.failed), (50, 0, 0, 50));
    assert!(scene.client.publish_queues(&missing).is_err());
}

#[test]
fn a_full_queue_neither_delays_nor_fails_sends() {
    let (scene, traces) = (Scene::with_queues(1), Scene::with_queues(1));
    let trace = Trace::default().queue(1).batch(20).interval(Duration::from_secs(3600)).topic(&*traces.topic);
    let producer = producer(&scene, trace);
    for number in 0..50 {
        producer.send(scene.message(format!("{number}"))).unwrap();
    }
    producer.close().unwrap();
    scene.arrived(50);
    assert_eq!(records(&traces.arrived(1)[0]).len(), 1, "the others were dropped");
    let trace = producer.stats().trace;
    assert_eq!((trace.recorded, trace.sent, trace.dropped, trace.failed), (1, 1, 49, 0));
}

#[test]
fn settings_out_of_range_are_refused_at_the_start() {
    let scene = scene();
    let refused = |trace: Trace| {
        let started = scene.client.producer(unique("refused")).trace(trace).start();
        started.expect_err("a wrong setting").to_string()
    };
    assert!(refused(Trace::default().batch(21)).contains("batch"));
    assert!(refused(Trace::default().topic("no topic")).contains("topic"));
}

#[cfg(feature = "acl")]
#[test]
fn no_credential_appears_in_a_trace() {
    let (Some(name_server), Some(access), Some(secret)) =
        (live_variable("ACL_NAME_SERVER"), live_variable("ACL_ACCESS_KEY"), live_variable("ACL_SECRET_KEY"))
    else {
        return traced_with_credentials(None);
    };
    traced_with_credentials(Some((name_server, access, secret)));
}

#[cfg(feature = "acl")]
fn traced_with_credentials(live: Option<(String, String, String)>) {
    use rocketmq_blocking::Credentials;
    let own = live.is_none().then(|| {
        embedded::Cluster::builder().credentials("trace-access", "trace-secret-key").start().expect("a cluster")
    });
    let (name_server, access, secret) = live.unwrap_or_else(|| {
        let name_server = own.as_ref().unwrap().name_server().to_owned();
        (name_server, "trace-access".to_owned(), "trace-secret-key".to_owned())
    });
    let credentials = Credentials::new(&*access, &*secret);
    let client = client_builder().name_servers(name_server).credentials(credentials).build().unwrap();
    let (topic, traces) = (unique("topic"), unique("traces"));
    for name in [&topic, &traces] {
        client.create_topic("TBW102", name, 1).unwrap();
        eventually(PATIENCE, || client.publish_queues(name));
    }
    let trace = at_once().topic(&*traces);
    let producer = client.producer(unique("group")).timeout(PATIENCE).trace(trace).start().unwrap();
    let sent = producer.send(Message::new(&*topic, "x")).unwrap();
    let found = eventually(PATIENCE, || match client.query_messages(&traces, sent.message_id(), 32, ..) {
        Ok(found) if !found.messages.is_empty() => Ok(found.messages),
        other => Err(format!("{other:?}")),
    });
    for message in found {
        let text = format!("{:?} {:?}", message.body_text(), message.properties());
        assert!(!text.contains(&access) && !text.contains(&secret), "{text}");
    }
}

#[test]
fn in_a_namespace_traces_name_groups_and_topics_without_it() {
    let mut scene = scene();
    scene.client = scene.cluster.builder().namespace(unique("ns")).build().unwrap();
    scene.create_topic(1);
    let producer = producer(&scene, at_once());
    let sent = producer.send(scene.message("x")).unwrap();
    check_one(&scene, &sent, "", "", "1", "0");
}

#[test]
fn traces_never_go_to_second_ports() {
    let cluster = embedded::Cluster::builder().vip_channel(true).topic("T", 1).start().unwrap();
    let client = client_builder().name_servers(cluster.name_server()).vip_channel(true).build().unwrap();
    let producer = client.producer("group").trace(at_once()).start().unwrap();
    producer.send(Message::new("T", "x")).unwrap();
    producer.close().unwrap();
    let asked: Vec<_> = (cluster.requests_of(RequestCode::SEND_MESSAGE_V2).iter())
        .map(|request| (request.field("b").unwrap_or_default().to_owned(), request.server.to_string()))
        .collect();
    let expected = [("T", "broker-a/vip"), (SYSTEM, "broker-a")];
    assert_eq!(asked, expected.map(|(topic, server)| (topic.to_owned(), server.to_owned())));
}

#[test]
fn the_answer_to_a_check_is_an_end_that_says_so() {
    let cluster = embedded::Cluster::builder()
        .transaction_timeout(Duration::from_millis(200))
        .transaction_check_interval(Duration::from_millis(50))
        .topic("T", 1)
        .start()
        .unwrap();
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let producer = client
        .transaction_producer("group")
        .check(|_| TransactionResolution::Commit)
        .producer(|producer| producer.trace(at_once()).topics(["T"]))
        .start()
        .unwrap();
    let message = Message::builder("T", "x").tag("t").keys(["k1", "k2"]);
    let sent = producer.send(message, |_| TransactionResolution::Unknown).unwrap();
    let ends = eventually(PATIENCE, || {
        let stored = cluster.stored(SYSTEM);
        let all = stored.iter().flat_map(records).filter(|record| record[0] == "EndTransaction");
        let ends: Vec<Vec<String>> = all.collect();
        if ends.len() == 2 { Ok(ends) } else { Err(format!("{ends:?}")) }
    });
    let id = sent.sent().message_id();
    let broker = cluster.broker("broker-a").addr().to_string();
    for (state, from_check) in [("UNKNOW", "false"), ("COMMIT_MESSAGE", "true")] {
        let end = ends.iter().find(|end| end[12] == from_check).unwrap_or_else(|| panic!("{ends:?}"));
        let expected = ["DefaultRegion", "group", "T", id, "t", "k1 k2", &broker, "2", id, state, from_check];
        assert_eq!(end[2..], expected, "{end:?}");
    }
}

#[test]
fn a_recall_leaves_a_record_be_it_refused_or_not() {
    let scene = Scene::with_queues(1);
    if !supports(Feature::Recall) {
        return;
    }
    let producer = producer(&scene, at_once());
    let message = Message::builder(&*scene.topic, "x").deliver_after(Duration::from_secs(2));
    let sent = producer.send(message).unwrap();
    producer.recall(&scene.topic, sent.recall_handle().unwrap()).unwrap();
    let recalls = || {
        let mut found = found_in(&scene.client, SYSTEM, sent.message_id());
        found.retain(|record| record[0] == "Recall");
        found
    };
    let told = |success: &str| {
        let expected = [sent.region_id(), &scene.group, &scene.topic, sent.message_id(), success];
        eventually(PATIENCE, || match recalls() {
            found if found.iter().any(|record| record[2..] == expected) => Ok(()),
            found => Err(format!("{found:?}")),
        });
    };
    told("true");
    let refused = eventually(PATIENCE, || match producer.recall(&scene.topic, sent.recall_handle().unwrap()) {
        Ok(_) => Err("it is still recalled"),
        Err(error) => Ok(error),
    });
    assert_eq!(refused.outcome(), Outcome::Rejected, "its time has come");
    told("false");
}

/// Apache's own tool reads the record of our send.
#[test]
fn mqadmin_shows_a_traced_send() {
    if live_variable("LIB").is_none() {
        return say("mqadmin is not there: it needs Apache's jars (ROCKETMQ_LIVE_LIB)");
    }
    let scene = Scene::with_queues(1);
    let producer = producer(&scene, at_once());
    let sent = producer.send(Message::builder(&*scene.topic, noise(100, 1)).key("k")).unwrap();
    record_of(&scene, sent.message_id());
    let shown = mqadmin(&["queryMsgTraceById", "-i", sent.message_id(), "-n", &scene.cluster.name_server]);
    let line = shown.lines().find(|line| line.starts_with("Pub"));
    let line = line.unwrap_or_else(|| panic!("no send is shown: {shown}"));
    assert!(line.contains(&scene.group) && line.contains("success"), "{shown}");
}
