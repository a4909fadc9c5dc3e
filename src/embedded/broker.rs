//! A broker: what a master and its slaves share, and which request is whose.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::ailing::{Ailing, AilingMember};
use super::assignment::Modes;
use super::call::{Call, Handled};
use super::clock::{Clock, earlier};
use super::configs::Configs;
use super::delay::Delayed;
use super::figures::Figures;
use super::groups::Groups;
use super::hold::Holds;
use super::link::Link;
use super::locks::Locks;
use super::offsets::Offsets;
use super::pop::Pops;
use super::questions::Questions;
use super::records::{Known, NewRecord, now_millis};
use super::reply::Pushes;
use super::server::Service;
use super::store::{Place, Store};
use super::topics::{Topic, Topics};
use super::transaction::{self, HalfMessages};
use super::users::Users;
use crate::code::RequestCode;
use crate::protocol::filter::java_hash;
use crate::protocol::frame::Frame;
use crate::protocol::rpc::lock::QueueBody;
use crate::protocol::rpc::topic::perm;

/// The id of a master.
pub(super) const MASTER: i64 = 0;

/// What a cluster's brokers have in common.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) cluster: Arc<str>,
    pub(super) auto_create: bool,
    pub(super) topics: Vec<Topic>,
    pub(super) message_limit: usize,
    pub(super) store_limit: usize,
    pub(super) delay_scale: f64,
    pub(super) transactions: transaction::Settings,
    pub(super) slave_read: bool,
    pub(super) recall: bool,
    pub(super) pop: bool,
    /// Members that send no heartbeat for so long are forgotten.
    pub(super) member_timeout: Duration,
    pub(super) users: Users,
}

/// One server of a set: the master or a slave.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: i64,
    pub(super) addr: SocketAddr,
    /// Whether the name server tells clients about it.
    pub(super) registered: AtomicBool,
    pub(super) holds: Holds,
    pub(super) ailing: AilingMember,
}

/// What a master and its slaves share: name, topics, messages, offsets.
#[derive(Debug)]
pub(super) struct BrokerSet {
    pub(super) name: Arc<str>,
    pub(super) settings: Arc<Settings>,
    pub(super) topics: Topics,
    pub(super) offsets: Offsets,
    pub(super) delayed: Mutex<Delayed>,
    pub(super) half_messages: Mutex<HalfMessages>,
    pub(super) pops: Pops,
    pub(super) modes: Modes,
    /// All brokers of the cluster, this one among them.
    pub(super) neighbours: OnceLock<Weak<[Arc<BrokerSet>]>>,
    pub(super) members: Vec<Member>,
    /// What the broker allows as a whole.
    pub(super) perm: AtomicI32,
    /// Which broker id pulls are told to ask next, 0 unless a test says otherwise.
    pub(super) suggested: AtomicI64,
    pub(super) clock: Arc<Clock>,
    pub(super) figures: Figures,
    pub(super) ailing: Ailing,
    /// Milliseconds since 1970.
    pub(super) started: i64,
    store: Mutex<Store>,
    /// The first half of this broker's offset message ids: address and port.
    id_prefix: String,
}

impl BrokerSet {
    pub(super) fn new(
        name: Arc<str>,
        settings: Arc<Settings>,
        members: Vec<(i64, SocketAddr)>,
        clock: Arc<Clock>,
    ) -> Arc<BrokerSet> {
        let host = members.first().map_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)), |(_, addr)| *addr);
        let id = crate::message::OffsetMessageId { store_host: host, commit_log_offset: 0 }.to_string();
        let member = |(id, addr)| Member {
            id,
            addr,
            registered: AtomicBool::new(false),
            holds: Holds::default(),
            ailing: AilingMember::default(),
        };
        Arc::new(BrokerSet {
            topics: Topics::new(&settings.cluster, &name, settings.auto_create, &settings.topics),
            offsets: Offsets::new(),
            delayed: Mutex::default(),
            half_messages: Mutex::default(),
            pops: Pops::default(),
            modes: Modes::default(),
            neighbours: OnceLock::new(),
            members: members.into_iter().map(member).collect(),
            perm: AtomicI32::new(perm::READ | perm::WRITE),
            suggested: AtomicI64::new(MASTER),
            clock,
            figures: Figures::default(),
            ailing: Ailing::default(),
            started: now_millis(),
            store: Mutex::new(Store::new(settings.store_limit)),
            id_prefix: id[..id.len() - 16].to_owned(),
            name,
            settings,
        })
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn store_host(&self) -> SocketAddr {
        self.members.first().map_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)), |member| member.addr)
    }

    pub(super) fn message_id(&self, commit_log_offset: i64) -> String {
        format!("{}{commit_log_offset:016X}", self.id_prefix)
    }

    pub(super) fn has_master(&self) -> bool {
        self.members.iter().any(|member| member.id == MASTER && member.registered.load(Ordering::SeqCst))
    }

    /// Stores a message and answers the pulls that waited for it.
    pub(super) fn put(&self, new: &NewRecord) -> Place {
        let record = new.encode();
        let bytes = record.len();
        let known = Known::new(new.properties());
        let tag_code = known.tags.map_or(0, java_hash);
        let keys = known.keys.unwrap_or_default().split(' ').filter(|key| !key.is_empty()).chain(known.unique_id);
        let now = self.now_millis();
        let place = self.store().append((&new.topic, new.queue_id), new.count(), record, tag_code, now, keys);
        self.took_in(&new.topic, new.count(), bytes);
        self.arrived(&new.topic, new.queue_id, &place);
        place
    }

    fn arrived(&self, topic: &str, queue_id: i32, place: &Place) {
        if self.members.iter().all(|member| member.holds.is_empty()) && !self.pops.someone_waits() {
            return;
        }
        let Some(entry) = self.store().entry(place.sequence).cloned() else { return };
        self.wake_pops(topic, queue_id, &entry);
        for member in &self.members {
            for held in member.holds.take_matching(topic, queue_id, &entry) {
                held.answer(self, member.id);
            }
        }
    }

    /// The queues of a topic that can be read, on all brokers that are up; `None` when nobody has it.
    pub(super) fn readable_queues(&self, topic: &Arc<str>) -> Option<Vec<QueueBody>> {
        let sets = self.neighbours.get()?.upgrade()?;
        let up = sets.iter().filter(|set| set.has_master());
        let known: Vec<_> = up.filter_map(|set| Some((&set.name, set.topics.get(topic)?))).collect();
        let readable = known.iter().filter(|(_, topic)| topic.is_readable());
        let queues = readable.flat_map(|(name, known)| {
            let queue = |queue_id| QueueBody { broker_name: (*name).clone(), queue_id, topic: known.name.clone() };
            (0..known.read_queues).map(queue)
        });
        (!known.is_empty()).then(|| queues.collect())
    }

    /// Forgets everything but the topics of the start.
    pub(super) fn clear(&self) {
        self.store().clear();
        self.topics.reset();
        self.offsets.clear();
        self.pops.clear();
        self.modes.clear();
        self.figures.clear();
        self.delayed.lock().unwrap_or_else(PoisonError::into_inner).clear();
        *self.half_messages.lock().unwrap_or_else(PoisonError::into_inner) = HalfMessages::default();
    }

    /// Deletes a topic, which name servers are not told.
    pub(super) fn delete_topic(&self, topic: &str) {
        self.topics.delete(topic);
        self.offsets.remove_topic(topic);
        self.store().remove_topic(topic);
    }

    pub(super) fn remove_topic(&self, topic: &str) {
        self.topics.remove(topic);
        self.offsets.remove_topic(topic);
        self.store().remove_topic(topic);
    }
}

/// A master or a slave, as the service of a server.
pub(super) struct Broker {
    pub(super) set: Arc<BrokerSet>,
    /// The place among the members.
    pub(super) at: usize,
    pub(super) groups: Groups,
    pub(super) locks: Locks,
    pub(super) pushes: Pushes,
    pub(super) questions: Questions,
    pub(super) configs: Configs,
}

impl Broker {
    pub(super) fn new(set: Arc<BrokerSet>, at: usize) -> Broker {
        Broker {
            set,
            at,
            groups: Groups::default(),
            locks: Locks::default(),
            pushes: Pushes::default(),
            questions: Questions::default(),
            configs: Configs::default(),
        }
    }

    pub(super) fn member(&self) -> &Member {
        &self.set.members[self.at]
    }

    pub(super) fn is_slave(&self) -> bool {
        self.member().id != MASTER
    }

    /// What came with 5.0 and is a master's matter.
    fn hand_out(&self, call: &mut Call<'_>, code: RequestCode) -> Option<Handled> {
        if !self.set.settings.pop || self.is_slave() {
            return None;
        }
        Some(match code {
            RequestCode::POP_MESSAGE => self.pop(call),
            RequestCode::ACK_MESSAGE => self.ack(call),
            RequestCode::BATCH_ACK_MESSAGE => self.batch_ack(call),
            RequestCode::CHANGE_MESSAGE_INVISIBLETIME => self.change_invisible(call),
            RequestCode::NOTIFICATION => self.notification(call),
            RequestCode::POLLING_INFO => self.polling_count(call),
            RequestCode::SET_MESSAGE_REQUEST_MODE => self.set_request_mode(call),
            RequestCode::QUERY_ASSIGNMENT => self.query_assignment(call),
            _ => return None,
        })
    }

    /// Users and rules, which came with 5.3.
    #[cfg(feature = "acl")]
    fn guard(&self, call: &mut Call<'_>, code: RequestCode) -> Handled {
        match code {
            RequestCode::AUTH_CREATE_USER => self.create_user(call),
            RequestCode::AUTH_UPDATE_USER => self.change_user(call),
            RequestCode::AUTH_DELETE_USER => self.delete_user(call),
            RequestCode::AUTH_GET_USER => self.show_user(call),
            RequestCode::AUTH_LIST_USER => self.list_users(call),
            RequestCode::AUTH_CREATE_ACL => self.create_rules(call),
            RequestCode::AUTH_UPDATE_ACL => self.change_rules(call),
            RequestCode::AUTH_DELETE_ACL => self.delete_rules(call),
            RequestCode::AUTH_GET_ACL => self.show_rules(call),
            RequestCode::AUTH_LIST_ACL => self.list_rules(call),
            _ => call.unsupported(),
        }
    }
}

impl Service for Broker {
    fn serve(&self, call: &mut Call<'_>) -> Handled {
        if let Some((code, remark)) =
            self.set.settings.users.refusal(call.frame, &self.set.settings.cluster, call.link.peer.ip())
        {
            return call.error(code, &remark);
        }
        match call.frame.request_code() {
            RequestCode::SEND_MESSAGE | RequestCode::SEND_MESSAGE_V2 | RequestCode::SEND_BATCH_MESSAGE => {
                self.send(call)
            }
            RequestCode::SEND_REPLY_MESSAGE | RequestCode::SEND_REPLY_MESSAGE_V2 => self.send_reply(call),
            RequestCode::RECALL_MESSAGE => self.recall(call),
            RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE => self.pull(call),
            RequestCode::QUERY_MESSAGE => self.find(call),
            RequestCode::VIEW_MESSAGE_BY_ID => self.view(call),
            RequestCode::QUERY_CONSUMER_OFFSET => self.query_offset(call),
            RequestCode::UPDATE_CONSUMER_OFFSET => self.update_offset(call),
            RequestCode::SEARCH_OFFSET_BY_TIMESTAMP => self.search_offset(call),
            RequestCode::GET_MAX_OFFSET => self.max_offset(call),
            RequestCode::GET_MIN_OFFSET => self.min_offset(call),
            RequestCode::GET_EARLIEST_MSG_STORETIME => self.earliest_time(call),
            RequestCode::HEART_BEAT => self.heartbeat(call),
            RequestCode::UNREGISTER_CLIENT => self.unregister(call),
            RequestCode::GET_CONSUMER_LIST_BY_GROUP => self.consumer_list(call),
            RequestCode::CHECK_CLIENT_CONFIG => self.check_client(call),
            RequestCode::UPDATE_AND_CREATE_TOPIC => self.create_topic(call),
            RequestCode::GET_TOPIC_CONFIG => self.topic_config(call),
            RequestCode::DELETE_TOPIC_IN_BROKER => self.delete_topic(call),
            RequestCode::CONSUMER_SEND_MSG_BACK => self.send_back(call),
            RequestCode::LOCK_BATCH_MQ => self.lock_queues(call),
            RequestCode::UNLOCK_BATCH_MQ => self.unlock_queues(call),
            RequestCode::GET_CONSUMER_CONNECTION_LIST => self.consumer_connections(call),
            RequestCode::GET_CONSUME_STATS => self.consume_stats(call),
            RequestCode::INVOKE_BROKER_TO_RESET_OFFSET => self.reset_offset(call),
            RequestCode::END_TRANSACTION => self.end_transaction(call),
            RequestCode::GET_CONSUMER_RUNNING_INFO => self.running_info(call),
            RequestCode::CONSUME_MESSAGE_DIRECTLY => self.consume_directly(call),
            RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS => self.consumer_status(call),
            #[cfg(feature = "acl")]
            code @ RequestCode(3001..=3010) => self.guard(call, code),
            code => self.hand_out(call, code).unwrap_or_else(|| self.administer(call, code)),
        }
    }

    fn left(&self, link: &Arc<Link>) {
        self.member().holds.forget(link.id);
        self.set.pops.forget(link);
        self.groups.disconnected(link.id);
        self.pushes.forget(link.id);
        self.questions.forget(link.id);
    }

    fn answered(&self, link: &Arc<Link>, frame: &Frame) {
        self.pushes.answered(link.id, frame);
        self.questions.answered(link.id, frame);
    }

    fn up(&self, up: bool) {
        self.member().registered.store(up, Ordering::SeqCst);
        if !up {
            self.locks.clear();
        }
        if up {
            if !self.is_slave() {
                self.set.topics.registered.renew();
            }
            self.set.clock.wake();
        }
    }

    fn tick(&self, now: Instant) -> Option<Instant> {
        let (due, next) = self.member().holds.take_due(now);
        for held in due {
            held.answer(&self.set, self.member().id);
        }
        let next = earlier(next, self.pushes.fail_due(now));
        let next = earlier(next, self.questions.fail_due(now));
        let next = earlier(next, self.groups.expire(now, self.set.settings.member_timeout));
        // What is due while the master is down is delivered when it is up again.
        let delivers = !self.is_slave() && self.set.has_master();
        if !delivers {
            return next;
        }
        let next = earlier(next, self.set.revive_due(now));
        earlier(earlier(next, self.set.deliver_due(now)), self.check_transactions(now))
    }
}
