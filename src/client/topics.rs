//! Topics: creating them, and listing their queues.

use std::sync::Arc;

use super::core::Core;
use super::gather::{Server, gather};
use super::{Client, names};
use crate::error::{Error, Exhaustion, Result};
use crate::message::MessageQueue;
use crate::protocol::rpc::topic::{CreateTopic, perm};
use crate::remoting::Deadline;

/// More queues than routes may have are refused when they are read, so they are not created either.
const MAX_QUEUES: i32 = 65_536;

impl Client {
    /// Creates a topic with `queues` queues, for reading and writing, on each broker on which `key_topic` lies.
    ///
    /// The key topic only chooses the brokers. `TBW102` lies on all brokers that create topics on first use; any other
    /// topic serves as well. A topic that exists is changed: its number of queues and its permissions are replaced.
    ///
    /// Blocks until all masters have answered, at most for the request timeout (3 s by default); they are asked in
    /// parallel. The name servers know the topic when this returns, producers and consumers at their next look.
    ///
    /// # Errors
    /// The topic was created everywhere or an error is returned, where Java is content with one broker and forgets what
    /// the others said. With several brokers it is [`Error::Exhausted`], which lists those that failed; on all others the
    /// topic was created. Calling again is harmless.
    /// [`Error::Invalid`] for a name that is not allowed or a number of queues below 1 or above 65 536,
    /// [`Error::NoRoute`] for a key topic that does not exist, and [`Error::NoBroker`] for one without a master.
    ///
    /// ```no_run
    /// # fn main() -> rocketmq_blocking::Result<()> {
    /// # let client = rocketmq_blocking::Client::connect("127.0.0.1:9876")?;
    /// client.create_topic("TBW102", "OrderTopic", 8)?;
    /// assert!(client.publish_queues("OrderTopic")?.len() >= 8);
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_topic(&self, key_topic: &str, name: &str, queues: i32) -> Result<()> {
        names::check_topic(key_topic)?;
        names::check_new_topic(name)?;
        if !(1..=MAX_QUEUES).contains(&queues) {
            return Err(Error::invalid(format!("a topic has 1 to {MAX_QUEUES} queues a broker, not {queues}")));
        }
        let core = self.core();
        core.check_open()?;
        core.create_topic(&key_topic.into(), &name.into(), queues, core.request_deadline())
    }

    /// Returns the queues of a topic that take messages, sorted by broker name and number (Java:
    /// `fetchPublishMessageQueues`).
    ///
    /// Always asks a name server. Blocks at most for the request timeout (3 s by default).
    ///
    /// # Errors
    /// [`Error::NoRoute`] when the topic does not exist (it is not created, and not looked for under the template
    /// topic), [`Error::NoBroker`] when no queue can be written to.
    pub fn publish_queues(&self, topic: &str) -> Result<Vec<MessageQueue>> {
        self.core().publish_queues(topic, self.core().request_deadline())
    }

    /// Returns the queues of a topic that can be read, sorted by broker name and number (Java:
    /// `fetchSubscribeMessageQueues`).
    ///
    /// Always asks a name server. Blocks at most for the request timeout (3 s by default).
    ///
    /// # Errors
    /// [`Error::NoRoute`] when the topic does not exist, [`Error::NoBroker`] when no queue can be read.
    pub fn subscribe_queues(&self, topic: &str) -> Result<Vec<MessageQueue>> {
        self.core().subscribe_queues(topic, self.core().request_deadline())
    }
}

impl Core {
    /// The deadline of a call that has no timeout of its own.
    pub(crate) fn request_deadline(&self) -> Deadline {
        Deadline::after(self.options().request_timeout)
    }

    pub(crate) fn publish_queues(self: &Arc<Self>, topic: &str, deadline: Deadline) -> Result<Vec<MessageQueue>> {
        names::check_topic(topic)?;
        let route = self.routes().refresh(self, &topic.into(), deadline)?;
        some(topic, route.publish_queues(), "no queue of it can be written to")
    }

    pub(crate) fn subscribe_queues(self: &Arc<Self>, topic: &str, deadline: Deadline) -> Result<Vec<MessageQueue>> {
        names::check_topic(topic)?;
        let route = self.routes().refresh(self, &topic.into(), deadline)?;
        some(topic, route.subscribe_queues(), "no queue of it can be read")
    }

    fn create_topic(
        self: &Arc<Self>,
        key_topic: &Arc<str>,
        name: &Arc<str>,
        queues: i32,
        deadline: Deadline,
    ) -> Result<()> {
        let route = self.routes().refresh(self, key_topic, deadline)?;
        let masters: Vec<Server> = route
            .brokers()
            .filter_map(|(broker_name, addrs)| Some((broker_name, addrs.get(&0)?)))
            .map(|(broker_name, addr)| Server { broker_name: broker_name.clone(), addr: addr.clone() })
            .collect();
        if masters.is_empty() {
            let reason = "its route names no master, and topics are created on masters".into();
            return Err(Error::NoBroker { what: key_topic.clone(), reason });
        }
        let request = CreateTopic {
            topic: name.clone(),
            default_topic: key_topic.clone(),
            read_queues: queues,
            write_queues: queues,
            perm: perm::READ | perm::WRITE,
            filter_type: Some("SINGLE_TAG".into()),
            sys_flag: Some(0),
            order: false,
            attributes: None,
        };
        let mut failures: Vec<_> =
            gather(self, &masters, &request, deadline).into_iter().filter_map(|asked| asked.split().err()).collect();
        // What is known of the topic may be an older number of queues, or that it does not exist. Should this fail, the
        // next look finds out.
        let _ = self.routes().refresh(self, name, deadline);
        match failures.pop() {
            None => Ok(()),
            Some(only) if masters.len() == 1 => Err(only.error),
            Some(last) => {
                failures.push(last);
                Err(Error::Exhausted { attempts: failures.into(), because: Exhaustion::Brokers })
            }
        }
    }
}

fn some(topic: &str, queues: &[MessageQueue], reason: &str) -> Result<Vec<MessageQueue>> {
    if queues.is_empty() {
        return Err(Error::NoBroker { what: format!("topic {topic}").into(), reason: reason.into() });
    }
    Ok(queues.to_vec())
}
