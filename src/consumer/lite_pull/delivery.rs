use std::sync::Arc;
use std::time::Instant;

use super::inbox::Inbox;
use super::notices::Notices;
use super::rounds::Rounds;
use crate::consumer::engine::{Answer, Batch, Spell, Why};
use crate::consumer::runner::Sink;
use crate::error::Error;
use crate::message::MessageQueue;
use crate::thread::Thread;

/// What the engine's thread hands over: messages to the inbox, changes to the listeners.
pub(super) struct Delivery {
    pub(super) inbox: Arc<Inbox>,
    pub(super) notices: Arc<Notices>,
    pub(super) rounds: Arc<Rounds>,
}

impl Sink for Delivery {
    fn consume(&self, batch: Batch) {
        self.inbox.put(batch);
    }

    fn changed(&self, topic: &Arc<str>, all: Vec<MessageQueue>, mine: Vec<MessageQueue>) {
        self.notices.rebalanced(topic, all, mine);
    }

    fn moved(&self, queue: &MessageQueue, _from: i64, _to: i64, _why: Why) {
        self.inbox.moved(queue);
    }

    fn recall(&self, spell: &Spell) {
        self.inbox.recall(spell);
    }

    fn answer(&self, ask: u64, answer: Answer) {
        self.inbox.answer(ask, answer);
    }

    fn refused(&self, queue: &MessageQueue, error: Error) {
        self.inbox.refused(queue, error);
    }

    fn look(&self) {
        self.notices.look();
    }

    fn tally(&self) -> Option<(usize, usize)> {
        Some(self.inbox.tally())
    }

    fn stop(self: Box<Self>, _deadline: Instant) -> Vec<Thread> {
        self.inbox.end();
        self.rounds.close();
        Vec::new()
    }
}
