//! Which brokers to avoid for a while: those that refused or timed out, and those that answer slowly if that is wanted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::stats::{BrokerState, BrokerStats};

/// From which latency on a broker is avoided, and for how long (Java 5.3's `latencyMax` and `notAvailableDuration`).
pub(super) const LATENCY_TABLE: [(Duration, Duration); 5] = [
    (Duration::from_millis(550), Duration::from_secs(2)),
    (Duration::from_millis(1800), Duration::from_secs(5)),
    (Duration::from_millis(3000), Duration::from_secs(6)),
    (Duration::from_millis(5000), Duration::from_secs(10)),
    (Duration::from_millis(15_000), Duration::from_secs(30)),
];

/// The first pause after a failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
struct Fault {
    /// Avoided until then, and after that until a probe is answered.
    until: Instant,
    failures: u32,
    last: Instant,
    /// It failed, so it is probed before it is used again; one that was only slow is not.
    needs_probe: bool,
    probing: bool,
}

/// What is known of brokers that failed. Pure: the caller brings the time, and probes.
#[derive(Debug, Default)]
pub(super) struct Faults {
    brokers: HashMap<Arc<str>, Fault>,
}

impl Faults {
    /// Takes note that a broker refused, timed out or could not be reached.
    pub(super) fn failed(&mut self, broker_name: &Arc<str>, now: Instant) {
        let failures = self.brokers.get(broker_name).map_or(0, |fault| fault.failures);
        let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE);
        let fault = Fault { until: now + pause, failures: failures + 1, last: now, needs_probe: true, probing: false };
        self.brokers.insert(broker_name.clone(), fault);
    }

    /// Takes note of an answer, or of an answered probe: the broker is well.
    pub(super) fn answered(&mut self, broker_name: &str) {
        self.brokers.remove(broker_name);
    }

    /// Takes note that a broker answered only after `latency`.
    pub(super) fn slow(&mut self, broker_name: &Arc<str>, latency: Duration, now: Instant) {
        let pause = LATENCY_TABLE.iter().rev().find(|(from, _)| latency >= *from).map(|(_, pause)| *pause);
        if let Some(pause) = pause {
            let fault = Fault { until: now + pause, failures: 0, last: now, needs_probe: false, probing: false };
            self.brokers.insert(broker_name.clone(), fault);
        }
    }

    /// Returns whether a broker is to be avoided.
    pub(super) fn avoids(&self, broker_name: &str, now: Instant) -> bool {
        self.brokers.get(broker_name).is_some_and(|fault| fault.needs_probe || now < fault.until)
    }

    /// Returns whether nothing is avoided, the usual case.
    pub(super) fn is_empty(&self) -> bool {
        self.brokers.is_empty()
    }

    /// Returns the brokers whose pause is over and that are to be probed now; each once.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Arc<str>> {
        let mut due = Vec::new();
        for (name, fault) in &mut self.brokers {
            if fault.needs_probe && !fault.probing && now >= fault.until {
                fault.probing = true;
                due.push(name.clone());
            }
        }
        due
    }

    /// Returns what is known of the brokers that are not simply well.
    pub(super) fn states(&self, now: Instant) -> impl Iterator<Item = BrokerStats> {
        self.brokers.iter().map(move |(name, fault)| {
            let left = fault.until.saturating_duration_since(now);
            let state = match fault {
                Fault { probing: true, .. } => BrokerState::Probing,
                _ if !left.is_zero() => BrokerState::Avoided(left),
                Fault { needs_probe: true, .. } => BrokerState::ProbeDue,
                _ => BrokerState::Available,
            };
            BrokerStats { name: name.clone(), state, failures: fault.failures }
        })
    }

    /// Returns when a broker last failed; `None` for one that is well.
    pub(super) fn last_failed(&self, broker_name: &str) -> Option<Instant> {
        self.brokers.get(broker_name).map(|fault| fault.last)
    }
}

/// Chooses the next queue: round robin from `start`, first among the brokers that are neither avoided nor in `tried`, then
/// among those not in `tried`, then that of the broker that failed longest ago. The one tried last is the last resort.
pub(super) fn choose<T>(
    queues: &[T],
    broker_of: impl Fn(&T) -> &str,
    start: usize,
    tried: &[Arc<str>],
    faults: &Faults,
    now: Instant,
) -> Option<usize> {
    let round = || (0..queues.len()).map(|step| (start.wrapping_add(step)) % queues.len());
    let was_tried = |index: usize| tried.iter().any(|name| **name == *broker_of(&queues[index]));
    let was_last = |index: usize| tried.last().is_some_and(|name| **name == *broker_of(&queues[index]));
    let avoided = |index: usize| faults.avoids(broker_of(&queues[index]), now);
    round()
        .find(|index| !was_tried(*index) && !avoided(*index))
        .or_else(|| least_recently_failed(round().filter(|index| !was_tried(*index)), queues, &broker_of, faults))
        .or_else(|| least_recently_failed(round().filter(|index| !was_last(*index)), queues, &broker_of, faults))
        .or_else(|| round().next())
}

fn least_recently_failed<T>(
    candidates: impl Iterator<Item = usize>,
    queues: &[T],
    broker_of: impl Fn(&T) -> &str,
    faults: &Faults,
) -> Option<usize> {
    candidates.min_by_key(|index| faults.last_failed(broker_of(&queues[*index])))
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUES: [&str; 6] = ["a", "a", "b", "b", "c", "c"];

    fn pick(start: usize, tried: &[&str], faults: &Faults, now: Instant) -> &'static str {
        let tried: Vec<Arc<str>> = tried.iter().map(|name| (*name).into()).collect();
        QUEUES[choose(&QUEUES, |name| name, start, &tried, faults, now).unwrap()]
    }

    #[test]
    fn queues_are_taken_in_turn_whatever_the_counter() {
        let (faults, now) = (Faults::default(), Instant::now());
        let picked: Vec<_> = (0..6).map(|start| choose(&QUEUES, |name| name, start, &[], &faults, now)).collect();
        assert_eq!(picked, (0..6).map(Some).collect::<Vec<_>>());
        assert!(choose(&QUEUES, |name| name, usize::MAX, &[], &faults, now).is_some());
        assert_eq!(choose(&[] as &[&str], |name| name, 3, &[], &faults, now), None);
    }

    #[test]
    fn a_broker_that_failed_is_avoided_until_a_probe_is_answered() {
        let (mut faults, now) = (Faults::default(), Instant::now());
        faults.failed(&"a".into(), now);
        assert_eq!(pick(0, &[], &faults, now), "b");
        let later = now + Duration::from_secs(2);
        assert!(faults.avoids("a", later), "the pause is over, but nobody has asked");
        assert_eq!(faults.take_due(later), ["a".into()]);
        assert!(faults.take_due(later).is_empty(), "one probe at a time");
        faults.answered("a");
        assert_eq!(pick(0, &[], &faults, later), "a");
    }

    #[test]
    fn pauses_double_while_a_broker_goes_on_failing() {
        let (mut faults, now) = (Faults::default(), Instant::now());
        for _ in 0..3 {
            faults.failed(&"a".into(), now);
        }
        assert!(faults.take_due(now + Duration::from_millis(3999)).is_empty());
        assert_eq!(faults.take_due(now + Duration::from_secs(4)).len(), 1);
    }

    #[test]
    fn when_all_are_avoided_the_one_that_failed_longest_ago_is_used() {
        let (mut faults, now) = (Faults::default(), Instant::now());
        for (name, seconds) in [("a", 3), ("b", 1), ("c", 2)] {
            faults.failed(&name.into(), now + Duration::from_secs(seconds));
        }
        assert_eq!(pick(0, &[], &faults, now), "b");
        assert_eq!(pick(0, &["b"], &faults, now), "c", "one not tried yet comes first");
        assert_eq!(pick(0, &["a", "b", "c"], &faults, now), "b");
    }

    #[test]
    fn a_retry_goes_to_another_broker_while_there_is_one() {
        let (faults, now) = (Faults::default(), Instant::now());
        assert_eq!(pick(0, &["a"], &faults, now), "b");
        assert_eq!(pick(4, &["b", "c"], &faults, now), "a");
    }

    #[test]
    fn a_slow_broker_is_avoided_for_as_long_as_javas_table_says() {
        let (mut faults, now) = (Faults::default(), Instant::now());
        faults.slow(&"a".into(), Duration::from_millis(500), now);
        assert!(!faults.avoids("a", now));
        faults.slow(&"a".into(), Duration::from_millis(2000), now);
        assert!(faults.avoids("a", now + Duration::from_millis(4999)));
        assert!(!faults.avoids("a", now + Duration::from_secs(5)), "slow is not broken: it needs no probe");
    }
}
