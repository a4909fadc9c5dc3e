//! What becomes of a message that a listener had. Pure.

use std::time::Duration;

use super::super::event::Verdict;
use super::super::options::{EngineOptions, Order};
use crate::message::MessageView;

/// What the broker is to be told about a message that a listener is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Ack,
    Again(Duration),
    Bury,
}

/// How often a message of a concurrent consumer is delivered again unless its group says otherwise.
const MAX_RECONSUME_TIMES: i32 = 16;

/// Java's table for messages that were popped (`ConsumeMessagePopConcurrentlyService`), in seconds.
const SECONDS: [u64; 16] = [10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200];

/// The pause before the next delivery of a message that was delivered again `reconsume_times` before. A `level` other than 0
/// stands for a place of the table, counted from 0 as in Java.
fn retry_delay(level: i32, reconsume_times: i32) -> Duration {
    let place = if level == 0 { reconsume_times } else { level };
    let place = usize::try_from(place).unwrap_or(0).min(SECONDS.len() - 1);
    Duration::from_secs(SECONDS[place])
}

/// How long an orderly queue stands still after a failure.
pub(super) fn pause(verdict: Verdict, options: &EngineOptions) -> Duration {
    match verdict {
        Verdict::Suspend(Some(pause)) => pause,
        _ => options.suspend,
    }
}

/// What becomes of one message of a batch.
pub(super) fn fate(message: &MessageView, place: usize, verdict: Verdict, options: &EngineOptions) -> Fate {
    let tries = message.reconsume_times();
    let often_enough = |max: Option<i32>| max.is_some_and(|max| tries >= max);
    // No listener will ever make anything of it, so it must not hold up the queue for ever.
    let damaged = || message.check_body().is_err().then_some(MAX_RECONSUME_TIMES);
    match (verdict, options.order) {
        (Verdict::Success, _) => Fate::Ack,
        (_, Order::Orderly) if often_enough(options.max_reconsume.or_else(damaged)) => Fate::Bury,
        (_, Order::Orderly) => Fate::Again(pause(verdict, options)),
        (Verdict::Later { consumed, .. }, _) if place < consumed => Fate::Ack,
        (Verdict::Later { delay_level, .. }, _) if delay_level < 0 => Fate::Bury,
        _ if often_enough(Some(options.max_reconsume.unwrap_or(MAX_RECONSUME_TIMES))) => Fate::Bury,
        (Verdict::Later { delay_level, .. }, _) => Fate::Again(retry_delay(delay_level, tries)),
        (Verdict::Suspend(Some(pause)), _) => Fate::Again(pause),
        (Verdict::Suspend(None), _) => Fate::Again(retry_delay(0, tries)),
    }
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
