//! Simulated time: what is to happen, in the order in which it does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Names something that is to happen.
pub(super) type Date = (Instant, u64);

pub(super) struct Clock<T> {
    pub(super) now: Instant,
    agenda: BTreeMap<Date, T>,
    last: u64,
}

impl<T> Clock<T> {
    pub(super) fn new() -> Clock<T> {
        Clock { now: Instant::now(), agenda: BTreeMap::new(), last: 0 }
    }

    pub(super) fn at(&mut self, at: Instant, what: T) -> Date {
        self.last += 1;
        let date = (at.max(self.now), self.last);
        self.agenda.insert(date, what);
        date
    }

    pub(super) fn after(&mut self, millis: u64, what: T) -> Date {
        self.at(self.now + Duration::from_millis(millis), what)
    }

    pub(super) fn cancel(&mut self, date: Date) {
        self.agenda.remove(&date);
    }

    /// What happens next, if it does until `until`; the time is then.
    pub(super) fn next(&mut self, until: Instant) -> Option<T> {
        let next = self.agenda.first_entry().filter(|next| next.key().0 <= until);
        let Some(next) = next else {
            self.now = self.now.max(until);
            return None;
        };
        self.now = next.key().0;
        Some(next.remove())
    }
}
