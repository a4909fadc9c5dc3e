use std::fmt;
use std::time::Duration;

use crate::consumer::engine::{self, Full};
use crate::message::MessageQueue;

/// A queue that a push consumer has, as it was at one moment; made by
/// [`PushConsumer::queues`](crate::PushConsumer::queues).
///
/// Of a queue that is popped ([`allocation_by_broker`](crate::PushConsumerBuilder::allocation_by_broker)) the number may be
/// -1, for all queues of the broker. Its messages are in memory until they are acknowledged, and its offsets are -1: nothing
/// is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessQueue {
    /// The queue.
    pub queue: MessageQueue,
    /// Where the next pull begins.
    pub next_offset: i64,
    /// The lowest offset that is not finished: where the group would go on if this client ended now.
    pub commit_offset: i64,
    /// What the group's offset store is known to have; `None` before the first commit of a new group.
    pub stored_offset: Option<i64>,
    /// Messages in memory, those that listeners have among them.
    pub cached: usize,
    /// The bytes of their bodies.
    pub cached_bytes: usize,
    /// Messages that listeners have.
    pub running: usize,
    /// How long ago the last pull was sent.
    pub since_pull: Option<Duration>,
    /// How long ago a listener last returned.
    pub since_progress: Option<Duration>,
    /// How many messages lie between the first unfinished one and the end of the queue, as the last pull told it; `None` before.
    pub lag: Option<i64>,
    /// Why nothing is pulled or consumed, if that is so.
    pub standing: Option<Standing>,
}

/// Why a queue stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Standing {
    /// The broker's lock is held by another member, or was not answered yet.
    WaitsForLock,
    /// The offset to begin at is being asked for, or a former owner is given time for its last commit.
    WaitsForStart,
    /// The consumer was [suspended](crate::PushConsumer::suspend).
    Suspended,
    /// So many messages are in memory that no more are pulled.
    FullOfMessages,
    /// So many bytes are in memory that no more are pulled.
    FullOfBytes,
    /// One message is unfinished while many behind it are finished.
    WaitsForOne,
    /// A listener asked for a pause.
    Paused,
    /// The broker says that it does not have the offset, and that is looked into.
    Doubtful,
    /// The last pull failed, or was not answered for two minutes.
    Failing,
    /// The broker refuses the last pull, or to say where to begin, for lack of a right. It is asked again every five seconds:
    /// new credentials, or a right that is granted, take effect by themselves.
    Refused,
    /// Its listeners have had messages for a minute, and none of them has returned.
    Stalled,
    /// It goes to another member.
    Leaving,
}

impl From<engine::Standing> for Standing {
    fn from(standing: engine::Standing) -> Standing {
        match standing {
            engine::Standing::WaitsForLock => Standing::WaitsForLock,
            engine::Standing::WaitsForStart => Standing::WaitsForStart,
            engine::Standing::Suspended => Standing::Suspended,
            engine::Standing::Full(Full::Messages) => Standing::FullOfMessages,
            engine::Standing::Full(Full::Bytes) => Standing::FullOfBytes,
            engine::Standing::Full(Full::Span) => Standing::WaitsForOne,
            engine::Standing::Paused => Standing::Paused,
            engine::Standing::Doubtful => Standing::Doubtful,
            engine::Standing::Failing => Standing::Failing,
            engine::Standing::Refused => Standing::Refused,
            engine::Standing::Stalled => Standing::Stalled,
            engine::Standing::Leaving => Standing::Leaving,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Standing::WaitsForLock => "waits for the broker's lock",
            Standing::WaitsForStart => "waits for the offset to begin at",
            Standing::Suspended => "suspended",
            Standing::FullOfMessages => "too many messages in memory",
            Standing::FullOfBytes => "too many bytes in memory",
            Standing::WaitsForOne => "one message is unfinished while many behind it are finished",
            Standing::Paused => "a listener asked for a pause",
            Standing::Doubtful => "the broker says it does not have the offset",
            Standing::Failing => "the last pull failed",
            Standing::Refused => "the broker refuses it for lack of a right",
            Standing::Stalled => "its listeners have not returned for a minute",
            Standing::Leaving => "goes to another member",
        })
    }
}
