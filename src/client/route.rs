//! The route of one topic: its brokers and queues, checked and sorted. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::address_map::AddressMap;
use super::limits::{Limits, within};
use crate::error::{Error, Limit, Result};
use crate::message::MessageQueue;
use crate::protocol::json::MOST_IN_BODY;
use crate::protocol::rpc::route::RouteBody;
use crate::protocol::rpc::topic::perm;
use crate::sorted::{self, SortedMap};

/// Where a topic lies.
#[derive(Debug, PartialEq)]
pub(crate) struct Route {
    topic: Arc<str>,
    brokers: SortedMap<Arc<str>, Broker>,
    shares: Vec<Share>,
    publish: Arc<[MessageQueue]>,
    subscribe: Arc<[MessageQueue]>,
}

/// A master (id 0) and its slaves.
#[derive(Debug, Clone, PartialEq)]
struct Broker {
    cluster: Arc<str>,
    addrs: BTreeMap<i64, Arc<str>>,
    /// The same at the brokers' second ports, when the client uses them.
    vip: BTreeMap<i64, Arc<str>>,
}

/// The queues of the topic on one broker.
#[derive(Debug, Clone, PartialEq)]
struct Share {
    broker_name: Arc<str>,
    perm: i32,
    read: i32,
    write: i32,
}

/// A topic's queues on one broker, and what may be done with them.
#[derive(Debug)]
pub(crate) struct QueueCounts {
    pub(crate) read: i32,
    pub(crate) write: i32,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

impl Route {
    /// Reads what a name server answered, for a client that uses no second ports.
    #[cfg(test)]
    pub(crate) fn from_body(topic: &Arc<str>, body: RouteBody, address_map: Option<&AddressMap>) -> Result<Route> {
        Route::read(topic, body, address_map, false, &Limits::default())
    }

    /// Reads what a name server answered, and translates the addresses; `vip` makes it name brokers' second ports as well.
    pub(crate) fn read(
        topic: &Arc<str>,
        body: RouteBody,
        address_map: Option<&AddressMap>,
        vip: bool,
        limits: &Limits,
    ) -> Result<Route> {
        let bounded = |what: &str, found: usize| within(Limit::Brokers, found, what, limits.brokers);
        bounded("brokers in a route", body.broker_datas.len())?;
        within(Limit::Route, body.queue_datas.len(), "queue entries in a route", limits.route)?;
        let mut brokers = SortedMap::new();
        for broker in body.broker_datas {
            bounded("addresses of one broker", broker.broker_addrs.len())?;
            limits.check_text("bytes in the name of a broker", &broker.broker_name)?;
            limits.check_text("bytes in the name of a cluster", &broker.cluster)?;
            for addr in broker.broker_addrs.values() {
                limits.check_text("bytes in the address of a broker", addr)?;
            }
            let mut read = Broker { cluster: broker.cluster.into(), addrs: BTreeMap::new(), vip: BTreeMap::new() };
            for (id, addr) in broker.broker_addrs.iter().filter(|(_, addr)| !addr.trim().is_empty()) {
                read.addrs.insert(*id, translated(addr.trim(), address_map));
                if let Some(second) = vip.then(|| vip_address(addr.trim())).flatten() {
                    read.vip.insert(*id, translated(&second, address_map));
                }
            }
            brokers.insert(Arc::from(broker.broker_name), read);
        }
        let share = |queue: crate::protocol::rpc::route::QueueBody| Share {
            broker_name: queue.broker_name.into(),
            perm: queue.perm,
            read: queue.read_queue_nums,
            write: queue.write_queue_nums,
        };
        let shares = body.queue_datas.into_iter().map(share).collect();
        let order = body.order_topic_conf.as_deref().map(str::trim).filter(|order| !order.is_empty());
        Route::build(topic, brokers, shares, order, limits.route)
    }

    fn build(
        topic: &Arc<str>,
        brokers: SortedMap<Arc<str>, Broker>,
        mut shares: Vec<Share>,
        order: Option<&str>,
        most: usize,
    ) -> Result<Route> {
        sorted::sort_by(&mut shares, |one, other| one.broker_name.cmp(&other.broker_name));
        shares.dedup_by(|a, b| a.broker_name == b.broker_name);
        let has_master = |name: &str| brokers.get(name).is_some_and(|broker| broker.addrs.contains_key(&0));
        let writable = shares.iter().filter(|share| share.perm & perm::WRITE != 0 && has_master(&share.broker_name));
        let publish = match order {
            Some(order) => queues(topic, ordered(order)?.into_iter(), most)?,
            None => queues(topic, writable.map(|share| (share.broker_name.clone(), share.write)), most)?,
        };
        let readable = shares.iter().filter(|share| share.perm & perm::READ != 0);
        let subscribe = queues(topic, readable.map(|share| (share.broker_name.clone(), share.read)), most)?;
        Ok(Route { topic: topic.clone(), brokers, shares, publish, subscribe })
    }

    /// Returns the route by which the first message of `topic` is sent, made from this route of the template topic: the
    /// broker creates the topic with as many queues, when it creates topics on first use.
    pub(crate) fn as_template(&self, topic: &Arc<str>, default_queues: i32) -> Result<Route> {
        let brokers = self.brokers.iter().map(|(name, broker)| (name.clone(), broker.clone()));
        let count = |share: &Share| share.read.min(default_queues).max(0);
        let shares = self.shares.iter().map(|share| Share { read: count(share), write: count(share), ..share.clone() });
        Route::build(topic, brokers.collect(), shares.collect(), None, MOST_IN_BODY)
    }

    pub(crate) fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The queues that take messages, sorted by broker name and number: those with write permission whose broker has a
    /// master. An order configuration replaces them by its own, in its own order, as in Java.
    pub(crate) fn publish_queues(&self) -> &Arc<[MessageQueue]> {
        &self.publish
    }

    /// The queues that can be read, sorted by broker name and number.
    pub(crate) fn subscribe_queues(&self) -> &Arc<[MessageQueue]> {
        &self.subscribe
    }

    /// The address at which a broker's master is asked, for everything but pulls, pops and heartbeats: its second port when
    /// the client uses those.
    pub(crate) fn master(&self, broker_name: &str) -> Option<&Arc<str>> {
        let broker = self.brokers.get(broker_name)?;
        broker.vip.get(&0).or_else(|| broker.addrs.get(&0))
    }

    /// As [`master`](Route::master), but a slave will do when there is none.
    pub(crate) fn any(&self, broker_name: &str) -> Option<&Arc<str>> {
        let broker = self.brokers.get(broker_name)?;
        self.master(broker_name).or_else(|| broker.vip.values().next()).or_else(|| broker.addrs.values().next())
    }

    /// All second addresses, when the client uses them.
    pub(crate) fn vip_addresses(&self) -> impl Iterator<Item = &Arc<str>> {
        self.brokers.values().flat_map(|broker| broker.vip.values())
    }

    /// The advertised address to read from when broker `id` was suggested, and the id it really has: the same one, else for a slave
    /// the next one, else any.
    pub(crate) fn broker(&self, broker_name: &str, id: i64) -> Option<(&Arc<str>, i64)> {
        let addrs = &self.brokers.get(broker_name)?.addrs;
        let exact = |id: i64| addrs.get(&id).map(|addr| (addr, id));
        let next = || if id == 0 { None } else { exact(id.checked_add(1)?) };
        exact(id).or_else(next).or_else(|| addrs.first_key_value().map(|(id, addr)| (addr, *id)))
    }

    /// All brokers by name, with their advertised addresses by id.
    pub(crate) fn brokers(&self) -> impl Iterator<Item = (&Arc<str>, &BTreeMap<i64, Arc<str>>)> {
        self.brokers.iter().map(|(name, broker)| (name, &broker.addrs))
    }

    /// How many queues of the topic a broker has; none for one that has no part in it.
    pub(crate) fn queue_counts(&self, broker_name: &str) -> QueueCounts {
        let share = self.shares.iter().find(|share| *share.broker_name == *broker_name);
        let allows = |bit: i32| share.is_some_and(|share| share.perm & bit != 0);
        QueueCounts {
            read: share.map_or(0, |share| share.read),
            write: share.map_or(0, |share| share.write),
            readable: allows(perm::READ),
            writable: allows(perm::WRITE),
        }
    }

    /// The cluster a broker belongs to.
    #[allow(dead_code, reason = "part of the interface for administration")]
    pub(crate) fn cluster_of(&self, broker_name: &str) -> Option<&Arc<str>> {
        self.brokers.get(broker_name).map(|broker| &broker.cluster)
    }
}

fn translated(addr: &str, address_map: Option<&AddressMap>) -> Arc<str> {
    address_map.map_or_else(|| addr.into(), |map| map.apply(addr))
}

/// The second port of a broker (Java: the VIP channel), two below the advertised one.
pub(crate) fn vip_address(addr: &str) -> Option<String> {
    let (host, port) = addr.rsplit_once(':')?;
    let port = port.parse::<u16>().ok()?.checked_sub(2).filter(|port| *port > 0)?;
    Some(format!("{host}:{port}"))
}

/// Numbers the queues of each broker. A count below zero counts as none.
fn queues(topic: &Arc<str>, shares: impl Iterator<Item = (Arc<str>, i32)>, most: usize) -> Result<Arc<[MessageQueue]>> {
    let mut queues = Vec::new();
    for (broker_name, count) in shares {
        let total = usize::try_from(count.max(0)).unwrap_or(usize::MAX).saturating_add(queues.len());
        within(Limit::Route, total, "queues in a route", most)?;
        queues.extend((0..count).map(|id| MessageQueue::new(topic.clone(), broker_name.clone(), id)));
    }
    Ok(queues.into())
}

/// Reads an order configuration: `broker:count;broker:count`.
fn ordered(order: &str) -> Result<Vec<(Arc<str>, i32)>> {
    let wrong = || Error::malformed(format!("order configuration {order:?}; broker:count;broker:count is expected"));
    let entries = order.split(';').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let (broker_name, count) = entry.rsplit_once(':').ok_or_else(wrong)?;
            Ok((Arc::from(broker_name.trim()), count.trim().parse().map_err(|_| wrong())?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rpc::route::{BrokerBody, QueueBody};

    fn broker(name: &str, addrs: &[(i64, &str)]) -> BrokerBody {
        BrokerBody {
            broker_addrs: addrs.iter().map(|(id, addr)| (*id, (*addr).to_owned())).collect(),
            broker_name: name.into(),
            cluster: "C".into(),
            enable_acting_master: false,
        }
    }

    fn queue(name: &str, perm: i32, read: i32, write: i32) -> QueueBody {
        let (read_queue_nums, write_queue_nums) = (read, write);
        QueueBody { broker_name: name.into(), perm, read_queue_nums, write_queue_nums, topic_sys_flag: 0 }
    }

    fn route(body: RouteBody) -> Result<Route> {
        Route::from_body(&"T".into(), body, None)
    }

    fn two_brokers(queue_datas: Vec<QueueBody>) -> RouteBody {
        let broker_datas = vec![broker("b", &[(0, "h:2"), (1, "h:3")]), broker("a", &[(0, "h:1")])];
        RouteBody { broker_datas, queue_datas, ..RouteBody::default() }
    }

    fn names(queues: &[MessageQueue]) -> Vec<String> {
        queues.iter().map(|queue| format!("{}{}", queue.broker_name(), queue.queue_id())).collect()
    }

    #[test]
    fn queues_are_sorted_by_broker_and_number_and_respect_permissions() {
        let body = two_brokers(vec![queue("b", perm::READ, 1, 9), queue("a", perm::READ | perm::WRITE, 3, 2)]);
        let route = route(body).unwrap();
        assert_eq!(names(route.publish_queues()), ["a0", "a1"]);
        assert_eq!(names(route.subscribe_queues()), ["a0", "a1", "a2", "b0"]);
    }

    #[test]
    fn a_broker_without_a_master_is_read_from_but_not_written_to() {
        let mut body = two_brokers(vec![queue("s", 6, 1, 1)]);
        body.broker_datas.push(broker("s", &[(3, "h:9")]));
        let route = route(body).unwrap();
        assert!(route.publish_queues().is_empty());
        assert_eq!(names(route.subscribe_queues()), ["s0"]);
        assert_eq!(route.master("s"), None);
        assert_eq!(route.broker("s", 0), Some((&"h:9".into(), 3)));
    }

    #[test]
    fn a_missing_slave_is_replaced_by_the_next_then_by_any() {
        let mut body = two_brokers(vec![]);
        body.broker_datas.push(broker("m", &[(0, "h:0"), (2, "h:2")]));
        let route = route(body).unwrap();
        for (asked, addr, used) in [(0, "h:0", 0), (2, "h:2", 2), (1, "h:2", 2), (5, "h:0", 0), (i64::MAX, "h:0", 0)] {
            assert_eq!(route.broker("m", asked), Some((&addr.into(), used)), "asked for {asked}");
        }
        assert_eq!(route.broker("unknown", 0), None);
    }

    #[test]
    fn an_order_configuration_replaces_the_queues_for_publishing() {
        let order = |order: &str| {
            let body = RouteBody { order_topic_conf: Some(order.into()), ..two_brokers(vec![queue("a", 6, 4, 4)]) };
            route(body).map(|route| names(route.publish_queues()))
        };
        assert_eq!(order("b:1;a:2").unwrap(), ["b0", "a0", "a1"]);
        assert_eq!(order(" ").unwrap(), ["a0", "a1", "a2", "a3"]);
        for wrong in ["a", "a:x", "a:1;b"] {
            assert!(matches!(order(wrong), Err(Error::Malformed { .. })), "{wrong}");
        }
    }

    #[test]
    fn counts_beyond_all_bounds_are_refused_before_anything_is_allocated() {
        let refused = |body: RouteBody| assert!(matches!(route(body), Err(Error::LimitExceeded { .. })));
        refused(two_brokers(vec![queue("a", 6, i32::MAX, 1)]));
        refused(two_brokers(vec![queue("a", 6, 1, i32::MAX), queue("b", 6, 1, i32::MAX)]));
        refused(two_brokers(vec![QueueBody::default(); 65_537]));
        refused(RouteBody { broker_datas: vec![BrokerBody::default(); 1025], ..RouteBody::default() });
        refused(RouteBody { order_topic_conf: Some("a:2000000000".into()), ..RouteBody::default() });
        let many: Vec<_> = (0..1025).map(|id| (id, "h:1")).collect();
        refused(RouteBody { broker_datas: vec![broker("a", &many)], ..RouteBody::default() });
        let long = "x".repeat(4097);
        refused(RouteBody { broker_datas: vec![broker(&long, &[])], ..RouteBody::default() });
        refused(RouteBody { broker_datas: vec![broker("a", &[(0, &long)])], ..RouteBody::default() });
        let below_zero = route(two_brokers(vec![queue("a", 6, -1, i32::MIN)])).unwrap();
        assert!(below_zero.publish_queues().is_empty() && below_zero.subscribe_queues().is_empty());
    }

    #[test]
    fn a_broker_named_twice_has_its_queues_once() {
        let route = route(two_brokers(vec![queue("a", 6, 1, 1), queue("a", 6, 2, 2)])).unwrap();
        assert_eq!(names(route.publish_queues()), ["a0"]);
    }

    #[test]
    fn the_template_gives_a_new_topic_its_brokers_and_at_most_the_default_number_of_queues() {
        let template = route(two_brokers(vec![queue("a", 7, 8, 8), queue("b", 7, 2, 8)])).unwrap();
        let made = template.as_template(&"New".into(), 4).unwrap();
        assert_eq!(names(made.publish_queues()), ["a0", "a1", "a2", "a3", "b0", "b1"]);
        assert_eq!(made.publish_queues()[0].topic(), "New");
        assert_eq!(made.master("b"), Some(&"h:2".into()));
    }

    #[test]
    fn the_second_port_is_two_below_whatever_the_host_looks_like() {
        for (addr, second) in [
            ("10.0.0.1:10911", Some("10.0.0.1:10909")),
            ("[fd00::1]:10911", Some("[fd00::1]:10909")),
            ("host:3", Some("host:1")),
            ("host:2", None),
            ("host:x", None),
            ("host", None),
        ] {
            assert_eq!(vip_address(addr).as_deref(), second, "{addr}");
        }
    }

    #[test]
    fn with_the_vip_channel_everything_but_reading_goes_to_the_second_port() {
        // The map is asked for both addresses, because a second port is mapped by itself or not at all.
        let map = AddressMap::new(|addr| addr.replace("h:", "localhost:"));
        let body = || two_brokers(vec![queue("a", 6, 1, 1)]);
        let mut body_with_slave_only = body();
        body_with_slave_only.broker_datas.push(broker("s", &[(1, "h:19")]));
        let route = Route::read(&"T".into(), body_with_slave_only, Some(&map), true, &Limits::default()).unwrap();
        // Ports 1 and 2 have no second one.
        assert_eq!(route.master("a"), Some(&"localhost:1".into()));
        assert_eq!(route.any("s"), Some(&"localhost:17".into()));
        assert_eq!(route.broker("s", 1), Some((&"localhost:19".into(), 1)));
        assert_eq!(route.brokers().find(|(name, _)| ***name == *"s").unwrap().1[&1], "localhost:19".into());
        let mut big = body();
        big.broker_datas[1] = broker("a", &[(0, "h:10911"), (1, "h:10921")]);
        let route = Route::read(&"T".into(), big.clone(), Some(&map), true, &Limits::default()).unwrap();
        assert_eq!(route.master("a"), Some(&"localhost:10909".into()));
        assert_eq!(route.broker("a", 0), Some((&"localhost:10911".into(), 0)));
        assert!(route.vip_addresses().any(|addr| **addr == *"localhost:10919"));
        let route = Route::read(&"T".into(), big, Some(&map), false, &Limits::default()).unwrap();
        assert_eq!((route.master("a"), route.vip_addresses().count()), (Some(&"localhost:10911".into()), 0));
    }

    #[test]
    fn addresses_are_translated_and_empty_ones_ignored() {
        let map = AddressMap::new(|addr| addr.replace("h:", "localhost:1"));
        let mut body = two_brokers(vec![]);
        body.broker_datas.push(broker("e", &[(0, " ")]));
        let route = Route::from_body(&"T".into(), body, Some(&map)).unwrap();
        assert_eq!(route.master("a"), Some(&"localhost:11".into()));
        assert_eq!(route.master("e"), None);
        assert_eq!(route.cluster_of("a"), Some(&"C".into()));
    }
}
