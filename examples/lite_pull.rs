//! Takes the messages of a topic in a loop, goes back, and takes one of them again.
//!
//! ```text
//! cargo run --example lite_pull
//! ```
//!
//! Uses the name servers in `NAMESRV_ADDR` if that is set, else a cluster in its own memory.

use std::time::Duration;

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, ConsumeFromWhere, Message};

fn main() -> rocketmq_blocking::Result<()> {
    let (_cluster, client) = connect()?;
    let producer = client.producer("orders").start()?;
    for number in 0..10 {
        producer.send(Message::new("OrderTopic", format!("order {number}")))?;
    }

    let consumer = client
        .lite_pull_consumer("audit")
        .subscribe("OrderTopic", "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start()?;

    // A message is finished when the loop asks for the next; `break` would leave it to the next run of the group. Without a
    // timeout, `for message in &consumer` waits until the consumer is closed.
    let mut last = None;
    for message in consumer.timeout_iter(Duration::from_secs(5)) {
        let message = message?;
        println!("{message}");
        last = Some(message);
    }

    if let Some(last) = last {
        consumer.seek(last.queue(), last.queue_offset())?;
        for message in consumer.poll(Duration::from_secs(5))? {
            println!("again: {message}");
        }
    }
    // What the last poll returned is finished too.
    consumer.commit()?;
    for queue in consumer.assignment()? {
        println!("{queue} is committed up to {:?}", consumer.committed(&queue)?);
    }
    consumer.close()?;
    client.close()
}

fn connect() -> rocketmq_blocking::Result<(Option<Cluster>, Client)> {
    if std::env::var_os("NAMESRV_ADDR").is_some() {
        return Ok((None, Client::builder().connect()?));
    }
    let cluster = Cluster::start()?;
    let client = Client::connect(cluster.name_server())?;
    Ok((Some(cluster), client))
}
