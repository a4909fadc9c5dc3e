//! Messages received one call at a time, each acknowledged by itself; one is put off and comes again.
//!
//! ```text
//! cargo run --example simple
//! ```
//!
//! Uses the name servers in `NAMESRV_ADDR` if that is set, else a cluster in its own memory. Brokers must be 5.0 or later.

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
        .simple_consumer("billing")
        .subscribe("OrderTopic", "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start()?;
    let mut done = 0;
    while done < 10 {
        // For a minute nobody else in the group sees what is received here.
        for mut message in consumer.receive(16, Duration::from_secs(60))? {
            if message.body() == b"order 3" && message.reconsume_times() == 0 {
                // Not now: it comes again in a second.
                consumer.change_invisible_duration(&mut message, Duration::from_secs(1))?;
                continue;
            }
            println!("{message}");
            consumer.ack(&message)?;
            done += 1;
        }
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
