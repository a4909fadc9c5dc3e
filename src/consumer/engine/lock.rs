//! The lock a broker gives for a queue that is consumed in order. Pure.

use std::time::{Duration, Instant};

/// How long a lock counts from the moment it was asked for. Brokers keep it for 60 s; the difference is what keeps two
/// owners apart when the one that lost touch does not know it yet.
const LIFE: Duration = Duration::from_secs(30);
/// When a held lock is asked for again.
const RENEW: Duration = Duration::from_secs(20);
/// When a lock that somebody else holds is asked for again, and one whose request failed.
const RETRY: Duration = Duration::from_millis(1000);

/// What an answer about a lock meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Granted {
    /// It was held without interruption.
    Still,
    /// It is held now, and somebody else may have had it before.
    Anew,
    /// Somebody else has it.
    No,
    /// Nothing is known; a lock that is held goes on until it expires.
    Unknown,
}

#[derive(Debug)]
pub(crate) struct Lock {
    until: Option<Instant>,
    asked: Option<Instant>,
    ask_at: Instant,
    /// Whether an answer got lost after the last one that came.
    doubted: bool,
}

impl Lock {
    pub(crate) fn new(now: Instant) -> Lock {
        Lock { until: None, asked: None, ask_at: now, doubted: false }
    }

    pub(crate) fn is_held(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Whether the broker may have given it: also when it has expired here, and when no answer came.
    pub(crate) fn may_be_given(&self) -> bool {
        self.until.is_some() || self.asked.is_some() || self.doubted
    }

    /// Whether the broker is to be asked now; takes note that it is.
    pub(crate) fn ask(&mut self, now: Instant) -> bool {
        if self.asked.is_some() || now < self.ask_at {
            return false;
        }
        self.asked = Some(now);
        true
    }

    /// Takes an answer: whether the broker gave the lock, or nothing when it could not be asked.
    pub(crate) fn answered(&mut self, given: Option<bool>, now: Instant) -> Granted {
        let Some(asked) = self.asked.take() else { return Granted::Unknown };
        let was_held = self.is_held(now);
        self.doubted = given.is_none();
        match given {
            Some(true) => {
                self.until = Some(asked + LIFE);
                self.ask_at = asked + RENEW;
                if was_held { Granted::Still } else { Granted::Anew }
            }
            Some(false) => {
                self.until = None;
                self.ask_at = now + RETRY;
                Granted::No
            }
            None => {
                self.ask_at = now + RETRY;
                Granted::Unknown
            }
        }
    }

    /// When something changes by itself: the lock is to be asked for, or expires.
    pub(crate) fn next_at(&self, now: Instant) -> Option<Instant> {
        let ask = self.asked.is_none().then_some(self.ask_at);
        let expiry = self.until.filter(|until| *until > now);
        ask.into_iter().chain(expiry).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_counts_from_when_it_was_asked_for_and_is_renewed_in_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut lock = Lock::new(start);
        assert!(lock.ask(start) && !lock.ask(at(1)), "one question at a time");
        assert_eq!(lock.answered(Some(true), at(4)), Granted::Anew);
        assert!(lock.is_held(at(29)) && !lock.is_held(at(30)));
        assert!(!lock.ask(at(19)) && lock.ask(at(20)));
        assert_eq!(lock.answered(Some(true), at(21)), Granted::Still);
        assert!(lock.is_held(at(49)) && !lock.is_held(at(50)));
    }

    #[test]
    fn a_lock_whose_renewal_fails_goes_on_until_it_expires() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut lock = Lock::new(start);
        lock.ask(start);
        lock.answered(Some(true), start);
        lock.ask(at(20));
        assert_eq!(lock.answered(None, at(22)), Granted::Unknown);
        assert!(lock.is_held(at(29)) && lock.ask(at(23)));
        assert_eq!(lock.answered(Some(true), at(31)), Granted::Anew, "it had expired in between");
        lock.ask(at(50));
        assert_eq!(lock.answered(Some(false), at(50)), Granted::No);
        assert!(!lock.is_held(at(50)));
    }

    #[test]
    fn a_broker_may_have_given_a_lock_until_it_says_that_it_has_not() {
        let start = Instant::now();
        let mut lock = Lock::new(start);
        assert!(!lock.may_be_given(), "never asked for");
        lock.ask(start);
        assert!(lock.may_be_given(), "the answer is under way");
        lock.answered(None, start);
        assert!(lock.may_be_given(), "it got lost");
        lock.ask(start + RETRY);
        lock.answered(Some(false), start + RETRY);
        assert!(!lock.may_be_given());
        lock.ask(start + RETRY * 2);
        lock.answered(Some(true), start + RETRY * 2);
        assert!(lock.may_be_given() && !lock.is_held(start + LIFE * 2), "brokers keep it for longer");
    }
}
