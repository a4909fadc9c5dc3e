use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Admin, GroupSubscription, members};
use crate::client::{Core, names};
use crate::error::Result;
use crate::message::MessageQueue;
use crate::protocol::json;
use crate::protocol::rpc::diagnosis::{QueueStatus, RunningInfo, TopicStatus, property};
use crate::protocol::rpc::lock::QueueBody;
use crate::protocol::rpc::running::RunningInfoBody;

/// What a member of a group says about itself (Java: `ConsumerRunningInfo`). Clients of other languages leave parts out, or have
/// other words for them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RunningMember {
    /// When it was started.
    pub started: Option<SystemTime>,
    /// `CONSUME_ACTIVELY` (pull), `CONSUME_PASSIVELY` (push) or `CONSUME_POP`.
    pub consume_type: Option<String>,
    /// Whether it consumes in order.
    pub orderly: Option<bool>,
    /// How many threads it consumes with.
    pub threads: Option<u32>,
    /// The version it says to be, in its own words.
    pub version: Option<String>,
    /// What it is set to, by Java's names.
    pub properties: BTreeMap<String, String>,
    /// Its queues, sorted.
    pub queues: Vec<RunningQueue>,
    /// The queues it pops, sorted.
    pub popped: Vec<RunningPop>,
    /// The topics it has consumed, sorted.
    pub topics: Vec<RunningTopic>,
    /// What it subscribes to, sorted by topic.
    pub subscriptions: Vec<GroupSubscription>,
}

/// A queue that a member has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningQueue {
    /// The queue.
    pub queue: MessageQueue,
    /// How many messages of it wait in the member.
    pub cached: u64,
    /// How much memory they take, in MiB.
    pub cached_mib: u64,
    /// The offset it has told the broker, or will next.
    pub commit_offset: i64,
    /// Whether the queue is about to be given to another member.
    pub leaving: bool,
    /// Whether it is locked, which it has to be to be consumed in order.
    pub locked: bool,
    /// When it was last pulled.
    pub last_pulled: Option<SystemTime>,
    /// When the listener last had a message of it.
    pub last_consumed: Option<SystemTime>,
}

/// A queue that a member pops.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningPop {
    /// The queue; -1 stands for all of the broker.
    pub queue: MessageQueue,
    /// How many messages are consumed, and not acknowledged yet.
    pub unacknowledged: i64,
    /// When it was last popped.
    pub last_popped: Option<SystemTime>,
}

/// How a member consumes a topic.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RunningTopic {
    /// The topic.
    pub topic: Arc<str>,
    /// Messages a second that it pulled.
    pub pulled_per_second: f64,
    /// How long a pull took.
    pub pull_time: Duration,
    /// Messages a second that it consumed.
    pub consumed_per_second: f64,
    /// How long the listener took for a message.
    pub listener_time: Duration,
    /// Messages a second that it could not consume.
    pub failed_per_second: f64,
    /// Messages that it could not consume, lately.
    pub failed: u64,
}

/// A member is asked through a broker it is connected to. The calls block until it has answered, at most for the request timeout
/// (3 s by default).
impl Admin {
    /// Returns what a member of a group says about itself (`mqadmin consumerStatus -i`; Java: `getConsumerRunningInfo`); `None` when
    /// it is not connected.
    ///
    /// # Errors
    /// [`Error::NoRoute`](crate::Error::NoRoute) when no broker knows the group, [`Error::Rejected`](crate::Error::Rejected) for
    /// what the member refuses with, and (207) when it does not answer.
    pub fn group_member(&self, group: &str, client_id: &str) -> Result<Option<RunningMember>> {
        let core = self.core();
        let found = self.ask_member(group, client_id, false)?;
        Ok(found.map(|body| RunningMember::read(core, body)))
    }

    /// Returns the stacks of a member's threads (`mqadmin consumerStatus -i -s`); `None` when it is not connected or does not tell
    /// them, as this crate's consumers do not.
    ///
    /// # Errors
    /// As [`group_member`](Admin::group_member).
    pub fn member_stacks(&self, group: &str, client_id: &str) -> Result<Option<String>> {
        let found = self.ask_member(group, client_id, true)?;
        Ok(found.and_then(|body| body.jstack).filter(|stacks| !stacks.is_empty()))
    }

    fn ask_member(&self, group: &str, client_id: &str, stacks: bool) -> Result<Option<RunningInfoBody>> {
        names::check_group(group)?;
        let core = self.core();
        let deadline = core.request_deadline();
        let (connected, failures) = members::connected(core, group, deadline)?;
        let at = connected.iter().find(|at| at.body.connection_set.iter().any(|one| *one.client_id == *client_id));
        let Some(at) = at else {
            // It may be connected to one that could not be asked.
            return failures.into_iter().next().map_or(Ok(None), |failure| Err(failure.error));
        };
        let request = RunningInfo { client_id: client_id.into(), consumer_group: group.into(), stacks: Some(stacks) };
        let answer = core.ask_server(&at.addr, &request, &[], deadline)?;
        json::decode("member's description", answer.frame.body()).map(Some)
    }
}

impl RunningMember {
    fn read(core: &Core, body: RunningInfoBody) -> RunningMember {
        let RunningInfoBody { mq_table, mq_pop_table, mut properties, status_table, subscription_set, .. } = body;
        let millis = properties.remove(property::STARTED).and_then(|millis| millis.parse().ok());
        let (consume_type, version) =
            (properties.remove(property::CONSUME_TYPE), properties.remove(property::CLIENT_VERSION));
        let orderly = properties.remove(property::ORDERLY).map(|orderly| orderly.eq_ignore_ascii_case("true"));
        let threads = properties.remove(property::THREADS).and_then(|threads| threads.parse().ok());
        let own = |queue: QueueBody| {
            let topic: Arc<str> = core.own_name(&queue.topic).into();
            MessageQueue::new(topic, queue.broker_name, queue.queue_id)
        };
        let mut queues: Vec<_> = mq_table.0.into_iter().map(|(at, status)| queue(own(at), &status)).collect();
        queues.sort_by(|one, other| one.queue.cmp(&other.queue));
        let pop = |(at, status): (QueueBody, crate::protocol::rpc::running::PopQueueStatus)| RunningPop {
            queue: own(at),
            unacknowledged: status.wait_ack_count,
            last_popped: time(status.last_pop_timestamp),
        };
        let mut popped: Vec<_> = mq_pop_table.0.into_iter().map(pop).collect();
        popped.sort_by(|one, other| one.queue.cmp(&other.queue));
        let topics = status_table.into_iter().map(|(name, status)| topic(core.own_name(&name).into(), &status));
        let subscription = |one: crate::protocol::rpc::heartbeat::SubscriptionBody| GroupSubscription {
            topic: core.own_name(&one.topic).into(),
            expression: one.sub_string,
            expression_type: one.expression_type.unwrap_or_else(|| "TAG".to_owned()),
        };
        let mut subscriptions: Vec<_> = subscription_set.into_iter().map(subscription).collect();
        subscriptions.sort_by(|one, other| one.topic.cmp(&other.topic));
        RunningMember {
            started: millis.and_then(time),
            consume_type,
            orderly,
            threads,
            version,
            properties,
            queues,
            popped,
            topics: topics.collect(),
            subscriptions,
        }
    }
}

fn queue(queue: MessageQueue, status: &QueueStatus) -> RunningQueue {
    RunningQueue {
        queue,
        cached: status.cached_msg_count as u64,
        cached_mib: status.cached_msg_size_in_mi_b as u64,
        commit_offset: status.commit_offset,
        leaving: status.droped,
        locked: status.locked,
        last_pulled: time(status.last_pull_timestamp),
        last_consumed: time(status.last_consume_timestamp),
    }
}

fn topic(topic: Arc<str>, status: &TopicStatus) -> RunningTopic {
    let took = |millis: f64| Duration::try_from_secs_f64(millis / 1e3).unwrap_or_default();
    RunningTopic {
        topic,
        pulled_per_second: status.pulled_per_second,
        pull_time: took(status.pull_time),
        consumed_per_second: status.consumed_per_second,
        listener_time: took(status.listener_time),
        failed_per_second: status.failed_per_second,
        failed: status.failed,
    }
}

fn time(millis: i64) -> Option<SystemTime> {
    let millis = u64::try_from(millis).ok().filter(|millis| *millis > 0)?;
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}
