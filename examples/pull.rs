//! Reads a topic to its end and waits for more, keeping the group's offsets at the broker.
//!
//! ```text
//! cargo run --example pull
//! ```
//!
//! With `NAMESRV_ADDR` set it uses that cluster; run again, it goes on where it stopped.

use std::time::Duration;

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, Message, MessageQueue, PullConsumer, PullStatus, Result};

const TOPIC: &str = "PullTopic";

fn main() -> Result<()> {
    let embedded = Cluster::start()?;
    let addr = std::env::var("NAMESRV_ADDR").unwrap_or_else(|_| embedded.name_server().to_owned());
    let client = Client::connect(addr)?;
    client.create_topic("TBW102", TOPIC, 4)?;

    let producer = client.producer("pull-example-producer").start()?;
    for number in 0..20 {
        let tag = if number % 2 == 0 { "even" } else { "odd" };
        producer.send(Message::builder(TOPIC, format!("number {number}")).tag(tag))?;
    }

    // Each queue is followed by a thread of its own, because a pull that waits blocks.
    let consumer = client.pull_consumer("pull-example").start()?;
    let queues = consumer.fetch_queues(TOPIC)?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = queues.iter().map(|queue| scope.spawn(|| follow(&consumer, queue))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no panic in follow"))
    })?;
    client.close()
}

/// Reads a queue from the group's offset until nothing new has come for two seconds.
fn follow(consumer: &PullConsumer, queue: &MessageQueue) -> Result<()> {
    let mut offset = match consumer.committed_offset(queue)? {
        Some(committed) => committed,
        None => consumer.min_offset(queue)?,
    };
    loop {
        let pull = consumer.prepare_pull(queue, offset).filter("even").max(32);
        let found = pull.wait(Duration::from_secs(2)).fetch()?;
        for message in found.messages() {
            println!("{message}");
        }
        // Whatever the status, the next pull begins there; committed only after the messages were dealt with.
        offset = found.next_offset();
        consumer.commit_offset(queue, offset)?;
        if found.status() == PullStatus::NoNewMessage {
            return Ok(());
        }
    }
}
