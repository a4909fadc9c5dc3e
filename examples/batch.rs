//! Sends many small messages in few requests.
//!
//! ```text
//! cargo run --example batch
//! ```
//!
//! With `NAMESRV_ADDR` set it uses that cluster.

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, Message, split_batch};

const TOPIC: &str = "BatchTopic";

fn main() -> rocketmq_blocking::Result<()> {
    let embedded = Cluster::start()?;
    let addr = std::env::var("NAMESRV_ADDR").unwrap_or_else(|_| embedded.name_server().to_owned());
    let client = Client::connect(addr)?;
    client.create_topic("TBW102", TOPIC, 4)?;
    let producer = client.producer("batch-example").start()?;

    // One request, one queue, all or none. The messages have one topic and no delay.
    let few: Vec<Message> = (0..3).map(|number| Message::new(TOPIC, format!("few {number}"))).collect();
    let sent = producer.send_batch(few)?;
    println!("{} messages from offset {} of {}", sent.message_ids().count(), sent.queue_offset(), sent.queue());

    // A broker takes 4 MiB in one batch; split_batch cuts a longer list into batches that fit.
    let many = (0..10_000).map(|number| Message::new(TOPIC, format!("{number}: {}", "x".repeat(1000))));
    for batch in split_batch(many, 1024 * 1024) {
        let sent = producer.send_batch(batch)?;
        println!("{} messages from offset {} of {}", sent.message_ids().count(), sent.queue_offset(), sent.queue());
    }

    producer.close()?;
    client.close()
}
