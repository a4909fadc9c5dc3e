//! Which queues of the subscribed topics this member has: dividing them among the group's members, and taking over its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::event::{Action, AllQueues};
use super::rebalance::change;
use super::{Engine, MessageModel, Order, Queue};
use crate::consumer::allocation::{self, Situation, sort_members};
use crate::message::MessageQueue;
use crate::sorted::SortedMap;

impl Engine {
    pub(super) fn subscribe(
        &mut self,
        topics: Vec<(Arc<str>, Option<AllQueues>)>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let mut topics: SortedMap<_, _> = topics.into_iter().collect();
        if topics == self.topics {
            return;
        }
        let same_names = topics.keys().eq(self.topics.keys());
        // Its brokers may not have heard of this member.
        let found = topics.iter().any(|(topic, new)| new.is_some() && !matches!(self.topics.get(topic), Some(Some(_))));
        // A topic whose route got lost keeps its queues: name servers forget nothing that brokers still have.
        for (topic, queues) in topics.iter_mut() {
            if queues.is_none() {
                *queues = self.topics.get(topic).cloned().flatten();
            }
        }
        self.topics = topics;
        let grace = self.grace();
        let Engine { topics, queues, given, .. } = self;
        queues.for_each(|queue| {
            if given.is_none() && !topics.contains_key(queue.spell().queue.topic()) {
                queue.revoke(grace, now);
            }
        });
        self.by_broker.pops.revoke(|queue| !self.topics.contains_key(queue.topic()), grace, now);
        if !same_names || found {
            actions.push(Action::Heartbeat);
        }
        self.rebalance.disturb(now);
    }

    pub(super) fn grace(&self) -> Option<Duration> {
        (self.options.order != Order::Orderly).then_some(self.options.revoke_grace)
    }

    /// Starts a rebalance when it is time.
    pub(super) fn balance(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.closing || self.suspended || !self.rebalance.is_due(now) {
            return;
        }
        if self.given.is_some() {
            return self.assign_given(now, actions);
        }
        let topics: Vec<(Arc<str>, bool)> =
            self.topics.iter().map(|(topic, queues)| (topic.clone(), queues.is_some())).collect();
        if !topics.iter().any(|(_, known)| *known) {
            self.rebalance.was_idle();
        }
        for (topic, known) in topics {
            match self.options.model {
                _ if !known => self.rebalance.unfinished(now),
                MessageModel::Clustering => self.ask_for_queues(topic, actions),
                MessageModel::Broadcasting => {
                    let all = self.topics.get(&topic).cloned().flatten().unwrap_or_default();
                    self.assign(&topic, all.to_vec(), now, now, actions);
                }
            }
        }
    }

    pub(super) fn divide(
        &mut self,
        topic: &Arc<str>,
        mut members: Vec<Arc<str>>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        sort_members(&mut members);
        // A broker lists connections: who has made a new one stands there twice until the old one is gone, and what came to the
        // second place would be nobody's.
        members.dedup();
        if !members.contains(&self.options.client_id) {
            // The broker does not know this client yet, or not any more. Its queues stay until it does.
            actions.push(Action::Heartbeat);
            return self.rebalance.not_a_member(now);
        }
        self.rebalance.is_member();
        if self.confirmed(topic, now, actions) {
            return;
        }
        let Some(Some(queues)) = self.topics.get(topic) else { return };
        let (group, client_id) = (&*self.options.group, &*self.options.client_id);
        let situation = Situation { group, client_id, queues, members: &members };
        match allocation::allocate(&*self.options.allocation, &situation) {
            Ok(mine) => {
                let handover = if members.len() > 1 { self.options.handover } else { Duration::ZERO };
                self.assign(topic, mine, now + handover, now, actions);
            }
            Err(error) => {
                log::warn!("{group}: the queues of {topic} cannot be divided: {error}");
                self.rebalance.unfinished(now);
            }
        }
    }

    /// Gives this member the queues of a topic it is to have, and no others. Those it gains are begun at `former_owner`.
    pub(super) fn assign(
        &mut self,
        topic: &Arc<str>,
        mine: Vec<MessageQueue>,
        former_owner: Instant,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        if self.closing || self.suspended {
            return;
        }
        let has = self.queues.iter().filter(|queue| !queue.is_leaving()).map(|queue| &queue.spell().queue);
        let change = change(has.filter(|queue| queue.topic() == &**topic), mine.clone());
        let grace = self.grace();
        for queue in &change.lost {
            if let Some(state) = self.queues.get_mut(queue) {
                state.revoke(grace, now);
            }
        }
        for queue in &change.gained {
            if self.queues.contains(queue) {
                // It is still being given up here; what it committed last is where it goes on.
                self.rebalance.unfinished(now);
                continue;
            }
            self.epoch += 1;
            self.queues.insert(Queue::new(queue.clone(), self.epoch, former_owner, &self.options, now));
        }
        let shares = self.given.is_none();
        if shares && (!change.gained.is_empty() || !change.lost.is_empty()) {
            let all = self.topics.get(topic).cloned().flatten().unwrap_or_default();
            actions.push(Action::Changed { topic: topic.clone(), all, mine });
            actions.push(Action::Heartbeat);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Stage;
    use super::*;
    use crate::consumer::engine::Event;

    #[test]
    fn a_member_that_is_listed_twice_counts_once() {
        let (mut stage, _) = Stage::new(Order::Concurrent, &["me", "other"]);
        let queues: Vec<_> = (0..6).map(|id| MessageQueue::new("T", "b", id)).collect();
        stage.tell(Event::Topics(vec![("T".into(), Some(queues.into()))]));
        let given = |actions: &[Action]| {
            let ids = |mine: &[MessageQueue]| mine.iter().map(MessageQueue::queue_id).collect::<Vec<_>>();
            let changed =
                |action: &Action| if let Action::Changed { mine, .. } = action { Some(ids(mine)) } else { None };
            actions.iter().find_map(changed)
        };
        assert_eq!(given(&stage.members(&["other", "me", "me"])), Some(vec![0, 1, 2]));
        assert_eq!(given(&stage.members(&["me", "other", "other"])), None, "the same division");
        assert_eq!(given(&stage.members(&["me", "me"])), Some((0..6).collect()));
    }
}
