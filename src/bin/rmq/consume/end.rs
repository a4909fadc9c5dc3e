use std::time::Instant;

use crossbeam_channel::{Receiver, at, never};

use crate::interrupt::Interrupt;

/// What ends consuming besides the count.
#[derive(Debug)]
pub(super) struct End<'a> {
    pub(super) interrupt: &'a Interrupt,
    pub(super) at: Option<Instant>,
}

impl End<'_> {
    /// A channel that has a value when the time is over.
    pub(super) fn over(&self) -> Receiver<Instant> {
        self.at.map_or_else(never, at)
    }
}
