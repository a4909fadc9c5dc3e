//! Sends ten messages, pulls them back and prints them.
//!
//! ```text
//! cargo run --example quickstart                                     against an embedded cluster it starts itself
//! NAMESRV_ADDR=127.0.0.1:9876 cargo run --example quickstart         against yours
//! ```

use std::error::Error;
use std::process::ExitCode;

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, Message, Result};

const TOPIC: &str = "QuickstartTopic";

fn main() -> ExitCode {
    let given = std::env::var("NAMESRV_ADDR").ok().filter(|addr| !addr.trim().is_empty());
    let run = match given {
        Some(addr) => send_and_pull(&addr),
        None => Cluster::start().and_then(|cluster| {
            println!("started an embedded cluster");
            send_and_pull(cluster.name_server())
        }),
    };
    match run {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let cause = error.source().map(|cause| format!(" ({cause})"));
            eprintln!("{error}{}", cause.unwrap_or_default());
            ExitCode::FAILURE
        }
    }
}

fn send_and_pull(name_server: &str) -> Result<()> {
    let client = Client::connect(name_server)?;
    println!("connected to name server {name_server}");
    client.create_topic("TBW102", TOPIC, 4)?;

    // Where the queues end now is where the messages of this run begin.
    let consumer = client.pull_consumer("quickstart-consumer").start()?;
    let mut starts = Vec::new();
    for queue in consumer.fetch_queues(TOPIC)? {
        let offset = consumer.max_offset(&queue)?;
        starts.push((queue, offset));
    }

    let producer = client.producer("quickstart-producer").start()?;
    for number in 1..=10 {
        let message = Message::builder(TOPIC, format!("hello {number}")).tag("greeting").key(format!("n-{number}"));
        println!("sent    {}", producer.send(message)?);
    }

    for (queue, mut offset) in starts {
        let end = consumer.max_offset(&queue)?;
        while offset < end {
            let found = consumer.pull(&queue, offset)?;
            for message in found.messages() {
                println!("pulled  {message}");
            }
            offset = found.next_offset();
        }
    }

    client.close()
}
