//! One attempt of a caller who waits.

use std::sync::Arc;
use std::time::Instant;

use super::connection::Connection;
use super::deadline::Deadline;
use super::slot::Slot;
use crate::error::{Error, Outcome, Result, Stage};
use crate::protocol::frame::Frame;

/// One attempt under way whose end goes to a slot.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(super) connection: Arc<Connection>,
    pub(super) opaque: i32,
}

impl Ticket {
    /// Waits until the slot has an end, or `until`.
    pub(crate) fn wait(&self, slot: &Slot, until: Instant) {
        self.connection.wait(slot, until);
    }

    /// Gives the attempt up; `None` when it ended in the same moment, and the slot has its end.
    pub(crate) fn abandon(&self) -> Option<(Stage, Outcome)> {
        self.connection.abandon(self.opaque)
    }

    /// Waits for the answer of a call with one attempt, and gives it up at the deadline.
    pub(super) fn end(&self, slot: &Slot, deadline: Deadline) -> Result<Frame> {
        self.wait(slot, deadline.at());
        let ended = match slot.take() {
            Some(ended) => Some(ended),
            None => match self.abandon() {
                Some((stage, outcome)) => return Err(deadline.missed(stage, Some(&self.connection.addr), outcome)),
                // It ended between the two looks; whoever ended it is about to tell.
                None => {
                    slot.park(Slot::is_ready, Instant::now() + self.connection.options.probe_timeout);
                    slot.take()
                }
            },
        };
        ended.ok_or(Error::Closed { outcome: Outcome::Unknown })?.1
    }
}
