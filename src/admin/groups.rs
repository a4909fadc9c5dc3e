use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Admin, OnBroker, OnBrokers};
use crate::client::names;
use crate::error::{Error, Result};
use crate::protocol::json;
use crate::protocol::rpc::group::{
    CustomRetryBody, DeleteGroup, ExponentialRetryBody, GetGroups, GroupBody, GroupsBody, PutGroup, RetryPolicyBody,
};

/// Java's broker takes a timeout in whole minutes.
const MINUTE: u64 = 60;

/// When a broker gives a message out again that a member could not consume (brokers 5.0 and later).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryPolicy {
    /// After these delays, the last one for all further attempts. Java's default has 1, 5, 10 and 30 s, 1 to 10 minutes one by
    /// one, 20 and 30 minutes, 1 and 2 h; an empty list stands for it.
    Customized(Vec<Duration>),
    /// After a delay that is multiplied each time until it has reached `max`.
    Exponential {
        /// The first delay.
        initial: Duration,
        /// The longest delay.
        max: Duration,
        /// By what it is multiplied.
        multiplier: i64,
    },
}

/// The settings of a consumer group (Java: `SubscriptionGroupConfig`).
///
/// Begin with [`new`](GroupConfig::new) or with what [`Admin::group_config`] returns, change fields, and hand it to
/// [`Admin::create_group`]. What a newer broker keeps besides is kept along.
///
/// ```
/// use rocketmq_blocking::GroupConfig;
///
/// let mut config = GroupConfig::new("shop-orders");
/// config.max_reconsume_times = 3;
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GroupConfig {
    /// The group.
    pub name: Arc<str>,
    /// Whether its members get messages. True by default.
    pub consume: bool,
    /// Whether its members may begin at the first message. True by default.
    pub consume_from_min: bool,
    /// Whether its members may consume in broadcasting mode. True by default.
    pub broadcast: bool,
    /// Whether messages are given out in order (brokers 5.0 and later, for clients that pop through the proxy). False by default.
    pub orderly: bool,
    /// How many queues its retries have on each broker. With 0 what fails is dropped. 1 by default.
    pub retry_queues: i32,
    /// How often what fails is tried again before it is a dead letter; members may say otherwise. 16 by default.
    pub max_reconsume_times: i32,
    /// When what fails is tried again (brokers 5.0 and later).
    pub retry_policy: RetryPolicy,
    /// The id of the server from which members pull. 0, the master, by default.
    pub broker_id: i64,
    /// The id of the server from which members pull that are far behind, where brokers allow that. 1, the first slave, by default.
    pub slow_broker_id: i64,
    /// Whether members are told at once when others come or go. True by default.
    pub notify_members: bool,
    /// How long members may consume one message (brokers 5.0 and later), in whole minutes. 15 minutes by default.
    pub consume_timeout: Duration,
    /// Bits of a broker's own. 0 by default.
    pub sys_flag: i32,
    /// Attributes (brokers 5.0 and later, which refuse those that they do not know). Names may begin with `+`; one that begins
    /// with `-` takes the attribute away.
    pub attributes: BTreeMap<String, String>,
    more: BTreeMap<String, serde_json::Value>,
}

impl GroupConfig {
    /// Begins the settings of a group, with Java's defaults.
    pub fn new(name: impl Into<Arc<str>>) -> GroupConfig {
        GroupConfig::read(GroupBody { group_name: name.into(), ..GroupBody::default() })
    }

    /// Returns whether the group is the brokers' own.
    pub fn is_system(&self) -> bool {
        self.name.starts_with("CID_RMQ_SYS_")
            || self.name.starts_with("CID_ONS")
            || [
                "TOOLS_CONSUMER",
                "SCHEDULE_CONSUMER",
                "FILTERSRV_CONSUMER",
                "SELF_TEST_C_GROUP",
                "SELF_TEST_CONSUMER",
                "__MONITOR_CONSUMER",
            ]
            .contains(&&*self.name)
    }

    fn read(body: GroupBody) -> GroupConfig {
        let minutes = u64::try_from(body.consume_timeout_minute).unwrap_or(0);
        GroupConfig {
            name: body.group_name,
            consume: body.consume_enable,
            consume_from_min: body.consume_from_min_enable,
            broadcast: body.consume_broadcast_enable,
            orderly: body.consume_message_orderly,
            retry_queues: body.retry_queue_nums,
            max_reconsume_times: body.retry_max_times,
            retry_policy: RetryPolicy::read(body.group_retry_policy),
            broker_id: body.broker_id,
            slow_broker_id: body.which_broker_when_consume_slowly,
            notify_members: body.notify_consumer_ids_changed_enable,
            consume_timeout: Duration::from_secs(minutes.saturating_mul(MINUTE)),
            sys_flag: body.group_sys_flag,
            attributes: body.attributes,
            more: body.more,
        }
    }

    fn body(&self, wire_name: Arc<str>) -> Result<GroupBody> {
        let seconds = self.consume_timeout.as_secs();
        let minutes = i32::try_from(seconds / MINUTE)
            .ok()
            .filter(|minutes| *minutes > 0 && seconds % MINUTE == 0 && self.consume_timeout.subsec_nanos() == 0);
        let Some(consume_timeout_minute) = minutes else {
            let given = self.consume_timeout;
            return Err(Error::invalid(format!("the consume timeout is {given:?}: whole minutes are expected")));
        };
        if self.retry_queues < 0 {
            return Err(Error::invalid(format!("{} queues for retries: 0 or more are expected", self.retry_queues)));
        }
        let signed = |(name, value): (&String, &String)| {
            let name = if name.starts_with(['+', '-']) { name.clone() } else { format!("+{name}") };
            (name, value.clone())
        };
        Ok(GroupBody {
            attributes: self.attributes.iter().map(signed).collect(),
            broker_id: self.broker_id,
            consume_broadcast_enable: self.broadcast,
            consume_enable: self.consume,
            consume_from_min_enable: self.consume_from_min,
            consume_message_orderly: self.orderly,
            consume_timeout_minute,
            group_name: wire_name,
            group_retry_policy: self.retry_policy.body(),
            group_sys_flag: self.sys_flag,
            notify_consumer_ids_changed_enable: self.notify_members,
            retry_max_times: self.max_reconsume_times,
            retry_queue_nums: self.retry_queues,
            which_broker_when_consume_slowly: self.slow_broker_id,
            more: self.more.clone(),
        })
    }
}

impl RetryPolicy {
    fn read(body: RetryPolicyBody) -> RetryPolicy {
        let time = |millis: i64| Duration::from_millis(u64::try_from(millis).unwrap_or(0));
        match (body.kind.as_deref(), body.exponential_retry_policy) {
            (Some("EXPONENTIAL"), exponential) => {
                // What Java takes when there is none.
                let default = ExponentialRetryBody { initial: 5_000, max: 7_200_000, multiplier: 2 };
                let ExponentialRetryBody { initial, max, multiplier } = exponential.unwrap_or(default);
                RetryPolicy::Exponential { initial: time(initial), max: time(max), multiplier }
            }
            _ => {
                let next = body.customized_retry_policy.map(|custom| custom.next).unwrap_or_default();
                RetryPolicy::Customized(next.into_iter().map(time).collect())
            }
        }
    }

    fn body(&self) -> RetryPolicyBody {
        let millis = |time: &Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        match self {
            RetryPolicy::Customized(delays) => RetryPolicyBody {
                customized_retry_policy: (!delays.is_empty())
                    .then(|| CustomRetryBody { next: delays.iter().map(millis).collect() }),
                exponential_retry_policy: None,
                kind: Some("CUSTOMIZED".into()),
            },
            RetryPolicy::Exponential { initial, max, multiplier } => RetryPolicyBody {
                customized_retry_policy: None,
                exponential_retry_policy: Some(ExponentialRetryBody {
                    initial: millis(initial),
                    max: millis(max),
                    multiplier: *multiplier,
                }),
                kind: Some("EXPONENTIAL".into()),
            },
        }
    }
}

/// What is kept when a group is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GroupOffsets {
    /// A group of the same name goes on where this one was.
    Keep,
    /// Nothing is left of it.
    Delete,
}

/// Settings of groups. Each broker keeps its own; these calls ask the masters of all, and block until they have answered, at most
/// for the request timeout (3 s by default).
impl Admin {
    /// Returns the settings of all groups, sorted by group and broker, the brokers' own groups among them
    /// ([`GroupConfig::is_system`]).
    ///
    /// # Errors
    /// A broker that fails is named in [`OnBrokers::failures`]; only when none answered the call fails.
    pub fn groups(&self) -> Result<OnBrokers<GroupConfig>> {
        let core = self.core();
        let found = self.collect_everywhere(&GetGroups, |body| {
            let body: GroupsBody = json::decode("groups", body)?;
            let own = |name: &Arc<str>| core.own_name(name).into();
            let group = |(name, body): (Arc<str>, GroupBody)| {
                // Older brokers may leave it out of the settings.
                GroupConfig::read(GroupBody { group_name: own(&name), ..body })
            };
            Ok(body.subscription_group_table.into_iter().map(group).collect())
        })?;
        Ok(found.by_key(|group| group.name.clone()))
    }

    /// Returns the settings of a group as each broker has them (`mqadmin getConsumerConfig`). Nothing is found for a group that no
    /// broker knows.
    ///
    /// Asks for the settings of all groups: brokers that are asked about one they do not know create it, as `mqadmin` has them
    /// do.
    ///
    /// # Errors
    /// As [`groups`](Admin::groups); [`Error::Invalid`] for a name no group can have.
    pub fn group_config(&self, group: &str) -> Result<OnBrokers<GroupConfig>> {
        check_name(group)?;
        let OnBrokers { found, failures } = self.groups()?;
        let own = |found: &OnBroker<GroupConfig>| *found.value.name == *group;
        Ok(OnBrokers { found: found.into_iter().filter(own).collect(), failures })
    }

    /// Creates a group on all brokers, or replaces its settings (`mqadmin updateSubGroup`). Members learn of them as they come.
    ///
    /// # Errors
    /// It was done on all brokers or an error is returned; calling again is harmless. [`Error::Invalid`] for a name no group can
    /// have, and settings out of range; [`Error::Rejected`] for attributes that a broker does not know.
    pub fn create_group(&self, config: &GroupConfig) -> Result<()> {
        names::check_group(&config.name)?;
        let body = config.body(self.core().wire_name(&config.name))?;
        self.tell_everywhere(&PutGroup, &json::encode(&body))
    }

    /// Deletes a group on all brokers (`mqadmin deleteSubGroup`). One that does not exist is no error. Members that are connected
    /// make it anew with their next heartbeat where brokers create groups on first use.
    ///
    /// Its topics for retries and dead letters stay: see [`delete_topic`](Admin::delete_topic).
    ///
    /// # Errors
    /// It was deleted on all brokers or an error is returned. [`Error::Invalid`] for a name no group can have.
    pub fn delete_group(&self, group: &str, offsets: GroupOffsets) -> Result<()> {
        names::check_group(group)?;
        let clean = Some(offsets == GroupOffsets::Delete);
        self.tell_everywhere(&DeleteGroup { clean_offset: clean, group: group.into(), remove_offset: clean }, &[])
    }
}

/// The brokers' own groups may be looked at.
fn check_name(group: &str) -> Result<()> {
    if group.trim().is_empty() { Err(Error::invalid("the group's name is blank")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_are_read_are_written_unchanged() {
        let text = br#"{"attributes":{"+a":"b"},"brokerId":2,"consumeBroadcastEnable":false,"consumeEnable":false,"consumeFromMinEnable":false,"consumeMessageOrderly":true,"consumeTimeoutMinute":3,"groupName":"g","groupRetryPolicy":{"exponentialRetryPolicy":{"initial":1000,"max":9000,"multiplier":3},"type":"EXPONENTIAL"},"groupSysFlag":4,"notifyConsumerIdsChangedEnable":false,"retryMaxTimes":5,"retryQueueNums":6,"whichBrokerWhenConsumeSlowly":7,"subscriptionDataSet":[{"topic":"T"}]}"#;
        let config = GroupConfig::read(json::decode("group", text).unwrap());
        let policy =
            RetryPolicy::Exponential { initial: Duration::from_secs(1), max: Duration::from_secs(9), multiplier: 3 };
        assert_eq!((config.consume_timeout, &config.retry_policy), (Duration::from_secs(180), &policy));
        assert_eq!(json::encode(&config.body("g".into()).unwrap()), text);
        let custom = RetryPolicy::Customized(vec![Duration::from_secs(1), Duration::from_secs(5)]);
        assert_eq!(RetryPolicy::read(custom.body()), custom);
    }

    #[test]
    fn settings_out_of_range_are_refused_and_attributes_get_their_sign() {
        let mut config = GroupConfig::new("g");
        config.attributes = [("a", "b"), ("-c", "")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let body = config.body("g".into()).unwrap();
        assert_eq!(body.attributes.keys().collect::<Vec<_>>(), ["+a", "-c"]);
        for timeout in [Duration::ZERO, Duration::from_secs(90), Duration::from_millis(60_001)] {
            config.consume_timeout = timeout;
            assert!(config.body("g".into()).is_err(), "{timeout:?}");
        }
    }
}
