//! The avoidance of faulty brokers in virtual time: whatever happens in whatever order, a send goes to a broker that is
//! well while there is one, and no broker is avoided for ever.

use fastrand::Rng;

use super::*;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
/// Two queues on each broker.
const QUEUES: [&str; 8] = ["a", "a", "b", "b", "c", "c", "d", "d"];

fn name(number: usize) -> Arc<str> {
    NAMES[number % NAMES.len()].into()
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn pick(start: usize, tried: &[Arc<str>], faults: &Faults, now: Instant) -> &'static str {
    QUEUES[choose(&QUEUES, |name| name, start, tried, faults, now).expect("there are queues")]
}

/// Failures, answers, slow answers and probes at random times.
fn anything(rng: &mut Rng, faults: &mut Faults, now: &mut Instant) {
    *now += millis(rng.u64(0..2000));
    let broker = name(rng.usize(..));
    match rng.u8(0..6) {
        0 | 1 => faults.failed(&broker, *now),
        2 => faults.answered(&broker),
        3 => {
            // As the producer does it: any answer says that the broker is well, if slow.
            faults.answered(&broker);
            faults.slow(&broker, millis(rng.u64(0..20_000)), *now);
        }
        _ => drop(faults.take_due(*now)),
    }
}

#[test]
fn a_broker_that_is_avoided_or_was_tried_is_chosen_only_when_no_other_is_left() {
    let mut rng = Rng::with_seed(1);
    for _ in 0..300 {
        let (mut faults, mut now) = (Faults::default(), Instant::now());
        for _ in 0..30 {
            anything(&mut rng, &mut faults, &mut now);
            let tried: Vec<Arc<str>> = (0..rng.usize(0..4)).map(|_| name(rng.usize(..))).collect();
            let chosen = pick(rng.usize(..), &tried, &faults, now);
            let untried = |name: &&&str| !tried.iter().any(|tried| **tried == ***name);
            let well = NAMES.iter().filter(untried).any(|name| !faults.avoids(name, now));
            if well {
                assert!(untried(&&chosen) && !faults.avoids(chosen, now), "{chosen} of {faults:?} after {tried:?}");
            } else if let Some(oldest) = NAMES.iter().filter(untried).map(|name| faults.last_failed(name)).min() {
                assert!(untried(&&chosen), "{chosen} after {tried:?}");
                assert_eq!(faults.last_failed(chosen), oldest, "{chosen} of {faults:?}");
            }
        }
    }
}

#[test]
fn brokers_that_are_well_share_the_sends_evenly_but_for_those_next_to_an_avoided_one() {
    let (mut faults, now) = (Faults::default(), Instant::now());
    let share = |faults: &Faults, name: &str| (0..800).filter(|start| pick(*start, &[], faults, now) == name).count();
    assert!(NAMES.iter().all(|name| share(&faults, name) == 200));
    faults.failed(&"b".into(), now);
    let shares: Vec<usize> = NAMES.iter().map(|name| share(&faults, name)).collect();
    assert_eq!(shares, [200, 0, 400, 200], "the next one takes over");
}

#[test]
fn no_broker_is_avoided_longer_than_the_longest_pause_without_being_asked() {
    let mut rng = Rng::with_seed(2);
    for _ in 0..300 {
        let (mut faults, mut now) = (Faults::default(), Instant::now());
        for _ in 0..50 {
            anything(&mut rng, &mut faults, &mut now);
        }
        let under_way =
            |faults: &Faults| faults.states(now).filter(|broker| broker.state == BrokerState::Probing).count();
        let before = under_way(&faults);
        let later = now + LONGEST_PAUSE;
        let avoided: Vec<Arc<str>> =
            NAMES.iter().filter(|name| faults.avoids(name, later)).map(|name| (*name).into()).collect();
        let due = faults.take_due(later);
        assert_eq!(due.len() + before, avoided.len(), "each is asked or was asked: {faults:?}");
        assert!(faults.take_due(later).is_empty(), "one probe at a time");
        avoided.iter().for_each(|name| faults.answered(name));
        assert!(!NAMES.iter().any(|name| faults.avoids(name, later)), "{faults:?}");
    }
}

#[test]
fn an_outage_costs_one_send_a_retry_and_the_broker_is_used_again_when_it_is_back() {
    let mut rng = Rng::with_seed(3);
    for _ in 0..50 {
        let (mut faults, start) = (Faults::default(), Instant::now());
        let outage = millis(rng.u64(100..120_000));
        let (mut failed, mut back, mut probed_at) = (0, None, Vec::new());
        for round in 0..8000_usize {
            let since = millis(round as u64 * 20);
            let now = start + since;
            for name in faults.take_due(now) {
                probed_at.push(since);
                // It answers at once, or refuses.
                if since < outage { faults.failed(&name, now) } else { faults.answered(&name) }
            }
            let chosen = pick(round, &[], &faults, now);
            match (chosen, since < outage) {
                ("a", true) => {
                    failed += 1;
                    faults.failed(&"a".into(), now);
                }
                ("a", false) => back = back.or(Some(since)),
                _ => {}
            }
        }
        assert_eq!(failed, 1, "probes find out the rest");
        let back = back.expect("it is used again");
        assert!(back <= outage + LONGEST_PAUSE + millis(200), "after an outage of {outage:?} it is used at {back:?}");
        assert!(back <= outage * 2 + millis(1200), "pauses grow with the outage: {outage:?}, {back:?}");
        assert!(probed_at.windows(2).all(|pair| pair[1] - pair[0] <= LONGEST_PAUSE + millis(20)), "{probed_at:?}");
    }
}

#[test]
fn the_state_of_a_broker_is_told_as_it_goes_on() {
    let (mut faults, now) = (Faults::default(), Instant::now());
    let state = |faults: &Faults, at: u64| faults.states(now + millis(at)).next().map(|broker| broker.state);
    assert_eq!(state(&faults, 0), None);
    faults.slow(&"a".into(), millis(600), now);
    assert_eq!(state(&faults, 500), Some(BrokerState::Avoided(millis(1500))));
    assert_eq!(state(&faults, 2000), Some(BrokerState::Available), "slow is not broken");
    faults.failed(&"a".into(), now);
    assert_eq!(state(&faults, 400), Some(BrokerState::Avoided(millis(600))));
    assert_eq!(state(&faults, 1000), Some(BrokerState::ProbeDue));
    assert_eq!(faults.take_due(now + millis(1000)), ["a".into()]);
    assert_eq!(state(&faults, 1000), Some(BrokerState::Probing));
    assert_eq!(faults.states(now).next().map(|broker| broker.failures), Some(1));
    faults.answered("a");
    assert_eq!(state(&faults, 1000), None);
}
