//! Whether listeners are so quick that they would spend their time waiting for the next batch. Pure.

use std::time::Duration;

/// A batch that comes back this soon was consumed quickly.
const QUICK: Duration = Duration::from_millis(5);
/// So many of them in a row make listeners quick.
const IN_A_ROW: u32 = 32;

#[derive(Debug, Default)]
pub(super) struct Pace {
    in_a_row: u32,
}

impl Pace {
    /// A batch came back after this time.
    pub(super) fn ended(&mut self, took: Duration) {
        self.in_a_row = if took < QUICK { (self.in_a_row + 1).min(IN_A_ROW) } else { 0 };
    }

    /// How many batches may be out at once when so many listeners can run: quick ones find another as soon as they end, and
    /// the rest of them never wait long for a listener.
    pub(super) fn batches(&self, listeners: usize) -> usize {
        if self.in_a_row == IN_A_ROW { listeners.saturating_mul(3) } else { listeners }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_get_batches_ahead_once_they_are_quick_and_none_after_a_slow_one() {
        let mut pace = Pace::default();
        for _ in 0..IN_A_ROW {
            assert_eq!(pace.batches(4), 4);
            pace.ended(Duration::from_micros(10));
        }
        assert_eq!(pace.batches(4), 12);
        pace.ended(QUICK);
        assert_eq!(pace.batches(4), 4);
    }
}
