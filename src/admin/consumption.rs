use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::on_brokers::union;
use super::reset::{GroupReset, ResetTo};
use super::{Admin, GroupSubscription};
use crate::client::{AskedMasters, names};
use crate::error::{Attempt, Error, Result};
use crate::message::MessageQueue;
use crate::protocol::json;
use crate::protocol::rpc::assignment::MessageRequestMode;
use crate::protocol::rpc::group::{self, CloneOffsets, GroupNamesBody, GroupTopicsBody, TimeSpans, TimeSpansBody};

/// Names that brokers know, of groups or of topics.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct KnownNames {
    /// The names, sorted.
    pub names: Vec<Arc<str>>,
    /// The brokers that could not be asked. What only they know is missing.
    pub failures: Vec<Attempt>,
}

/// How old the messages of a queue are, and those a group is at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueTimeSpan {
    /// The queue.
    pub queue: MessageQueue,
    /// When its oldest message was stored; `None` for an empty queue.
    pub oldest: Option<SystemTime>,
    /// When its newest message was stored; `None` for an empty queue.
    pub newest: Option<SystemTime>,
    /// When the last message was stored that the group has consumed; the oldest when it has consumed none.
    pub consumed: Option<SystemTime>,
    /// How long the message has been stored that the group will consume next; zero when there is none.
    pub delay: Duration,
}

/// How old the messages of a topic's queues are.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct TimeSpanReport {
    /// The queues, sorted.
    pub queues: Vec<QueueTimeSpan>,
    /// The brokers that could not be asked. Their queues are missing.
    pub failures: Vec<Attempt>,
}

/// What groups consume, asked of the masters that know it, all at once. The calls block until these have answered, at most for the
/// request timeout (3 s by default).
impl Admin {
    /// Returns the groups that consume a topic, or have (`mqadmin consumerProgress`; Java: `queryTopicConsumeByWho`).
    ///
    /// # Errors
    /// [`Error::NoRoute`] when the topic does not exist. A broker that fails is named in [`KnownNames::failures`]; only when none
    /// answered the call fails.
    pub fn topic_groups(&self, topic: &str) -> Result<KnownNames> {
        names::check_topic(topic)?;
        let (core, topic): (_, Arc<str>) = (self.core(), topic.into());
        let request = group::TopicGroups { topic: topic.clone() };
        let asked = core.ask_masters(&topic, "masters know its groups", &request, core.request_deadline())?;
        let AskedMasters { answers, failures } = asked.some()?;
        let mut names = Vec::new();
        for from in answers {
            let body: GroupNamesBody = json::decode("groups of a topic", from.answer.frame.body())?;
            names.extend(body.group_list.iter().map(|name| Arc::from(core.own_name(name))));
        }
        Ok(KnownNames { names: union(names.into_iter()), failures })
    }

    /// Returns the topics of which a group has offsets, those it has left among them (Java: `queryTopicsByConsumer`). Brokers before
    /// 5.0 leave out those that its members have left.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name no group can have. A broker that fails is named in [`KnownNames::failures`]; only when none
    /// answered the call fails.
    pub fn group_topics(&self, group: &str) -> Result<KnownNames> {
        names::check_group(group)?;
        let core = self.core();
        let asked = self.ask_everywhere(&group::GroupTopics { group: group.into() }, &[])?;
        if asked.answers.is_empty() && asked.failures.iter().all(is_unsupported) {
            return self.topics_by_progress(group);
        }
        let AskedMasters { answers, failures } = asked.some()?;
        let mut names = Vec::new();
        for from in answers {
            let body: GroupTopicsBody = json::decode("topics of a group", from.answer.frame.body())?;
            names.extend(body.topic_list.iter().map(|name| Arc::from(core.own_name(name))));
        }
        Ok(KnownNames { names: union(names.into_iter()), failures })
    }

    /// The same by what brokers before 5.0 can be asked.
    fn topics_by_progress(&self, group: &str) -> Result<KnownNames> {
        match self.group_progress(group) {
            Ok(progress) => {
                let topics = progress.queues.iter().map(|queue| queue.queue.shared_topic().clone());
                Ok(KnownNames { names: union(topics), failures: progress.failures })
            }
            // Nobody of it has ever come.
            Err(Error::NoRoute { .. }) => Ok(KnownNames::default()),
            Err(error) => Err(error),
        }
    }

    /// Returns what the members of a group want of a topic, the newest word of any broker; `None` when nobody
    /// subscribes to it (Java: `querySubscription`). Brokers 5.x may remember what the group pulled last, when all have left.
    ///
    /// # Errors
    /// [`Error::NoRoute`] when the topic does not exist, [`Error::Invalid`] for a name that cannot be; else when no broker answered.
    pub fn group_subscription(&self, group: &str, topic: &str) -> Result<Option<GroupSubscription>> {
        names::check_group(group)?;
        names::check_topic(topic)?;
        let (core, topic): (_, Arc<str>) = (self.core(), topic.into());
        let request = group::GroupSubscription { group: group.into(), topic: Some(topic.clone()) };
        let asked = core.ask_masters(&topic, "masters know subscriptions", &request, core.request_deadline())?;
        if asked.answers.is_empty() && asked.failures.iter().all(is_unsupported) {
            // Brokers before 5.0 tell it only with all others.
            let subscriptions = match self.group_members(group) {
                Ok(found) => found.subscriptions,
                Err(Error::NoRoute { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            return Ok(subscriptions.into_iter().find(|one| one.topic == topic));
        }
        let mut newest: BTreeMap<i64, GroupSubscription> = BTreeMap::new();
        for from in asked.some()?.answers {
            let body: group::GroupSubscriptionBody = json::decode("subscription", from.answer.frame.body())?;
            let Some(body) = body.subscription_data else { continue };
            let expression_type = body.expression_type.unwrap_or_else(|| "TAG".to_owned());
            let subscription = GroupSubscription { topic: topic.clone(), expression: body.sub_string, expression_type };
            newest.insert(body.sub_version, subscription);
        }
        Ok(newest.into_values().next_back())
    }

    /// Returns how old the messages of a topic's queues are, and those a group is at (Java: `queryConsumeTimeSpan`).
    ///
    /// # Errors
    /// [`Error::NoRoute`] when the topic does not exist, [`Error::Invalid`] for a name that cannot be. A broker that fails is named
    /// in [`TimeSpanReport::failures`]; only when none answered the call fails.
    pub fn time_spans(&self, group: &str, topic: &str) -> Result<TimeSpanReport> {
        names::check_group(group)?;
        names::check_topic(topic)?;
        let (core, topic): (_, Arc<str>) = (self.core(), topic.into());
        let request = TimeSpans { group: group.into(), topic: topic.clone() };
        let asked = core.ask_masters(&topic, "masters know their messages", &request, core.request_deadline())?;
        let AskedMasters { answers, failures } = asked.some()?;
        let mut queues = Vec::new();
        for from in answers {
            let body: TimeSpansBody = json::decode("time spans", from.answer.frame.body())?;
            queues.extend(body.consume_time_span_set.into_iter().map(|span| QueueTimeSpan {
                queue: MessageQueue::new(topic.clone(), span.message_queue.broker_name, span.message_queue.queue_id),
                oldest: time(span.min_time_stamp),
                newest: time(span.max_time_stamp),
                consumed: time(span.consume_time_stamp),
                delay: Duration::from_millis(u64::try_from(span.delay_time).unwrap_or(0)),
            }));
        }
        queues.sort_by(|one, other| one.queue.cmp(&other.queue));
        Ok(TimeSpanReport { queues, failures })
    }

    /// Gives group `to` the offsets that group `from` has of a topic, or of all its topics but its own retries for `None`
    /// (`mqadmin cloneGroupOffset`). Returns the topics, sorted. A member of `to` that is connected may overwrite them with its own.
    ///
    /// # Errors
    /// It was done on all brokers or an error is returned. [`Error::Invalid`] for names that cannot be, or are the same.
    pub fn clone_group(&self, from: &str, to: &str, topic: Option<&str>) -> Result<Vec<Arc<str>>> {
        names::check_group(from)?;
        names::check_group(to)?;
        if from == to {
            return Err(Error::invalid(format!("group {from} has its own offsets already")));
        }
        let topics = match topic {
            Some(topic) => {
                names::check_topic(topic)?;
                vec![topic.into()]
            }
            // Brokers that are not told a topic do nothing.
            None => {
                let KnownNames { names, mut failures } = self.group_topics(from)?;
                if let Some(failure) = failures.pop() {
                    return Err(failure.error);
                }
                names.into_iter().filter(|topic| !topic.starts_with("%RETRY%")).collect()
            }
        };
        for topic in &topics {
            let request =
                CloneOffsets { to: to.into(), offline: Some(true), from: from.into(), topic: Some(topic.clone()) };
            self.tell_everywhere(&request, &[])?;
        }
        Ok(topics)
    }

    /// Sets how the members of a group read a topic: [`Client::set_message_request_mode`](crate::Client::set_message_request_mode)
    /// (`mqadmin setConsumeMode`).
    ///
    /// # Errors
    /// As there.
    pub fn set_message_request_mode(
        &self,
        topic: &str,
        group: &str,
        mode: MessageRequestMode,
        share_queues: i32,
    ) -> Result<()> {
        self.client.set_message_request_mode(topic, group, mode, share_queues)
    }

    /// Lets a group skip what it has not consumed of a topic so far (`mqadmin skipAccumulatedMessage`):
    /// [`reset_group`](Admin::reset_group) to [`ResetTo::Last`].
    ///
    /// # Errors
    /// As there.
    pub fn skip_group(&self, group: &str, topic: &str) -> Result<GroupReset> {
        self.reset_group(group, topic, ResetTo::Last)
    }
}

fn is_unsupported(failure: &Attempt) -> bool {
    matches!(failure.error, Error::Unsupported { .. })
}

fn time(millis: i64) -> Option<SystemTime> {
    let millis = u64::try_from(millis).ok().filter(|millis| *millis > 0)?;
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}
