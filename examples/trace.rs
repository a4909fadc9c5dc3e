//! Traces what is sent, and looks at the record of one message.
//!
//! ```text
//! cargo run --example trace
//! ```
//!
//! With `NAMESRV_ADDR` set it uses that cluster, whose brokers need `traceTopicEnable=true`. There Apache's tool shows the
//! same: `mqadmin queryMsgTraceById -n ADDRESS -i MESSAGE_ID`.

use std::time::Duration;

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, Message, Trace};

const TOPIC: &str = "TraceExample";

fn main() -> rocketmq_blocking::Result<()> {
    let embedded = Cluster::start()?;
    let addr = std::env::var("NAMESRV_ADDR").unwrap_or_else(|_| embedded.name_server().to_owned());
    let client = Client::connect(addr)?;
    client.create_topic("TBW102", TOPIC, 4)?;

    // Records leave in the background, ten in a message, and no later than after a second.
    let trace = Trace::default().interval(Duration::from_secs(1));
    let producer = client.producer("trace-example").trace(trace).start()?;
    let sent = producer.send(Message::builder(TOPIC, "hello").tag("greeting").key("order-17"))?;
    println!("{sent}");

    // Closing sends what waits.
    producer.close()?;
    println!("{:?}", producer.stats().trace);

    // A record is found by the message's id and by its keys. Brokers index a moment after they have stored.
    let found = (0..50).find_map(|_| {
        let found = client.query_messages("RMQ_SYS_TRACE_TOPIC", sent.message_id(), 1, ..).ok();
        let message = found.and_then(|found| found.messages.into_iter().next());
        message.or_else(|| {
            std::thread::sleep(Duration::from_millis(100));
            None
        })
    });
    match found.as_ref().and_then(|message| message.body_text()) {
        Some(records) => {
            records.split_terminator('\u{2}').for_each(|record| println!("{}", record.replace('\u{1}', " | ")))
        }
        None => println!("no record: do the brokers have the topic RMQ_SYS_TRACE_TOPIC?"),
    }
    client.close()
}
