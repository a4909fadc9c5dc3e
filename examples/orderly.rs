//! A listener that gets the messages of each order in their order, and keeps it when one fails.
//!
//! ```text
//! cargo run --example orderly
//! ```
//!
//! Uses the name servers in `NAMESRV_ADDR` if that is set, else a cluster in its own memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, ConsumeFromWhere, ConsumeResult, Message, MessageView, select};

const STEPS: [&str; 3] = ["created", "paid", "shipped"];
const ORDERS: usize = 4;

fn main() -> rocketmq_blocking::Result<()> {
    let (_cluster, client) = connect()?;
    let producer = client.producer("orders").start()?;
    for step in STEPS {
        for order in 0..ORDERS {
            // All steps of one order go to the same queue; only there is an order kept.
            let message = Message::new("OrderSteps", format!("order {order} is {step}"));
            producer.prepare(message).select(select::by_hash(&format!("order {order}"))).send()?;
        }
    }

    let (consumed, steps) = mpsc::channel();
    let failed = AtomicBool::new(false);
    let consumer = client
        .push_consumer("warehouse")
        .subscribe("OrderSteps", "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start_orderly(move |messages: &[MessageView]| {
            let text = messages[0].body_text().unwrap_or("not text");
            if text == "order 2 is paid" && !failed.swap(true, Ordering::Relaxed) {
                println!("{text}: fails, and comes again before anything else of its queue");
                return ConsumeResult::SuspendFor(Duration::from_millis(200));
            }
            println!("{text}");
            // Nobody counts any more when the example has seen enough.
            let _ = consumed.send(());
            ConsumeResult::Success
        })?;

    for _ in 0..STEPS.len() * ORDERS {
        if steps.recv_timeout(Duration::from_secs(30)).is_err() {
            println!("nothing came for 30 s");
        }
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
