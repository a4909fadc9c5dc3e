//! A program that sends, in the ways there are, and consumes.

use rocketmq_blocking::{Client, ConsumeResult, Message, MessageView};

fn main() -> rocketmq_blocking::Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_default();
    let client = Client::connect(&addr)?;
    let producer = client.producer("orders").start()?;
    println!("{}", producer.send(Message::new("OrderTopic", "hello"))?);
    producer.send_async(Message::new("OrderTopic", "hello"), |sent| println!("{:?}", sent.is_ok()))?;
    producer.send_oneway(Message::new("OrderTopic", "hello"))?;
    let consumer = client.push_consumer("billing").subscribe("OrderTopic", "*").start(|messages: &[MessageView]| {
        println!("{}", messages.len());
        ConsumeResult::Success
    })?;
    let tail = client.lite_pull_consumer("tail").subscribe("OrderTopic", "*").start()?;
    for message in tail.iter().take(1) {
        println!("{:?}", message?.body());
    }
    consumer.close()?;
    client.close()
}
