//! What becomes of messages that a listener had: finished, consumed again, or handed back to the broker.

use std::time::{Duration, Instant};

use super::{Queue, Return};
use crate::consumer::engine::event::Verdict;
use crate::consumer::engine::options::{EngineOptions, MessageModel, Order};

/// When a message that the broker did not take back is offered again.
const HAND_BACK_DELAY: Duration = Duration::from_secs(5);
/// How often an orderly consumer tries a message with a damaged body when it is not told a limit: as often as brokers deliver
/// to others.
const DAMAGED_TRIES: i32 = 16;

impl Queue {
    /// Takes what a listener said. What was decided about a message meanwhile, stands.
    pub(in crate::consumer::engine) fn consumed(
        &mut self,
        offsets: &[i64],
        verdict: Verdict,
        options: &EngineOptions,
        now: Instant,
    ) {
        self.last_progress = Some(now);
        let offsets: Vec<i64> = offsets.iter().copied().filter(|offset| self.cache.is_running(*offset)).collect();
        match (verdict, options.order) {
            (Verdict::Success, _) => offsets.iter().for_each(|offset| self.cache.finish(*offset)),
            (Verdict::Later { consumed, delay_level }, Order::Concurrent | Order::Elsewhere | Order::Polled { .. }) => {
                let (done, failed) = offsets.split_at(consumed.min(offsets.len()));
                done.iter().for_each(|offset| self.cache.finish(*offset));
                for offset in failed {
                    self.hand_back(*offset, delay_level, options, now);
                }
            }
            (Verdict::Suspend(_), Order::Concurrent | Order::Elsewhere | Order::Polled { .. }) => {
                offsets.iter().for_each(|offset| self.hand_back(*offset, 0, options, now));
            }
            (Verdict::Later { .. }, Order::Orderly) => self.suspend(&offsets, None, options, now),
            (Verdict::Suspend(pause), Order::Orderly) => self.suspend(&offsets, pause, options, now),
        }
        if self.stall.returned(self.cache.running() > 0, now) {
            log::info!("{}: a listener has returned", self.spell.queue);
        }
    }

    /// Takes what a filter dropped before a listener got it.
    pub(in crate::consumer::engine) fn dropped(&mut self, offsets: &[i64]) {
        offsets.iter().for_each(|offset| self.cache.finish(*offset));
    }

    pub(super) fn hand_back(&mut self, offset: i64, delay_level: i32, options: &EngineOptions, now: Instant) {
        if options.model == MessageModel::Broadcasting {
            return self.drop_failed(offset);
        }
        if self.cache.hand_back(offset).is_some() {
            let dead = delay_level < 0;
            self.returns.insert(offset, Return { delay_level, repeats: 0, dead, retry_at: Some(now) });
        }
    }

    /// Nobody would deliver it again.
    fn drop_failed(&mut self, offset: i64) {
        log::warn!("{}: the message at offset {offset} failed, and is not broadcast again", self.spell.queue);
        self.cache.finish(offset);
    }

    /// Puts a batch back to be consumed again, except for what was tried often enough.
    fn suspend(&mut self, offsets: &[i64], pause: Option<Duration>, options: &EngineOptions, now: Instant) {
        let mut again = false;
        for offset in offsets {
            let Some(repeats) = self.cache.give_back(*offset) else { continue };
            let Some(message) = self.cache.message(*offset) else { continue };
            let tries = message.reconsume_times().saturating_add(repeats);
            // No listener will ever make anything of it, so it must not hold up the queue for ever.
            let max = options.max_reconsume.or_else(|| message.check_body().is_err().then_some(DAMAGED_TRIES));
            if max.is_none_or(|max| tries <= max) {
                again = true;
            } else if options.model == MessageModel::Broadcasting {
                self.drop_failed(*offset);
            } else {
                self.cache.hand_back(*offset);
                self.returns.insert(*offset, Return { delay_level: -1, repeats, dead: true, retry_at: Some(now) });
            }
        }
        if again {
            self.paused_until = Some(now + pause.unwrap_or(options.suspend));
        }
    }

    pub(in crate::consumer::engine) fn handed_back(&mut self, offset: i64, done: bool, now: Instant) {
        if done {
            self.returns.remove(&offset);
            self.cache.finish(offset);
        } else if let Some(waiting) = self.returns.get_mut(&offset) {
            waiting.retry_at = Some(now + HAND_BACK_DELAY);
        }
    }
}
