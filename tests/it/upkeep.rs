//! What a client does by itself: heartbeats, routes, and connections that are no longer needed.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use rocketmq_blocking::embedded::{Cluster, Fault};
use rocketmq_blocking::{Client, Message, MessageQueue, Outcome, RequestCode};

use crate::support::{PATIENCE, client_builder, eventually, unique};

const SOON: Duration = Duration::from_millis(100);

fn two_brokers() -> Cluster {
    Cluster::builder().brokers(2).topic("T", 2).start().unwrap()
}

/// A client that looks after everything often.
fn busy(cluster: &Cluster) -> Client {
    let builder = client_builder().name_servers(cluster.name_server());
    builder.route_interval(SOON).heartbeat_interval(SOON).scan_interval(SOON).build().unwrap()
}

fn becomes(what: &str, is_so: impl Fn() -> bool) {
    eventually(PATIENCE, || if is_so() { Ok(()) } else { Err(format!("never: {what}")) });
}

#[test]
fn every_broker_learns_of_a_group_and_that_it_left() {
    let cluster = two_brokers();
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let producer = client.producer("P").start().unwrap();
    producer.send(Message::new("T", "x")).unwrap();
    let consumer = client.pull_consumer("C").start().unwrap();
    let id = vec![client.client_id().to_owned()];
    for name in cluster.broker_names() {
        becomes("the producer is known", || cluster.broker(&name).producers("P") == id);
        becomes("the consumer is known", || cluster.broker(&name).consumers("C") == id);
    }
    producer.close().unwrap();
    consumer.close().unwrap();
    for name in cluster.broker_names() {
        assert!(cluster.broker(&name).producers("P").is_empty(), "{name} was told before close returned");
        assert!(cluster.broker(&name).consumers("C").is_empty(), "{name} was told before close returned");
    }
}

#[test]
fn heartbeats_and_routes_are_repeated() {
    let cluster = two_brokers();
    let client = busy(&cluster);
    let producer = client.producer("P").start().unwrap();
    producer.send(Message::new("T", "x")).unwrap();
    for code in [RequestCode::HEART_BEAT, RequestCode::GET_ROUTEINFO_BY_TOPIC] {
        let before = cluster.requests_of(code).len();
        becomes(&format!("{code} is sent again and again"), || cluster.requests_of(code).len() >= before + 6);
    }
    let told = cluster.requests_of(RequestCode::HEART_BEAT);
    for name in cluster.broker_names() {
        assert!(told.iter().any(|request| *request.server == *name), "{name} got a heartbeat");
    }
}

#[test]
fn a_broker_that_was_restarted_learns_of_the_groups_again() {
    let cluster = two_brokers();
    let client = busy(&cluster);
    let producer = client.producer("P").start().unwrap();
    producer.send(Message::new("T", "x")).unwrap();
    let broker = cluster.broker("broker-a");
    becomes("the producer is known", || !broker.producers("P").is_empty());
    broker.kill();
    assert!(broker.producers("P").is_empty());
    broker.restart().unwrap();
    becomes("the producer is known again", || !broker.producers("P").is_empty());
}

#[test]
fn a_producer_follows_changes_of_its_topics() {
    let cluster = two_brokers();
    let client = busy(&cluster);
    let producer = client.producer("P").start().unwrap();
    let queues = || {
        let used: std::collections::HashSet<MessageQueue> =
            (0..16).map(|_| producer.send(Message::new("T", "x")).unwrap().queue().clone()).collect();
        used.len()
    };
    assert_eq!(queues(), 4);
    for name in cluster.broker_names() {
        cluster.broker(&name).topic_queues("T", 5, 5);
    }
    becomes("all ten queues are used", || queues() == 10);
}

#[test]
fn connections_to_brokers_that_are_in_no_route_are_closed() {
    let cluster = two_brokers();
    let client = busy(&cluster);
    let producer = client.producer("P").start().unwrap();
    for _ in 0..4 {
        producer.send(Message::new("T", "x")).unwrap();
    }
    let broker = cluster.broker("broker-b");
    assert_eq!(broker.connections(), 1);
    broker.registered(false);
    becomes("the connection is closed", || broker.connections() == 0);
    for _ in 0..4 {
        assert_eq!(producer.send(Message::new("T", "x")).unwrap().queue().broker_name(), "broker-a");
    }
}

#[test]
fn a_broker_the_cached_route_does_not_name_is_looked_up_again() {
    let cluster = two_brokers();
    let broker = cluster.broker("broker-b");
    broker.registered(false);
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let producer = client.producer("P").start().unwrap();
    assert_eq!(producer.send(Message::new("T", "x")).unwrap().queue().broker_name(), "broker-a");
    broker.registered(true);
    let queue = MessageQueue::new("T", "broker-b", 1);
    let sent = producer.prepare(Message::new("T", "sync")).queue(&queue).send().unwrap();
    assert_eq!(sent.queue(), &queue);
}

#[test]
fn a_broker_the_cached_route_does_not_name_is_looked_up_again_in_the_background() {
    let cluster = two_brokers();
    let broker = cluster.broker("broker-b");
    broker.registered(false);
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let producer = client.producer("P").start().unwrap();
    producer.send(Message::new("T", "x")).unwrap();
    broker.registered(true);
    let queue = MessageQueue::new("T", "broker-b", 1);
    let sent = producer.prepare(Message::new("T", "async")).queue(&queue).submit().unwrap().wait().unwrap();
    assert_eq!(sent.queue(), &queue);
}

#[test]
fn topics_named_at_the_start_are_looked_up_before_the_first_send() {
    let cluster = two_brokers();
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    cluster.clear_requests();
    let producer = client.producer("P").topics(["T"]).start().unwrap();
    let asked = || cluster.requests_of(RequestCode::GET_ROUTEINFO_BY_TOPIC).len();
    assert_eq!(asked(), 1);
    producer.send(Message::new("T", "x")).unwrap();
    assert_eq!(asked(), 1, "the first send did not have to");
    let unknown = client.producer("Q").topics([unique("unknown")]).start();
    assert!(unknown.is_ok(), "a topic that does not exist yet is no reason not to start: {unknown:?}");
}

#[test]
fn a_topics_first_send_looks_its_route_up_once_and_later_ones_do_not() {
    let cluster = two_brokers();
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let producer = client.producer("P").start().unwrap();
    cluster.clear_requests();
    for _ in 0..10 {
        producer.send(Message::new("T", "x")).unwrap();
    }
    assert_eq!(cluster.requests_of(RequestCode::GET_ROUTEINFO_BY_TOPIC).len(), 1);
}

#[test]
fn an_asynchronous_send_that_is_never_answered_calls_back_at_its_deadline() {
    let cluster = two_brokers();
    for name in cluster.broker_names() {
        cluster.broker(&name).fault(Fault::never_answer().on(RequestCode::SEND_MESSAGE_V2));
    }
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let producer = client.producer("P").timeout(Duration::from_millis(700)).start().unwrap();
    let (done, called_back) = mpsc::channel();
    let began = Instant::now();
    for number in 0..20 {
        let done = done.clone();
        let callback = move |result: Result<_, rocketmq_blocking::SendError>| {
            let thread = std::thread::current().name().unwrap_or_default().to_owned();
            done.send((began.elapsed(), thread, result.map(drop))).unwrap();
        };
        producer.send_async(Message::new("T", number.to_string()), callback).unwrap();
    }
    for _ in 0..20 {
        let (after, thread, result) = called_back.recv_timeout(PATIENCE).unwrap();
        let error = result.unwrap_err().error;
        assert_eq!((error.outcome(), error.is_timeout()), (Outcome::Unknown, true), "{error}");
        assert!((Duration::from_millis(690)..Duration::from_millis(1_500)).contains(&after), "{after:?}");
        assert!(thread.starts_with("mq-callback"), "{thread}");
    }
    assert!(called_back.try_recv().is_err(), "each was called once");
}
