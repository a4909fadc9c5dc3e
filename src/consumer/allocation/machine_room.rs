use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{Allocation, Situation};
use crate::error::{Error, Result};
use crate::message::MessageQueue;

/// Divides the queues of brokers in some machine rooms among all members; a broker's name is `room@name` (Java:
/// `AllocateMessageQueueByMachineRoom`).
///
/// Queues of other rooms, and of brokers without a room in their name, are read by nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineRoom {
    rooms: Vec<String>,
}

impl MachineRoom {
    /// Names the rooms whose brokers are read.
    pub fn new<R: Into<String>>(rooms: impl IntoIterator<Item = R>) -> MachineRoom {
        MachineRoom { rooms: rooms.into_iter().map(Into::into).collect() }
    }

    fn has(&self, queue: &MessageQueue) -> bool {
        match queue.broker_name().split_once('@') {
            Some((room, name)) => !name.contains('@') && self.rooms.iter().any(|known| known == room),
            None => false,
        }
    }
}

impl Allocation for MachineRoom {
    fn name(&self) -> &str {
        "MACHINE_ROOM"
    }

    fn allocate(&self, situation: &Situation<'_>) -> Result<Vec<MessageQueue>> {
        let Some(position) = situation.position() else { return Ok(Vec::new()) };
        let queues: Vec<&MessageQueue> = situation.queues.iter().filter(|queue| self.has(queue)).collect();
        let members = situation.members.len();
        let (share, rest) = (queues.len() / members, queues.len() % members);
        let run = queues.iter().skip(position * share).take(share);
        // What cannot be divided evenly is dealt out from the end.
        let extra = queues.get(share * members + position).filter(|_| position < rest);
        Ok(run.chain(extra).map(|queue| (*queue).clone()).collect())
    }
}

/// Says in which room a broker or a member stands.
type RoomOf = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// Gives queues to members of the same machine room; those of rooms without members are divided among all (Java:
/// `AllocateMachineRoomNearby`).
#[derive(Clone)]
pub struct MachineRoomNearby {
    inner: Arc<dyn Allocation>,
    room_of_broker: RoomOf,
    room_of_member: RoomOf,
    name: String,
}

impl MachineRoomNearby {
    /// Divides within each room by `inner`. The two functions say in which room a broker stands, by its name, and a member,
    /// by its client id; neither may return an empty room.
    pub fn new(
        inner: impl Allocation + 'static,
        room_of_broker: impl Fn(&str) -> String + Send + Sync + 'static,
        room_of_member: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> MachineRoomNearby {
        let name = format!("MACHINE_ROOM_NEARBY-{}", inner.name());
        let (room_of_broker, room_of_member) = (Arc::new(room_of_broker), Arc::new(room_of_member));
        MachineRoomNearby { inner: Arc::new(inner), room_of_broker, room_of_member, name }
    }
}

impl Allocation for MachineRoomNearby {
    fn name(&self) -> &str {
        &self.name
    }

    fn allocate(&self, situation: &Situation<'_>) -> Result<Vec<MessageQueue>> {
        if situation.position().is_none() {
            return Ok(Vec::new());
        }
        let mut queues: BTreeMap<String, Vec<MessageQueue>> = BTreeMap::new();
        for queue in situation.queues {
            let room = known(queue.broker_name(), (self.room_of_broker)(queue.broker_name()))?;
            queues.entry(room).or_default().push(queue.clone());
        }
        let mut members: BTreeMap<String, Vec<Arc<str>>> = BTreeMap::new();
        for member in situation.members {
            members.entry(known(member, (self.room_of_member)(member))?).or_default().push(member.clone());
        }
        let own = (self.room_of_member)(situation.client_id);
        let mut mine = Vec::new();
        if let (Some(queues), Some(members)) = (queues.get(&own), members.get(&own)) {
            mine.extend(self.inner.allocate(&situation.of(queues, members))?);
        }
        for (_, queues) in queues.iter().filter(|(room, _)| !members.contains_key(*room)) {
            mine.extend(self.inner.allocate(&situation.of(queues, situation.members))?);
        }
        Ok(mine)
    }
}

fn known(name: &str, room: String) -> Result<String> {
    if room.is_empty() {
        return Err(Error::invalid(format!("the machine room of {name} is empty")));
    }
    Ok(room)
}

impl fmt::Debug for MachineRoomNearby {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MachineRoomNearby").field(&self.inner).finish()
    }
}
