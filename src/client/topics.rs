//! Topics: creating them, and listing their queues.

use std::sync::Arc;

use super::core::Core;
use super::gather::{Server, gather};
use super::{Client, names, namespace};
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
        names::check_topic(key_topic)?;
        names::check_new_topic(name)?;
        if !(1..=MAX_QUEUES).contains(&queues) {
            return Err(Error::invalid(format!("a topic has 1 to {MAX_QUEUES} queues a broker, not {queues}")));
        }
        let core = self.core();
        core.check_open()?;
        namespace::check_topic(core.namespace(), name)?;
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
            .filter_map(|(broker_name, _)| Some((broker_name, route.master(broker_name)?)))
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
        // What is known of the topic may be an older number of queues, or that it does not exist. Should this fail,
        // the next look finds out.
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
