//! Pulls that wait for a message (long polling).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::broker::BrokerSet;
use super::filter::Filter;
use super::link::Link;
use super::pull;
use super::store::Entry;
use crate::protocol::rpc::pull::PullMessage;

/// More than this many are answered at once.
const MAX_HELD: usize = 10_000;

/// A pull that waits.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) pull: PullMessage,
    pub(super) filter: Filter,
    pub(super) opaque: i32,
    pub(super) link: Arc<Link>,
    pub(super) until: Instant,
}

impl Held {
    /// Reads again and answers, whatever is found.
    pub(super) fn answer(self, set: &BrokerSet, broker_id: i64) {
        let mut out = Vec::new();
        pull::answer(set, broker_id, self.opaque, &self.pull, &self.filter, &mut out);
        self.link.push(&out);
    }
}

/// The waiting pulls of one server.
#[derive(Debug, Default)]
pub(super) struct Holds {
    count: AtomicUsize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    held: BTreeMap<u64, Held>,
    by_queue: HashMap<Arc<str>, HashMap<i32, Vec<u64>>>,
    by_deadline: BTreeSet<(Instant, u64)>,
}

impl Table {
    fn remove(&mut self, id: u64) -> Option<Held> {
        let held = self.held.remove(&id)?;
        self.by_deadline.remove(&(held.until, id));
        if let Some(queues) = self.by_queue.get_mut(&held.pull.topic) {
            if let Some(ids) = queues.get_mut(&held.pull.queue_id) {
                ids.retain(|other| *other != id);
            }
            queues.retain(|_, ids| !ids.is_empty());
            if queues.is_empty() {
                self.by_queue.remove(&held.pull.topic);
            }
        }
        Some(held)
    }

    fn take(&mut self, ids: &[u64]) -> Vec<Held> {
        ids.iter().filter_map(|id| self.remove(*id)).collect()
    }
}

impl Holds {
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Keeps a pull and returns its number, or gives it back when there are too many.
    pub(super) fn add(&self, held: Held) -> Result<u64, Box<Held>> {
        let mut table = self.lock();
        if table.held.len() >= MAX_HELD {
            return Err(Box::new(held));
        }
        let id = table.next;
        table.next += 1;
        table.by_deadline.insert((held.until, id));
        let queues = table.by_queue.entry(held.pull.topic.clone()).or_default();
        queues.entry(held.pull.queue_id).or_default().push(id);
        table.held.insert(id, held);
        self.update(&table);
        Ok(id)
    }

    pub(super) fn take(&self, id: u64) -> Option<Held> {
        let mut table = self.lock();
        let held = table.remove(id);
        self.update(&table);
        held
    }

    /// Takes the pulls of a queue that want this message.
    pub(super) fn take_matching(&self, topic: &str, queue_id: i32, entry: &Entry) -> Vec<Held> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut table = self.lock();
        let Some(ids) = table.by_queue.get(topic).and_then(|queues| queues.get(&queue_id)) else { return Vec::new() };
        let wanting = |id: &u64| table.held.get(id).is_some_and(|held| held.filter.matches(entry));
        let ids: Vec<u64> = ids.iter().copied().filter(wanting).collect();
        let taken = table.take(&ids);
        self.update(&table);
        taken
    }

    /// Takes the pulls whose time is up, and says when the next one's will be.
    pub(super) fn take_due(&self, now: Instant) -> (Vec<Held>, Option<Instant>) {
        if self.is_empty() {
            return (Vec::new(), None);
        }
        let mut table = self.lock();
        let ids: Vec<u64> = table.by_deadline.range(..=(now, u64::MAX)).map(|(_, id)| *id).collect();
        let due = table.take(&ids);
        self.update(&table);
        (due, table.by_deadline.first().map(|(until, _)| *until))
    }

    /// Forgets the pulls of a connection that has ended.
    pub(super) fn forget(&self, link: u64) {
        let mut table = self.lock();
        let ids: Vec<u64> = table.held.iter().filter(|(_, held)| held.link.id == link).map(|(id, _)| *id).collect();
        table.take(&ids);
        self.update(&table);
    }

    fn update(&self, table: &Table) {
        self.count.store(table.held.len(), Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
