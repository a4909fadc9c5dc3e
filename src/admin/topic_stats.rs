use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Admin;
use crate::client::names;
use crate::error::{Attempt, Result};
use crate::message::MessageQueue;
use crate::protocol::json;
use crate::protocol::rpc::topic::{GetTopicStats, TopicStatsBody};

/// How many messages the queues of a topic hold.
///
/// Its `Display` is a table, a line to a queue.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct TopicStats {
    /// The queues, sorted.
    pub queues: Vec<QueueStats>,
    /// Messages a second that were stored lately; 0 from brokers 4.x, which do not say it.
    pub rate: f64,
    /// The brokers that could not be asked. Their queues are missing.
    pub failures: Vec<Attempt>,
}

/// What one queue holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// The queue.
    pub queue: MessageQueue,
    /// The offset of the oldest message that is still there.
    pub min_offset: i64,
    /// The offset the next message will get.
    pub max_offset: i64,
    /// When the newest message was stored; `None` when there is none.
    pub last_update: Option<SystemTime>,
}

impl QueueStats {
    /// Returns how many messages are there, by the offsets.
    pub fn messages(&self) -> i64 {
        self.max_offset.saturating_sub(self.min_offset)
    }
}

impl TopicStats {
    /// Returns how many messages are in all queues together.
    pub fn messages(&self) -> i64 {
        self.queues.iter().map(QueueStats::messages).fold(0, i64::saturating_add)
    }
}

impl fmt::Display for TopicStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = |stats: &QueueStats| format!("{}/{}", stats.queue.broker_name(), stats.queue.queue_id());
        let width = self.queues.iter().map(|stats| queue(stats).chars().count()).fold(5, usize::max);
        write!(f, "{:width$}  {:>12}  {:>12}  {:>12}", "QUEUE", "MIN", "MAX", "MESSAGES")?;
        for stats in &self.queues {
            let (min, max) = (stats.min_offset, stats.max_offset);
            write!(f, "\n{:width$}  {min:>12}  {max:>12}  {:>12}", queue(stats), stats.messages())?;
        }
        Ok(())
    }
}

impl Admin {
    /// Returns how many messages the queues of a topic hold, and since when they are quiet (`mqadmin topicStatus`; Java:
    /// `examineTopicStats`).
    ///
    /// Blocks until all masters on which it lies have answered, at most for the request timeout (3 s by default).
    ///
    /// # Errors
    /// [`Error::NoRoute`](crate::Error::NoRoute) when the topic does not exist. A broker that fails is named in
    /// [`TopicStats::failures`]; only when none answered the call fails.
    pub fn topic_stats(&self, topic: &str) -> Result<TopicStats> {
        names::check_topic(topic)?;
        let (core, topic): (_, Arc<str>) = (self.core(), topic.into());
        let request = GetTopicStats { topic: topic.clone() };
        let asked =
            core.ask_masters(&topic, "masters count its messages", &request, core.request_deadline())?.some()?;
        let mut stats = TopicStats { failures: asked.failures, ..TopicStats::default() };
        for from in asked.answers {
            let body: TopicStatsBody = json::decode("topic's statistics", from.answer.frame.body())?;
            stats.rate += body.topic_put_tps;
            for (queue, body) in body.offset_table.0 {
                let millis = u64::try_from(body.last_update_timestamp).ok().filter(|millis| *millis > 0);
                stats.queues.push(QueueStats {
                    queue: MessageQueue::new(topic.clone(), queue.broker_name, queue.queue_id),
                    min_offset: body.min_offset,
                    max_offset: body.max_offset,
                    last_update: millis.and_then(|millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis))),
                });
            }
        }
        stats.queues.sort_by(|one, other| one.queue.cmp(&other.queue));
        Ok(stats)
    }
}
