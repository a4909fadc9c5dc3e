use rocketmq_blocking::{Client, Error, MessageQueue};

use super::WINDOW;
use super::send::Sender;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::send::Mode;

/// Sends messages of a size until a topic holds `count`.
pub(super) fn up_to(count: u64, client: &Client, topic: &str, size: u32, interrupt: &Interrupt) -> Result<(), Failure> {
    let held = match ranges(client, topic) {
        Ok(ranges) => ranges.iter().map(Range::len).sum(),
        // It will be created by the first message.
        Err(Error::NoRoute { .. }) => 0,
        Err(error) => return Err(error.into()),
    };
    let missing = count.saturating_sub(held);
    let window = usize::try_from(WINDOW).unwrap_or(usize::MAX);
    let sender = Sender::start(client, topic, window, size, |builder| builder)?;
    let filled = sender.run(missing, 1, Mode::Async, interrupt, &Progress::new(Some(missing), "messages sent"))?;
    if filled.failed > 0 { Err(Failure::Reported) } else { Ok(()) }
}

/// The messages of one queue.
#[derive(Debug, Clone)]
pub(super) struct Range {
    pub(super) queue: MessageQueue,
    pub(super) first: i64,
    pub(super) end: i64,
}

impl Range {
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.end - self.first).unwrap_or(0)
    }
}

/// The queues of a topic that have messages.
pub(super) fn ranges(client: &Client, topic: &str) -> Result<Vec<Range>, Error> {
    let mut ranges = Vec::new();
    for queue in client.subscribe_queues(topic)? {
        let (first, end) = (client.min_offset(&queue)?, client.max_offset(&queue)?);
        ranges.push(Range { queue, first, end });
    }
    ranges.retain(|range| range.len() > 0);
    Ok(ranges)
}
