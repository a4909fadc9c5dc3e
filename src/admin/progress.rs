use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Admin, owners, retry_topic};
use crate::client::{AskedMasters, names};
use crate::error::{Attempt, Result};
use crate::message::MessageQueue;
use crate::protocol::json;
use crate::protocol::rpc::inspect::{ConsumeStats, ConsumeStatsBody, ProgressBody};

/// How far a group has consumed.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct GroupProgress {
    /// The queues of all topics the group has consumed of, its retries among them, sorted.
    pub queues: Vec<QueueProgress>,
    /// Messages a second that brokers gave to the group lately.
    pub rate: f64,
    /// The brokers that could not be asked. Their queues are missing.
    pub failures: Vec<Attempt>,
}

/// How far a group has consumed one queue.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct QueueProgress {
    /// The queue.
    pub queue: MessageQueue,
    /// The offset the next message of the queue will get.
    pub broker_offset: i64,
    /// Where the group goes on; 0 when it never committed.
    pub consumer_offset: i64,
    /// How far clients have pulled, at least as far as they have committed. Brokers before 5.0 do not know it.
    pub pulled_offset: i64,
    /// When the last message that was consumed had been stored; `None` when none was, or when it is gone.
    pub last_consumed: Option<SystemTime>,
    /// The id of the client that has the queue; `None` when nobody has it, or says so.
    pub owner: Option<Arc<str>>,
}

impl QueueProgress {
    /// Returns how many offsets the group lies behind.
    pub fn lag(&self) -> i64 {
        self.broker_offset.saturating_sub(self.consumer_offset)
    }
}

impl GroupProgress {
    /// Returns how many offsets the group lies behind in all queues together.
    pub fn lag(&self) -> i64 {
        self.queues.iter().map(QueueProgress::lag).fold(0, i64::saturating_add)
    }
}

impl Admin {
    /// Returns how far a group has consumed (`mqadmin consumerProgress`), in all its topics.
    ///
    /// The owners of the queues are asked of the group's clients; one that does not answer in time owns nothing here.
    ///
    /// # Errors
    /// [`Error::NoRoute`](crate::Error::NoRoute) when no broker knows the group, [`Error::Invalid`](crate::Error::Invalid) for
    /// a name no group can have. A broker that fails is named in [`GroupProgress::failures`]; only when none answered the
    /// call fails.
    pub fn group_progress(&self, group: &str) -> Result<GroupProgress> {
        self.progress(group, None)
    }

    /// As [`group_progress`](Admin::group_progress), of one topic.
    ///
    /// # Errors
    /// As there; [`Error::NoRoute`](crate::Error::NoRoute) when the topic does not exist.
    pub fn topic_progress(&self, group: &str, topic: &str) -> Result<GroupProgress> {
        names::check_topic(topic)?;
        self.progress(group, Some(topic.into()))
    }

    fn progress(&self, group: &str, topic: Option<Arc<str>>) -> Result<GroupProgress> {
        let (core, retries) = (self.core(), retry_topic(group)?);
        let deadline = core.request_deadline();
        let request = ConsumeStats { consumer_group: group.into(), topic: topic.clone() };
        let asked = core.ask_masters(topic.as_ref().unwrap_or(&retries), "masters know offsets", &request, deadline)?;
        let AskedMasters { answers, failures } = asked.some()?;
        let mut progress = GroupProgress { failures, ..GroupProgress::default() };
        for from in answers {
            let body: ConsumeStatsBody = json::decode("group's progress", from.answer.frame.body())?;
            progress.rate += body.consume_tps;
            for (queue, body) in body.offset_table.0 {
                let topic: Arc<str> = core.own_name(&queue.topic).into();
                progress
                    .queues
                    .push(queue_progress(MessageQueue::new(topic, queue.broker_name, queue.queue_id), &body));
            }
        }
        progress.queues.sort_by(|one, other| one.queue.cmp(&other.queue));
        progress.queues.dedup_by(|one, other| one.queue == other.queue);
        let mut owners = owners::of_queues(core, group, deadline);
        for queue in &mut progress.queues {
            queue.owner = owners.remove(&queue.queue);
        }
        Ok(progress)
    }
}

fn queue_progress(queue: MessageQueue, body: &ProgressBody) -> QueueProgress {
    let millis = u64::try_from(body.last_timestamp).ok().filter(|millis| *millis > 0);
    QueueProgress {
        queue,
        broker_offset: body.broker_offset,
        consumer_offset: body.consumer_offset,
        pulled_offset: body.pull_offset.max(body.consumer_offset),
        last_consumed: millis.and_then(|millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis))),
        owner: None,
    }
}
