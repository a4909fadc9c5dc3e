//! What producers and clients tell about themselves: counts that add up, latencies, brokers that are avoided, oddities of
//! connections. What only a server that misbehaves shows is on embedded clusters.

use std::sync::mpsc;
use std::time::Duration;

use rocketmq_blocking::embedded::{Cluster, Fault};
use rocketmq_blocking::{
    BrokerState, BrokerStats, ConnectionState, Error, Message, Outcome, Producer, ProducerStats, RequestCode,
    ResponseCode, Stored, TransactionResolution,
};

use crate::support::{PATIENCE, Scene, client_builder, client_to_nowhere, eventually, noise, unique};

const TOPIC: &str = "StatsTopic";
const BOTH: [&str; 2] = ["broker-a", "broker-b"];

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn message() -> Message {
    Message::new(TOPIC, "twelve bytes")
}

/// A cluster of its own, with a producer that knows the route and has its connections.
struct Stage {
    cluster: Cluster,
    producer: Producer,
}

impl Stage {
    fn new(brokers: usize) -> Stage {
        let cluster = Cluster::builder().brokers(brokers).topic(TOPIC, 2).start().unwrap();
        let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
        let producer = client.producer(unique("stats")).start().unwrap();
        for queue in producer.fetch_queues(TOPIC).unwrap() {
            producer.max_offset(&queue).unwrap();
        }
        Stage { cluster, producer }
    }

    fn fault(&self, broker: &str, fault: Fault) {
        self.cluster.broker(broker).fault(fault.on(RequestCode::SEND_MESSAGE_V2));
    }

    fn broker(&self, name: &str) -> BrokerStats {
        let brokers = self.producer.stats().brokers;
        brokers.into_iter().find(|broker| &*broker.name == name).expect("it has been sent to")
    }
}

/// Sends by every verb, with every outcome that a working server gives, and says how many messages that were.
fn send_by_every_verb(scene: &Scene, producer: &Producer) -> u64 {
    for _ in 0..5 {
        producer.send(scene.message("twelve bytes")).unwrap();
    }
    let (done, results) = mpsc::channel();
    for _ in 0..4 {
        let done = done.clone();
        producer.send_async(scene.message("twelve bytes"), move |result| done.send(result).unwrap()).unwrap();
    }
    (0..4).for_each(|_| drop(results.recv_timeout(PATIENCE).unwrap().unwrap()));
    let pending: Vec<_> = (0..2).map(|_| producer.prepare(scene.message("twelve bytes")).submit().unwrap()).collect();
    pending.into_iter().for_each(|pending| drop(pending.wait().unwrap()));
    for _ in 0..3 {
        producer.send_oneway(scene.message("twelve bytes")).unwrap();
    }
    5 + 4 + 2 + 3
}

#[test]
fn every_message_is_counted_once_under_its_outcome() {
    let scene = Scene::with_queues(2);
    let large = 16 * 1024 * 1024 - 128 * 1024;
    let builder = scene.client.producer(&*scene.group).timeout(PATIENCE).max_message_size(large);
    let producer = builder.start().unwrap();
    assert_eq!(producer.stats(), ProducerStats::default(), "nothing has happened yet");

    let mut given = send_by_every_verb(&scene, &producer);
    // A send is in flight until its callback has returned, which is a moment after it has told its result.
    let stats = eventually(PATIENCE, || Some(producer.stats()).filter(|stats| stats.in_flight == 0).ok_or("in flight"));
    assert_eq!((stats.stored.ok, stats.oneway, stats.body_bytes), (11, 3, 14 * 12), "{stats}");
    assert_eq!((stats.latency.count, stats.in_flight, stats.in_flight_bytes), (11, 0, 0));

    let batch = (0..3).map(|number| scene.message(format!("of a batch {number}"))).collect();
    producer.send_batch(batch).unwrap();
    // No server takes more than 4 MiB unless it is told to.
    let refused = producer.send(Message::new(&*scene.topic, noise(5 * 1024 * 1024, 1))).unwrap_err();
    assert_eq!(refused.error.outcome(), Outcome::Rejected, "{refused}");
    producer.send(Message::new("not a topic", "x")).unwrap_err();
    producer.send_oneway(Message::new("not a topic", "x")).unwrap_err();
    producer.send_async(Message::new("not a topic", "x"), |_| unreachable!()).unwrap_err();
    producer.prepare(scene.message("x")).select(|_, _| 99).send().unwrap_err();
    given += 3 + 1 + 4;

    let stats = producer.stats();
    let Stored { ok, .. } = stats.stored;
    assert_eq!((ok, stats.stored.total()), (14, 14), "{stats}");
    assert_eq!((stats.rejected, stats.not_sent, stats.unknown, stats.oneway), (1, 4, 0, 3), "{stats}");
    assert_eq!((stats.messages(), stats.latency.count), (given, 12), "a batch is one send of several messages");
    assert_eq!((stats.retries, stats.may_be_duplicated, stats.broker_failures), (0, 0, 0), "{stats}");
    let latency = stats.latency;
    let ascending = [Duration::from_nanos(1), latency.p50, latency.p90, latency.p99, latency.p999, latency.max];
    assert!(ascending.is_sorted() && latency.mean <= latency.max, "{latency}");
    assert_eq!(stats.brokers.len(), 2, "{stats}");
    assert!(stats.brokers.iter().all(|broker| broker.state == BrokerState::Available && broker.failures == 0));
    assert!(stats.to_string().starts_with("messages: 14 stored, 1 rejected, 4 not sent, 0 unknown, 3 oneway"));
    scene.arrived(17);

    producer.close().unwrap();
    producer.send(scene.message("x")).unwrap_err();
    let mut expected = stats.clone();
    expected.not_sent += 1;
    assert_eq!(producer.stats(), expected, "closed, it still tells, and refuses");
    scene.client.close().unwrap();
    assert_eq!(producer.stats().messages(), given + 1);
}

#[test]
fn a_message_without_a_server_is_not_sent() {
    let producer = client_to_nowhere().producer(unique("nowhere")).timeout(millis(300)).start().unwrap();
    producer.send(message()).unwrap_err();
    producer.send_oneway(message()).unwrap_err();
    producer.prepare(message()).submit().unwrap().wait().unwrap_err();
    let stats = producer.stats();
    assert_eq!((stats.not_sent, stats.messages(), stats.latency.count), (3, 3, 0), "{stats}");
}

#[test]
fn a_client_tells_its_connections_and_what_went_over_them() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    for _ in 0..10 {
        producer.send(scene.message("x")).unwrap();
    }
    let stats = scene.client.stats();
    let name_server = stats.name_server.clone().expect("it was given");
    assert_eq!(*name_server, *scene.cluster.name_server);
    assert_eq!(stats.connections.len(), 3, "the name server and two brokers: {stats}");
    assert!(stats.connections.iter().any(|connection| connection.addr == name_server));
    for connection in &stats.connections {
        assert_eq!((connection.state, connection.held), (ConnectionState::Open, 0), "{stats}");
        let silent_for = connection.silent_for.expect("something was received");
        assert!(silent_for <= connection.age, "{connection}");
    }
    assert!(stats.routes >= 1 && stats.connects == 3 && stats.reconnects == 0, "{stats}");
    assert!(stats.requests >= 10 && stats.writes >= 10 && stats.writes <= stats.requests, "{stats}");
    assert!(stats.bytes_written > 1000 && stats.bytes_received > 1000, "{stats}");
    assert_eq!((stats.timeouts, stats.late_answers, stats.duplicate_answers, stats.foreign_answers), (0, 0, 0, 0));
    assert!(stats.to_string().starts_with(&format!("name server: {name_server}, ")), "{stats}");

    scene.client.close().unwrap();
    let closed = scene.client.stats();
    assert!(closed.connections.is_empty(), "{closed}");
    assert!(closed.requests >= stats.requests && closed.connects == 3, "{closed}");
}

#[test]
fn a_broker_that_fails_is_shown_as_avoided_until_it_has_answered() {
    let stage = Stage::new(2);
    stage.fault("broker-a", Fault::error(ResponseCode::SYSTEM_BUSY, "busy"));
    // The round robin begins anywhere.
    eventually(PATIENCE, || {
        stage.producer.send(message()).unwrap();
        if stage.producer.stats().retries == 1 { Ok(()) } else { Err("broker-a has not been asked") }
    });
    let stats = stage.producer.stats();
    assert_eq!((stats.broker_failures, stats.unknown, stats.rejected, stats.overdue_attempts), (1, 0, 0, 0));
    let avoided = stage.broker("broker-a");
    assert!(matches!(avoided.state, BrokerState::Avoided(left) if left <= millis(1000)), "{avoided}");
    assert_eq!((avoided.failures, stage.broker("broker-b").state), (1, BrokerState::Available), "{stats}");
    // Its pause ends without anybody asking it.
    eventually(PATIENCE, || match stage.broker("broker-a").state {
        BrokerState::ProbeDue => Ok(()),
        state => Err(state.to_string()),
    });
    stage.cluster.broker("broker-a").clear_faults();
    eventually(PATIENCE, || {
        stage.producer.send(message()).unwrap();
        let broker = stage.broker("broker-a");
        if broker.state == BrokerState::Available && broker.failures == 0 { Ok(()) } else { Err(broker.to_string()) }
    });
    assert_eq!(stage.producer.stats().retries, 1, "it was probed, not tried");
}

#[test]
fn a_probe_under_way_is_shown() {
    let stage = Stage::new(2);
    stage.fault("broker-a", Fault::error(ResponseCode::SYSTEM_BUSY, "busy"));
    stage.cluster.broker("broker-a").fault(Fault::delay(millis(600)).on(RequestCode::GET_MAX_OFFSET));
    eventually(PATIENCE, || {
        stage.producer.send(message()).unwrap();
        match stage.broker("broker-a").state {
            BrokerState::Probing => Ok(()),
            state => Err(state.to_string()),
        }
    });
}

#[test]
fn a_success_of_an_earlier_attempt_is_counted_as_late_and_perhaps_twice() {
    for asynchronous in [false, true] {
        let stage = Stage::new(2);
        // The one that is asked second answers as late, and so after the first.
        for broker in BOTH {
            stage.fault(broker, Fault::delay(millis(400)).times(1));
        }
        let send = stage.producer.prepare(message()).timeout(PATIENCE).retries(1).attempt_timeout(millis(150));
        let sent = if asynchronous { send.submit().unwrap().wait().unwrap() } else { send.send().unwrap() };
        assert_eq!((sent.attempts(), sent.may_be_duplicated()), (2, true), "{sent}");
        let stats = stage.producer.stats();
        assert_eq!((stats.stored.ok, stats.retries, stats.overdue_attempts), (1, 1, 1), "{stats}");
        assert_eq!((stats.late_successes, stats.may_be_duplicated), (1, 1), "{stats}");
        assert!(stats.latency.max >= millis(400), "{stats}");
        // The answer to the second attempt comes when nobody waits for it any more.
        if !asynchronous {
            eventually(PATIENCE, || match stage.producer.client().stats() {
                stats if stats.late_answers == 1 && stats.timeouts == 0 => Ok(()),
                stats => Err(stats.to_string()),
            });
        }
    }
}

#[test]
fn a_weaker_status_and_an_unknown_outcome_have_counts_of_their_own() {
    let stage = Stage::new(1);
    let statuses =
        [ResponseCode::FLUSH_DISK_TIMEOUT, ResponseCode::FLUSH_SLAVE_TIMEOUT, ResponseCode::SLAVE_NOT_AVAILABLE];
    for status in statuses {
        stage.fault("broker-a", Fault::error_after(status, "").times(1));
        stage.producer.send(message()).unwrap();
    }
    let stats = stage.producer.stats();
    let Stored { ok, flush_disk_timeout, flush_slave_timeout, slave_not_available, .. } = stats.stored;
    assert_eq!((ok, flush_disk_timeout, flush_slave_timeout, slave_not_available), (0, 1, 1, 1), "{stats}");
    assert!(stats.to_string().contains("3 stored (1 of them FLUSH_DISK_TIMEOUT, "), "{stats}");
    stage.fault("broker-a", Fault::error_after(ResponseCode::SYSTEM_ERROR, "disk trouble").times(1));
    let failed = stage.producer.prepare(message()).retries(0).send().unwrap_err();
    assert_eq!(failed.error.outcome(), Outcome::Unknown);
    assert_eq!((stage.producer.stats().unknown, stage.producer.stats().messages()), (1, 4));
}

#[test]
fn what_is_in_flight_is_shown_until_its_answer_comes() {
    let stage = Stage::new(1);
    stage.fault("broker-a", Fault::delay(millis(1500)).times(3).on(RequestCode::SEND_MESSAGE_V2));
    let pending: Vec<_> = (0..3).map(|_| stage.producer.prepare(message()).submit().unwrap()).collect();
    let stats = stage.producer.stats();
    assert_eq!((stats.in_flight, stats.in_flight_bytes, stats.messages()), (3, 36, 0), "{stats}");
    // The heartbeat of a new connection may be on its way as well.
    eventually(PATIENCE, || match stage.producer.client().stats() {
        client if client.connections.iter().any(|connection| connection.in_flight == 3) => Ok(()),
        client => Err(client.to_string()),
    });
    pending.into_iter().for_each(|pending| drop(pending.wait().unwrap()));
    let stats = stage.producer.stats();
    assert_eq!((stats.in_flight, stats.in_flight_bytes, stats.messages()), (0, 0, 3), "{stats}");
}

#[test]
fn an_answer_after_the_timeout_is_a_timeout_and_then_a_late_answer() {
    let stage = Stage::new(1);
    let client = stage.producer.client();
    for asynchronous in [false, true] {
        let before = client.stats();
        stage.fault("broker-a", Fault::delay(millis(400)).times(1));
        let send = stage.producer.prepare(message()).timeout(millis(100)).retries(0);
        let error = match asynchronous {
            true => send.submit().unwrap().wait().unwrap_err().into(),
            false => rocketmq_blocking::Error::from(send.send().unwrap_err()),
        };
        assert!(error.is_timeout() && error.outcome() == Outcome::Unknown, "{error}");
        assert_eq!(client.stats().timeouts, before.timeouts + 1);
        eventually(PATIENCE, || match client.stats() {
            stats if stats.late_answers == before.late_answers + 1 => Ok(()),
            stats => Err(stats.to_string()),
        });
    }
    let stats = client.stats();
    assert_eq!((stats.late_answers, stats.duplicate_answers, stats.foreign_answers), (2, 0, 0), "{stats}");
    assert_eq!(stage.producer.stats().unknown, 2);
}

#[test]
fn answers_that_nobody_waits_for_are_told_apart() {
    let stage = Stage::new(1);
    let client = stage.producer.client();
    stage.fault("broker-a", Fault::duplicate_reply().times(1));
    stage.producer.send(message()).unwrap();
    eventually(
        PATIENCE,
        || if client.stats().duplicate_answers == 1 { Ok(()) } else { Err(client.stats().to_string()) },
    );
    stage.fault("broker-a", Fault::wrong_opaque().times(1));
    stage.producer.prepare(message()).timeout(millis(200)).retries(0).send().unwrap_err();
    let stats = client.stats();
    assert_eq!((stats.late_answers, stats.duplicate_answers, stats.foreign_answers), (0, 1, 1), "{stats}");
    assert!(stats.to_string().contains("oddities: 1 timeouts, 1 duplicate answers, 1 foreign answers"), "{stats}");
}

#[test]
fn a_server_that_leaves_and_the_new_connection_are_counted() {
    let stage = Stage::new(1);
    let client = stage.producer.client();
    let before = client.stats();
    stage.fault("broker-a", Fault::go_away().times(1));
    stage.producer.send(message()).unwrap();
    let stats = client.stats();
    assert_eq!((stats.go_aways, stats.reconnects), (1, 1), "{stats}");
    assert_eq!(stats.connects, before.connects + 1, "{stats}");
    assert_eq!((stage.producer.stats().stored.ok, stage.producer.stats().retries), (1, 1));
}

#[test]
fn callbacks_that_run_and_wait_are_shown() {
    let cluster = Cluster::builder().topic(TOPIC, 2).start().unwrap();
    let client = client_builder().name_servers(cluster.name_server()).callback_threads(1).build().unwrap();
    let producer = client.producer(unique("callbacks")).start().unwrap();
    let (release, held) = mpsc::channel::<()>();
    producer.send_async(message(), move |_| held.recv().unwrap_or_default()).unwrap();
    producer.send_async(message(), |_| ()).unwrap();
    eventually(PATIENCE, || match client.stats() {
        stats if (stats.callbacks_running, stats.callbacks_queued) == (1, 1) => Ok(()),
        stats => Err(stats.to_string()),
    });
    // Both have ended, though not for their window: callbacks belong to it.
    assert_eq!((producer.stats().stored.ok, producer.stats().in_flight), (2, 2));
    drop(release);
    eventually(PATIENCE, || match client.stats() {
        stats if (stats.callbacks_running, stats.callbacks_queued) == (0, 0) => Ok(()),
        stats => Err(stats.to_string()),
    });
}

#[test]
fn closing_a_client_reports_what_its_producers_finished_and_gave_up() {
    let stage = Stage::new(1);
    stage.fault("broker-a", Fault::delay(millis(200)).times(1));
    stage.fault("broker-a", Fault::never_answer().times(1));
    let send = || stage.producer.prepare(message()).timeout(PATIENCE).retries(0).submit().unwrap();
    let (slow, silent) = (send(), send());
    let report = stage.producer.client().close_within(millis(1000)).unwrap();
    assert_eq!((report.finished, report.abandoned, report.complete), (1, 1, true), "{report}");
    slow.wait().unwrap();
    assert_eq!(silent.wait().map_err(rocketmq_blocking::Error::from).unwrap_err().outcome(), Outcome::Unknown);
    assert_eq!((stage.producer.stats().stored.ok, stage.producer.stats().unknown), (1, 1));
}

#[test]
fn requests_and_late_replies_are_counted() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let replier = scene.client.producer(unique("replier")).timeout(PATIENCE).start().unwrap();
    let error = producer.request(scene.message("too late"), millis(700)).unwrap_err().error;
    assert!(matches!(error, Error::NoReply { .. }), "{error}");
    let asked = scene.arrived(1).remove(0);
    replier.send(asked.reply("late").unwrap()).unwrap();
    eventually(PATIENCE, || match scene.client.stats() {
        stats if stats.late_replies == 1 => Ok(()),
        stats => Err(stats.to_string()),
    });
    std::thread::scope(|scope| {
        let request = scope.spawn(|| producer.request(scene.message("in time"), PATIENCE));
        let mut asked = scene.arrived(2);
        asked.retain(|message| message.body_text() == Some("in time"));
        assert_eq!(scene.client.stats().requests_waiting, 1);
        replier.send(asked[0].reply("soon").unwrap()).unwrap();
        assert_eq!(request.join().unwrap().unwrap().body_text(), Some("soon"));
    });
    let stats = producer.stats();
    assert_eq!((stats.requests.replied, stats.requests.timed_out), (1, 1), "{stats}");
    assert_eq!((stats.messages(), stats.rejected, stats.not_sent), (2, 0, 0), "a request is a message, too: {stats}");
    let stats = scene.client.stats();
    assert_eq!((stats.late_replies, stats.requests_waiting), (1, 0), "{stats}");
}

#[test]
fn transactions_are_counted_by_their_end() {
    let stage = Stage::new(1);
    let builder = stage.producer.client().transaction_producer(unique("transactions"));
    let producer = builder.check(|_| TransactionResolution::Unknown).start().unwrap();
    producer.begin(message()).unwrap().commit().unwrap();
    producer.begin(message()).unwrap().commit().unwrap();
    producer.begin(message()).unwrap().rollback().unwrap();
    drop(producer.begin(message()).unwrap());
    producer.send(message(), |_| TransactionResolution::Unknown).unwrap();
    let stats = producer.producer().stats();
    let counts = stats.transactions;
    assert_eq!((counts.begun, counts.committed, counts.rolled_back, counts.unknown), (5, 2, 1, 2), "{stats}");
    assert_eq!((counts.ends_failed, counts.checks_answered, counts.checks_dropped), (0, 0, 0), "{stats}");
    assert_eq!((stats.stored.ok, stats.messages()), (5, 5), "half messages are messages");
    assert!(stats.to_string().contains("transactions: 5 begun, 2 committed, 1 rolled back, 2 left open"), "{stats}");
}
