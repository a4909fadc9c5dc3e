//! Topics: listing their queues, and the short form of creating one.

use std::sync::Arc;

use super::core::Core;
use super::{Client, names};
use crate::error::{Error, Result};
use crate::message::MessageQueue;
use crate::remoting::Deadline;

impl Client {
    /// Creates a topic with `queues` queues, for reading and writing, on each broker on which `key_topic` lies.
    ///
    /// The key topic only chooses the brokers. `TBW102` lies on all brokers that create topics on first use; any other
    /// topic serves as well. A topic that exists is changed: its number of queues and its permissions are replaced.
    ///
    /// [`prepare_topic`](Client::prepare_topic) sets more: permissions, a kind, attributes. Blocks until all masters have
    /// answered, at most for the request timeout (3 s by default); they are asked in parallel. The name servers know the
    /// topic when this returns, producers and consumers at their next look.
    ///
    /// # Errors
    /// The topic was created everywhere or an error is returned, where Java is content with one broker and forgets
    /// what the others said. With several brokers it is [`Error::Exhausted`], which lists those that failed; on all
    /// others the topic was created. Calling again is harmless. [`Error::Invalid`] for a name that is not allowed or a
    /// number of queues below 1 or above 65 536, [`Error::NoRoute`] for a key topic that does not exist, and
    /// [`Error::NoBroker`] for one without a master.
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
        self.prepare_topic(name).key_topic(key_topic).queues(queues).create()
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
}

fn some(topic: &str, queues: &[MessageQueue], reason: &str) -> Result<Vec<MessageQueue>> {
    if queues.is_empty() {
        return Err(Error::NoBroker { what: format!("topic {topic}").into(), reason: reason.into() });
    }
    Ok(queues.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::peer::Peer;
    use crate::code::RequestCode;

    #[test]
    fn names_and_numbers_are_checked_before_anything_is_sent() {
        let name_server = Peer::name_server(Vec::new);
        let client = name_server.client();
        for (key_topic, name, queues) in
            [("TBW102", "a b", 8), ("", "New", 8), ("TBW102", "TBW102", 8), ("TBW102", "New", 0)]
        {
            assert!(matches!(client.create_topic(key_topic, name, queues), Err(Error::Invalid { .. })));
        }
        assert!(matches!(client.publish_queues("a b"), Err(Error::Invalid { .. })));
        assert_eq!(name_server.count(RequestCode::GET_ROUTEINFO_BY_TOPIC), 0);
    }

    #[test]
    fn a_topic_without_queues_or_masters_is_an_error_of_its_own() {
        let client = Peer::name_server(Vec::new).client();
        assert!(matches!(client.publish_queues("T"), Err(Error::NoBroker { .. })));
        assert!(matches!(client.subscribe_queues("T"), Err(Error::NoBroker { .. })));
        assert!(matches!(client.create_topic("T", "New", 1), Err(Error::NoBroker { .. })));
    }
}
