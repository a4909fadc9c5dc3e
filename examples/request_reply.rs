//! Asks a service by a message and waits for its reply; the service here is a thread that consumes the requests.
//!
//! ```text
//! cargo run --example request_reply
//! ```
//!
//! With `NAMESRV_ADDR` set it uses that cluster. Either side may be a Java client as well.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, Message, Result};

const TOPIC: &str = "PriceTopic";

fn main() -> Result<()> {
    let embedded = Cluster::start()?;
    let addr = std::env::var("NAMESRV_ADDR").unwrap_or_else(|_| embedded.name_server().to_owned());
    let client = Client::connect(addr)?;
    client.create_topic("TBW102", TOPIC, 1)?;

    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let service = scope.spawn(|| answer(&client, &over));
        let asked = ask(&client);
        over.store(true, Ordering::SeqCst);
        service.join().expect("no panic in answer").and(asked)
    })?;
    client.close()
}

/// Any number of threads may ask at the same time; each gets its own reply.
fn ask(client: &Client) -> Result<()> {
    let producer = client.producer("request-example").start()?;
    for goods in ["tea", "coffee", "gold"] {
        let reply = producer.request(Message::new(TOPIC, goods), Duration::from_secs(5))?;
        println!("{goods}: {}", reply.body_text().unwrap_or("?"));
    }
    Ok(())
}

/// Replies are sent by any producer, like any other message.
fn answer(client: &Client, over: &AtomicBool) -> Result<()> {
    let consumer = client.pull_consumer("reply-example").start()?;
    let producer = client.producer("reply-example").start()?;
    let queue = &consumer.fetch_queues(TOPIC)?[0];
    let mut offset = consumer.committed_offset(queue)?.unwrap_or(0);
    while !over.load(Ordering::SeqCst) {
        let found = consumer.prepare_pull(queue, offset).wait(Duration::from_secs(1)).fetch()?;
        for request in found.messages().iter().filter(|message| message.expects_reply()) {
            let price = request.body().len() * 100;
            producer.send(request.reply(format!("{price} cents"))?)?;
        }
        offset = found.next_offset();
        consumer.commit_offset(queue, offset)?;
    }
    Ok(())
}
