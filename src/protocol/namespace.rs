//! Names of topics and groups within a namespace (Java: `NamespaceUtil`): `orders` is `<namespace>%orders` on the wire.
//!
//! Users' names are used everywhere in this crate. Requests are dressed on their way out, by the names of their fields, so
//! a new request needs nothing of its own; what comes back is unwrapped where it is read.

use std::borrow::Cow;
use std::sync::Arc;

use super::fields::{FieldSink, FieldSource, Header};
use crate::error::{Error, Result};

/// Between the namespace and the name.
const SEPARATOR: char = '%';

/// They stay in front: `%RETRY%<namespace>%<group>`.
const FIRST: [&str; 2] = ["%RETRY%", "%DLQ%"];

/// Topics brokers use for themselves, to which nobody may send. Like the next, they are in no namespace.
pub(crate) const NO_SEND_TOPICS: [&str; 6] = [
    "SCHEDULE_TOPIC_XXXX",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
];

/// Further topics that every broker has from the start. Sending to them is allowed.
pub(crate) const BUILT_IN_TOPICS: [&str; 4] = ["TBW102", "BenchmarkTest", "RMQ_SYS_TRACE_TOPIC", "CHECKPOINT_TOPIC"];

/// Further topics, and groups, of the brokers themselves.
const SYSTEM_PREFIXES: [&str; 2] = ["rmq_sys_", "CID_RMQ_SYS_"];

/// Replies travel over a topic of the cluster. Java wraps it too, and then depends on brokers that create topics by
/// themselves; what a requester gets is the same.
const REPLY_TOPIC: &str = "_REPLY_TOPIC";

/// The fields of requests that hold a topic or a group. The letters are those of a send.
const NAME_FIELDS: [&str; 12] = [
    "topic",
    "consumerGroup",
    "producerGroup",
    "group",
    "groupName",
    "srcGroup",
    "destGroup",
    "a",
    "b",
    "c",
    "defaultTopic",
    "originTopic",
];

/// Longer than every name that brokers take.
const ROOM: usize = 640;

/// A namespace (version 1) that is not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Namespace {
    name: Arc<str>,
    /// The name and the separator.
    prefix: Arc<str>,
}

impl Namespace {
    pub(crate) fn new(name: &str) -> Namespace {
        Namespace { name: name.into(), prefix: format!("{name}{SEPARATOR}").into() }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Puts a name into its wire form. Names of the brokers' own, and those that are wrapped already, stay as they are.
    pub(crate) fn wrap<'a>(&self, name: &'a str) -> Cow<'a, str> {
        let (first, rest) = split(name);
        if self.leaves(name, rest) { Cow::Borrowed(name) } else { Cow::Owned([first, &self.prefix, rest].concat()) }
    }

    /// As [`wrap`](Namespace::wrap), for a name that is shared.
    pub(crate) fn wrap_shared(&self, name: &Arc<str>) -> Arc<str> {
        match self.wrap(name) {
            Cow::Borrowed(_) => name.clone(),
            Cow::Owned(wrapped) => wrapped.into(),
        }
    }

    /// Turns a wire name into the user's. One of another namespace stays as it is.
    pub(crate) fn unwrap<'a>(&self, name: &'a str) -> Cow<'a, str> {
        let (first, rest) = split(name);
        match rest.strip_prefix(&*self.prefix) {
            Some(own) if first.is_empty() => Cow::Borrowed(own),
            Some(own) => Cow::Owned([first, own].concat()),
            None => Cow::Borrowed(name),
        }
    }

    /// Lends the wire form without leaving anything on the heap.
    fn lend<T>(&self, name: &str, then: impl FnOnce(&str) -> T) -> T {
        let (first, rest) = split(name);
        if self.leaves(name, rest) {
            return then(name);
        }
        let parts = [first, &self.prefix, rest];
        let mut room = [0; ROOM];
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        let Some(joined) = room.get_mut(..len) else { return then(&parts.concat()) };
        let mut end = 0;
        for part in parts {
            joined[end..end + part.len()].copy_from_slice(part.as_bytes());
            end += part.len();
        }
        // Joined text is text.
        then(std::str::from_utf8(joined).unwrap_or(name))
    }

    /// `rest` is the name behind its first prefix.
    fn leaves(&self, name: &str, rest: &str) -> bool {
        rest.is_empty()
            || rest.starts_with(&*self.prefix)
            || NO_SEND_TOPICS.contains(&name)
            || BUILT_IN_TOPICS.contains(&name)
            || SYSTEM_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || name.ends_with(REPLY_TOPIC)
    }
}

fn split(name: &str) -> (&str, &str) {
    let first = FIRST.iter().find(|first| name.starts_with(**first));
    name.split_at(first.map_or(0, |first| first.len()))
}

/// A request whose names are put into a namespace as they are written. It is only ever written.
#[derive(Debug)]
pub(crate) struct InNamespace<'a, H> {
    pub(crate) header: &'a H,
    pub(crate) namespace: &'a Namespace,
}

impl<H: Header> Header for InNamespace<'_, H> {
    fn put<S: FieldSink>(&self, sink: &mut S) {
        self.header.put(&mut Wrapping { sink, namespace: self.namespace });
    }

    fn take(_fields: FieldSource<'_>) -> Result<Self> {
        Err(Error::malformed("requests in a namespace are not read back"))
    }
}

struct Wrapping<'a, S> {
    sink: &'a mut S,
    namespace: &'a Namespace,
}

impl<S: FieldSink> FieldSink for Wrapping<'_, S> {
    fn text(&mut self, name: &str, value: &str) {
        if NAME_FIELDS.contains(&name) {
            self.namespace.lend(value, |wrapped| self.sink.text(name, wrapped));
        } else {
            self.sink.text(name, value);
        }
    }

    fn number(&mut self, name: &str, value: i64) {
        self.sink.number(name, value);
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.sink.flag(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::fields::Collected;
    use crate::protocol::golden::send_of_the_vectors;
    use crate::protocol::rpc::offset::ConsumerOffset;

    #[test]
    fn names_are_wrapped_and_unwrapped_as_java_does() {
        let namespace = Namespace::new("MQ_INST_1_2");
        for (name, wire) in [
            ("orders", "MQ_INST_1_2%orders"),
            ("a%b", "MQ_INST_1_2%a%b"),
            ("%RETRY%group", "%RETRY%MQ_INST_1_2%group"),
            ("%DLQ%group", "%DLQ%MQ_INST_1_2%group"),
            ("other%orders", "MQ_INST_1_2%other%orders"),
            ("TBW102", "TBW102"),
            ("RMQ_SYS_TRACE_TOPIC", "RMQ_SYS_TRACE_TOPIC"),
            ("rmq_sys_TRACE_DATA_x", "rmq_sys_TRACE_DATA_x"),
            ("CID_RMQ_SYS_TRANS", "CID_RMQ_SYS_TRANS"),
            ("DefaultCluster_REPLY_TOPIC", "DefaultCluster_REPLY_TOPIC"),
            ("", ""),
            ("%RETRY%", "%RETRY%"),
        ] {
            assert_eq!(namespace.wrap(name), wire, "wrapping {name:?}");
            assert_eq!(namespace.wrap(wire), wire, "{wire} must not be wrapped twice");
            assert_eq!(&*namespace.wrap_shared(&name.into()), wire);
            assert_eq!(namespace.unwrap(wire), name, "unwrapping {wire:?}");
            namespace.lend(name, |lent| assert_eq!(lent, wire));
        }
    }

    #[test]
    fn names_of_another_namespace_are_left_alone_on_their_way_back() {
        let namespace = Namespace::new("one");
        for name in ["two%orders", "%RETRY%two%group", "one", "ones%x", "plain"] {
            assert_eq!(namespace.unwrap(name), name);
        }
    }

    #[test]
    fn a_name_longer_than_every_limit_is_wrapped_all_the_same() {
        let name = "n".repeat(ROOM);
        Namespace::new("x").lend(&name, |lent| assert_eq!(lent, format!("x%{name}")));
    }

    fn written<H: Header>(header: &H) -> Vec<(String, String)> {
        let mut fields = Collected::default();
        InNamespace { header, namespace: &Namespace::new("ns") }.put(&mut fields);
        fields.0
    }

    #[test]
    fn only_the_fields_that_hold_names_are_dressed() {
        let request = ConsumerOffset {
            consumer_group: "g".into(),
            topic: "%RETRY%g".into(),
            queue_id: 3,
            zero_if_not_found: Some(false),
            broker_name: Some("broker-a".into()),
        };
        let expected = [
            ("consumerGroup", "ns%g"),
            ("topic", "%RETRY%ns%g"),
            ("queueId", "3"),
            ("setZeroIfNotFound", "false"),
            ("bname", "broker-a"),
        ];
        assert_eq!(written(&request), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_send_names_group_and_topic_in_the_namespace_and_the_template_outside() {
        let fields = written(&send_of_the_vectors());
        let value = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
        assert_eq!((value("a"), value("b"), value("c")), (Some("ns%PG"), Some("ns%TopicTest"), Some("TBW102")));
        assert_eq!(value("n"), Some("broker-a"));
    }
}
