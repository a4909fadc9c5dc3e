//! Listeners of a queue that do not return. Pure.

use std::time::{Duration, Instant};

/// Listeners that take longer are told of.
const LIMIT: Duration = Duration::from_secs(60);

/// Since when listeners have messages of a queue and none has returned.
#[derive(Debug, Default)]
pub(super) struct Stall {
    since: Option<Instant>,
    told: bool,
}

impl Stall {
    pub(super) fn handed_out(&mut self, now: Instant) {
        self.since = self.since.or(Some(now));
    }

    /// A listener has returned; `busy` says whether others still have messages. True when it had been told of.
    pub(super) fn returned(&mut self, busy: bool, now: Instant) -> bool {
        self.since = busy.then_some(now);
        std::mem::take(&mut self.told)
    }

    pub(super) fn is_there(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now >= since + LIMIT)
    }

    /// Whether it is to be told now, which it is once.
    pub(super) fn tell(&mut self, now: Instant) -> bool {
        self.is_there(now) && !std::mem::replace(&mut self.told, true)
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.since.map(|since| since + LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_told_once_and_its_end_too() {
        let (start, mut stall) = (Instant::now(), Stall::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        stall.handed_out(at(0));
        stall.handed_out(at(30));
        assert!(!stall.tell(at(59)) && stall.tell(at(60)) && !stall.tell(at(61)) && stall.is_there(at(61)));
        assert!(stall.returned(true, at(70)), "one is back, another still runs");
        assert!(!stall.is_there(at(129)) && stall.tell(at(130)));
        assert!(stall.returned(false, at(131)) && !stall.returned(false, at(132)));
        assert_eq!(stall.next_at(), None);
    }
}
