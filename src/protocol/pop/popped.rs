use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::offsets::{Infos, Key};
use super::{Handle, Retry};
use crate::error::{Error, Result};
use crate::message::{MessageView, Receipt, View, key};
use crate::protocol::bounds::Bounds;
use crate::protocol::record::{self, Source};
use crate::protocol::rpc::pop::PopReply;

/// Nobody keeps a message longer: brokers keep them for three days.
const FOREVER: Duration = Duration::from_secs(30 * 24 * 3600);

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// Under the user's name, which all messages get: those of retry topics too.
    pub(crate) topic: &'a Arc<str>,
    pub(crate) broker_name: &'a Arc<str>,
    pub(crate) order: bool,
    /// When the answer came.
    pub(crate) now: Instant,
}

/// Reads the messages of an answer and gives each its handle; within bounds.
///
/// Messages that cannot be read, or whose handle cannot be made, are left out, and why stands beside the others: their
/// broker hands them out again when their time is up.
pub(crate) fn messages(
    reply: &PopReply,
    body: Bytes,
    asked: Asked<'_>,
    bounds: &Bounds,
) -> Result<(Vec<MessageView>, Option<Error>)> {
    let infos =
        Infos::read(reply.start_offsets.as_deref(), reply.message_offsets.as_deref(), reply.order_counts.as_deref())?;
    let (mut views, mut broken) = record::views(body, Source::Broker(asked.broker_name), bounds);
    let mut maker = Maker { reply, asked, infos, firsts: HashMap::new() };
    views.retain_mut(|view| match maker.handle(view) {
        Some(handle) => {
            maker.finish(view, &handle);
            true
        }
        None => {
            let what = format!(
                "the answer does not say by what handle {} at {} goes",
                view.queue(),
                view.stored().queue_offset
            );
            broken.get_or_insert_with(|| Error::malformed(what));
            false
        }
    });
    Ok((View::messages(views), broken))
}

struct Maker<'a> {
    reply: &'a PopReply,
    asked: Asked<'a>,
    infos: Infos,
    /// The offset of each queue's first message, for answers that do not tell where they start.
    firsts: HashMap<Key, i64>,
}

impl Maker<'_> {
    fn handle(&mut self, view: &View) -> Option<Handle> {
        let stored = view.stored();
        let key = (Retry::of_topic(&stored.topic), stored.queue_id);
        let given = view.property(key::POP_HANDLE).and_then(Handle::decode);
        let Some(starts) = &self.infos.starts else {
            let start = *self.firsts.entry(key).or_insert(stored.queue_offset);
            return Some(self.make(key, start, stored.queue_offset));
        };
        // Brokers give messages of retry topics the topic's own name and write the handle by themselves. One that came
        // with a copy of a message somebody popped earlier is of another time.
        if let Some(given) = given.filter(|given| given.pop_time == self.reply.pop_time) {
            return Some(given);
        }
        let start = *starts.get(&key)?;
        Some(self.make(key, start, self.infos.known_as(key, stored.queue_offset)))
    }

    fn make(&self, (retry, queue_id): Key, start_offset: i64, queue_offset: i64) -> Handle {
        Handle {
            start_offset,
            pop_time: self.reply.pop_time,
            invisible_time: self.reply.invisible_time,
            revive_queue_id: self.reply.revive_queue_id,
            retry,
            broker_name: self.asked.broker_name.clone(),
            queue_id,
            queue_offset,
        }
    }

    fn finish(&self, view: &mut View, handle: &Handle) {
        if self.asked.order {
            let count = self.infos.count((handle.retry, handle.queue_id), handle.queue_offset);
            count.into_iter().for_each(|count| view.retried(count));
        }
        view.rename(self.asked.topic.clone());
        view.receive(Receipt::new(handle.encode(), valid_until(self.asked.now, handle.invisible_time)));
    }
}

/// Until when a handle is good that was made at `now`, at the latest.
pub(crate) fn valid_until(now: Instant, invisible_millis: i64) -> Instant {
    let millis = Duration::from_millis(u64::try_from(invisible_millis).unwrap_or(0)).min(FOREVER);
    now.checked_add(millis).unwrap_or(now)
}
