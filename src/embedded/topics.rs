//! The topics of one broker: their settings, the rules for names, and creating them by sending.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::attributes::{Attributes, QUEUE_TYPE};
use super::registered::Registered;
use crate::protocol::rpc::topic::{MappingBody, perm};

pub(super) const TEMPLATE: &str = "TBW102";
pub(super) const SCHEDULE: &str = "SCHEDULE_TOPIC_XXXX";
pub(super) const TIMER: &str = "rmq_sys_wheel_timer";
pub(super) const HALF: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
pub(super) const ENDED_HALF: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
pub(super) const CHECKED_TOO_OFTEN: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
pub(super) const RETRY_PREFIX: &str = "%RETRY%";
pub(super) const DEAD_LETTER_PREFIX: &str = "%DLQ%";

const READ_WRITE: i32 = perm::READ | perm::WRITE;
const TEMPLATE_QUEUES: i32 = 8;
/// As many as the builder can be told.
const MOST_QUEUES: i32 = 65_535;
const MAX_LENGTH: usize = 127;
const MAX_PREFIXED_LENGTH: usize = 255;

/// Topics nobody may send to.
const FORBIDDEN: &[&str] = &[SCHEDULE, HALF, ENDED_HALF, CHECKED_TOO_OFTEN, "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT"];

/// Topics nobody may create or delete, beside those a broker makes for itself.
const SYSTEM: &[&str] = &[TEMPLATE, "BenchmarkTest", "RMQ_SYS_TRACE_TOPIC", "CHECKPOINT_TOPIC"];

/// The settings of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    pub(super) read_queues: i32,
    pub(super) write_queues: i32,
    pub(super) perm: i32,
    pub(super) sys_flag: i32,
    pub(super) order: bool,
    pub(super) attributes: Attributes,
    /// Only of a static topic.
    pub(super) mapping: Option<MappingBody>,
}

impl Topic {
    pub(super) fn new(name: impl Into<Arc<str>>, queues: i32) -> Topic {
        Topic {
            name: name.into(),
            read_queues: queues,
            write_queues: queues,
            perm: READ_WRITE,
            sys_flag: 0,
            order: false,
            attributes: Attributes::new(),
            mapping: None,
        }
    }

    /// Whether batches with a unique id of their own are stored as one record.
    pub(super) fn stores_inner_batches(&self) -> bool {
        self.attributes.get(QUEUE_TYPE).is_some_and(|kind| kind == "BatchCQ")
    }

    pub(super) fn is_readable(&self) -> bool {
        self.perm & perm::READ != 0
    }

    /// As Java writes it into the remark about an illegal queue.
    pub(super) fn java_text(&self) -> String {
        let attributes: Vec<String> = self.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let flag = |bit, letter| if self.perm & bit != 0 { letter } else { '-' };
        format!(
            "TopicConfig [topicName={}, readQueueNums={}, writeQueueNums={}, perm={}{}{}, topicFilterType=SINGLE_TAG, \
             topicSysFlag={}, order={}, attributes={{{}}}]",
            self.name,
            self.read_queues,
            self.write_queues,
            flag(perm::READ, 'R'),
            flag(perm::WRITE, 'W'),
            flag(perm::INHERIT, 'X'),
            self.sys_flag,
            self.order,
            attributes.join(", ")
        )
    }
}

/// All topics of one broker.
#[derive(Debug)]
pub(super) struct Topics {
    initial: Vec<Topic>,
    /// The names of those that nobody may create or delete.
    system: Vec<Arc<str>>,
    all: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
    pub(super) registered: Registered,
}

impl Topics {
    /// The topics every broker has, and `own`.
    pub(super) fn new(cluster: &str, broker: &str, auto_create: bool, own: &[Topic]) -> Topics {
        let mut initial = system_topics(cluster, broker);
        let system = initial.iter().map(|topic| topic.name.clone()).collect();
        if auto_create {
            initial.push(Topic { perm: READ_WRITE | perm::INHERIT, ..Topic::new(TEMPLATE, TEMPLATE_QUEUES) });
        }
        initial.extend_from_slice(own);
        let topics = Topics { initial, system, all: RwLock::default(), registered: Registered::default() };
        topics.reset();
        topics
    }

    /// Goes back to the topics of the start.
    pub(super) fn reset(&self) {
        let all = self.initial.iter().map(|topic| (topic.name.clone(), Arc::new(topic.clone()))).collect();
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = all;
        self.registered.renew();
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(super) fn put(&self, topic: Topic) -> Arc<Topic> {
        let topic = Arc::new(topic);
        self.all.write().unwrap_or_else(PoisonError::into_inner).insert(topic.name.clone(), topic.clone());
        self.registered.tell(&topic.name);
        topic
    }

    /// Removes a topic; nobody knows it any more.
    pub(super) fn remove(&self, name: &str) -> bool {
        self.registered.tell(name);
        self.all.write().unwrap_or_else(PoisonError::into_inner).remove(name).is_some()
    }

    /// Deletes a topic; name servers do not know that yet.
    pub(super) fn delete(&self, name: &str) {
        let deleted = self.all.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        if let Some(deleted) = deleted {
            self.registered.keep(deleted);
        }
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Creates a topic from a template, with the smaller of both counts, if the template passes its settings on.
    pub(super) fn create_by_sending(&self, name: &str, template: &str, queues: i32) -> Option<Arc<Topic>> {
        let template = self.get(template).filter(|template| template.perm & perm::INHERIT != 0)?;
        let queues = queues.min(template.write_queues).max(0);
        Some(self.create(Topic { perm: template.perm & !perm::INHERIT, ..Topic::new(name, queues) }))
    }

    /// Creates a topic unless there is one of that name.
    pub(super) fn create(&self, topic: Topic) -> Arc<Topic> {
        self.registered.forget(&topic.name);
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        all.entry(topic.name.clone()).or_insert_with(|| Arc::new(topic)).clone()
    }

    /// The names of those that nobody may create or delete.
    pub(super) fn system_names(&self) -> Vec<String> {
        let known = SYSTEM.iter().chain(FORBIDDEN).map(|name| (*name).to_owned());
        let mut names: Vec<String> = self.system.iter().map(|name| name.to_string()).chain(known).collect();
        names.sort();
        names.dedup();
        names
    }

    pub(super) fn is_system(&self, name: &str) -> bool {
        self.system.iter().any(|topic| **topic == *name)
            || SYSTEM.contains(&name)
            || FORBIDDEN.contains(&name)
            || name.starts_with("rmq_sys_")
    }
}

fn system_topics(cluster: &str, broker: &str) -> Vec<Topic> {
    let inherited = READ_WRITE | perm::INHERIT;
    vec![
        Topic::new("SELF_TEST_TOPIC", 1),
        Topic::new("BenchmarkTest", 1024),
        // Apache's brokers have it when they are told so (`traceTopicEnable`).
        Topic::new("RMQ_SYS_TRACE_TOPIC", 1),
        Topic { perm: inherited, ..Topic::new(cluster, 16) },
        Topic { perm: inherited, ..Topic::new(broker, 1) },
        Topic::new("OFFSET_MOVED_EVENT", 1),
        Topic::new(SCHEDULE, 18),
        Topic::new(format!("{cluster}_REPLY_TOPIC"), 1),
        Topic::new(format!("rmq_sys_REVIVE_LOG_{cluster}"), 8),
        Topic { perm: perm::INHERIT, ..Topic::new(format!("rmq_sys_SYNC_BROKER_MEMBER_{broker}"), 1) },
        Topic::new(HALF, 1),
        Topic::new(ENDED_HALF, 1),
        Topic::new(TIMER, 1),
    ]
}

pub(super) fn is_forbidden(name: &str) -> bool {
    FORBIDDEN.contains(&name)
}

/// Checks how many queues a topic is to have: there are answers that name each of them.
pub(super) fn check_queues(counts: [i32; 2]) -> Result<(), String> {
    match counts.into_iter().find(|count| *count > MOST_QUEUES) {
        Some(count) => Err(format!("{count} queues; the embedded cluster has topics of at most {MOST_QUEUES}")),
        None => Ok(()),
    }
}

/// Checks a topic's name; the error is Java's remark.
pub(super) fn check_topic(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("The specified topic is blank.".to_owned());
    }
    if !has_legal_characters(name) {
        return Err(format!(
            "The specified topic: {name}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
        ));
    }
    if name.starts_with(RETRY_PREFIX) || name.starts_with(DEAD_LETTER_PREFIX) {
        if name.len() > MAX_PREFIXED_LENGTH {
            return Err(format!(
                "The specified topic is DLQ or Retry topic: {name}, and it's longer than topic max length: \
                 {MAX_PREFIXED_LENGTH}"
            ));
        }
    } else if name.len() > MAX_LENGTH {
        return Err(format!("The specified topic: {name}, is longer than topic max length: {MAX_LENGTH}"));
    }
    Ok(())
}

/// Whether a group may have this name.
pub(super) fn is_group_name(name: &str) -> bool {
    !name.trim().is_empty() && has_legal_characters(name) && name.len() <= 255
}

fn has_legal_characters(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"%|_-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(auto_create: bool) -> Topics {
        Topics::new("DefaultCluster", "broker-a", auto_create, &[Topic::new("Own", 3)])
    }

    #[test]
    fn sending_creates_a_topic_with_the_smaller_count_of_queues() {
        let topics = topics(true);
        for (asked, made) in [(4, 4), (8, 8), (100, 8), (0, 0), (-1, 0)] {
            let name = format!("T{asked}");
            let topic = topics.create_by_sending(&name, TEMPLATE, asked).unwrap();
            assert_eq!((topic.read_queues, topic.write_queues, topic.perm), (made, made, READ_WRITE));
        }
        assert!(topics.create_by_sending("T", "Own", 4).is_none(), "it does not pass its settings on");
        assert!(topics.create_by_sending("T", "Unknown", 4).is_none());
    }

    #[test]
    fn without_the_template_sending_creates_nothing() {
        assert!(topics(false).create_by_sending("T", TEMPLATE, 4).is_none());
    }

    #[test]
    fn system_topics_are_known_and_own_ones_are_not_among_them() {
        for auto_create in [true, false] {
            let topics = topics(auto_create);
            for name in [TEMPLATE, SCHEDULE, "DefaultCluster", "broker-a", "rmq_sys_x", "BenchmarkTest"] {
                assert!(topics.is_system(name), "{name}");
            }
            assert!(!topics.is_system("Own"));
            assert!(!topics.is_system("Other"));
        }
    }

    #[test]
    fn names_are_checked_as_java_does() {
        assert!(check_topic("%RETRY%a|b_c-1").is_ok());
        assert!(check_topic(&"t".repeat(127)).is_ok());
        assert!(check_topic(&format!("%RETRY%{}", "g".repeat(200))).is_ok());
        for wrong in ["", " ", "a b", "中文", "a.b", &"t".repeat(128)] {
            assert!(check_topic(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_topic_is_described_as_java_does() {
        let text = Topic { perm: 7, ..Topic::new("T", 4) }.java_text();
        assert!(text.starts_with("TopicConfig [topicName=T, readQueueNums=4, writeQueueNums=4, perm=RWX, "), "{text}");
    }
}
