//! Which connections to doubt, and how to ask them.

use std::time::{Duration, Instant};

/// What is known of a connection at some moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signs {
    /// When the last byte was received, or when it was made.
    pub(super) last_received: Instant,
    /// When the first of the answers that have not come was to be expected; `None` when nobody waits.
    pub(super) earliest_expected: Option<Instant>,
    /// A call timed out since the last byte.
    pub(super) suspect: bool,
}

/// Whether to probe a connection: nothing came for `silence` beyond the earliest expected answer, or a call has just timed
/// out. One timed-out call alone closes nothing.
pub(super) fn is_doubtful(signs: Signs, silence: Duration, now: Instant) -> bool {
    let quiet = |since: Instant| now.saturating_duration_since(since) >= silence;
    let overdue = signs.earliest_expected.is_some_and(|expected| quiet(expected.max(signs.last_received)));
    overdue || signs.suspect
}

/// How long to wait before connecting again after so many failures in a row: doubling from 50 ms to 1 s, with a quarter of
/// jitter either way (`random` is 0 to 1), so that many clients do not come back at the same instant.
///
/// No longer, because calls have 3 s by default: one that cannot wait for the next attempt fails with the last refusal, and
/// that may be of a server that is back.
pub(super) fn back_off(failures: u32, random: f64) -> Duration {
    const FIRST: Duration = Duration::from_millis(50);
    const LAST: Duration = Duration::from_secs(1);
    if failures == 0 {
        return Duration::ZERO;
    }
    let whole = FIRST.saturating_mul(1 << (failures - 1).min(10)).min(LAST);
    whole.mul_f64(0.75 + random / 2.0).min(LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_from_the_answer_that_was_to_be_expected() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let silence = Duration::from_secs(5);
        let signs = |expected: Option<u64>, received, suspect| Signs {
            last_received: at(received),
            earliest_expected: expected.map(at),
            suspect,
        };
        assert!(!is_doubtful(signs(None, 0, false), silence, at(100)), "nobody waits");
        assert!(!is_doubtful(signs(Some(10), 0, false), silence, at(14)));
        assert!(is_doubtful(signs(Some(10), 0, false), silence, at(15)));
        assert!(!is_doubtful(signs(Some(10), 12, false), silence, at(15)), "something came");
        assert!(is_doubtful(signs(None, 12, true), silence, at(12)), "a call has timed out");
    }

    #[test]
    fn the_pause_doubles_up_to_a_second() {
        assert_eq!(back_off(0, 0.5), Duration::ZERO);
        assert_eq!(back_off(1, 0.5), Duration::from_millis(50));
        assert_eq!(back_off(3, 0.5), Duration::from_millis(200));
        assert_eq!(back_off(3, 0.0), Duration::from_millis(150));
        assert_eq!(back_off(u32::MAX, 1.0), Duration::from_secs(1));
    }
}
