use std::collections::{BTreeMap, BTreeSet};
use std::slice;

use rocketmq_blocking::{Client, LitePullConsumer, MessageQueue, MessageView};

use super::Consume;
use super::desk::Desk;
use super::end::End;
use crate::failure::{Failure, complain, explain};

/// Consumes by polling; what was printed is committed after each poll.
pub(super) fn run(consume: &Consume, client: &Client, desk: &mut Desk<'_>, end: &End<'_>) -> Result<(), Failure> {
    let mut builder = client
        .lite_pull_consumer(consume.group.as_str())
        .consume_from_where(consume.from.into())
        .auto_commit(false)
        .poll_batch(usize::from(consume.batch));
    for topic in &consume.topics {
        builder = builder.subscribe(topic.as_str(), consume.wanted.filter());
    }
    let consumer = builder.start()?;
    let done = poll(&consumer, desk, end);
    consumer.close()?;
    done
}

fn poll(consumer: &LitePullConsumer, desk: &mut Desk<'_>, end: &End<'_>) -> Result<(), Failure> {
    while !desk.is_full() && !end.has_come() {
        let messages = consumer.poll(end.step())?;
        for (queue, next) in take(consumer, desk, &messages)? {
            // The queue may have gone to another member, which gets these messages again.
            if let Err(error) = consumer.commit_queue(&queue, next) {
                complain(&format!("{queue}: {}", explain(&error)));
            }
        }
    }
    Ok(())
}

/// Consumes messages, and returns for each queue the offset behind the last that was. A queue of which one failed goes back
/// to it.
fn take(
    consumer: &LitePullConsumer,
    desk: &mut Desk<'_>,
    messages: &[MessageView],
) -> Result<BTreeMap<MessageQueue, i64>, Failure> {
    let (mut taken, mut gone_back) = (BTreeMap::new(), BTreeSet::new());
    for message in messages {
        let (queue, offset) = (message.queue(), message.queue_offset());
        if desk.is_full() || gone_back.contains(queue) {
            continue;
        }
        if desk.take(slice::from_ref(message))? == 1 {
            taken.insert(queue.clone(), offset + 1);
        } else {
            consumer.seek(queue, offset)?;
            gone_back.insert(queue.clone());
        }
    }
    Ok(taken)
}
