//! What an engine is told, and what it wants done. Everything that takes time happens between an action and its event.

use std::sync::Arc;
use std::time::Duration;

use super::correction::{Bounds, Illegal};
use super::pop::{Assignment, PopAction, PopEvent};
use crate::error::Error;
use crate::message::{MessageQueue, MessageView};

/// The readable queues of a topic, sorted; shared, because there may be many.
pub(crate) type AllQueues = Arc<[MessageQueue]>;

/// A queue in one spell of being consumed here. What arrives for a former spell is recognised by its epoch, and ignored.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Spell {
    pub(crate) queue: MessageQueue,
    pub(crate) epoch: u64,
}

/// Messages that one call of a listener gets, all of one queue.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) spell: Spell,
    pub(crate) messages: Vec<MessageView>,
}

/// What a listener said about its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All messages are consumed.
    Success,
    /// The first `consumed` are; the others are to come later: at a delay level of the broker, 0 leaves it to the broker,
    /// a negative one makes them dead letters.
    Later { consumed: usize, delay_level: i32 },
    /// The batch is to come again after a time, and its queue waits for it (orderly only).
    Suspend(Option<Duration>),
}

/// The answer to a pull.
#[derive(Debug)]
pub(crate) enum Pulled {
    /// Messages, none of which need be wanted by the filter.
    Found {
        messages: Vec<MessageView>,
        next: i64,
    },
    /// The end of the queue is reached.
    Nothing {
        next: i64,
    },
    Illegal(Illegal),
    /// The broker asked for patience (code 215).
    Throttled,
    Failed(Error),
}

/// Where a queue begins, as the offset store and the group's settings have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) offset: i64,
    /// What the store had; `None` for a group that is new to the queue.
    pub(crate) stored: Option<i64>,
}

/// What callers of a lite pull consumer have of a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// The lowest offset that somebody has and has not finished.
    pub(crate) floor: Option<i64>,
    /// Whether that is expected to be finished; what was abandoned is not.
    pub(crate) busy: bool,
}

/// What became of something a caller waits for.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Done,
    /// The store has this offset; none where nothing was consumed yet.
    Committed(Option<i64>),
    /// This member does not have the queue.
    NotHere,
    /// The offset store did not take the offset.
    Failed(Error),
}

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// The subscribed topics, each with its readable queues; `None` for one whose route is not known.
    Topics(Vec<(Arc<str>, Option<AllQueues>)>),
    /// The members of the group, as a broker of the topic knows them.
    Members {
        topic: Arc<str>,
        members: Result<Vec<Arc<str>>, Error>,
    },
    /// What a broker of the topic says this member is to have.
    Assigned {
        topic: Arc<str>,
        assignment: Result<Assignment, Error>,
    },
    Pop(PopEvent),
    /// Members came or went, or a connection was made.
    Disturbed,
    /// A topic has another filter: what is on its way was asked for with the old one.
    Refiltered {
        topic: Arc<str>,
    },
    Started {
        spell: Spell,
        start: Result<Start, Error>,
    },
    Locked {
        spell: Spell,
        given: Option<bool>,
    },
    /// Whether the broker knows that a lock is given back.
    Unlocked {
        queue: MessageQueue,
        done: bool,
    },
    Pulled {
        spell: Spell,
        ticket: u64,
        pulled: Pulled,
    },
    Bounds {
        spell: Spell,
        bounds: Option<Bounds>,
    },
    Consumed {
        spell: Spell,
        offsets: Vec<i64>,
        verdict: Verdict,
    },
    /// A filter dropped messages of a batch that a listener is about to get.
    Dropped {
        spell: Spell,
        offsets: Vec<i64>,
    },
    /// The broker took a message back, or did not.
    HandedBack {
        spell: Spell,
        offset: i64,
        done: bool,
    },
    Committed {
        spell: Spell,
        result: Result<(), Error>,
    },
    /// Callers took messages of a queue, or finished some.
    Taken {
        spell: Spell,
        offsets: Vec<i64>,
        held: Held,
    },
    /// What nobody had taken yet is dropped, as [`Action::Recall`] wants it.
    Recalled {
        spell: Spell,
        held: Held,
    },
    /// A caller wants a queue to go on elsewhere, and waits for [`Action::Answer`].
    Seek {
        queue: MessageQueue,
        offset: i64,
        ask: u64,
    },
    /// A caller wants an offset committed, or what is finished, and waits for [`Action::Answer`].
    Commit {
        queue: MessageQueue,
        offset: Option<i64>,
        ask: u64,
    },
    /// Callers want nothing of these queues, or want it again.
    Paused {
        queues: Vec<MessageQueue>,
        paused: bool,
    },
    /// These are the queues, whoever else is in the group.
    Assign(Vec<MessageQueue>),
    /// An operator moves queues to other offsets.
    Reset(Vec<(MessageQueue, i64)>),
    /// Pulling and rebalancing stop, or go on.
    Suspended(bool),
    /// No new work; listeners under way have this long.
    Close {
        grace: Duration,
    },
    /// Time has passed.
    Tick,
}

/// Something to be done.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Ask a broker of the topic who is in the group.
    FetchMembers {
        topic: Arc<str>,
    },
    /// Ask a broker of the topic which queues this member is to have.
    FetchAssignment {
        topic: Arc<str>,
        strategy: Arc<str>,
    },
    /// What failed while the topic was popped waits in a topic of its own: that is to be pulled, or not any more because
    /// pops bring it.
    Leftovers {
        topic: Arc<str>,
        wanted: bool,
    },
    Pop(PopAction),
    /// Tell all brokers at once what this client consumes: its queues changed, or they do not know it.
    Heartbeat,
    /// Find out where the queue begins.
    FindStart {
        spell: Spell,
    },
    Lock {
        spell: Spell,
    },
    /// Give the lock back; [`Event::Unlocked`] says whether the broker was reached.
    Unlock {
        queue: MessageQueue,
    },
    Pull {
        spell: Spell,
        offset: i64,
        ticket: u64,
    },
    /// Ask the master of the queue for its smallest and largest offset.
    FindBounds {
        spell: Spell,
    },
    Consume(Batch),
    /// Give a message to the broker for a later delivery. `dead` makes it a dead letter.
    HandBack {
        spell: Spell,
        message: Box<MessageView>,
        delay_level: i32,
        repeats: i32,
        dead: bool,
    },
    Commit {
        spell: Spell,
        offset: i64,
    },
    /// The queue is given up, and its last offset is committed.
    Left {
        queue: MessageQueue,
    },
    /// The queues of a topic that this member has are others now.
    Changed {
        topic: Arc<str>,
        all: AllQueues,
        mine: Vec<MessageQueue>,
    },
    /// The queue is given up: drop what nobody has taken yet, and say what callers have.
    Recall {
        spell: Spell,
    },
    /// Tell a caller, after everything before is done.
    Answer {
        ask: u64,
        answer: Answer,
    },
    /// The broker will not give the messages of a queue, however often it is asked.
    Refused {
        queue: MessageQueue,
        error: Error,
    },
    /// A queue goes on at another offset than it would have.
    Moved {
        queue: MessageQueue,
        from: i64,
        to: i64,
        why: Why,
    },
    /// All queues are given up; nothing follows.
    Closed,
}

/// Why a queue goes on elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// An operator reset the group.
    Reset,
    /// The broker does not have the messages.
    Missing,
    /// A caller wants it.
    Sought,
}
