//! A server that says GO_AWAY, because it is being shut down or replaced, is left for a new connection without anybody
//! noticing.

use std::sync::mpsc;
use std::time::Duration;

use rocketmq_blocking::embedded::{Cluster, Fault};
use rocketmq_blocking::{
    Client, Error, Message, MessageQueue, Outcome, Producer, PullStatus, RequestCode, ResponseCode,
};

use crate::support::{PATIENCE, client_builder, eventually, unique};

struct Stage {
    cluster: Cluster,
    client: Client,
    producer: Producer,
    queue: MessageQueue,
}

impl Stage {
    /// With connections that are open, and about to be said GO_AWAY on.
    fn new() -> Stage {
        let cluster = Cluster::builder().topic("T", 1).start().unwrap();
        let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
        let producer = client.producer(unique("leave")).timeout(PATIENCE).start().unwrap();
        let queue = producer.send(message()).unwrap().queue().clone();
        Stage { cluster, client, producer, queue }
    }

    fn go_away(&self) {
        self.cluster.broker("broker-a").go_away();
        self.cluster.name_server_at(0).go_away();
    }

    /// The old connection ends once nothing is in flight on it.
    fn one_connection_is_left(&self) {
        let broker = self.cluster.broker("broker-a");
        eventually(PATIENCE, || match broker.connections() {
            1 => Ok(()),
            count => Err(format!("{count} connections")),
        });
    }
}

fn message() -> Message {
    Message::new("T", "x")
}

#[test]
fn a_synchronous_send_is_repeated_over_a_new_connection() {
    let stage = Stage::new();
    for stored in 2..5 {
        stage.go_away();
        let sent = stage.producer.prepare(message()).retries(0).queue(&stage.queue).send().unwrap();
        assert!(!sent.may_be_duplicated());
        assert_eq!(stage.cluster.stored_count("T"), stored);
    }
    stage.go_away();
    stage.producer.send_batch(vec![message(), message()]).unwrap();
    assert_eq!(stage.cluster.stored_count("T"), 6);
    stage.one_connection_is_left();
}

#[test]
fn asynchronous_sends_under_way_are_all_stored_once() {
    let stage = Stage::new();
    let (done, ended) = mpsc::channel();
    for number in 0..200 {
        if number == 100 {
            stage.go_away();
        }
        let done = done.clone();
        let prepared = stage.producer.prepare(message()).retries(0);
        prepared.send_async(move |result| done.send(result.map_err(|failed| failed.error)).unwrap()).unwrap();
    }
    for _ in 0..200 {
        assert!(!ended.recv_timeout(PATIENCE).unwrap().unwrap().may_be_duplicated());
    }
    assert_eq!(stage.cluster.stored_count("T"), 201);
    stage.one_connection_is_left();
}

#[test]
fn sends_of_many_threads_go_on_while_connections_are_sent_away() {
    let stage = Stage::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..50).for_each(|_| drop(stage.producer.prepare(message()).retries(0).send().unwrap())));
        }
    });
    assert_eq!(stage.cluster.stored_count("T"), 401);
    std::thread::scope(|scope| {
        let sending: Vec<_> = (0..8)
            .map(|_| {
                scope
                    .spawn(|| (0..100).for_each(|_| drop(stage.producer.prepare(message()).retries(0).send().unwrap())))
            })
            .collect();
        stage.go_away();
        sending.into_iter().for_each(|thread| thread.join().unwrap());
    });
    assert_eq!(stage.cluster.stored_count("T"), 1201);
    stage.one_connection_is_left();
}

#[test]
fn oneway_sends_go_over_the_new_connection_as_soon_as_the_server_has_said_it() {
    let stage = Stage::new();
    stage.go_away();
    // Nothing is said to a oneway send: this one is lost, as to every client, and the next answer tells.
    stage.producer.send_oneway(message()).unwrap();
    stage.producer.send(message()).unwrap();
    stage.producer.send_oneway(message()).unwrap();
    eventually(PATIENCE, || match stage.cluster.stored_count("T") {
        3 => Ok(()),
        count => Err(format!("{count} are stored")),
    });
    stage.one_connection_is_left();
}

#[test]
fn pulls_of_every_kind_and_the_rest_of_a_clients_calls_survive() {
    let stage = Stage::new();
    let consumer = stage.client.pull_consumer(unique("leave")).start().unwrap();
    let queue = &stage.queue;
    stage.go_away();
    assert_eq!(consumer.pull(queue, 0).unwrap().messages().len(), 1);
    stage.go_away();
    let waiting = consumer.prepare_pull(queue, 0).wait(Duration::from_secs(5)).fetch().unwrap();
    assert_eq!(waiting.status(), PullStatus::Found);
    stage.go_away();
    let (done, ended) = mpsc::channel();
    consumer.prepare_pull(queue, 0).fetch_async(move |result| done.send(result).unwrap()).unwrap();
    assert_eq!(ended.recv_timeout(PATIENCE).unwrap().unwrap().messages().len(), 1);
    stage.go_away();
    consumer.commit_offset(queue, 1).unwrap();
    stage.go_away();
    assert_eq!(consumer.committed_offset(queue).unwrap(), Some(1));
    stage.go_away();
    assert_eq!(consumer.fetch_queues("T").unwrap().len(), 1);
    stage.go_away();
    stage.client.create_topic("TBW102", "New", 1).unwrap();
    stage.go_away();
    assert!(stage.client.query_messages("T", "none", 8, ..).unwrap().messages.is_empty());
    stage.one_connection_is_left();
}

#[test]
fn a_pull_that_is_held_while_the_server_leaves_is_answered_where_it_waits() {
    let stage = Stage::new();
    let consumer = stage.client.pull_consumer(unique("leave")).start().unwrap();
    let (done, ended) = mpsc::channel();
    let held = consumer.prepare_pull(&stage.queue, 1).wait(PATIENCE);
    held.fetch_async(move |result| done.send(result).unwrap()).unwrap();
    let broker = stage.cluster.broker("broker-a");
    eventually(PATIENCE, || if broker.held_pulls() == 1 { Ok(()) } else { Err("it is not held") });
    stage.go_away();
    stage.producer.send(message()).unwrap();
    assert_eq!(ended.recv_timeout(PATIENCE).unwrap().unwrap().messages().len(), 1);
    stage.one_connection_is_left();
}

#[test]
fn a_server_that_says_it_over_and_over_is_a_refusal_and_another_broker_is_taken() {
    let cluster = Cluster::builder().brokers(2).topic("T", 1).start().unwrap();
    cluster.broker("broker-a").fault(Fault::go_away().on(RequestCode::SEND_MESSAGE_V2));
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let producer = client.producer(unique("leave")).timeout(PATIENCE).start().unwrap();
    for _ in 0..4 {
        let sent = producer.send(message()).unwrap();
        assert_eq!((sent.queue().broker_name(), sent.may_be_duplicated()), ("broker-b", false));
    }
    let queue = MessageQueue::new("T", "broker-a", 0);
    let failed = producer.prepare(message()).queue(&queue).send().unwrap_err().error;
    let Error::Exhausted { attempts, .. } = &failed else { panic!("{failed}") };
    let codes: Vec<_> = attempts.iter().map(|attempt| attempt.error.code()).collect();
    assert_eq!(codes, [Some(ResponseCode::GO_AWAY); 2]);
    assert_eq!(failed.outcome(), Outcome::Rejected);
}
