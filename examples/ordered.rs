//! Keeps the messages of one order in sequence: all of them go to the same queue.
//!
//! ```text
//! cargo run --example ordered
//! ```
//!
//! With `NAMESRV_ADDR` set it uses that cluster.

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, Message, select};

const TOPIC: &str = "OrderedTopic";

fn main() -> rocketmq_blocking::Result<()> {
    let embedded = Cluster::start()?;
    let addr = std::env::var("NAMESRV_ADDR").unwrap_or_else(|_| embedded.name_server().to_owned());
    let client = Client::connect(addr)?;
    client.create_topic("TBW102", TOPIC, 4)?;
    let producer = client.producer("ordered-example").start()?;

    for step in ["created", "paid", "shipped"] {
        for order in ["order-1", "order-2", "order-3"] {
            let message = Message::builder(TOPIC, format!("{order} {step}")).key(order).sharding_key(order);
            // The same hash as Java's SelectMessageQueueByHash. A retry goes to the same queue, so order is kept.
            let sent = producer.prepare(message).select(select::by_hash(order)).retries(2).send()?;
            println!("{order} {step:8} in {} at {}", sent.queue(), sent.queue_offset());
        }
    }

    // A selector of one's own gets the sorted queues and the message, and returns an index.
    let last = |queues: &[_], _: &Message| queues.len() - 1;
    let sent = producer.prepare(Message::new(TOPIC, "by number")).select(last).send()?;
    println!("chosen by number: {}", sent.queue());

    // Or name the queue.
    let queues = producer.fetch_queues(TOPIC)?;
    let sent = producer.prepare(Message::new(TOPIC, "by name")).queue(&queues[0]).send()?;
    println!("chosen by name: {}", sent.queue());

    producer.close()?;
    client.close()
}
