//! Pops, and questions whether there is something to pop, that wait for a message.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::embedded::filter::Filter;
use crate::embedded::link::Link;
use crate::embedded::store::Entry;
use crate::protocol::pop::Retry;
use crate::protocol::rpc::pop::{ANY_QUEUE, Notification, PopMessage};

/// More than this many are answered at once.
const MAX_HELD: usize = 10_000;

/// What waits.
#[derive(Debug, Clone)]
pub(super) enum Wish {
    Pop(PopMessage, Filter),
    Word(Notification),
}

impl Wish {
    /// Group, topic and queue.
    pub(super) fn place(&self) -> (&Arc<str>, &Arc<str>, i32) {
        match self {
            Wish::Pop(pop, _) => (&pop.consumer_group, &pop.topic, pop.queue_id),
            Wish::Word(word) => (&word.consumer_group, &word.topic, word.queue_id),
        }
    }

    pub(super) fn is_order(&self) -> bool {
        let order = match self {
            Wish::Pop(pop, _) => pop.order,
            Wish::Word(word) => word.order,
        };
        order == Some(true)
    }

    fn concerns(&self, topic: &str, queue_id: i32, entry: &Entry) -> bool {
        let (group, own, queue) = self.place();
        if **own == *topic {
            let wanted = match self {
                Wish::Pop(_, filter) => filter.matches(entry),
                Wish::Word(_) => true,
            };
            return wanted && (queue == ANY_QUEUE || queue == queue_id);
        }
        let retry = Retry::of_topic(topic);
        retry != Retry::Normal && !self.is_order() && *retry.topic(group, own) == *topic
    }
}

#[derive(Debug)]
pub(super) struct Held {
    pub(super) wish: Wish,
    pub(super) opaque: i32,
    pub(super) link: Arc<Link>,
    pub(super) until: Instant,
}

/// What waits at one broker.
#[derive(Debug, Default)]
pub(super) struct Holds {
    count: AtomicUsize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    held: BTreeMap<u64, Held>,
}

impl Holds {
    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// Keeps one and returns its number, or gives it back when there are too many.
    pub(super) fn add(&self, held: Held) -> Result<u64, Box<Held>> {
        self.change(|table| {
            if table.held.len() >= MAX_HELD {
                return Err(Box::new(held));
            }
            table.next += 1;
            table.held.insert(table.next, held);
            Ok(table.next)
        })
    }

    pub(super) fn take(&self, id: u64) -> Option<Held> {
        self.change(|table| table.held.remove(&id))
    }

    /// Takes those that a message concerns.
    pub(super) fn take_concerned(&self, topic: &str, queue_id: i32, entry: &Entry) -> Vec<Held> {
        self.take_all(|held| held.wish.concerns(topic, queue_id, entry))
    }

    /// Takes those that want a group's messages of a topic in order.
    pub(super) fn take_orderly(&self, group: &str, topic: &str) -> Vec<Held> {
        self.take_all(|held| {
            let (own, of, _) = held.wish.place();
            held.wish.is_order() && **own == *group && **of == *topic
        })
    }

    /// Takes those whose time is up, and says when the next one's will be.
    pub(super) fn take_due(&self, now: Instant) -> (Vec<Held>, Option<Instant>) {
        let due = self.take_all(|held| held.until <= now);
        (due, self.lock().held.values().map(|held| held.until).min())
    }

    /// Forgets those of a connection that has ended.
    pub(super) fn forget(&self, link: &Arc<Link>) {
        self.take_all(|held| Arc::ptr_eq(&held.link, link));
    }

    fn take_all(&self, wanted: impl Fn(&Held) -> bool) -> Vec<Held> {
        if self.is_empty() {
            return Vec::new();
        }
        self.change(|table| {
            let ids: Vec<u64> = table.held.iter().filter(|(_, held)| wanted(held)).map(|(id, _)| *id).collect();
            ids.iter().filter_map(|id| table.held.remove(id)).collect()
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.lock();
        let result = change(&mut table);
        self.count.store(table.held.len(), Ordering::SeqCst);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
