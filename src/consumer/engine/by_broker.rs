//! Queues that a broker assigns, in the place of members who each compute it: some to be pulled, some to be popped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::event::Action;
use super::options::MessageModel;
use super::pop::{Assignment, PopQueue, PopQueues, overlap};
use super::rebalance::Change;
use super::{Engine, Standing};
use crate::error::Error;
use crate::message::MessageQueue;
use crate::sorted::SortedSet;

/// What an engine knows only when brokers assign its queues.
#[derive(Debug, Default)]
pub(super) struct ByBroker {
    pub(super) pops: PopQueues,
    /// Topics whose broker does not know the question.
    unsupported: SortedSet<Arc<str>>,
    /// Which way of reading has the first choice of a free listener, in turn.
    pops_first: bool,
    /// Topics of which the broker says that this member is to have nothing: so it answers a member it does not know, too.
    doubted: SortedSet<Arc<str>>,
}

impl Engine {
    /// Finds out which queues of a topic this member is to have.
    pub(super) fn ask_for_queues(&mut self, topic: Arc<str>, actions: &mut Vec<Action>) {
        let by_broker = self.options.by_broker.is_some() && self.options.model == MessageModel::Clustering;
        actions.push(if by_broker && !self.by_broker.unsupported.contains(&topic) {
            Action::FetchAssignment { topic, strategy: self.options.allocation.name().into() }
        } else {
            Action::FetchMembers { topic }
        });
    }

    /// Takes a broker's answer.
    pub(super) fn assigned(
        &mut self,
        topic: &Arc<str>,
        assignment: Result<Assignment, Error>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let group = self.options.group.clone();
        match assignment {
            Ok(Assignment::Queues { pull, pop }) if pull.is_empty() && pop.is_empty() && self.has_queues(topic) => {
                self.by_broker.doubted.insert(topic.clone());
                actions.push(Action::FetchMembers { topic: topic.clone() });
            }
            Ok(Assignment::Queues { pull, pop }) => self.take_over(topic, pull, pop, now, actions),
            Ok(Assignment::Unsupported) => {
                if self.by_broker.unsupported.insert(topic.clone()) {
                    log::warn!("{group}: brokers of {topic} do not assign queues; members divide them");
                }
                actions.push(Action::FetchMembers { topic: topic.clone() });
            }
            Ok(Assignment::Unknown) => self.rebalance.unfinished(now),
            Err(error) => {
                if error.is_refused() {
                    log::warn!("{group}: the queues of {topic} are not assigned: {error}");
                } else {
                    log::debug!("{group}: the queues of {topic} are not assigned: {error}");
                    self.rebalance.unfinished(now);
                }
            }
        }
    }

    fn has_queues(&self, topic: &str) -> bool {
        self.queues.count(topic) > 0 || self.by_broker.pops.has(topic)
    }

    /// The group's members are known, this one among them. Returns whether that was asked to be sure that this member is to
    /// have no queue of the topic.
    pub(super) fn confirmed(&mut self, topic: &Arc<str>, now: Instant, actions: &mut Vec<Action>) -> bool {
        let doubted = self.by_broker.doubted.remove(topic);
        if doubted {
            self.take_over(topic, Vec::new(), Vec::new(), now, actions);
        }
        doubted
    }

    /// Gives this member the queues of a topic it is to have, each in its mode. A queue whose mode changes is given up in the
    /// one before it is begun in the other.
    fn take_over(
        &mut self,
        topic: &Arc<str>,
        pull: Vec<MessageQueue>,
        pop: Vec<MessageQueue>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        if self.closing || self.suspended || !self.topics.contains_key(topic) {
            return;
        }
        let all = self.topics.get(topic).cloned().flatten().unwrap_or_default();
        let (all_pulled, pulled, popped) = (pull.len() == all.len(), !pull.is_empty(), !pop.is_empty());
        let grace = self.grace();
        let pops = &mut self.by_broker.pops;
        let popped_before = pops.has(topic);
        let Change { gained, lost } = pops.change(topic, pop);
        pops.revoke(|queue| lost.contains(queue), grace, now);
        // What listeners still have would be pulled as well.
        let (ready, waiting): (Vec<_>, Vec<_>) =
            pull.into_iter().partition(|queue| self.queues.contains(queue) || !pops.overlaps(queue));
        if !waiting.is_empty() {
            self.rebalance.unfinished(now);
        }
        let handover = if all_pulled && !popped_before { Duration::ZERO } else { self.options.handover };
        self.assign(topic, ready, now + handover, now, actions);
        let mut changed = !lost.is_empty();
        for queue in gained {
            // The last commit of what was pulled is where popping begins.
            let pulled = self.queues.iter().any(|other| overlap(&other.spell().queue, &queue));
            self.epoch += 1;
            if !pulled && self.by_broker.pops.gain(&queue, self.options.order, self.epoch, now) {
                changed = true;
            } else {
                self.rebalance.unfinished(now);
            }
        }
        if changed {
            let mine = [self.pulled_queues(topic), self.by_broker.pops.of_topic(topic)].concat();
            actions.push(Action::Changed { topic: topic.clone(), all, mine });
            actions.push(Action::Heartbeat);
        }
        if pulled != popped && !topic.starts_with("%RETRY%") {
            actions.push(Action::Leftovers { topic: topic.clone(), wanted: pulled });
        }
    }

    fn pulled_queues(&self, topic: &str) -> Vec<MessageQueue> {
        let mine = self.queues.iter().filter(|queue| !queue.is_leaving()).map(|queue| &queue.spell().queue);
        mine.filter(|queue| queue.topic() == topic).cloned().collect()
    }

    /// Hands batches to listeners as long as some are free, each queue in its turn.
    pub(super) fn dispatch(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.by_broker.pops_first = !self.by_broker.pops_first;
        if self.by_broker.pops_first {
            self.dispatch_pops(now, actions);
        }
        self.dispatch_pulled(now, actions);
        self.dispatch_pops(now, actions);
    }

    /// Hands popped messages to listeners as long as some are free.
    fn dispatch_pops(&mut self, now: Instant, actions: &mut Vec<Action>) {
        while self.running < self.batches() {
            let Some(batch) = self.by_broker.pops.take(&self.options, &mut self.epoch, now) else { return };
            self.running += 1;
            actions.push(Action::Consume(batch));
        }
    }

    /// After messages were handed out: what came too late for a listener made room.
    pub(super) fn advance_pops(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let mut wanted = Vec::new();
        self.by_broker.pops.advance(&self.options, self.suspended, now, &mut wanted);
        actions.extend(wanted.into_iter().map(Action::Pop));
    }

    /// Looks at every popped queue.
    pub(crate) fn look_at_pops(&self, mut at: impl FnMut(&PopQueue, Option<Standing>)) {
        self.by_broker.pops.look(|queue| at(queue, queue.standing(self.suspended)));
    }
}
