//! Messages that become visible when a local transaction commits, and only then.
//!
//! ```text
//! cargo run --example transaction
//! ```
//!
//! With `NAMESRV_ADDR` set it uses that cluster.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, Message, TransactionResolution};

const TOPIC: &str = "TransactionTopic";

fn main() -> rocketmq_blocking::Result<()> {
    let embedded = Cluster::builder().transaction_timeout(Duration::from_millis(500)).start()?;
    let addr = std::env::var("NAMESRV_ADDR").unwrap_or_else(|_| embedded.name_server().to_owned());
    let client = Client::connect(addr)?;
    client.create_topic("TBW102", TOPIC, 1)?;
    let consumer = client.pull_consumer("transaction-example-reader").start()?;
    let queue = consumer.fetch_queues(TOPIC)?.remove(0);
    let start = consumer.max_offset(&queue)?;
    let mut offset = start;

    // Stands for the database: what became of each order.
    let orders = Arc::new(Mutex::new(HashMap::<String, TransactionResolution>::new()));
    let known = orders.clone();
    let producer = client
        .transaction_producer("transaction-example")
        // A broker that was not told how a transaction ended asks here, again and again while the answer is Unknown.
        .check(move |half| {
            let order = half.keys().next().unwrap_or_default();
            let found = known.lock().unwrap().get(order).copied().unwrap_or(TransactionResolution::Unknown);
            println!("{order}: the broker asks, and hears {found}");
            found
        })
        .start()?;
    let message = |order: &str| Message::builder(TOPIC, format!("{order} is placed")).key(order);

    // Nobody sees the message before the commit.
    let transaction = producer.begin(message("order-1"))?;
    orders.lock().unwrap().insert("order-1".into(), TransactionResolution::Commit);
    println!("order-1: committed, {}", transaction.commit()?);

    // The same with a closure, which here decides against it.
    let done = producer.send(message("order-2"), |_half| TransactionResolution::Rollback)?;
    println!("order-2: {done}");

    // As if the process had died after the local transaction: dropped without an answer, so the broker asks.
    drop(producer.begin(message("order-3"))?);
    orders.lock().unwrap().insert("order-3".into(), TransactionResolution::Commit);

    // Of three two become visible, the third one when the broker has asked.
    while offset < start + 2 {
        let found = consumer.prepare_pull(&queue, offset).wait(Duration::from_secs(10)).fetch()?;
        found.messages().iter().for_each(|visible| println!("visible: {visible}"));
        offset = found.next_offset();
    }
    producer.close()?;
    client.close()
}
