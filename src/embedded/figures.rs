//! What a broker counts, by what it counts and for whom: messages stored and handed out.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Java's names for what is counted.
pub(super) mod figure {
    pub(in crate::embedded) const TOPIC_PUT_NUMS: &str = "TOPIC_PUT_NUMS";
    pub(in crate::embedded) const TOPIC_PUT_SIZE: &str = "TOPIC_PUT_SIZE";
    pub(in crate::embedded) const BROKER_PUT_NUMS: &str = "BROKER_PUT_NUMS";
    pub(in crate::embedded) const BROKER_GET_NUMS: &str = "BROKER_GET_NUMS";
    pub(in crate::embedded) const GROUP_GET_NUMS: &str = "GROUP_GET_NUMS";
    pub(in crate::embedded) const GROUP_GET_SIZE: &str = "GROUP_GET_SIZE";
}

/// Counts older than this are forgotten but for their sum.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Counts that are so near to each other are kept as one.
const GRAIN: Duration = Duration::from_secs(1);

/// Sums by name and key.
#[derive(Debug, Default)]
pub(super) struct Figures {
    all: Mutex<HashMap<&'static str, HashMap<Arc<str>, Counted>>>,
}

/// One sum, and what it consists of lately.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) total: u64,
    /// Amounts, and in how many parts they came.
    steps: VecDeque<(Instant, u64, u64)>,
}

/// An amount within a period.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Amount {
    pub(super) sum: u64,
    pub(super) parts: u64,
}

impl Counted {
    fn add(&mut self, amount: u64, now: Instant) {
        self.total += amount;
        match self.steps.back_mut() {
            Some((at, sum, parts)) if now.saturating_duration_since(*at) < GRAIN => {
                *sum += amount;
                *parts += 1;
            }
            _ => self.steps.push_back((now, amount, 1)),
        }
        while self.steps.front().is_some_and(|(at, ..)| now.saturating_duration_since(*at) > KEPT) {
            self.steps.pop_front();
        }
    }

    /// What was counted within the last `period`.
    pub(super) fn within(&self, period: Duration, now: Instant) -> Amount {
        let lately = self.steps.iter().rev().take_while(|(at, ..)| now.saturating_duration_since(*at) <= period);
        lately.fold(Amount::default(), |amount, (_, sum, parts)| Amount {
            sum: amount.sum + sum,
            parts: amount.parts + parts,
        })
    }
}

impl Figures {
    pub(super) fn add(&self, name: &'static str, key: &Arc<str>, amount: u64) {
        let mut all = self.lock();
        let keys = all.entry(name).or_default();
        let now = Instant::now();
        match keys.get_mut(key) {
            Some(counted) => counted.add(amount, now),
            None => keys.entry(key.clone()).or_default().add(amount, now),
        }
    }

    /// Looks at a sum; `None` when nothing was ever counted under that name and key.
    pub(super) fn look<T>(&self, name: &str, key: &str, at: impl FnOnce(&Counted) -> T) -> Option<T> {
        self.lock().get(name)?.get(key).map(at)
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, HashMap<Arc<str>, Counted>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_summed_in_all_and_lately() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut counted = Counted::default();
        counted.add(5, at(0));
        counted.add(2, at(0));
        counted.add(3, at(50));
        assert_eq!(counted.within(Duration::from_secs(60), at(55)), Amount { sum: 10, parts: 3 });
        assert_eq!(counted.within(Duration::from_secs(10), at(55)), Amount { sum: 3, parts: 1 });
        counted.add(1, at(2 * 24 * 3600));
        assert_eq!((counted.total, counted.steps.len()), (11, 1));
    }
}
