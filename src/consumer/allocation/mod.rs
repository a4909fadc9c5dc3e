//! Which member of a group reads which queues: every member computes it for itself, so all must come to the same result,
//! members of other languages included.

mod consistent_hash;
mod machine_room;
pub(in crate::consumer) mod md5;

use std::fmt;
use std::sync::Arc;

pub use consistent_hash::ConsistentHash;
pub use machine_room::{MachineRoom, MachineRoomNearby};

use crate::error::{Error, Result};
use crate::message::MessageQueue;
use crate::sorted;

/// What an allocation is computed from.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Situation<'a> {
    /// The consumer group.
    pub group: &'a str,
    /// The client id of the member that asks.
    pub client_id: &'a str,
    /// The queues of one topic, sorted.
    pub queues: &'a [MessageQueue],
    /// The client ids of all members, sorted as Java sorts strings.
    pub members: &'a [Arc<str>],
}

impl<'a> Situation<'a> {
    /// The place of the member that asks among all; `None` when it is not among them.
    pub fn position(&self) -> Option<usize> {
        self.members.iter().position(|member| **member == *self.client_id)
    }

    pub(crate) fn of(&self, queues: &'a [MessageQueue], members: &'a [Arc<str>]) -> Situation<'a> {
        Situation { queues, members, ..*self }
    }
}

/// Divides the queues of a topic among the members of a group (Java: `AllocateMessageQueueStrategy`).
///
/// It is asked for one member at a time, on each member; all members of a group must use the same, whatever language
/// they are written in. It must be quick and must not block: it runs on the thread that drives the consumer.
pub trait Allocation: Send + Sync + fmt::Debug {
    /// Returns the name by which brokers know it, such as `AVG`.
    fn name(&self) -> &str;

    /// Returns the queues of the member that asks.
    ///
    /// # Errors
    /// Whatever makes a division impossible; the member keeps the queues it has, and asks again after a second.
    fn allocate(&self, situation: &Situation<'_>) -> Result<Vec<MessageQueue>>;
}

/// Gives each member a run of neighbouring queues, the first ones one more when they cannot be divided evenly (Java:
/// `AllocateMessageQueueAveragely`). The default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Averagely;

impl Allocation for Averagely {
    fn name(&self) -> &str {
        "AVG"
    }

    fn allocate(&self, situation: &Situation<'_>) -> Result<Vec<MessageQueue>> {
        let Some(position) = situation.position() else { return Ok(Vec::new()) };
        let (queues, members) = (situation.queues.len(), situation.members.len());
        let (share, rest) = (queues / members, queues % members);
        let (start, count) =
            if position < rest { (position * (share + 1), share + 1) } else { (position * share + rest, share) };
        Ok(situation.queues[start..start + count].to_vec())
    }
}

/// Deals the queues out one by one, as cards are dealt (Java: `AllocateMessageQueueAveragelyByCircle`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AveragelyByCircle;

impl Allocation for AveragelyByCircle {
    fn name(&self) -> &str {
        "AVG_BY_CIRCLE"
    }

    fn allocate(&self, situation: &Situation<'_>) -> Result<Vec<MessageQueue>> {
        let Some(position) = situation.position() else { return Ok(Vec::new()) };
        Ok(situation.queues.iter().skip(position).step_by(situation.members.len()).cloned().collect())
    }
}

/// Gives the member the queues it was configured with, whoever else there is (Java: `AllocateMessageQueueByConfig`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ByConfig {
    queues: Vec<MessageQueue>,
}

impl ByConfig {
    /// Names the queues of this member. Queues of other topics than the one that is divided are left out.
    pub fn new(queues: impl IntoIterator<Item = MessageQueue>) -> ByConfig {
        ByConfig { queues: queues.into_iter().collect() }
    }
}

impl Allocation for ByConfig {
    fn name(&self) -> &str {
        "CONFIG"
    }

    fn allocate(&self, situation: &Situation<'_>) -> Result<Vec<MessageQueue>> {
        let topic = situation.queues.first().map(MessageQueue::topic);
        Ok(self.queues.iter().filter(|queue| Some(queue.topic()) == topic).cloned().collect())
    }
}

/// Refuses what no strategy can work with, so that a member keeps what it has.
pub(crate) fn allocate(strategy: &dyn Allocation, situation: &Situation<'_>) -> Result<Vec<MessageQueue>> {
    if situation.members.is_empty() {
        return Err(Error::invalid(format!("group {} has no members", situation.group)));
    }
    strategy.allocate(situation)
}

/// Orders names as Java orders strings: by their UTF-16 units.
pub(crate) fn sort_members(members: &mut Vec<Arc<str>>) {
    sorted::sort_by(members, |left, right| left.encode_utf16().cmp(right.encode_utf16()));
}

#[cfg(test)]
mod tests;
