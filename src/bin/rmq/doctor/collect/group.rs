use std::sync::Arc;
use std::time::{Duration, Instant};

use rocketmq_blocking::{Error, GroupMember, MessageQueue, QueueProgress, RequestCode};

use super::running::own_words;
use super::topic::{NO_QUEUE, places};
use super::{Probe, pause, unless_missing};
use crate::doctor::facts::{Group, Member, Members, OwnWords, Queue, Server};
use crate::doctor::trouble::Trouble;

/// The bit of a pull that carries its own subscription, so that the group needs no member here.
const OWN_SUBSCRIPTION: &str = "4";

impl Probe<'_> {
    /// Looks at a group twice, with `between` in between.
    pub(in crate::doctor) fn group(
        &self,
        name: &str,
        topic: Option<&str>,
        servers: &[Server],
        between: Duration,
    ) -> Group {
        let members = unless_missing(self.admin.group_members(name)).map(|found| {
            let found = found?;
            let members = found.members.iter().map(|member| self.member(name, member, servers)).collect();
            Some(Members { members, model: found.message_model, consume_type: found.consume_type })
        });
        let mut group = Group {
            name: name.to_owned(),
            members,
            looks: None,
            between,
            pulls: Vec::new(),
            dead_letters: None,
            retry_brokers: Vec::new(),
            topic_brokers: Vec::new(),
        };
        if !matches!(group.members, Ok(Some(_))) {
            return group;
        }
        if let Some(topic) = topic {
            group.pulls = self.pulls(name, topic, servers);
        }
        group.dead_letters = self.dead_letters(name);
        group.retry_brokers = self.brokers_of(&format!("%RETRY%{name}"));
        let began = Instant::now();
        let Some(first) = self.look(name, topic, false) else { return group };
        let mut topics: Vec<&str> =
            first.iter().map(|queue| &*queue.topic).filter(|topic| !topic.starts_with('%')).collect();
        topics.dedup();
        group.topic_brokers = topics.iter().flat_map(|topic| self.brokers_of(topic)).collect();
        group.topic_brokers.sort();
        group.topic_brokers.dedup();
        pause(between.saturating_sub(began.elapsed()));
        group.between = began.elapsed();
        group.looks = self.look(name, topic, true).map(|second| [first, second]);
        group
    }

    fn look(&self, group: &str, topic: Option<&str>, with_minimum: bool) -> Option<Vec<Queue>> {
        let progress = match topic {
            Some(topic) => self.admin.topic_progress(group, topic),
            None => self.admin.group_progress(group),
        };
        let mut queues = progress.ok()?.queues;
        // Retries are the group's own matter, whatever topic they come from.
        if topic.is_some() {
            let all = self.admin.group_progress(group).ok().into_iter().flat_map(|all| all.queues);
            queues.extend(all.filter(|queue| queue.queue.topic().starts_with("%RETRY%")));
        }
        Some(queues.iter().map(|queue| self.queue(queue, with_minimum)).collect())
    }

    fn queue(&self, progress: &QueueProgress, with_minimum: bool) -> Queue {
        let minimum = || self.client.min_offset(&progress.queue).ok();
        Queue {
            topic: progress.queue.topic().to_owned(),
            broker: progress.queue.broker_name().to_owned(),
            id: progress.queue.queue_id(),
            broker_offset: progress.broker_offset,
            consumer_offset: progress.consumer_offset,
            pulled_offset: progress.pulled_offset,
            min_offset: if with_minimum && progress.lag() > 0 { minimum() } else { None },
            owner: progress.owner.as_ref().map(Arc::to_string),
        }
    }

    fn member(&self, group: &str, member: &GroupMember, servers: &[Server]) -> Member {
        let brokers: Vec<String> = member.brokers.iter().map(|broker| broker.to_string()).collect();
        let through = servers.iter().find(|server| server.is_master() && brokers.contains(&server.name));
        let own = through.and_then(|server| self.own_words(group, &member.client_id, &server.addr));
        Member { id: member.client_id.to_string(), address: member.address.clone(), brokers, own }
    }

    /// Asks a member through a broker that it is connected to.
    fn own_words(&self, group: &str, client_id: &str, addr: &str) -> Option<OwnWords> {
        let fields = [("consumerGroup", group), ("clientId", client_id), ("jstackEnable", "false")];
        let answer = self.admin.request(addr, RequestCode::GET_CONSUMER_RUNNING_INFO, &fields, b"").ok()?;
        Some(own_words(&answer.body_text()))
    }

    /// Pulls from a queue that does not exist: what a broker says first is whether this group and this user may read there.
    /// (A pull of a queue that exists would move what the broker knows of the group.)
    fn pulls(&self, group: &str, topic: &str, servers: &[Server]) -> Vec<(String, Result<(), Trouble>)> {
        let brokers = self.brokers_of(topic);
        let masters = servers.iter().filter(|server| server.is_master() && brokers.contains(&server.name));
        masters.map(|server| (server.name.clone(), self.pull(group, topic, &server.addr))).collect()
    }

    fn pull(&self, group: &str, topic: &str, addr: &str) -> Result<(), Trouble> {
        let fields = [
            ("consumerGroup", group),
            ("topic", topic),
            ("queueId", NO_QUEUE),
            ("queueOffset", "0"),
            ("maxMsgNums", "1"),
            ("sysFlag", OWN_SUBSCRIPTION),
            ("commitOffset", "0"),
            ("suspendTimeoutMillis", "0"),
            ("subscription", "*"),
            ("subVersion", "0"),
            ("expressionType", "TAG"),
        ];
        match self.admin.request(addr, RequestCode::PULL_MESSAGE, &fields, b"") {
            Ok(_) => Ok(()),
            Err(Error::Rejected { remark, .. }) if remark.contains("queueId[") => Ok(()),
            Err(error) => Err(Trouble::of(&error)),
        }
    }

    /// How many messages the group's dead letter queues hold; `None` when they cannot be asked.
    fn dead_letters(&self, group: &str) -> Option<i64> {
        let topic = format!("%DLQ%{group}");
        let route = match self.client.topic_route(&topic) {
            Ok(route) => route,
            Err(Error::NoRoute { .. }) => return Some(0),
            Err(_) => return None,
        };
        let mut count = 0_i64;
        for broker in route.brokers() {
            for queue_id in 0..broker.read_queues().max(broker.write_queues()) {
                let queue = MessageQueue::new(topic.as_str(), broker.name(), queue_id);
                let (max, min) = (self.client.max_offset(&queue).ok()?, self.client.min_offset(&queue).ok()?);
                count = count.saturating_add(max.saturating_sub(min.max(0)));
            }
        }
        Some(count)
    }

    fn brokers_of(&self, topic: &str) -> Vec<String> {
        let route = self.client.topic_route(topic);
        route.map(|route| places(&route).into_iter().map(|place| place.broker).collect()).unwrap_or_default()
    }
}
