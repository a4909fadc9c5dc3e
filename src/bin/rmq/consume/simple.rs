use std::slice;
use std::time::Duration;

use rocketmq_blocking::{Client, MessageView, SimpleConsumer};

use super::Consume;
use super::desk::Desk;
use super::end::End;
use crate::failure::Failure;

/// How long a message is kept from others. Printing one takes no time.
const INVISIBLE: Duration = Duration::from_secs(30);

/// After this time a message that failed comes again.
const AGAIN: Duration = Duration::from_secs(1);

/// How long brokers are asked to wait for a message; an interrupt ends it later by as much.
const WAIT: Duration = Duration::from_secs(1);

/// Brokers hand out no more at once.
const MOST: usize = 32;

/// Consumes by receiving; each message is acknowledged by itself.
pub(super) fn run(consume: &Consume, client: &Client, desk: &mut Desk<'_>, end: &End<'_>) -> Result<(), Failure> {
    let mut builder = client
        .simple_consumer(consume.group.as_str())
        .consume_from_where(consume.from.into())
        .await_duration(end.left().min(WAIT));
    for topic in &consume.topics {
        builder = builder.subscribe(topic.as_str(), consume.wanted.filter());
    }
    if let Some(times) = consume.max_reconsume {
        builder = builder.max_reconsume_times(i32::try_from(times).unwrap_or(i32::MAX));
    }
    let consumer = builder.start()?;
    let done = receive(&consumer, usize::from(consume.batch).min(MOST), desk, end);
    consumer.close()?;
    done
}

fn receive(consumer: &SimpleConsumer, batch: usize, desk: &mut Desk<'_>, end: &End<'_>) -> Result<(), Failure> {
    while !desk.is_full() && !end.has_come() {
        let mut messages = consumer.receive(desk.room(batch), INVISIBLE)?;
        let mut taken: Vec<MessageView> = Vec::with_capacity(messages.len());
        for message in &mut messages {
            if desk.take(slice::from_ref(message))? == 1 {
                taken.push(message.clone());
            } else {
                consumer.change_invisible_duration(message, AGAIN)?;
            }
        }
        consumer.ack_all(&taken)?;
    }
    Ok(())
}
