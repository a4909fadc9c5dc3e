use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, at, never};

use crate::interrupt::Interrupt;

/// Nobody notices that an interrupt takes so long.
const STEP: Duration = Duration::from_millis(200);

/// What ends consuming besides the count.
#[derive(Debug)]
pub(super) struct End<'a> {
    pub(super) interrupt: &'a Interrupt,
    pub(super) at: Option<Instant>,
}

impl End<'_> {
    /// Whether the user asked for the end, or the time is over.
    pub(super) fn has_come(&self) -> bool {
        self.interrupt.happened() || self.left().is_zero()
    }

    /// How much time is left.
    pub(super) fn left(&self) -> Duration {
        self.at.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
    }

    /// How long to wait for a message before the end is looked for again.
    pub(super) fn step(&self) -> Duration {
        self.left().min(STEP)
    }

    /// A channel that has a value when the time is over.
    pub(super) fn over(&self) -> Receiver<Instant> {
        self.at.map_or_else(never, at)
    }
}
