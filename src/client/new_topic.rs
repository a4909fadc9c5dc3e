//! Creating topics, with everything that can be set.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::core::Core;
use super::gather::{Server, gather};
use super::{Client, names, namespace};
use crate::error::{Error, Exhaustion, Result};
use crate::message::TopicType;
use crate::protocol::json;
use crate::protocol::rpc::topic::{CreateTopic, GetTopicConfig, TopicConfigBody, perm};
use crate::remoting::Deadline;

/// More queues than routes may have are refused when they are read, so they are not created either.
const MAX_QUEUES: i32 = 65_536;
/// What Apache's admin tool gives a topic.
const DEFAULT_QUEUES: i32 = 8;
const MESSAGE_TYPE: &str = "message.type";

impl Client {
    /// Starts a topic with options; it ends in [`create`](PreparedTopic::create).
    ///
    /// ```no_run
    /// # fn main() -> rocketmq_blocking::Result<()> {
    /// # let client = rocketmq_blocking::Client::connect("127.0.0.1:9876")?;
    /// use rocketmq_blocking::TopicType;
    ///
    /// client.prepare_topic("OrderTopic").queues(4).kind(TopicType::Fifo).create()?;
    /// assert_eq!(client.topic_attributes("OrderTopic")?["message.type"], "FIFO");
    /// # Ok(())
    /// # }
    /// ```
    pub fn prepare_topic(&self, name: impl Into<Arc<str>>) -> PreparedTopic<'_> {
        PreparedTopic {
            client: self,
            name: name.into(),
            key_topic: "TBW102".into(),
            queues: DEFAULT_QUEUES,
            perm: perm::READ | perm::WRITE,
            order: false,
            attributes: Vec::new(),
        }
    }

    /// Returns the attributes of a topic, such as `message.type` ([`TopicType`]), as the first of its brokers to answer has
    /// them. Empty for a topic that was given none.
    ///
    /// Blocks at most for the request timeout (3 s by default).
    ///
    /// # Errors
    /// [`Error::NoRoute`] when the topic does not exist, [`Error::NoBroker`] when it has no master, and
    /// [`Error::Unsupported`] from brokers of the 4.x line, which have no attributes.
    pub fn topic_attributes(&self, topic: &str) -> Result<BTreeMap<String, String>> {
        names::check_topic(topic)?;
        let core = self.core();
        core.check_open()?;
        core.topic_attributes(&topic.into(), core.request_deadline())
    }
}

/// A topic with options, made by [`Client::prepare_topic`]. It ends in [`create`](PreparedTopic::create).
#[derive(Debug, Clone)]
#[must_use = "a prepared topic does nothing until it is created"]
pub struct PreparedTopic<'a> {
    client: &'a Client,
    name: Arc<str>,
    key_topic: Arc<str>,
    queues: i32,
    perm: i32,
    order: bool,
    /// With the signs in front of their names; each name stands here once.
    attributes: Vec<(String, String)>,
}

impl PreparedTopic<'_> {
    /// Sets the number of queues on each broker, for reading and writing, 1 to 65 536. 8 by default.
    pub fn queues(mut self, queues: i32) -> Self {
        self.queues = queues;
        self
    }

    /// Sets what kind of messages the topic takes (brokers 5.0 and later). None by default, which brokers read as
    /// [`TopicType::Normal`].
    pub fn kind(self, kind: TopicType) -> Self {
        self.attribute(MESSAGE_TYPE, kind.name())
    }

    /// Sets an attribute (brokers 5.0 and later): `message.type`, `queue.type` (`SimpleCQ`, `BatchCQ`), `cleanup.policy`
    /// (`DELETE`, `COMPACTION`), `lite.topic.expiration` and what else the broker knows; it refuses others. Only the first and
    /// the last can be changed once the topic exists.
    ///
    /// A `+` in front of the name may be given, as in Java. `-` takes the attribute away from a topic that exists; the value
    /// is ignored then.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        put_attribute(&mut self.attributes, name.into(), value.into());
        self
    }

    /// Names the topic on whose brokers this one is created. `TBW102` by default, which lies on all brokers that create
    /// topics on first use; any other topic serves as well.
    pub fn key_topic(mut self, topic: impl Into<Arc<str>>) -> Self {
        self.key_topic = topic.into();
        self
    }

    /// Marks the topic as one whose order matters more than that it can be written: its brokers refuse messages while they
    /// are not writable, where others rely on clients to keep away. Off by default.
    pub fn order(mut self, order: bool) -> Self {
        self.order = order;
        self
    }

    /// Sets whether the topic can be read and written. Both by default.
    pub fn permissions(mut self, read: bool, write: bool) -> Self {
        self.perm = if read { perm::READ } else { 0 } | if write { perm::WRITE } else { 0 };
        self
    }

    /// Creates the topic on each broker on which the key topic lies, or changes it where it exists: everything set here but
    /// the attributes is replaced.
    ///
    /// Blocks until all masters have answered, at most for the request timeout (3 s by default); they are asked in
    /// parallel. The name servers know the topic when this returns, producers and consumers at their next look.
    /// Brokers of the 4.x line ignore attributes, and with them the kind, without a word.
    ///
    /// # Errors
    /// The topic was created everywhere or an error is returned, where Java is content with one broker and forgets
    /// what the others said. With several brokers it is [`Error::Exhausted`], which lists those that failed; on all
    /// others the topic was created. Calling again is harmless. [`Error::Invalid`] for a name that is not allowed, a
    /// number of queues out of range or an attribute that cannot be written, [`Error::NoRoute`] for a key topic that does
    /// not exist, and [`Error::NoBroker`] for one without a master.
    pub fn create(self) -> Result<()> {
        names::check_topic(&self.key_topic)?;
        names::check_new_topic(&self.name)?;
        if !(1..=MAX_QUEUES).contains(&self.queues) {
            let queues = self.queues;
            return Err(Error::invalid(format!("a topic has 1 to {MAX_QUEUES} queues a broker, not {queues}")));
        }
        let attributes = attributes_text(&self.attributes)?;
        let core = self.client.core();
        core.check_open()?;
        namespace::check_topic(core.namespace(), &self.name)?;
        let request = CreateTopic {
            topic: self.name,
            default_topic: self.key_topic,
            read_queues: self.queues,
            write_queues: self.queues,
            perm: self.perm,
            filter_type: Some("SINGLE_TAG".into()),
            sys_flag: Some(0),
            order: self.order,
            attributes,
        };
        core.create_topic(&request, core.request_deadline())
    }
}

/// Adds an attribute with the sign in front of its name; what was said of it before is forgotten.
pub(crate) fn put_attribute(attributes: &mut Vec<(String, String)>, mut name: String, mut value: String) {
    if name.starts_with('-') {
        value.clear();
    } else if !name.starts_with('+') {
        name.insert(0, '+');
    }
    attributes.retain(|(known, _)| known.get(1..) != name.get(1..));
    attributes.push((name, value));
}

/// As Java writes them: `+key=value,-key`. None is left out.
pub(crate) fn attributes_text(attributes: &[(String, String)]) -> Result<Option<String>> {
    let mut text = String::new();
    for (signed, value) in attributes {
        let name = signed.get(1..).unwrap_or_default();
        let removed = signed.starts_with('-');
        if name.trim().is_empty() || name.contains(['+', '-', '=', ',']) {
            return Err(Error::invalid(format!("the attribute name {name:?} is empty or contains one of + - = ,")));
        }
        if !removed && (value.trim().is_empty() || value.contains(['=', ','])) {
            let what = format!("the value {value:?} of attribute {name} is empty or contains one of = ,");
            return Err(Error::invalid(what));
        }
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(signed);
        if !removed {
            text.push('=');
            text.push_str(value);
        }
    }
    Ok(if text.is_empty() { None } else { Some(text) })
}

impl Core {
    fn create_topic(self: &Arc<Self>, request: &CreateTopic, deadline: Deadline) -> Result<()> {
        let masters = self.masters(&request.default_topic, "topics are created on masters", deadline)?;
        let mut failures: Vec<_> = gather(self, &masters, request, &[], deadline)
            .into_iter()
            .filter_map(|asked| asked.split().err())
            .collect();
        // What is known of the topic may be an older number of queues, or that it does not exist. Should this fail,
        // the next look finds out.
        let _ = self.routes().refresh(self, &request.topic, deadline);
        match failures.pop() {
            None => Ok(()),
            Some(only) if masters.len() == 1 => Err(only.error),
            Some(last) => {
                failures.push(last);
                Err(Error::Exhausted { attempts: failures.into(), because: Exhaustion::Brokers })
            }
        }
    }

    /// The masters on which a topic lies, at least one.
    pub(super) fn masters(self: &Arc<Self>, topic: &Arc<str>, why: &str, deadline: Deadline) -> Result<Vec<Server>> {
        let route = self.routes().refresh(self, topic, deadline)?;
        let masters: Vec<Server> = route
            .brokers()
            .filter_map(|(broker_name, _)| Some((broker_name, route.master(broker_name)?)))
            .map(|(broker_name, addr)| Server { broker_name: broker_name.clone(), addr: addr.clone() })
            .collect();
        if masters.is_empty() {
            let reason = format!("its route names no master, and {why}").into();
            return Err(Error::NoBroker { what: topic.clone(), reason });
        }
        Ok(masters)
    }

    fn topic_attributes(self: &Arc<Self>, topic: &Arc<str>, deadline: Deadline) -> Result<BTreeMap<String, String>> {
        let masters = self.masters(topic, "masters know its attributes", deadline)?;
        let mut failure = None;
        for asked in gather(self, &masters, &GetTopicConfig { topic: topic.clone(), mapping: None }, &[], deadline) {
            match asked.answer {
                Ok(answer) => {
                    let body: TopicConfigBody = json::decode("topic", answer.frame.body())?;
                    return Ok(body.attributes);
                }
                Err(error) => failure = Some(error),
            }
        }
        // There is one, because there are masters.
        Err(failure.unwrap_or_else(|| Error::malformed("no broker answered")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::peer::{Peer, Reply, nobody, refuse};
    use crate::code::{RequestCode, ResponseCode};

    const CREATE: RequestCode = RequestCode::UPDATE_AND_CREATE_TOPIC;

    fn willing() -> Peer {
        Peer::start(|request| refuse(request, ResponseCode::SUCCESS, ""))
    }

    /// Creates a topic on masters `a` and `b`, which has a slave.
    fn create_on(a: String, b: String) -> Result<()> {
        let slave = willing();
        let brokers = vec![("a", vec![(0, a)]), ("b", vec![(0, b), (1, slave.addr.clone())])];
        let created = Peer::name_server(move || brokers.clone()).client().create_topic("TBW102", "New", 8);
        assert_eq!(slave.count(CREATE), 0, "slaves take no topics");
        created
    }

    #[test]
    fn every_master_creates_the_topic() {
        let (a, b) = (willing(), willing());
        create_on(a.addr.clone(), b.addr.clone()).unwrap();
        assert_eq!((a.count(CREATE), b.count(CREATE)), (1, 1));
    }

    #[test]
    fn masters_that_fail_are_listed_and_the_others_still_create_it() {
        let (a, b) = (willing(), Peer::start(|request| refuse(request, ResponseCode::NO_PERMISSION, "no")));
        let Err(Error::Exhausted { attempts, .. }) = create_on(a.addr.clone(), b.addr.clone()) else { panic!() };
        let names: Vec<_> = attempts.iter().map(|attempt| &*attempt.broker_name).collect();
        assert_eq!((names, a.count(CREATE)), (vec!["b"], 1));
        assert_eq!(attempts[0].error.code(), Some(ResponseCode::NO_PERMISSION));
        let Err(Error::Exhausted { attempts, .. }) = create_on(nobody(), a.addr.clone()) else { panic!() };
        assert!(matches!(attempts[..], [ref only] if matches!(only.error, Error::Connect { .. })));
    }

    #[test]
    fn a_connection_that_breaks_is_tried_once_more_and_silence_ends_with_the_request_timeout() {
        let (cutting, silent) = (Peer::start(|_| Reply::Cut), Peer::start(|_| Reply::Silence));
        let Err(Error::Exhausted { attempts, .. }) = create_on(cutting.addr.clone(), silent.addr) else { panic!() };
        assert_eq!(cutting.count(CREATE), 2);
        assert!(attempts[1].error.is_timeout() && attempts[1].error.outcome() == crate::Outcome::Unknown);
    }

    #[test]
    fn attributes_are_written_as_java_writes_them() {
        let client = Client::builder().name_servers("127.0.0.1:1").build().unwrap();
        let text = |prepare: fn(PreparedTopic<'_>) -> PreparedTopic<'_>| {
            attributes_text(&prepare(client.prepare_topic("T")).attributes)
        };
        assert_eq!(text(|topic| topic).unwrap(), None);
        let full = text(|topic| {
            topic.attribute("cleanup.policy", "DELETE").kind(TopicType::Fifo).attribute("+queue.type", "BatchCQ")
        });
        assert_eq!(full.unwrap().unwrap(), "+cleanup.policy=DELETE,+message.type=FIFO,+queue.type=BatchCQ");
        let last = text(|topic| topic.kind(TopicType::Fifo).kind(TopicType::Delay).attribute("-reserve.time", "x"));
        assert_eq!(last.unwrap().unwrap(), "+message.type=DELAY,-reserve.time");
        assert_eq!(
            text(|topic| topic.kind(TopicType::Fifo).attribute("-message.type", "")).unwrap().unwrap(),
            "-message.type"
        );
        for (name, value) in
            [("", "v"), ("a=b", "v"), ("a,b", "v"), ("++a", "v"), ("a", ""), ("a", "b,c"), ("a", "b=c")]
        {
            let refused = client.prepare_topic("T").attribute(name, value).create();
            assert!(matches!(refused, Err(Error::Invalid { .. })), "{name}={value}");
        }
    }
}
