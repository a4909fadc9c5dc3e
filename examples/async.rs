//! Many sends under way at once: with a callback each, and with results to wait for.
//!
//! ```text
//! cargo run --example async
//! ```
//!
//! With `NAMESRV_ADDR` set it uses that cluster.

use std::time::Instant;

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, Message, PendingSend, SendError};

const TOPIC: &str = "AsyncTopic";

fn main() -> rocketmq_blocking::Result<()> {
    let embedded = Cluster::start()?;
    let addr = std::env::var("NAMESRV_ADDR").unwrap_or_else(|_| embedded.name_server().to_owned());
    let client = Client::connect(addr)?;
    client.create_topic("TBW102", TOPIC, 4)?;
    // At most 256 messages and 8 MiB under way; beyond that the calls below wait for a place.
    let producer = client.producer("async-example").async_window(256, 8 << 20).start()?;

    // The callback runs once, on one of the client's callback threads.
    for number in 1..=3 {
        producer.send_async(Message::new(TOPIC, format!("with a callback {number}")), |result| match result {
            Ok(sent) => println!("{sent}"),
            Err(failed) => eprintln!("{}: {:?}", failed.error, failed.message),
        })?;
    }

    // Without callbacks: submit them all, then wait for each.
    let began = Instant::now();
    let pending: Vec<PendingSend> = (0..1000)
        .map(|number| producer.prepare(Message::new(TOPIC, format!("submitted {number}"))).submit())
        .collect::<Result<_, SendError>>()?;
    for send in pending {
        send.wait()?;
    }
    println!("1000 messages stored in {:?}", began.elapsed());

    // Waits for what is still under way, callbacks included.
    producer.close()?;
    client.close()
}
