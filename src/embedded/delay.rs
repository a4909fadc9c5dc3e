//! Delayed messages: parked under an internal topic, as in Java, and stored again under their own when it is time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::broker::BrokerSet;
use super::records::{self, Known, NewRecord, now_millis};
use super::send::Refusal;
use super::topics::{SCHEDULE, TIMER};
use crate::code::ResponseCode;
use crate::message::{find_in_wire, key, write_property};
use crate::protocol::recall::RecallHandle;

/// Java's default delay levels in seconds, from level 1.
const LEVELS: [u64; 18] = [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200];
/// Java's `timerMaxDelaySec`: three days.
pub(super) const MAX_TIMER_MILLIS: i64 = 3 * 24 * 3600 * 1000;
/// Java's `timerPrecisionMs`.
const PRECISION_MILLIS: i64 = 1000;
/// A heap this long is a mistake in a test; what is beyond is delivered at once.
const MAX_WAIT: Duration = Duration::from_secs(4 * 24 * 3600);

/// The properties that Java's timer writes.
mod timer_key {
    pub(super) const OUT: &str = "TIMER_OUT_MS";
    pub(super) const ENQUEUED: &str = "TIMER_ENQUEUE_MS";
    pub(super) const DEQUEUED: &str = "TIMER_DEQUEUE_MS";
}

/// When a message is to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delay {
    None,
    /// From 1; levels above the highest count as the highest.
    Level(usize),
    /// At a time in milliseconds since 1970, which has not come yet.
    At(i64),
}

/// Reads the delay from a message's properties: a level wins over a timer.
pub(super) fn requested(known: &Known<'_>) -> Result<Delay, Refusal> {
    let level = match known.delay {
        Some(level) => level.parse::<i32>().map_err(|_| {
            let remark = format!("java.lang.NumberFormatException: For input string: {level:?}");
            Refusal(ResponseCode::SYSTEM_ERROR, remark)
        })?,
        None => 0,
    };
    if let Some(level) = usize::try_from(level).ok().filter(|level| *level > 0) {
        return Ok(Delay::Level(level.min(LEVELS.len())));
    }
    let illegal = || {
        let remark = format!(
            "timer message illegal, the delay time should not be bigger than the max delay {MAX_TIMER_MILLIS}ms; or if \
             set del msg, the delay time should be bigger than the current time"
        );
        Refusal(ResponseCode::MESSAGE_ILLEGAL, remark)
    };
    let parse = |text: &str| text.parse::<i64>().map_err(|_| illegal());
    let now = now_millis();
    let at = if let Some(seconds) = known.timer_seconds {
        now.saturating_add(parse(seconds)?.saturating_mul(1000))
    } else if let Some(millis) = known.timer_millis {
        now.saturating_add(parse(millis)?)
    } else if let Some(time) = known.timer_time {
        parse(time)?
    } else {
        return Ok(Delay::None);
    };
    if at.saturating_sub(now) > MAX_TIMER_MILLIS {
        return Err(illegal());
    }
    Ok(if at > now { Delay::At(at) } else { Delay::None })
}

/// The time at which Java's timer delivers, which has a precision.
fn slot(at: i64) -> i64 {
    (at - 1) / PRECISION_MILLIS * PRECISION_MILLIS
}

impl Delay {
    /// Moves a message to the internal topic and returns when it is due, in milliseconds since 1970 for timers and from
    /// now for levels; `None` for a message without delay.
    pub(super) fn park(&self, new: &mut NewRecord, properties: &mut String) -> Option<i64> {
        let (topic, queue_id, when) = match self {
            Delay::None => return None,
            Delay::Level(level) => (SCHEDULE, *level as i32 - 1, LEVELS[*level - 1] as i64 * 1000),
            Delay::At(at) => {
                write_property(properties, timer_key::OUT, &slot(*at).to_string());
                (TIMER, 0, *at)
            }
        };
        write_property(properties, key::REAL_TOPIC, &new.topic);
        write_property(properties, key::REAL_QUEUE_ID, &new.queue_id.to_string());
        new.topic = topic.into();
        new.queue_id = queue_id;
        Some(when)
    }

    /// The handle by which a timer message can be recalled, if the broker allows that.
    pub(super) fn recall_handle(&self, set: &BrokerSet, topic: &str, unique_id: &str) -> Option<String> {
        let Delay::At(at) = self else { return None };
        let handle = RecallHandle {
            topic: topic.to_owned(),
            broker_name: set.name.to_string(),
            // Java rounds the time down and adds one to make up for it.
            deliver_millis: slot(*at) + 1,
            message_id: unique_id.to_owned(),
        };
        set.settings.recall.then(|| handle.encode())
    }
}

/// Parked messages by the time they are due.
#[derive(Debug, Default)]
pub(super) struct Delayed {
    due: BinaryHeap<Reverse<(Instant, u64)>>,
}

impl Delayed {
    pub(super) fn clear(&mut self) {
        self.due.clear();
    }
}

impl BrokerSet {
    /// Takes note of a parked message; `when` is what [`Delay::park`] returned.
    pub(super) fn deliver_later(&self, delay: &Delay, when: i64, sequence: u64) {
        let wait = match delay {
            Delay::At(at) => Duration::from_millis(u64::try_from(*at - now_millis()).unwrap_or(0)),
            _ => Duration::from_millis(u64::try_from(when).unwrap_or(0)).mul_f64(self.settings.delay_scale),
        };
        let due = Instant::now() + wait.min(MAX_WAIT);
        self.delayed.lock().unwrap_or_else(PoisonError::into_inner).due.push(Reverse((due, sequence)));
        self.clock.look_at(due);
    }

    /// Delivers what is due and says when the next message will be.
    pub(super) fn deliver_due(&self, now: Instant) -> Option<Instant> {
        let mut due = Vec::new();
        let next = {
            let mut delayed = self.delayed.lock().unwrap_or_else(PoisonError::into_inner);
            while delayed.due.peek().is_some_and(|Reverse((when, _))| *when <= now) {
                due.extend(delayed.due.pop());
            }
            delayed.due.peek().map(|Reverse((when, _))| *when)
        };
        for Reverse((_, sequence)) in due {
            self.deliver(sequence);
        }
        next
    }

    /// Forgets a timer message of a topic that is still to be delivered. Java finds out when the time comes.
    pub(super) fn recall(&self, topic: &str, unique_id: &str) {
        let is_it = |sequence: u64| {
            let Some(record) = self.store().entry(sequence).map(|entry| entry.record.clone()) else { return false };
            let properties = records::properties(&record).unwrap_or_default();
            let has = |name, value| find_in_wire(properties, name) == Some(value);
            has(key::UNIQUE_ID, unique_id)
                && has(key::REAL_TOPIC, topic)
                && find_in_wire(properties, timer_key::OUT).is_some()
        };
        let parked = |delayed: &Delayed| delayed.due.iter().map(|Reverse((_, sequence))| *sequence).collect::<Vec<_>>();
        let all = parked(&self.delayed.lock().unwrap_or_else(PoisonError::into_inner));
        let recalled: Vec<u64> = all.into_iter().filter(|sequence| is_it(*sequence)).collect();
        let mut delayed = self.delayed.lock().unwrap_or_else(PoisonError::into_inner);
        delayed.due.retain(|Reverse((_, sequence))| !recalled.contains(sequence));
    }

    fn deliver(&self, sequence: u64) {
        let Some(record) = self.store().entry(sequence).map(|entry| entry.record.clone()) else {
            log::warn!("{}: a delayed message was dropped, the store being full, before it was due", self.name);
            return;
        };
        let Some(mut new) = NewRecord::from_record(&record) else { return };
        let mut properties = new.properties().to_owned();
        let topic = find_in_wire(&properties, key::REAL_TOPIC).map(str::to_owned);
        let queue_id = find_in_wire(&properties, key::REAL_QUEUE_ID).and_then(|id| id.parse().ok());
        let (Some(topic), Some(queue_id)) = (topic, queue_id) else { return };
        if &*new.topic == TIMER {
            let now = now_millis().to_string();
            write_property(&mut properties, timer_key::ENQUEUED, &now);
            write_property(&mut properties, timer_key::DEQUEUED, &now);
        }
        new.topic = topic.into();
        new.queue_id = queue_id;
        new.properties = properties.into();
        self.put(&new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay(pairs: &[(&str, String)]) -> Result<Delay, ResponseCode> {
        let mut properties = String::new();
        for (key, value) in pairs {
            write_property(&mut properties, key, value);
        }
        requested(&Known::new(&properties)).map_err(|Refusal(code, _)| code)
    }

    #[test]
    fn levels_are_clamped_and_win_over_timers() {
        assert_eq!(delay(&[]), Ok(Delay::None));
        assert_eq!(delay(&[(key::DELAY, "0".into())]), Ok(Delay::None));
        assert_eq!(delay(&[(key::DELAY, "-1".into())]), Ok(Delay::None));
        assert_eq!(delay(&[(key::DELAY, "3".into())]), Ok(Delay::Level(3)));
        assert_eq!(delay(&[(key::DELAY, "99".into())]), Ok(Delay::Level(18)));
        assert_eq!(delay(&[(key::DELAY, "soon".into())]), Err(ResponseCode::SYSTEM_ERROR));
        let both = [(key::TIMER_DELAY_SECONDS, "5".into()), (key::DELAY, "1".into())];
        assert_eq!(delay(&both), Ok(Delay::Level(1)));
    }

    #[test]
    fn timers_reach_three_days_and_the_past_is_now() {
        assert!(matches!(delay(&[(key::TIMER_DELAY_SECONDS, "10".into())]), Ok(Delay::At(_))));
        assert!(matches!(delay(&[(key::TIMER_DELAY_MILLIS, "259000000".into())]), Ok(Delay::At(_))));
        assert_eq!(delay(&[(key::TIMER_DELIVER_MILLIS, "1".into())]), Ok(Delay::None));
        for (key, value) in [
            (key::TIMER_DELAY_SECONDS, "259300"),
            (key::TIMER_DELAY_SECONDS, i64::MAX.to_string().as_str()),
            (key::TIMER_DELIVER_MILLIS, i64::MAX.to_string().as_str()),
            (key::TIMER_DELAY_MILLIS, "soon"),
        ] {
            assert_eq!(delay(&[(key, value.to_owned())]), Err(ResponseCode::MESSAGE_ILLEGAL), "{value}");
        }
    }
}
