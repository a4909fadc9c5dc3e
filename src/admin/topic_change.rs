use std::sync::Arc;

use super::Admin;
use super::topics::{TopicConfig, configs};
use crate::client::{Server, attributes_text, names, namespace, put_attribute};
use crate::error::{Error, Exhaustion, Result};
use crate::protocol::rpc::topic::{CreateTopic, TopicConfigBody, perm};

/// More queues than routes may have are refused when they are read, so they are not created either.
const MAX_QUEUES: i32 = 65_536;

/// A change of a topic, made by [`Admin::change_topic`]. It ends in [`apply`](TopicChange::apply).
#[derive(Debug, Clone)]
#[must_use = "a change does nothing until it is applied"]
pub struct TopicChange<'a> {
    admin: &'a Admin,
    topic: Arc<str>,
    broker: Option<Arc<str>>,
    read_queues: Option<i32>,
    write_queues: Option<i32>,
    read: Option<bool>,
    write: Option<bool>,
    order: Option<bool>,
    attributes: Vec<(String, String)>,
}

impl Admin {
    /// Starts a change of a topic that exists (`mqadmin updateTopic`, `updateTopicPerm`; Java: `createAndUpdateTopicConfig`). What
    /// is not set stays as it is, on each broker for itself. New topics are made with
    /// [`Client::prepare_topic`](crate::Client::prepare_topic).
    ///
    /// ```
    /// # use rocketmq_blocking::{Client, embedded::Cluster};
    /// # let cluster = Cluster::builder().topic("OrderTopic", 4).start()?;
    /// # let client = Client::connect(cluster.name_server())?;
    /// let admin = client.admin();
    /// admin.change_topic("OrderTopic").queues(8).write(false).apply()?;
    /// assert_eq!(admin.topic_config("OrderTopic")?.configs[0].write_queues, 8);
    /// # Ok::<(), rocketmq_blocking::Error>(())
    /// ```
    pub fn change_topic(&self, topic: impl Into<Arc<str>>) -> TopicChange<'_> {
        TopicChange {
            admin: self,
            topic: topic.into(),
            broker: None,
            read_queues: None,
            write_queues: None,
            read: None,
            write: None,
            order: None,
            attributes: Vec::new(),
        }
    }
}

impl TopicChange<'_> {
    /// Changes it on this broker only. On all that have it by default.
    pub fn broker(mut self, name: impl Into<Arc<str>>) -> Self {
        self.broker = Some(name.into());
        self
    }

    /// Sets the number of queues on each broker, for reading and writing, 1 to 65 536.
    pub fn queues(self, queues: i32) -> Self {
        self.read_queues(queues).write_queues(queues)
    }

    /// Sets how many queues consumers see. Fewer than are written hide messages.
    pub fn read_queues(mut self, queues: i32) -> Self {
        self.read_queues = Some(queues);
        self
    }

    /// Sets how many queues producers see. To take queues away without losing messages, lower this first, and the other once
    /// they are consumed.
    pub fn write_queues(mut self, queues: i32) -> Self {
        self.write_queues = Some(queues);
        self
    }

    /// Sets whether consumers may read it.
    pub fn read(mut self, allowed: bool) -> Self {
        self.read = Some(allowed);
        self
    }

    /// Sets whether it takes messages.
    pub fn write(mut self, allowed: bool) -> Self {
        self.write = Some(allowed);
        self
    }

    /// Sets whether order matters more than that it can be written, see [`PreparedTopic::order`](crate::PreparedTopic::order).
    pub fn order(mut self, order: bool) -> Self {
        self.order = Some(order);
        self
    }

    /// Sets an attribute, or takes one away (brokers 5.0 and later), as
    /// [`PreparedTopic::attribute`](crate::PreparedTopic::attribute) does.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        put_attribute(&mut self.attributes, name.into(), value.into());
        self
    }

    /// Changes the topic: asks each broker for its settings and writes them back changed, so that changes others make at the
    /// same moment can be lost. Name servers know it when this returns.
    ///
    /// Blocks until all masters have answered, at most for the request timeout (3 s by default).
    ///
    /// # Errors
    /// [`Error::NoRoute`] when the topic does not exist, [`Error::NoBroker`] when it does not lie on the named broker,
    /// [`Error::Invalid`] for a number of queues out of range or a topic of the brokers' own. With several brokers
    /// [`Error::Exhausted`] lists those that failed; on all others it was changed. Calling again is harmless.
    pub fn apply(self) -> Result<()> {
        let core = self.admin.core();
        let group_topic = self.topic.starts_with("%RETRY%") || self.topic.starts_with("%DLQ%");
        if group_topic {
            names::check_topic(&self.topic)?
        } else {
            names::check_new_topic(&self.topic)?
        }
        namespace::check_topic(core.namespace(), &self.topic)?;
        for queues in self.read_queues.iter().chain(&self.write_queues) {
            if !(1..=MAX_QUEUES).contains(queues) {
                return Err(Error::invalid(format!("a topic has 1 to {MAX_QUEUES} queues a broker, not {queues}")));
            }
        }
        let attributes = attributes_text(&self.attributes)?;
        let deadline = core.request_deadline();
        let (mut found, mut failures) = configs(core, &self.topic, deadline)?;
        if let Some(name) = &self.broker {
            found.retain(|(server, _)| server.broker_name == *name);
            failures.retain(|failure| failure.broker_name == *name);
            if found.is_empty() && failures.is_empty() {
                let reason = format!("topic {} does not lie there", self.topic).into();
                return Err(Error::NoBroker { what: name.clone(), reason });
            }
        }
        for (server, body) in found {
            let Server { broker_name, addr } = server;
            let request = self.changed(TopicConfig::read(core, &broker_name, body.clone()), body, attributes.clone());
            if let Err(error) = core.ask_server(&addr, &request, &[], deadline) {
                let elapsed = deadline.started().elapsed();
                failures.push(crate::error::Attempt { broker_name, addr, elapsed, error });
            }
        }
        // What is known of the topic is older; should this fail, the next look finds out.
        let _ = core.routes().refresh(core, &self.topic, deadline);
        match failures.pop() {
            None => Ok(()),
            Some(only) if failures.is_empty() => Err(only.error),
            Some(last) => {
                failures.push(last);
                Err(Error::Exhausted { attempts: failures.into(), because: Exhaustion::Brokers })
            }
        }
    }

    fn changed(&self, now: TopicConfig, body: TopicConfigBody, attributes: Option<String>) -> CreateTopic {
        let bit = |wanted: Option<bool>, bit: i32| match wanted {
            Some(true) => bit,
            Some(false) => 0,
            None => now.permissions & bit,
        };
        CreateTopic {
            topic: self.topic.clone(),
            default_topic: "TBW102".into(),
            read_queues: self.read_queues.unwrap_or(now.read_queues),
            write_queues: self.write_queues.unwrap_or(now.write_queues),
            perm: bit(self.read, perm::READ) | bit(self.write, perm::WRITE) | now.permissions & perm::INHERIT,
            filter_type: Some(body.topic_filter_type).filter(|kind| !kind.is_empty()).or(Some("SINGLE_TAG".into())),
            sys_flag: Some(now.flags),
            order: self.order.unwrap_or(now.order),
            attributes,
        }
    }
}
