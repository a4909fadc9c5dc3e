//! Reading from a slave when the broker suggests it, and from the master when the slave cannot.

use rocketmq_blocking::embedded::{Cluster, Fault};
use rocketmq_blocking::{Message, MessageQueue, PullConsumer, PullStatus, RequestCode, ResponseCode};

use crate::support::{PATIENCE, body, client_builder, eventually, pair, unique};

fn with_slave() -> Cluster {
    Cluster::builder().slaves(1).topic("SlaveRead", 4).start().unwrap()
}

#[test]
fn a_suggested_slave_is_read_and_the_messages_are_the_same() {
    let pair = pair();
    let client = client_builder().name_servers(&pair.name_server).connect().unwrap();
    let producer = client.producer(unique("slave")).start().unwrap();
    let consumer = client.pull_consumer(unique("slave")).start().unwrap();
    let queue = producer.fetch_queues(&pair.topic).unwrap().remove(0);
    let marks: Vec<String> = (0..6).map(|number| format!("{}-{number}", unique("mark"))).collect();
    let sent: Vec<i64> = marks
        .iter()
        .map(|mark| {
            producer.prepare(Message::new(&*pair.topic, mark.clone())).queue(&queue).send().unwrap().queue_offset()
        })
        .collect();
    // Others may send to the same topic, so only the offsets of these are looked at.
    let (mut suggested, mut seen) = (Vec::new(), Vec::new());
    eventually(PATIENCE, || {
        let offset = sent[seen.len()];
        let result = consumer.prepare_pull(&queue, offset).max(1).fetch().map_err(|error| error.to_string())?;
        suggested.push(result.suggested_broker_id());
        if result.status() == PullStatus::Found {
            assert_eq!(result.messages()[0].queue(), &queue);
            seen.extend(result.messages().iter().map(body));
        }
        if seen.len() == marks.len() {
            Ok(())
        } else {
            Err(format!("{} of {} read: {result}", seen.len(), marks.len()))
        }
    });
    assert_eq!(seen, marks);
    assert!(suggested.contains(&1), "the slave was suggested: {suggested:?}");
}

/// A consumer that has been told to read from the slave, its queue, and what is in it.
fn on_the_slave(cluster: &Cluster) -> (PullConsumer, MessageQueue) {
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let producer = client.producer(unique("slave")).start().unwrap();
    let queue = producer.fetch_queues("SlaveRead").unwrap().remove(0);
    for number in 0..4 {
        producer.prepare(Message::new("SlaveRead", number.to_string())).queue(&queue).send().unwrap();
    }
    let consumer = client.pull_consumer(unique("slave")).start().unwrap();
    cluster.broker("broker-a").suggest(1);
    assert_eq!(consumer.pull(&queue, 0).unwrap().suggested_broker_id(), 1);
    cluster.clear_requests();
    (consumer, queue)
}

fn asked(cluster: &Cluster) -> Vec<String> {
    cluster.requests_of(RequestCode::PULL_MESSAGE).iter().map(|request| request.server.to_string()).collect()
}

#[test]
fn the_suggestion_decides_whom_the_next_pull_asks() {
    let cluster = with_slave();
    let (consumer, queue) = on_the_slave(&cluster);
    assert_eq!(consumer.pull(&queue, 0).unwrap().messages().len(), 4);
    assert_eq!(asked(&cluster), ["broker-a/1"]);
    cluster.broker("broker-a").suggest(0);
    consumer.pull(&queue, 0).unwrap();
    consumer.pull(&queue, 0).unwrap();
    assert_eq!(asked(&cluster), ["broker-a/1", "broker-a/1", "broker-a"], "back to the master once it says so");
}

#[test]
fn a_slave_that_is_gone_or_refuses_is_replaced_by_the_master() {
    let cluster = with_slave();
    let (consumer, queue) = on_the_slave(&cluster);
    let refusal = Fault::error(ResponseCode::SYSTEM_ERROR, "slave does not support reading");
    let fault = cluster.slave("broker-a", 1).fault(refusal.on(RequestCode::PULL_MESSAGE));
    assert_eq!(consumer.pull(&queue, 0).unwrap().messages().len(), 4);
    assert_eq!((fault.fired(), asked(&cluster).last().map(String::as_str)), (1, Some("broker-a")));
    fault.remove();
    consumer.pull(&queue, 0).unwrap();
    cluster.slave("broker-a", 1).kill();
    assert_eq!(consumer.pull(&queue, 0).unwrap().messages().len(), 4);
}

#[test]
fn messages_can_be_read_while_the_master_is_down() {
    let cluster = with_slave();
    let (consumer, queue) = on_the_slave(&cluster);
    cluster.broker("broker-a").kill();
    let result = eventually(PATIENCE, || consumer.pull(&queue, 0));
    assert_eq!(result.messages().iter().map(body).collect::<Vec<_>>(), ["0", "1", "2", "3"]);
}
