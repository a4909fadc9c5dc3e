//! Rates over the last minute, from looks at counts that only grow. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far apart looks are kept.
const STEP: Duration = Duration::from_secs(10);
/// How far back rates go.
const SPAN: Duration = Duration::from_secs(60);

/// The counts of one topic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) pulled: u64,
    pub(super) pulls: u64,
    pub(super) pull_micros: u64,
    pub(super) consumed: u64,
    pub(super) failed: u64,
    pub(super) calls: u64,
    pub(super) call_micros: u64,
}

impl Sums {
    fn since(self, former: Sums) -> Sums {
        Sums {
            pulled: self.pulled.saturating_sub(former.pulled),
            pulls: self.pulls.saturating_sub(former.pulls),
            pull_micros: self.pull_micros.saturating_sub(former.pull_micros),
            consumed: self.consumed.saturating_sub(former.consumed),
            failed: self.failed.saturating_sub(former.failed),
            calls: self.calls.saturating_sub(former.calls),
            call_micros: self.call_micros.saturating_sub(former.call_micros),
        }
    }
}

/// What happened within the span that is looked back on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recent {
    pub(super) sums: Sums,
    pub(super) span: Duration,
}

impl Recent {
    pub(super) fn per_second(&self, count: u64) -> f64 {
        // A rate over the first moments would be a rumour.
        count as f64 / self.span.as_secs_f64().max(1.0)
    }

    pub(super) fn mean(micros: u64, count: u64) -> Duration {
        Duration::from_micros(micros / count.max(1))
    }
}

/// Former looks at the counts, the oldest first.
#[derive(Debug)]
pub(super) struct Looks {
    kept: VecDeque<(Instant, Sums)>,
}

impl Looks {
    pub(super) fn new(now: Instant) -> Looks {
        Looks { kept: VecDeque::from([(now, Sums::default())]) }
    }

    /// Keeps a look, unless the last one is younger than ten seconds.
    pub(super) fn keep(&mut self, sums: Sums, now: Instant) {
        if self.kept.back().is_some_and(|(last, _)| now.saturating_duration_since(*last) < STEP) {
            return;
        }
        self.kept.push_back((now, sums));
        // The oldest one that is kept is the youngest of those that lie far enough back.
        while self.kept.get(1).is_some_and(|(second, _)| now.saturating_duration_since(*second) >= SPAN) {
            self.kept.pop_front();
        }
    }

    pub(super) fn recent(&self, sums: Sums, now: Instant) -> Recent {
        let (at, former) = self.kept.front().copied().unwrap_or((now, sums));
        Recent { sums: sums.since(former), span: now.saturating_duration_since(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumed(consumed: u64) -> Sums {
        Sums { consumed, ..Sums::default() }
    }

    #[test]
    fn a_rate_is_that_of_the_last_minute_however_long_before_was_busy() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut looks = Looks::new(start);
        // A hundred a second for two minutes, then ten a second.
        for second in 1..=120 {
            looks.keep(consumed(second * 100), at(second));
        }
        let recent = looks.recent(consumed(12_000), at(120));
        assert_eq!(recent.per_second(recent.sums.consumed), 100.0);
        for second in 1..=70 {
            looks.keep(consumed(12_000 + second * 10), at(120 + second));
        }
        let recent = looks.recent(consumed(12_700), at(190));
        assert_eq!(recent.per_second(recent.sums.consumed), 10.0);
        assert!(looks.kept.len() <= 8, "{}", looks.kept.len());
    }

    #[test]
    fn the_first_second_is_taken_for_a_whole_one() {
        let start = Instant::now();
        let recent = Looks::new(start).recent(consumed(50), start + Duration::from_millis(1));
        assert_eq!(recent.per_second(recent.sums.consumed), 50.0);
    }
}
