use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use rocketmq_blocking::{
    Client, ConsumeResult, MessageModel, MessageRequestMode, MessageView, PushConsumerBuilder, Trace,
};

use super::Consume;
use super::desk::Desk;
use super::end::End;
use crate::failure::Failure;

/// What the listeners may take at the end that wait for nothing any more: they hold messages which nobody wants.
const GRACE: Duration = Duration::from_millis(300);

/// How long a popped message is kept from others. Printing one takes no time.
const INVISIBLE: Duration = Duration::from_secs(10);

/// Brokers pop no more at once.
const MOST_POPPED: usize = 32;

/// Every member of the group may have the messages of every queue.
const SHARED_BY_ALL: i32 = 0;

/// What a listener got, and where it waits to be told how much of that is consumed.
struct Delivery {
    messages: Vec<MessageView>,
    taken: Sender<usize>,
}

/// How listeners get messages.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    Shared,
    Orderly,
    Broadcast,
    Popped,
}

/// Consumes through listeners, which hand what they get to this thread.
pub(super) fn run(
    consume: &Consume,
    how: How,
    client: &Client,
    desk: &mut Desk<'_>,
    end: &End<'_>,
) -> Result<(), Failure> {
    let (deliver, deliveries) = bounded(0);
    let listener = move |messages: &[MessageView]| hand_over(&deliver, messages);
    let builder = builder(consume, client);
    let consumer = match how {
        How::Orderly => builder.start_orderly(listener)?,
        How::Shared => builder.start(listener)?,
        How::Popped => pop(consume, client, builder)?.start(listener)?,
        How::Broadcast => builder.message_model(MessageModel::Broadcasting).start(listener)?,
    };
    let mut unanswered = None;
    let done = serve(&deliveries, desk, end, &mut unanswered);
    // A listener that still waits holds what nobody has seen. It is told nothing before the queues are given up, so that
    // this counts neither as consumed nor as failed, and goes to whoever has the queue next.
    consumer.close_within(GRACE)?;
    drop(deliveries);
    drop(unanswered);
    done
}

fn builder(consume: &Consume, client: &Client) -> PushConsumerBuilder {
    let mut builder = client
        .push_consumer(consume.group.as_str())
        .consume_from_where(consume.from.into())
        .threads(usize::from(consume.threads))
        .batch(usize::from(consume.batch));
    for topic in &consume.topics {
        builder = builder.subscribe(topic.as_str(), consume.wanted.filter());
    }
    if let Some(times) = consume.max_reconsume {
        builder = builder.max_reconsume_times(times);
    }
    if consume.trace {
        builder = builder.trace(Trace::default());
    }
    builder
}

/// Has brokers hand out messages one by one.
fn pop(consume: &Consume, client: &Client, builder: PushConsumerBuilder) -> Result<PushConsumerBuilder, Failure> {
    for topic in &consume.topics {
        client.set_message_request_mode(topic, &consume.group, MessageRequestMode::Pop, SHARED_BY_ALL)?;
    }
    // What is popped and not wanted any more is kept from others for as long, so it is no more than needed.
    let messages = usize::from(consume.batch).min(MOST_POPPED);
    Ok(builder.allocation_by_broker().pop_invisible(INVISIBLE).pop_batch(messages))
}

fn hand_over(deliver: &Sender<Delivery>, messages: &[MessageView]) -> ConsumeResult {
    let (taken, told) = bounded(1);
    // When nobody takes it, or tells, the consumer has been closed, and the result means nothing.
    let told = deliver.send(Delivery { messages: messages.to_vec(), taken }).ok().and_then(|()| told.recv().ok());
    match told {
        Some(taken) if taken == messages.len() => ConsumeResult::Success,
        Some(taken @ 1..) => ConsumeResult::RetryFrom(taken),
        Some(0) | None => ConsumeResult::Retry,
    }
}

/// Takes what listeners deliver, one after the other. A delivery that could not be printed is left in `unanswered`.
fn serve(
    deliveries: &Receiver<Delivery>,
    desk: &mut Desk<'_>,
    end: &End<'_>,
    unanswered: &mut Option<Delivery>,
) -> Result<(), Failure> {
    let over = end.over();
    while !desk.is_full() && !end.interrupt.happened() {
        let delivery = select! {
            recv(deliveries) -> delivery => delivery.ok(),
            recv(end.interrupt.signal()) -> _ => None,
            recv(over) -> _ => None,
        };
        let Some(delivery) = delivery else { return Ok(()) };
        match desk.take(&delivery.messages) {
            // The listener waits for it.
            Ok(taken) => drop(delivery.taken.send(taken)),
            Err(failure) => {
                *unanswered = Some(delivery);
                return Err(failure);
            }
        }
    }
    Ok(())
}
