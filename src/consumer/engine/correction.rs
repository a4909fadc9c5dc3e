//! What to do when a broker says that it does not have the offset it was asked for (code 21). Pure.
//!
//! It may be right: old messages expired, an operator reset the group, or messages were lost. It may also be a slave that
//! lags behind, or a broker that has just started and has not read its store yet; a client that follows those consumes a
//! queue from its beginning.

use std::time::{Duration, Instant};

/// How long a queue waits before it follows a broker that cannot prove what it says.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The answer to a pull with an offset that the broker does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Illegal {
    pub(crate) asked: i64,
    /// Where the broker wants the client to go on.
    pub(crate) next: i64,
    pub(crate) max: i64,
    pub(crate) from_master: bool,
}

/// The smallest and the largest offset, asked of the master by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) min: i64,
    pub(crate) max: i64,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Correction {
    /// Go on at this offset.
    Follow(i64),
    /// Ask the master for its bounds.
    Confirm,
    /// Pull again later.
    Wait,
}

/// Decides. `bounds` is what the master said, if it was asked, `since` when this queue got the first such answer in a row.
pub(crate) fn decide(illegal: Illegal, bounds: Option<Bounds>, since: Instant, now: Instant) -> Correction {
    let Illegal { asked, next, max, from_master } = illegal;
    // Forward: what lay between has expired. No message is consumed twice by that.
    if next >= asked && from_master {
        return Correction::Follow(next);
    }
    // The master has our offset and still sends us elsewhere: the group was reset.
    if from_master && max >= asked {
        return Correction::Follow(next);
    }
    match bounds {
        Some(Bounds { min, max }) if max > 0 && max < asked => Correction::Follow(next.clamp(min, max)),
        // Reading on from a slave would have led here; the master has what we asked for.
        Some(Bounds { min, max }) if max >= asked && min <= asked => Correction::Wait,
        Some(Bounds { min, .. }) if min > asked => Correction::Follow(min),
        _ if now.saturating_duration_since(since) >= PATIENCE => Correction::Follow(next),
        Some(_) => Correction::Wait,
        None => Correction::Confirm,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(illegal: Illegal, bounds: Option<(i64, i64)>, waited: u64) -> Correction {
        let now = Instant::now() + PATIENCE;
        let bounds = bounds.map(|(min, max)| Bounds { min, max });
        decide(illegal, bounds, now - Duration::from_secs(waited), now)
    }

    const LOST: Illegal = Illegal { asked: 100, next: 40, max: 40, from_master: true };

    #[test]
    fn expired_messages_are_passed_and_resets_followed_at_once() {
        assert_eq!(decided(Illegal { next: 150, max: 200, ..LOST }, None, 0), Correction::Follow(150));
        assert_eq!(decided(Illegal { next: 10, max: 200, ..LOST }, None, 0), Correction::Follow(10));
    }

    #[test]
    fn going_back_wants_proof_from_the_master() {
        assert_eq!(decided(LOST, None, 0), Correction::Confirm);
        assert_eq!(decided(LOST, Some((0, 40)), 0), Correction::Follow(40));
        assert_eq!(decided(LOST, Some((0, 500)), 0), Correction::Wait);
        let slave = Illegal { from_master: false, ..LOST };
        assert_eq!(decided(slave, None, 0), Correction::Confirm);
        assert_eq!(decided(slave, Some((0, 100)), 0), Correction::Wait);
        assert_eq!(decided(Illegal { next: 150, ..slave }, Some((120, 200)), 0), Correction::Follow(120));
    }

    #[test]
    fn an_empty_queue_proves_nothing_for_a_minute() {
        let empty = Illegal { next: 0, max: 0, ..LOST };
        assert_eq!(decided(empty, None, 0), Correction::Confirm);
        assert_eq!(decided(empty, Some((0, 0)), 59), Correction::Wait);
        assert_eq!(decided(empty, Some((0, 0)), 60), Correction::Follow(0));
        assert_eq!(decided(empty, None, 60), Correction::Follow(0));
    }
}
