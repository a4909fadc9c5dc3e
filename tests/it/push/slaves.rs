//! Consuming from a slave while its master is down.

use rocketmq_blocking::embedded::Cluster;
use std::time::Duration;

use rocketmq_blocking::{Client, ConsumeFromWhere, Message, MessageView, RequestCode};

use crate::support::{Inbox, LONG, collect, eventually};

fn sent(cluster: &Cluster, client: &Client, count: usize) -> Vec<String> {
    let producer = client.producer("g").start().unwrap();
    let bodies: Vec<String> = (0..count).map(|number| format!("{number:04}")).collect();
    bodies.iter().for_each(|text| drop(producer.send(Message::new("T", text.clone())).unwrap()));
    assert_eq!(cluster.stored_count("T"), count);
    bodies
}

#[test]
fn a_running_consumer_goes_on_at_the_slave_and_commits_when_the_master_is_back() {
    let cluster = Cluster::builder().slaves(1).topic("T", 2).start().unwrap();
    let client = Client::connect(cluster.name_server()).unwrap();
    let bodies = sent(&cluster, &client, 200);
    let builder = client.push_consumer("g").subscribe("T", "*").consume_from_where(ConsumeFromWhere::FirstOffset);
    let builder =
        builder.persist_interval(Duration::from_millis(200)).pull_batch(4).queue_limits(4, 1 << 20).threads(1);
    let inbox = Inbox::default();
    let listener = inbox.clone();
    let consumer = builder
        .start(move |messages: &[MessageView]| {
            std::thread::sleep(Duration::from_millis(5));
            listener.take_in(messages);
        })
        .unwrap();
    inbox.wait(20);
    cluster.broker("broker-a").kill();
    cluster.clear_requests();
    inbox.wait_for(&bodies);
    let pulls = cluster.requests_of(RequestCode::PULL_MESSAGE);
    assert!(pulls.iter().any(|pull| &*pull.server == "broker-a/1"), "the slave was asked");
    assert_eq!(inbox.sorted(), bodies, "each once");
    cluster.broker("broker-a").restart().unwrap();
    let committed = |queue| cluster.broker("broker-a").committed("g", "T", queue);
    eventually(LONG, || {
        let both = (committed(0), committed(1));
        if both == (Some(100), Some(100)) { Ok(()) } else { Err(format!("{both:?}")) }
    });
    consumer.close().unwrap();
    let (_next, rest) = collect(client.push_consumer("g").subscribe("T", "*"));
    sent_one(&client);
    rest.wait(1);
    assert_eq!(rest.bodies(), ["later"]);
}

fn sent_one(client: &Client) {
    client.producer("h").start().unwrap().send(Message::new("T", "later")).unwrap();
}
