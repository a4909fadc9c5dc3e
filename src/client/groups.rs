//! The producer and consumer groups that live in a client.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::check_queue::CheckQueue;
use super::close::CloseReport;
use super::core::Core;
use super::{heartbeat, namespace};
use crate::channel::Sender;
use crate::error::{Error, Result};
use crate::protocol::rpc::heartbeat::{ConsumerBody, HeartbeatBody, ProducerBody, UnregisterClient};
use crate::remoting::{Deadline, ServerRequest};

/// What a group does. One name may be used once for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupKind {
    Producer,
    Consumer,
}

/// A group by kind and name.
pub(super) type Named = (GroupKind, Arc<str>);

/// A group that joins a client.
pub(crate) struct Member {
    pub(crate) kind: GroupKind,
    pub(crate) group: Arc<str>,
    /// What heartbeats say about a consumer.
    pub(crate) consumer: Option<ConsumerBody>,
    /// Where servers' requests for the group go; a bounded channel.
    pub(crate) mailbox: Option<Sender<ServerRequest>>,
    /// Where questions about a producer group's transactions go.
    pub(crate) checks: Option<Arc<CheckQueue>>,
    /// Closes the producer or consumer, which `Client::close` does before anything else. It must not keep the client
    /// alive, and ends by [`Core::close_deadline`]. Its report becomes part of the client's.
    pub(crate) close: Box<dyn Fn() -> CloseReport + Send + Sync>,
}

/// All groups of a client.
#[derive(Default)]
pub(crate) struct Groups {
    entries: Mutex<Vec<Entry>>,
    joined: AtomicU64,
    /// Brokers' questions about transactions for which there was nobody to ask.
    pub(super) stray_checks: AtomicU64,
    left: AtomicU64,
    /// Answers to pulls of consumers that were gone.
    dropped_pulls: AtomicU64,
}

struct Entry {
    number: u64,
    kind: GroupKind,
    group: Arc<str>,
    consumer: Option<ConsumerBody>,
    mailbox: Option<Sender<ServerRequest>>,
    checks: Option<Arc<CheckQueue>>,
    close: Arc<dyn Fn() -> CloseReport + Send + Sync>,
}

impl Groups {
    /// Adds a group, and tells the brokers at once.
    pub(crate) fn join(&self, core: &Arc<Core>, member: Member) -> Result<Membership> {
        let Member { kind, group, consumer, mailbox, checks, close } = member;
        namespace::check_group(core.namespace(), &group)?;
        let number = self.joined.fetch_add(1, Ordering::Relaxed);
        let entry = Entry { number, kind, group: group.clone(), consumer, mailbox, checks, close: close.into() };
        let mut entries = self.lock();
        // Under the lock, so that closing, which looks at the members afterwards, sees this one or refuses it.
        core.check_open()?;
        if entries.iter().any(|other| other.kind == kind && other.group == group) {
            return Err(Error::GroupInUse { group, client_id: core.client_id().clone() });
        }
        entries.push(entry);
        drop(entries);
        core.heartbeats().forget_all();
        heartbeat::soon(core);
        Ok(Membership { core: core.clone(), number, kind, group, left: AtomicBool::new(false) })
    }

    /// Takes note that the answer to a pull found its consumer gone.
    pub(crate) fn pull_dropped(&self, group: &str) {
        self.dropped_pulls.fetch_add(1, Ordering::Relaxed);
        log::debug!("consumer {group}: a pull was answered after the consumer had ended; it is dropped");
    }

    pub(super) fn dropped_pulls(&self) -> u64 {
        self.dropped_pulls.load(Ordering::Relaxed)
    }

    /// What a heartbeat says, and of whom; `None` when no group lives here.
    pub(super) fn heartbeat(&self, client_id: &Arc<str>) -> Option<(HeartbeatBody, Vec<Named>)> {
        let entries = self.lock();
        if entries.is_empty() {
            return None;
        }
        let producers = entries.iter().filter(|entry| entry.kind == GroupKind::Producer);
        let members = entries.iter().map(|entry| (entry.kind, entry.group.clone())).collect();
        let body = HeartbeatBody {
            client_id: client_id.clone(),
            consumer_data_set: entries.iter().filter_map(|entry| entry.consumer.clone()).collect(),
            heartbeat_fingerprint: 0,
            producer_data_set: producers.map(|entry| ProducerBody { group_name: entry.group.clone() }).collect(),
            without_sub: false,
        };
        Some((body, members))
    }

    /// What unregisters those of the members that are none any more.
    pub(super) fn gone(&self, members: &[Named], client_id: &Arc<str>) -> Vec<UnregisterClient> {
        let entries = self.lock();
        let is_here = |(kind, group): &(_, _)| entries.iter().any(|entry| entry.kind == *kind && entry.group == *group);
        let gone = members.iter().filter(|member| !is_here(member));
        gone.map(|(kind, group)| unregistration(client_id, *kind, group)).collect()
    }

    /// Replaces what heartbeats say about a consumer.
    fn update(&self, number: u64, consumer: ConsumerBody) {
        if let Some(entry) = self.lock().iter_mut().find(|entry| entry.number == number) {
            entry.consumer = Some(consumer);
        }
    }

    /// The mailbox of a consumer group.
    pub(super) fn consumer_mailbox(&self, group: &str) -> Option<Sender<ServerRequest>> {
        let entries = self.lock();
        let entry = entries.iter().find(|entry| entry.kind == GroupKind::Consumer && &*entry.group == group)?;
        entry.mailbox.clone()
    }

    /// Where questions about a producer group's transactions go.
    pub(super) fn checks(&self, group: &str) -> Option<Arc<CheckQueue>> {
        let entries = self.lock();
        let entry = entries.iter().find(|entry| entry.kind == GroupKind::Producer && &*entry.group == group)?;
        entry.checks.clone()
    }

    /// Takes note that brokers have heard of a group that left, once they have and not before: see `introduce`.
    pub(super) fn heard(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }

    /// How many groups have told the brokers that they left.
    pub(super) fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// What closes the members: consumers first, because their listeners may be using the producers.
    pub(super) fn closers(&self) -> Vec<Arc<dyn Fn() -> CloseReport + Send + Sync>> {
        let entries = self.lock();
        let of = |kind| entries.iter().filter(move |entry| entry.kind == kind).map(|entry| entry.close.clone());
        of(GroupKind::Consumer).chain(of(GroupKind::Producer)).collect()
    }

    /// Removes all members and returns what unregisters them.
    pub(super) fn take_all(&self, client_id: &Arc<str>) -> Vec<UnregisterClient> {
        let entries = std::mem::take(&mut *self.lock());
        entries.iter().map(|entry| unregistration(client_id, entry.kind, &entry.group)).collect()
    }

    /// Returns whether the member was still here.
    fn remove(&self, number: u64) -> bool {
        let mut entries = self.lock();
        let found = entries.iter().position(|entry| entry.number == number);
        let entry = found.map(|at| entries.swap_remove(at));
        drop(entries);
        // Dropped outside the lock: it owns the member's closure.
        entry.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unregistration(client_id: &Arc<str>, kind: GroupKind, group: &Arc<str>) -> UnregisterClient {
    let only = |wanted| (kind == wanted).then(|| group.clone());
    UnregisterClient {
        client_id: client_id.clone(),
        consumer_group: only(GroupKind::Consumer),
        producer_group: only(GroupKind::Producer),
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lock().iter().map(|entry| (entry.kind, entry.group.clone()))).finish()
    }
}

/// A group's place in its client; dropping it leaves without telling the brokers, which forget the group by themselves.
pub(crate) struct Membership {
    core: Arc<Core>,
    number: u64,
    kind: GroupKind,
    group: Arc<str>,
    left: AtomicBool,
}

impl Membership {
    /// Changes what heartbeats say about a consumer, and tells the brokers at once.
    pub(crate) fn update(&self, consumer: ConsumerBody) {
        self.core.groups().update(self.number, consumer);
        heartbeat::soon(&self.core);
    }

    /// Leaves and tells all brokers in parallel, waiting for their answers until `deadline`. A second call does nothing.
    pub(crate) fn leave(&self, deadline: Deadline) {
        if !self.left.swap(true, Ordering::AcqRel) && self.core.groups().remove(self.number) {
            let request = unregistration(self.core.client_id(), self.kind, &self.group);
            heartbeat::unregister(&self.core, &[request], deadline);
            self.core.groups().heard();
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if !self.left.swap(true, Ordering::AcqRel) {
            self.core.groups().remove(self.number);
        }
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership").field("kind", &self.kind).field("group", &self.group).finish_non_exhaustive()
    }
}
