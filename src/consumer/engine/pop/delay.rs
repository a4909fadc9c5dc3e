//! When a message that failed comes again. Pure.

use std::time::Duration;

/// Java's table for messages that were popped (`ConsumeMessagePopConcurrentlyService`), in seconds.
const SECONDS: [u64; 16] = [10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200];

/// The pause before the next delivery of a message that was delivered again `reconsume_times` before. A `level` other than 0
/// stands for a place of the table, counted from 0 as in Java.
pub(super) fn retry_delay(level: i32, reconsume_times: i32) -> Duration {
    let place = if level == 0 { reconsume_times } else { level };
    let place = usize::try_from(place).unwrap_or(0).min(SECONDS.len() - 1);
    Duration::from_secs(SECONDS[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_waits_longer_with_every_failure_and_never_longer_than_the_table() {
        let seconds = |level, times| retry_delay(level, times).as_secs();
        for (level, times, expected) in
            [(0, 0, 10), (0, 1, 30), (0, 2, 60), (0, 15, 7200), (0, 16, 7200), (0, i32::MAX, 7200), (0, -1, 10)]
        {
            assert_eq!(seconds(level, times), expected, "level {level}, {times} times");
        }
        for (level, expected) in [(1, 30), (3, 120), (15, 7200), (18, 7200), (-1, 10)] {
            assert_eq!(seconds(level, 7), expected, "level {level}");
        }
    }
}
