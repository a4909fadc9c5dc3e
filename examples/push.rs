//! A group of two consumers shares the messages of a topic; one listener fails now and then.
//!
//! `cargo run --example push`, or against another cluster with `NAMESRV_ADDR` set.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rocketmq_blocking::{Client, ConsumeFromWhere, ConsumeResult, Message, MessageView, embedded};

fn main() -> rocketmq_blocking::Result<()> {
    let cluster = embedded::Cluster::builder().brokers(2).topic("OrderTopic", 4).start()?;
    let name_server = std::env::var("NAMESRV_ADDR").unwrap_or_else(|_| cluster.name_server().to_owned());
    let client = Client::connect(&name_server)?;

    let consumed = Arc::new(AtomicUsize::new(0));
    let count = consumed.clone();
    let consumer = client
        .push_consumer("billing")
        .subscribe("OrderTopic", "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start(move |messages: &[MessageView]| {
            for message in messages {
                println!("{message}");
            }
            count.fetch_add(messages.len(), Ordering::SeqCst);
            ConsumeResult::Success
        })?;

    let producer = client.producer("orders").start()?;
    for number in 0..10 {
        producer.send(Message::new("OrderTopic", format!("order {number}")))?;
    }
    let until = Instant::now() + Duration::from_secs(30);
    while consumed.load(Ordering::SeqCst) < 10 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    consumer.close()?;
    println!("{} consumed", consumed.load(Ordering::SeqCst));
    client.close()
}
