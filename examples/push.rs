//! A listener that gets the messages of a topic; one of them fails at first and comes again.
//!
//! ```text
//! cargo run --example push
//! ```
//!
//! Uses the name servers in `NAMESRV_ADDR` if that is set, else a cluster in its own memory.

use std::sync::mpsc;
use std::time::Duration;

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, ConsumeFromWhere, ConsumeResult, Message, MessageView};

fn main() -> rocketmq_blocking::Result<()> {
    let (_cluster, client) = connect()?;
    let (consumed, orders) = mpsc::channel();

    let consumer = client
        .push_consumer("billing")
        .subscribe("OrderTopic", "paid || refunded")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .threads(4)
        .start(move |messages: &[MessageView]| {
            let message = &messages[0];
            if message.body() == b"order 3" && message.reconsume_times() == 0 {
                // The broker delivers it again after a second, the first of its delay levels.
                return ConsumeResult::RetryAtLevel(1);
            }
            // Nobody listens any more when the example has seen enough.
            let _ = consumed.send(message.to_string());
            ConsumeResult::Success
        })?;

    let producer = client.producer("orders").start()?;
    for number in 0..10 {
        let tag = if number % 5 == 4 { "cancelled" } else { "paid" };
        producer.send(Message::builder("OrderTopic", format!("order {number}")).tag(tag))?;
    }

    // Two of the ten are filtered out.
    for _ in 0..8 {
        match orders.recv_timeout(Duration::from_secs(30)) {
            Ok(order) => println!("{order}"),
            Err(_) => println!("no order came for 30 s"),
        }
    }
    for queue in consumer.queues()? {
        println!("{} is consumed up to offset {}", queue.queue, queue.commit_offset);
    }
    println!("{}", consumer.close_within(Duration::from_secs(5))?);
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
