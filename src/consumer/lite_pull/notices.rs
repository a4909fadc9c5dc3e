//! Telling listeners that queues are others now, on the client's callback threads, one after the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::client::Core;
use crate::message::MessageQueue;
use crate::sorted::SortedMap;

/// Gets a topic, all its queues, and those of this member.
pub(super) type QueueListener = Arc<dyn Fn(&str, &[MessageQueue], &[MessageQueue]) + Send + Sync>;
/// Gets a topic and all its queues.
pub(super) type TopicListener = Arc<dyn Fn(&str, &[MessageQueue]) + Send + Sync>;

/// Calls a listener.
type Notice = Box<dyn FnOnce() + Send>;

pub(super) struct Notices {
    core: Arc<Core>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rebalances: Option<QueueListener>,
    topics: SortedMap<Arc<str>, Watched>,
    /// What listeners are to be told. Of two notices about the same only the last is kept, so that a listener that hangs does
    /// not make them pile up.
    waiting: SortedMap<(Kind, Arc<str>), Notice>,
    /// Whether a callback thread is at it.
    busy: bool,
}

struct Watched {
    listener: TopicListener,
    known: Arc<[MessageQueue]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Rebalance,
    Topic,
}

impl Notices {
    pub(super) fn new(core: Arc<Core>, rebalances: Option<QueueListener>) -> Notices {
        Notices { core, state: Mutex::new(State { rebalances, ..State::default() }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn listen(&self, listener: QueueListener) {
        let former = self.lock().rebalances.replace(listener);
        // Dropped outside the lock: it is foreign code.
        drop(former);
    }

    pub(super) fn watch(&self, topic: Arc<str>, known: Arc<[MessageQueue]>, listener: TopicListener) {
        self.core.routes().watch(&topic);
        let former = self.lock().topics.insert(topic, Watched { listener, known });
        drop(former);
    }

    pub(super) fn rebalanced(self: &Arc<Self>, topic: &Arc<str>, all: Vec<MessageQueue>, mine: Vec<MessageQueue>) {
        let Some(listener) = self.lock().rebalances.clone() else { return };
        let named = topic.clone();
        self.post(Kind::Rebalance, topic, Box::new(move || listener(&named, &all, &mine)));
    }

    /// Compares the topics that somebody watches with their routes.
    pub(super) fn look(self: &Arc<Self>) {
        let watched: Vec<Arc<str>> = self.lock().topics.keys().cloned().collect();
        for topic in watched {
            let Some(route) = self.core.routes().cached(&topic) else { continue };
            let now = route.subscribe_queues().clone();
            let listener = {
                let mut state = self.lock();
                let Some(watched) = state.topics.get_mut(&topic).filter(|watched| watched.known != now) else {
                    continue;
                };
                watched.known = now.clone();
                watched.listener.clone()
            };
            let named = topic.clone();
            self.post(Kind::Topic, &topic, Box::new(move || listener(&named, &now)));
        }
    }

    fn post(self: &Arc<Self>, kind: Kind, topic: &Arc<str>, notice: Notice) {
        let mut state = self.lock();
        let replaced = state.waiting.insert((kind, topic.clone()), notice);
        let begin = !std::mem::replace(&mut state.busy, true);
        drop(state);
        drop(replaced);
        if begin {
            let this = self.clone();
            match self.core.callbacks() {
                Ok(callbacks) => callbacks.run(move || this.tell()),
                // They were started with the consumer.
                Err(error) => {
                    log::error!("{error}: a listener of queues is not told; this is a bug in rocketmq-blocking")
                }
            }
        }
    }

    fn tell(&self) {
        loop {
            let next = {
                let mut state = self.lock();
                let next = state.waiting.pop_first();
                state.busy = next.is_some();
                next
            };
            let Some(((_, topic), notice)) = next else { return };
            if catch_unwind(AssertUnwindSafe(notice)).is_err() {
                log::error!("a listener of the queues of {topic} panicked");
            }
        }
    }
}
