//! Who is connected: producer and consumer groups, their members and subscriptions.

mod shown;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::broker::Broker;
use super::call::{Call, Handled};
use super::filter::Filter;
use super::link::Link;
use super::name_server::FAQ;
use super::topics::{RETRY_PREFIX, Topic};
use crate::code::{RequestCode, ResponseCode};
use crate::protocol::frame::{self, Head, HeaderKind, Language};
use crate::protocol::json;
use crate::protocol::request::headers;
use crate::protocol::rpc::heartbeat::{
    ConsumerBody, ConsumerList, ConsumerListBody, HeartbeatBody, SubscriptionBody, UnregisterClient,
};

headers! {
    /// The answer to a heartbeat.
    pub(crate) struct HeartbeatReply {
        "IS_SUB_CHANGE" => subscriptions_changed: bool,
        "IS_SUPPORT_HEART_BEAT_V2" => fingerprints: bool,
    }
}

/// The groups of one broker's connections.
#[derive(Debug, Default)]
pub(super) struct Groups {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    consumers: HashMap<Arc<str>, Group>,
    producers: HashMap<Arc<str>, Vec<Client>>,
    /// Where the round over the clients of producer groups stands.
    round: usize,
    /// The connection of each client with producers, where replies go. As in Java it is set when a group first comes over a
    /// connection, and goes with the first group of the client that leaves.
    clients: HashMap<Arc<str>, Arc<Link>>,
}

#[derive(Debug, Default)]
struct Group {
    consume_type: String,
    model: String,
    from_where: String,
    fingerprint: i32,
    clients: Vec<Client>,
    subscriptions: HashMap<Arc<str>, Subscription>,
}

#[derive(Debug)]
struct Client {
    id: Arc<str>,
    link: Arc<Link>,
    language: Language,
    version: i32,
    /// When its last heartbeat came.
    seen: Instant,
}

#[derive(Debug)]
struct Subscription {
    body: SubscriptionBody,
    /// An expression that does not parse is told to whoever pulls.
    filter: Result<Filter, String>,
}

impl Subscription {
    fn new(body: &SubscriptionBody) -> Subscription {
        Subscription { body: body.clone(), filter: Filter::subscribed(body) }
    }
}

impl Group {
    /// Adds a client or takes its new connection; true when that changes who is a member.
    fn join(&mut self, joining: Client) -> bool {
        if let Some(client) = self.clients.iter_mut().find(|client| client.link.id == joining.link.id) {
            (client.id, client.seen) = (joining.id, joining.seen);
            return false;
        }
        self.clients.push(joining);
        true
    }

    /// Takes over subscriptions that are new or newer, and drops those that are gone; true when topics came or went.
    fn subscribe(&mut self, bodies: &[SubscriptionBody]) -> bool {
        let mut changed = false;
        for body in bodies {
            match self.subscriptions.get(&body.topic) {
                Some(old) if body.sub_version <= old.body.sub_version => {}
                old => {
                    changed |= old.is_none();
                    self.subscriptions.insert(body.topic.clone(), Subscription::new(body));
                }
            }
        }
        let before = self.subscriptions.len();
        self.subscriptions.retain(|topic, _| bodies.iter().any(|body| body.topic == *topic));
        changed || self.subscriptions.len() < before
    }

    /// Who is to be told of a change.
    fn audience(&self) -> Vec<Arc<Link>> {
        if self.model == "BROADCASTING" {
            return Vec::new();
        }
        self.clients.iter().map(|client| client.link.clone()).collect()
    }
}

impl Groups {
    /// Returns a group's filter for a topic, or Java's code and remark.
    pub(super) fn subscription(
        &self,
        group: &str,
        topic: &str,
        version: i64,
    ) -> Result<Filter, (ResponseCode, String)> {
        let table = self.lock();
        let Some(group) = table.consumers.get(group) else {
            let remark = format!("the consumer's group info not exist{FAQ}");
            return Err((ResponseCode::SUBSCRIPTION_NOT_EXIST, remark));
        };
        let Some(subscription) = group.subscriptions.get(topic) else {
            let remark = format!("the consumer's subscription not exist{FAQ}");
            return Err((ResponseCode::SUBSCRIPTION_NOT_EXIST, remark));
        };
        if subscription.body.sub_version < version {
            let remark = "the consumer's subscription not latest".to_owned();
            return Err((ResponseCode::SUBSCRIPTION_NOT_LATEST, remark));
        }
        subscription.filter.clone().map_err(|_| {
            let remark = "The broker's consumer filter data is not exist!Your expression may be wrong!".to_owned();
            (ResponseCode::FILTER_DATA_NOT_EXIST, remark)
        })
    }

    /// Takes a consumer's heartbeat over; returns whether its fingerprint was another one, and whom to tell.
    fn heartbeat(&self, heartbeat: &HeartbeatBody, body: &ConsumerBody, client: Client) -> (bool, Vec<Arc<Link>>) {
        let mut table = self.lock();
        let known = table.consumers.contains_key(&body.group_name);
        let group = table.consumers.entry(body.group_name.clone()).or_default();
        group.consume_type.clone_from(&body.consume_type);
        group.model.clone_from(&body.message_model);
        group.from_where.clone_from(&body.consume_from_where);
        let moved = known && group.fingerprint != heartbeat.heartbeat_fingerprint;
        group.fingerprint = heartbeat.heartbeat_fingerprint;
        let mut changed = group.join(client);
        if !heartbeat.without_sub {
            changed |= group.subscribe(&body.subscription_data_set);
        }
        (moved, if changed { group.audience() } else { Vec::new() })
    }

    fn produce(&self, group: &Arc<str>, joining: Client) {
        let mut table = self.lock();
        let clients = table.producers.entry(group.clone()).or_default();
        match clients.iter_mut().find(|client| client.link.id == joining.link.id) {
            Some(client) => client.seen = joining.seen,
            None => {
                let (id, link) = (joining.id.clone(), joining.link.clone());
                clients.push(joining);
                table.clients.insert(id, link);
            }
        }
    }

    /// Whether the members of a group have subscribed to other topics but not to this one.
    pub(super) fn has_left(&self, group: &str, topic: &str) -> bool {
        let table = self.lock();
        let subscriptions = table.consumers.get(group).map(|group| &group.subscriptions);
        subscriptions.is_some_and(|known| !known.is_empty() && !known.contains_key(topic))
    }

    /// The clients of a consumer group.
    pub(super) fn members(&self, group: &str) -> Vec<String> {
        let table = self.lock();
        let clients = table.consumers.get(group).map(|group| group.clients.as_slice()).unwrap_or_default();
        clients.iter().map(|client| client.id.to_string()).collect()
    }

    /// The clients of a consumer group with their connections.
    pub(super) fn consumers(&self, group: &str) -> Vec<(Arc<str>, Arc<Link>)> {
        let table = self.lock();
        let clients = table.consumers.get(group).map(|group| group.clients.as_slice()).unwrap_or_default();
        clients.iter().map(|client| (client.id.clone(), client.link.clone())).collect()
    }

    /// Closes the connections of clients that have sent no heartbeat for `limit`, as Java does, and says when the next one is due.
    /// Closing makes them leave their groups, of which the others are told.
    pub(super) fn expire(&self, now: Instant, limit: Duration) -> Option<Instant> {
        let table = self.lock();
        let consumers = table.consumers.values().flat_map(|group| &group.clients);
        let (silent, others): (Vec<&Client>, Vec<&Client>) =
            consumers.chain(table.producers.values().flatten()).partition(|client| now >= client.seen + limit);
        let next = others.iter().map(|client| client.seen + limit).min();
        let silent: Vec<Arc<Link>> = silent.into_iter().map(|client| client.link.clone()).collect();
        drop(table);
        silent.iter().for_each(|link| link.close());
        next
    }

    /// The clients of a producer group.
    pub(super) fn producers(&self, group: &str) -> Vec<String> {
        let table = self.lock();
        let clients = table.producers.get(group).map(Vec::as_slice).unwrap_or_default();
        clients.iter().map(|client| client.id.to_string()).collect()
    }

    /// The connection of a client in a producer group, another one each time.
    pub(super) fn next_producer(&self, group: &str) -> Option<Arc<Link>> {
        let mut table = self.lock();
        table.round = table.round.wrapping_add(1);
        let clients = table.producers.get(group).filter(|clients| !clients.is_empty())?;
        let in_turn = (0..clients.len()).map(|step| &clients[table.round.wrapping_add(step) % clients.len()].link);
        in_turn.into_iter().find(|link| link.is_open()).cloned()
    }

    /// Forgets a connection and tells the groups it was in.
    pub(super) fn disconnected(&self, link: u64) {
        {
            let mut table = self.lock();
            for clients in table.producers.values_mut() {
                clients.retain(|client| client.link.id != link);
            }
            table.producers.retain(|_, clients| !clients.is_empty());
            table.clients.retain(|_, client| client.id != link);
        }
        for (group, audience) in self.remove(link, None) {
            notify(&group, &audience);
        }
    }

    /// Takes a connection out of a group, or of all, and returns whom to tell.
    fn remove(&self, link: u64, only: Option<&str>) -> Vec<(Arc<str>, Vec<Arc<Link>>)> {
        let mut table = self.lock();
        let mut changed = Vec::new();
        for (name, group) in &mut table.consumers {
            let before = group.clients.len();
            if only.is_none_or(|only| only == &**name) {
                group.clients.retain(|client| client.link.id != link);
            }
            if group.clients.len() < before {
                changed.push((name.clone(), group.audience()));
            }
        }
        table.consumers.retain(|_, group| !group.clients.is_empty());
        changed
    }

    fn stop_producing(&self, group: &str, id: &str, link: u64) {
        let mut table = self.lock();
        let Some(clients) = table.producers.get_mut(group).filter(|clients| !clients.is_empty()) else { return };
        clients.retain(|client| client.link.id != link);
        table.clients.remove(id);
    }

    /// The connection by which a client with producers gets its replies.
    pub(super) fn producer_link(&self, client_id: &str) -> Option<Arc<Link>> {
        self.lock().clients.get(client_id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells members that their group has changed.
fn notify(group: &Arc<str>, audience: &[Arc<Link>]) {
    let mut out = Vec::new();
    let head = Head::request(HeaderKind::Json, RequestCode::NOTIFY_CONSUMER_IDS_CHANGED, 0).oneway();
    let head = Head { language: Language::JAVA, ..head };
    let header = ConsumerList { consumer_group: group.clone() };
    // A header that small always fits.
    if frame::encode_request(&mut out, &head, &header, &[]).is_ok() {
        for link in audience {
            link.push(&out);
        }
    }
}

/// The body of a client's check of its expression.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CheckBody {
    subscription_data: Option<SubscriptionBody>,
}

impl Broker {
    pub(super) fn heartbeat(&self, call: &mut Call<'_>) -> Handled {
        let body: HeartbeatBody = match json::decode("heartbeat", call.frame.body()) {
            Ok(body) => body,
            Err(error) => return call.unreadable(&error),
        };
        let mut moved = body.heartbeat_fingerprint == 0;
        let client = || Client {
            id: body.client_id.clone(),
            link: call.link.clone(),
            language: call.frame.language,
            version: call.frame.version,
            seen: Instant::now(),
        };
        for consumer in &body.consumer_data_set {
            if !self.set.offsets.ensure_group(&consumer.group_name) {
                continue;
            }
            self.set.topics.create(Topic::new(format!("{RETRY_PREFIX}{}", consumer.group_name), 1));
            let (other, audience) = self.groups.heartbeat(&body, consumer, client());
            moved |= other;
            notify(&consumer.group_name, &audience);
        }
        for producer in &body.producer_data_set {
            self.groups.produce(&producer.group_name, client());
        }
        self.set.clock.look_at(Instant::now() + self.set.settings.member_timeout);
        call.fields(&HeartbeatReply { subscriptions_changed: moved, fingerprints: true })
    }

    pub(super) fn unregister(&self, call: &mut Call<'_>) -> Handled {
        let asked: UnregisterClient = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        if let Some(group) = &asked.producer_group {
            self.groups.stop_producing(group, &asked.client_id, call.link.id);
        }
        if let Some(group) = &asked.consumer_group {
            for (group, audience) in self.groups.remove(call.link.id, Some(group)) {
                notify(&group, &audience);
            }
        }
        call.done()
    }

    pub(super) fn consumer_list(&self, call: &mut Call<'_>) -> Handled {
        let asked: ConsumerList = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let members = self.groups.members(&asked.consumer_group);
        if members.is_empty() {
            let remark = format!("no consumer for this group, {}", asked.consumer_group);
            return call.error(ResponseCode::SYSTEM_ERROR, &remark);
        }
        call.body(&json::encode(&ConsumerListBody { consumer_id_list: members }))
    }

    pub(super) fn check_client(&self, call: &mut Call<'_>) -> Handled {
        let body: CheckBody = match json::decode("client check", call.frame.body()) {
            Ok(body) => body,
            Err(error) => return call.unreadable(&error),
        };
        match body.subscription_data.as_ref().map(Filter::subscribed) {
            Some(Err(remark)) => call.error(ResponseCode::SUBSCRIPTION_PARSE_FAILED, &remark),
            _ => call.done(),
        }
    }
}
