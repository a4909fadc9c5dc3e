use std::time::{Duration, Instant};

use std::sync::Arc;

use crate::error::{Error, Outcome, Stage};

/// The instant a call must end, made once from the user's `Duration` and shared by everything the call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadline {
    started: Instant,
    at: Instant,
}

impl Deadline {
    pub(crate) fn after(timeout: Duration) -> Deadline {
        Deadline::from(Instant::now(), timeout)
    }

    /// A timeout too long for the clock counts as a year.
    pub(crate) fn from(started: Instant, timeout: Duration) -> Deadline {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        Deadline { started, at: started + timeout.min(YEAR) }
    }

    /// An earlier end of a part of the call; never later than the call's own.
    pub(crate) fn sooner(self, at: Instant) -> Deadline {
        Deadline { at: self.at.min(at), ..self }
    }

    pub(crate) fn at(self) -> Instant {
        self.at
    }

    pub(crate) fn started(self) -> Instant {
        self.started
    }

    pub(crate) fn left(self, now: Instant) -> Duration {
        self.at.saturating_duration_since(now)
    }

    pub(crate) fn is_over(self, now: Instant) -> bool {
        now >= self.at
    }

    /// The error of a call whose deadline passed.
    pub(crate) fn missed(self, stage: Stage, addr: Option<&Arc<str>>, outcome: Outcome) -> Error {
        Error::Timeout { stage, addr: addr.cloned(), after: self.at - self.started, outcome }
    }
}
