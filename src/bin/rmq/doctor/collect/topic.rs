use std::collections::BTreeMap;

use rocketmq_blocking::{Error, RequestCode, TopicRoute};

use super::{Probe, unless_missing};
use crate::doctor::facts::{Place, Server, Topic};
use crate::doctor::trouble::Trouble;

/// Brokers that create topics on first use take their settings from this one.
const TEMPLATE: &str = "TBW102";
/// No topic has such a queue: what is sent there is checked, and refused before it is stored.
pub(super) const NO_QUEUE: &str = "2147483647";

impl Probe<'_> {
    pub(in crate::doctor) fn topic(&self, name: &str, servers: &[Server]) -> Topic {
        let route = unless_missing(self.client.topic_route(name)).map(|route| route.as_ref().map(places));
        let mut topic = Topic {
            name: name.to_owned(),
            creating: self.creating(),
            sends: Vec::new(),
            own_perms: BTreeMap::new(),
            route,
        };
        let Ok(Some(places)) = &topic.route else { return topic };
        // The brokers' own word, which a name server may have been told otherwise.
        let own = self.admin.topic_config(name).map(|found| found.configs).unwrap_or_default();
        topic.own_perms = own.iter().map(|config| (config.broker_name.to_string(), config.permissions)).collect();
        for place in places {
            let Some(master) = servers.iter().find(|server| server.is_master() && server.name == place.broker) else {
                continue;
            };
            topic.sends.push((place.broker.clone(), self.send(name, &master.addr)));
        }
        topic
    }

    /// The brokers that create topics on first use.
    fn creating(&self) -> Vec<String> {
        let brokers = |route: TopicRoute| {
            let writable = route.brokers().iter().filter(|broker| broker.is_writable());
            writable.map(|broker| broker.name().to_owned()).collect()
        };
        self.client.topic_route(TEMPLATE).map(brokers).unwrap_or_default()
    }

    /// Sends to a queue that does not exist: what a broker says first is whether this user may send there at all.
    fn send(&self, topic: &str, addr: &str) -> Result<(), Trouble> {
        let fields = [
            ("producerGroup", "rmq-doctor"),
            ("topic", topic),
            ("defaultTopic", TEMPLATE),
            ("defaultTopicQueueNums", "0"),
            ("queueId", NO_QUEUE),
            ("sysFlag", "0"),
            ("bornTimestamp", "0"),
            ("flag", "0"),
            ("properties", ""),
            ("reconsumeTimes", "0"),
            ("unitMode", "false"),
            ("batch", "false"),
        ];
        match self.admin.request(addr, RequestCode::SEND_MESSAGE, &fields, b"rmq doctor") {
            Ok(_) => Ok(()),
            Err(Error::Rejected { remark, .. }) if remark.contains("queueId[") => Ok(()),
            Err(error) => Err(Trouble::of(&error)),
        }
    }
}

pub(super) fn places(route: &TopicRoute) -> Vec<Place> {
    let place = |broker: &rocketmq_blocking::BrokerRoute| Place {
        broker: broker.name().to_owned(),
        has_master: broker.addresses().contains_key(&0),
        readable: broker.is_readable(),
        writable: broker.is_writable(),
        read_queues: broker.read_queues(),
        write_queues: broker.write_queues(),
    };
    route.brokers().iter().map(place).collect()
}
