//! Namespaces where names enter and leave a client: settings, limits, heartbeats, received messages.
//!
//! Requests need nothing: their names are wrapped as they are written, see [`crate::protocol::namespace`].

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::core::Core;
use super::groups::Named;
use super::names;
use crate::error::{Error, Result};
use crate::message::{MessageView, View};
use crate::protocol::namespace::Namespace;
use crate::protocol::record::{self, Source};
use crate::protocol::rpc::heartbeat::HeartbeatBody;

/// Longest namespace, in characters: it stands in every name, and those have limits.
const MAX_NAMESPACE: usize = 100;

/// Reads the namespace out of an endpoint such as `http://MQ_INST_1234_abcd.mq.example.com:80`.
pub(super) fn of_endpoint(list: &str) -> Option<&str> {
    let endpoint = list.trim();
    let host = match endpoint.split_once("://") {
        Some((scheme, _)) if !is_word(scheme) => return None,
        Some((_, rest)) => rest,
        None => endpoint,
    };
    let (instance, _) = host.split_once('.')?;
    let (account, name) = instance.strip_prefix("MQ_INST_")?.split_once('_')?;
    (is_word(account) && is_word(name)).then_some(instance)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Checks a namespace that is not empty.
pub(super) fn checked(name: &str) -> Result<Namespace> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '|');
    if !name.chars().all(legal) || name.len() > MAX_NAMESPACE {
        let allowed = format!("at most {MAX_NAMESPACE} letters a-z and A-Z, digits, and | _ - are allowed");
        return Err(Error::invalid(format!("namespace {name:?}: {allowed}")));
    }
    Ok(Namespace::new(name))
}

/// Checks that a topic, whose name is in order by itself, is not too long in its namespace.
pub(crate) fn check_topic(namespace: Option<&Namespace>, topic: &str) -> Result<()> {
    fits(namespace, "topic", topic, names::check_topic)
}

/// As [`check_topic`], for a group.
pub(super) fn check_group(namespace: Option<&Namespace>, group: &str) -> Result<()> {
    fits(namespace, "group", group, names::check_group)
}

fn fits(namespace: Option<&Namespace>, what: &str, name: &str, check: impl Fn(&str) -> Result<()>) -> Result<()> {
    let Some(namespace) = namespace else { return Ok(()) };
    let wrapped = namespace.wrap(name);
    check(&wrapped).map_err(|error| {
        let (within, length) = (namespace.name(), wrapped.len());
        Error::invalid(format!("{what} {name} has {length} characters in namespace {within}: {error}"))
    })
}

/// Gives received messages their users' topics.
pub(crate) fn unwrap_topics(namespace: Option<&Namespace>, views: &mut [View]) {
    let Some(namespace) = namespace else { return };
    // Neighbours mostly have the same topic.
    let mut last: Option<(Arc<str>, Arc<str>)> = None;
    for view in views {
        let topic = &view.stored().topic;
        let own = match &last {
            Some((wrapped, own)) if wrapped == topic => own.clone(),
            _ => match namespace.unwrap(topic) {
                Cow::Borrowed(own) if own.len() == topic.len() => topic.clone(),
                own => own.into(),
            },
        };
        last = Some((topic.clone(), own.clone()));
        view.rename(own);
    }
}

impl Core {
    /// The namespace of this client's topics and groups.
    pub(crate) fn namespace(&self) -> Option<&Namespace> {
        self.options().remoting.namespace.as_ref()
    }

    /// The wire form of a name, for where requests carry names in their bodies or in properties.
    pub(crate) fn wire_name(&self, name: &Arc<str>) -> Arc<str> {
        self.namespace().map_or_else(|| name.clone(), |namespace| namespace.wrap_shared(name))
    }

    /// The user's form of a name that a server sent.
    pub(crate) fn own_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        self.namespace().map_or(Cow::Borrowed(name), |namespace| namespace.unwrap(name))
    }

    /// The messages in an answer, as [`record::messages`] reads them, with their users' topics.
    pub(crate) fn messages(&self, body: Bytes, broker_name: &Arc<str>) -> (Vec<MessageView>, Option<Error>) {
        let (mut views, broken) = record::views(body, Source::Broker(broker_name), &self.options().limits.messages);
        unwrap_topics(self.namespace(), &mut views);
        let messages = View::messages(views);
        self.note_messages(&messages, broken.as_ref());
        (messages, broken)
    }

    /// What a heartbeat says, with the names in their wire form, and of whom; `None` when no group lives here.
    pub(super) fn heartbeat_body(&self) -> Option<(HeartbeatBody, Vec<Named>)> {
        let (mut body, members) = self.groups().heartbeat(self.client_id())?;
        if let Some(namespace) = self.namespace() {
            wrap_heartbeat(namespace, &mut body);
        }
        Some((body, members))
    }
}

fn wrap_heartbeat(namespace: &Namespace, body: &mut HeartbeatBody) {
    for producer in &mut body.producer_data_set {
        producer.group_name = namespace.wrap_shared(&producer.group_name);
    }
    for consumer in &mut body.consumer_data_set {
        consumer.group_name = namespace.wrap_shared(&consumer.group_name);
        for subscription in &mut consumer.subscription_data_set {
            subscription.topic = namespace.wrap_shared(&subscription.topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rpc::heartbeat::{ConsumerBody, ProducerBody, SubscriptionBody};

    #[test]
    fn an_endpoint_of_an_instance_names_its_namespace() {
        for (list, namespace) in [
            ("http://MQ_INST_1234_abcd.mq.example.com:80", Some("MQ_INST_1234_abcd")),
            ("MQ_INST_1_2.host:9876", Some("MQ_INST_1_2")),
            (" https://MQ_INST_1_2_3.host", Some("MQ_INST_1_2_3")),
            ("http://MQ_INST_1.host:80", None),
            ("http://MQ_INST__2.host:80", None),
            ("http://MQ_INST_1_2:80", None),
            ("http://host/MQ_INST_1_2.host:80", None),
            ("10.0.0.1:9876;10.0.0.2:9876", None),
        ] {
            assert_eq!(of_endpoint(list), namespace, "{list}");
        }
    }

    #[test]
    fn a_namespace_has_no_separator_and_leaves_room_for_names() {
        assert!(checked("MQ_INST_1-2|3").is_ok());
        for wrong in ["a%b", "a b", "a.b", &"n".repeat(101)] {
            assert!(checked(wrong).unwrap_err().to_string().contains("namespace"), "{wrong}");
        }
    }

    #[test]
    fn lengths_are_those_of_the_names_on_the_wire_and_errors_say_the_users_name() {
        let namespace = checked(&"n".repeat(20)).unwrap();
        assert!(check_topic(Some(&namespace), &"t".repeat(106)).is_ok());
        let long = "t".repeat(107);
        let error = check_topic(Some(&namespace), &long).unwrap_err().to_string();
        assert!(error.contains(&format!("topic {long} has 128 characters in namespace")), "{error}");
        assert!(check_topic(None, &long).is_ok());
        assert!(check_group(Some(&namespace), &"g".repeat(234)).is_ok());
        assert!(check_group(Some(&namespace), &"g".repeat(235)).is_err());
        assert!(check_topic(Some(&namespace), "TBW102").is_ok());
    }

    #[test]
    fn a_heartbeat_names_groups_and_subscriptions_in_the_namespace() {
        let subscription = |topic: &str| SubscriptionBody {
            class_filter_mode: false,
            code_set: Vec::new(),
            expression_type: None,
            sub_string: "*".into(),
            sub_version: 0,
            tags_set: Vec::new(),
            topic: topic.into(),
        };
        let consumer = ConsumerBody {
            group_name: "c".into(),
            consume_type: String::new(),
            message_model: String::new(),
            consume_from_where: String::new(),
            subscription_data_set: vec![subscription("t"), subscription("%RETRY%c")],
            unit_mode: false,
        };
        let mut body = HeartbeatBody {
            client_id: "id".into(),
            consumer_data_set: vec![consumer],
            heartbeat_fingerprint: 0,
            producer_data_set: vec![ProducerBody { group_name: "p".into() }],
            without_sub: false,
        };
        wrap_heartbeat(&Namespace::new("ns"), &mut body);
        assert_eq!(&*body.producer_data_set[0].group_name, "ns%p");
        let consumer = &body.consumer_data_set[0];
        let topics: Vec<&str> = consumer.subscription_data_set.iter().map(|one| &*one.topic).collect();
        assert_eq!((&*consumer.group_name, topics), ("ns%c", vec!["ns%t", "%RETRY%ns%c"]));
    }
}
