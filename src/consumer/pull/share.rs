//! The queues that a pull consumer has of the topics it is registered for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::positions::Positions;
use super::tasks::Tasks;
use crate::client::Core;
use crate::consumer::engine::Batch;
use crate::consumer::runner::Sink;
use crate::message::MessageQueue;
use crate::sorted::SortedMap;
use crate::thread::Thread;

/// User code that is told about the queues of a topic: all of them, and those of this member.
pub(super) type QueueListener = Arc<dyn Fn(&str, &[MessageQueue], &[MessageQueue]) + Send + Sync>;

/// All queues of a topic, and those of this member.
type Queues = (Vec<MessageQueue>, Vec<MessageQueue>);

pub(super) struct Share {
    pub(super) core: Arc<Core>,
    pub(super) positions: Arc<Positions>,
    pub(super) tasks: Option<Arc<Tasks>>,
    pub(super) listener: Option<QueueListener>,
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    mine: SortedMap<Arc<str>, Vec<MessageQueue>>,
    /// What the listener is to be told next; of several changes of a topic the last.
    news: SortedMap<Arc<str>, Queues>,
    /// A callback thread tells it.
    telling: bool,
}

impl Share {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queues of a topic that this member has.
    pub(super) fn of(&self, topic: &str) -> Vec<MessageQueue> {
        self.lock().mine.get(topic).cloned().unwrap_or_default()
    }

    fn take_in(self: &Arc<Self>, topic: &Arc<str>, all: Vec<MessageQueue>, mine: Vec<MessageQueue>) {
        let mut state = self.lock();
        let before = state.mine.insert(topic.clone(), mine.clone()).unwrap_or_default();
        let tells = self.listener.is_some() && {
            state.news.insert(topic.clone(), (all, mine.clone()));
            !std::mem::replace(&mut state.telling, true)
        };
        drop(state);
        self.positions.leave(before.iter().filter(|queue| !mine.contains(queue)));
        if let Some(tasks) = &self.tasks {
            tasks.assign(topic, &mine);
        }
        if tells {
            let share = self.clone();
            match self.core.callbacks() {
                Ok(callbacks) => callbacks.run(move || share.tell()),
                Err(error) => log::debug!("a message queue listener is not told: {error}"),
            }
        }
    }

    /// Tells the listener everything there is, one thing after the other.
    fn tell(&self) {
        let Some(listener) = &self.listener else { return };
        loop {
            let mut state = self.lock();
            let Some((topic, (all, mine))) = state.news.pop_first() else {
                state.telling = false;
                return;
            };
            drop(state);
            if catch_unwind(AssertUnwindSafe(|| listener(&topic, &all, &mine))).is_err() {
                log::error!("a message queue listener panicked over topic {topic}");
            }
        }
    }
}

/// What an engine sees of it.
pub(super) struct ShareSink(pub(super) Arc<Share>);

impl Sink for ShareSink {
    /// An engine that only divides queues has no messages.
    fn consume(&self, _batch: Batch) {}

    fn changed(&self, topic: &Arc<str>, all: Vec<MessageQueue>, mine: Vec<MessageQueue>) {
        self.0.take_in(topic, all, mine);
    }

    fn stop(self: Box<Self>, _deadline: Instant) -> Vec<Thread> {
        Vec::new()
    }
}
