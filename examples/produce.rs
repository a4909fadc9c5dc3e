//! The ways to send one message, and what to do when a send fails.
//!
//! ```text
//! cargo run --example produce
//! ```
//!
//! With `NAMESRV_ADDR` set it uses that cluster.

use std::time::Duration;

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, Message, Outcome};

const TOPIC: &str = "ProduceTopic";

fn main() -> rocketmq_blocking::Result<()> {
    let embedded = Cluster::start()?;
    let addr = std::env::var("NAMESRV_ADDR").unwrap_or_else(|_| embedded.name_server().to_owned());
    let client = Client::connect(addr)?;
    client.create_topic("TBW102", TOPIC, 4)?;
    let producer = client.producer("produce-example").timeout(Duration::from_secs(3)).retries(2).start()?;

    // Waits until the message is stored.
    let sent = producer.send(Message::new(TOPIC, "plain"))?;
    println!("{sent}");

    // Everything a message can carry.
    let message = Message::builder(TOPIC, "complete")
        .tag("paid")
        .keys(["order-17", "customer-4"])
        .property("region", "north")
        .build();
    let sent = producer.send(message)?;
    println!("{} is at offset {} of {}", sent.message_id(), sent.queue_offset(), sent.queue());

    // Delivered to push consumers later: level 3 is 10 s, and brokers 5.0 and later take any time up to three days.
    producer.send(Message::builder(TOPIC, "in ten seconds").delay_level(3))?;
    producer.send(Message::builder(TOPIC, "in a minute").deliver_after(Duration::from_secs(60)))?;

    // No answer is asked for: fastest, and what the broker loses or refuses is lost.
    producer.send_oneway(Message::new(TOPIC, "oneway"))?;

    // A failed send gives the message back and says what became of it.
    if let Err(failed) = producer.prepare(Message::new(TOPIC, "x")).select(|queues, _| queues.len()).send() {
        let advice = match failed.error.outcome() {
            Outcome::NotSent => "nothing was sent; sending it again is safe",
            Outcome::Rejected => "the broker refused it; read the error before trying again",
            Outcome::Unknown => "it may be stored; send it again only if consumers can bear it twice",
        };
        println!("expected failure: {} ({advice})", failed.error);
    }

    producer.close()?;
    client.close()
}
