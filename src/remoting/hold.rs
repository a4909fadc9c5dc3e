use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Who asks, so that what servers hold for it can be [withdrawn](super::Remoting::withdraw) when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asker(u64);

impl Asker {
    /// One that is no other.
    pub(crate) fn new() -> Asker {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Asker(LAST.fetch_add(1, Ordering::Relaxed))
    }
}

/// How long a server may hold a request before it answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hold {
    pub(crate) time: Duration,
    /// `None` for one that is never withdrawn.
    pub(crate) asker: Option<Asker>,
}

impl Hold {
    pub(crate) fn of(asker: Asker, time: Duration) -> Hold {
        Hold { time, asker: Some(asker) }
    }
}

impl From<Duration> for Hold {
    fn from(time: Duration) -> Hold {
        Hold { time, asker: None }
    }
}
