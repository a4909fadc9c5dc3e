//! Sharing queues out for members that ask, and in which mode they are to read them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::broker::Broker;
use super::call::{Call, Handled};
use super::topics::RETRY_PREFIX;
use crate::code::ResponseCode;
use crate::protocol::json;
use crate::protocol::rpc::assignment::{Assigned, AssignedBody, AssignmentBody, MessageRequestMode, RequestModeBody};
use crate::protocol::rpc::lock::QueueBody;
use crate::protocol::rpc::pop::ANY_QUEUE;

/// A topic and the group that reads it.
type Reading = (Arc<str>, Arc<str>);
/// A mode, and with how many further members queues are shared in it.
type Mode = (MessageRequestMode, i32);

/// The modes that were set, by topic and group.
#[derive(Debug, Default)]
pub(super) struct Modes(Mutex<HashMap<Reading, Mode>>);

/// More are not kept.
const MAX_MODES: usize = 10_000;

impl Modes {
    fn of(&self, topic: &Arc<str>, group: &Arc<str>) -> Mode {
        let modes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        modes.get(&(topic.clone(), group.clone())).copied().unwrap_or((MessageRequestMode::Pull, -1))
    }

    fn set(&self, body: RequestModeBody) {
        let mut modes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if modes.len() < MAX_MODES {
            modes.insert((body.topic, body.consumer_group), (body.mode, body.pop_share_queue_num));
        }
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Broker {
    pub(super) fn set_request_mode(&self, call: &mut Call<'_>) -> Handled {
        let body: RequestModeBody = match json::decode("request mode", call.frame.body()) {
            Ok(body) => body,
            Err(error) => return call.unreadable(&error),
        };
        if body.topic.starts_with(RETRY_PREFIX) {
            return call.error(ResponseCode::NO_PERMISSION, "retry topic is not allowed to set mode");
        }
        if self.set.topics.get(&body.topic).is_none() {
            return call.error(ResponseCode::TOPIC_NOT_EXIST, &format!("topic[{}] not exist", body.topic));
        }
        if !self.set.offsets.ensure_group(&body.consumer_group) {
            return call.error(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, "subscription group does not exist");
        }
        self.set.modes.set(body);
        call.done()
    }

    pub(super) fn query_assignment(&self, call: &mut Call<'_>) -> Handled {
        let asked: AssignmentBody = match json::decode("assignment", call.frame.body()) {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let (mode, share) = self.set.modes.of(&asked.topic, &asked.consumer_group);
        let queues = self.share(&asked, mode, share);
        let assigned = |message_queue| Assigned { message_queue, mode };
        let message_queue_assignments = queues.map(|queues| queues.into_iter().map(assigned).collect());
        call.body(&json::encode(&AssignedBody { message_queue_assignments }))
    }

    /// A member's queues; `None` when it is to keep those it has.
    fn share(&self, asked: &AssignmentBody, mode: MessageRequestMode, share: i32) -> Option<Vec<QueueBody>> {
        let all = self.set.readable_queues(&asked.topic)?;
        if asked.message_model == "BROADCASTING" {
            return Some(all);
        }
        let mut members = self.groups.members(&asked.consumer_group);
        members.sort();
        let me = members.iter().position(|member| **member == *asked.client_id);
        let allocate = match asked.strategy_name.as_str() {
            "AVG" => evenly,
            "AVG_BY_CIRCLE" => in_circles,
            _ => return None,
        };
        if members.is_empty() {
            return None;
        }
        if all.is_empty() {
            return Some(all);
        }
        if mode == MessageRequestMode::Pull {
            return Some(me.map_or_else(Vec::new, |me| allocate(&all, members.len(), me)));
        }
        let share = usize::try_from(share).unwrap_or(0);
        let mut queues: Vec<QueueBody> = if share == 0 || share >= members.len() - 1 {
            all.into_iter().map(|queue| QueueBody { queue_id: ANY_QUEUE, ..queue }).collect()
        } else if members.len() <= all.len() {
            let of = |step| me.map_or_else(Vec::new, |me| allocate(&all, members.len(), (me + step) % members.len()));
            (0..=share).flat_map(of).collect()
        } else {
            me.map(|me| all[me % all.len()].clone()).into_iter().collect()
        };
        let mut seen = HashSet::new();
        queues.retain(|queue| seen.insert(queue.clone()));
        Some(queues)
    }
}

fn evenly(all: &[QueueBody], members: usize, me: usize) -> Vec<QueueBody> {
    let (size, more) = (all.len() / members, all.len() % members);
    let start = me * size + me.min(more);
    all.iter().skip(start).take(size + usize::from(me < more)).cloned().collect()
}

fn in_circles(all: &[QueueBody], members: usize, me: usize) -> Vec<QueueBody> {
    all.iter().skip(me).step_by(members).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_shared_out_as_javas_strategies_do() {
        let all: Vec<QueueBody> =
            (0..5).map(|queue_id| QueueBody { broker_name: "b".into(), queue_id, topic: "T".into() }).collect();
        let ids = |queues: Vec<QueueBody>| queues.iter().map(|queue| queue.queue_id).collect::<Vec<_>>();
        assert_eq!([0, 1, 2].map(|me| ids(evenly(&all, 3, me))), [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!([0, 1, 2].map(|me| ids(in_circles(&all, 3, me))), [vec![0, 3], vec![1, 4], vec![2]]);
        assert_eq!(ids(evenly(&all, 7, 6)), Vec::<i32>::new());
    }
}
