//! What an engine is told about queues that are popped, and what it wants done with them.

use std::time::{Duration, Instant};

use super::super::event::Spell;
use crate::error::Error;
use crate::message::{MessageQueue, MessageView};

/// The settings of consumers whose queues brokers assign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PopOptions {
    /// How long a popped message is kept from others.
    pub(crate) invisible: Duration,
    /// Messages that one pop asks for.
    pub(crate) batch: usize,
}

/// What a broker says about a topic's queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Assignment {
    /// This member's, by the way in which they are read. Queue -1 stands for all queues of its broker.
    Queues { pull: Vec<MessageQueue>, pop: Vec<MessageQueue> },
    /// It cannot tell; the member keeps what it has.
    Unknown,
    /// It does not know the question: members divide the queues themselves.
    Unsupported,
}

/// A message that was popped, under the number by which the engine knows it: offsets of several queues are alike.
#[derive(Debug, Clone)]
pub(crate) struct Numbered {
    pub(crate) number: u64,
    pub(crate) message: MessageView,
}

/// The answer to a pop.
#[derive(Debug)]
pub(crate) enum Popped {
    /// Messages for listeners, and those that the group's filter refuses; `arrived` is when they came.
    Found {
        messages: Vec<MessageView>,
        refused: Vec<MessageView>,
        arrived: Instant,
    },
    Nothing,
    /// The broker holds as many pops as it can.
    Crowded,
    /// The broker asked for patience (code 215).
    Throttled,
    Failed(Error),
}

/// Something that happened.
#[derive(Debug)]
pub(crate) enum PopEvent {
    Popped {
        spell: Spell,
        ticket: u64,
        popped: Popped,
    },
    /// The broker took note of acknowledgements or of another time, or of a dead letter; or it did not.
    Settled {
        spell: Spell,
        numbers: Vec<u64>,
        done: bool,
    },
}

/// Something to be done.
#[derive(Debug, Clone)]
pub(crate) enum PopAction {
    Pop {
        spell: Spell,
        ticket: u64,
        /// The same for a pop in order that is repeated because its answer did not come: it brings the same messages.
        attempt: u64,
        options: PopOptions,
    },
    /// Tell the broker that these are consumed.
    Ack { spell: Spell, messages: Vec<Numbered> },
    /// Have a message come again after this time.
    ChangeInvisible { spell: Spell, message: Box<Numbered>, invisible: Duration },
    /// Make a message a dead letter; it is acknowledged afterwards.
    Bury { spell: Spell, message: Box<Numbered> },
}
