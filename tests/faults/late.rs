//! Brokers that are silent for too long, and what a send makes of its time.

use std::time::Instant;

use rocketmq_blocking::{Error, Exhaustion, Outcome, Producer, Result, SendResult};

use crate::judge::timed;
use crate::proxy::{Fault, eventually};
use crate::rig::{Rig, message, millis, producer, send_async, warm};
use crate::wire::SEND;

/// A way of sending, its limit in milliseconds, and whether what is unknown is tried again.
type Way = fn(&Producer, u64, bool) -> Result<SendResult>;

/// The ways of sending that have an answer.
fn ways() -> [(&'static str, Way); 3] {
    fn send(producer: &Producer, limit: u64, retry_unknown: bool) -> Result<SendResult> {
        let limit = millis(limit);
        let send = producer.prepare(message("sync")).timeout(limit).retry_unknown(retry_unknown);
        timed("send", limit, || Ok(send.send()?))
    }
    fn submit(producer: &Producer, limit: u64, retry_unknown: bool) -> Result<SendResult> {
        let limit = millis(limit);
        let send = producer.prepare(message("submit")).timeout(limit).retry_unknown(retry_unknown);
        timed("submit", limit, || send.submit()?.wait().map_err(Error::from))
    }
    fn call_back(producer: &Producer, limit: u64, retry_unknown: bool) -> Result<SendResult> {
        assert!(retry_unknown);
        send_async(producer, "async", millis(limit)).recv().unwrap()
    }
    [("sync", send), ("submit", submit), ("async", call_back)]
}

/// Makes the round robin begin at a queue of the first broker.
fn begins_at_the_first(rig: &Rig, producer: &Producer) {
    // The eight queues are those of the first broker, then those of the second.
    eventually("the last queue of all", || {
        let sent = producer.send(message("round")).unwrap();
        sent.queue().broker_name() == rig.cluster.broker_names()[1] && sent.queue().queue_id() == 3
    });
}

pub(crate) fn a_silent_broker_costs_three_fifths_of_the_time() {
    for (way, send) in ways() {
        let mut rig = Rig::new(2);
        let client = rig.client();
        let producer = producer(&client);
        begins_at_the_first(&rig, &producer);
        rig.brokers[0].fault(Fault::Swallow, Some(SEND), usize::MAX);
        let started = Instant::now();
        let sent = send(&producer, 1000, true).expect("the second broker answers");
        let took = started.elapsed();
        assert!((millis(590)..millis(750)).contains(&took), "{way}: {took:?}");
        assert_eq!((sent.attempts(), sent.may_be_duplicated(), sent.queue().broker_name()), (2, true, "broker-b"));
        assert_eq!(rig.times_stored(way), 1);
    }
}

pub(crate) fn the_first_attempt_may_still_succeed() {
    for (way, send) in ways() {
        let mut rig = Rig::new(2);
        let client = rig.client();
        let producer = producer(&client);
        begins_at_the_first(&rig, &producer);
        rig.brokers[0].fault(Fault::Hold, Some(SEND), 1);
        let swallowed = rig.brokers[1].fault(Fault::Swallow, Some(SEND), usize::MAX);
        let sent = std::thread::scope(|scope| {
            let call = scope.spawn(|| send(&producer, 1000, true));
            eventually("the second attempt is made", || swallowed.load(std::sync::atomic::Ordering::SeqCst) == 1);
            assert_eq!(rig.brokers[0].release(), 1);
            call.join().unwrap().expect("the first attempt succeeds late")
        });
        assert_eq!(
            (sent.attempts(), sent.may_be_duplicated(), sent.queue().broker_name()),
            (2, true, "broker-a"),
            "{way}"
        );
        assert_eq!(rig.times_stored(way), 1);
    }
}

pub(crate) fn no_second_attempt_when_it_could_duplicate() {
    for (way, send) in &ways()[..2] {
        let mut rig = Rig::new(2);
        let client = rig.client();
        let producer = producer(&client);
        warm(&producer, &rig);
        for (fault, ends_early) in [(Fault::Lose, false), (Fault::Cut(5), true)] {
            let fired = [0, 1].map(|broker| rig.brokers[broker].fault(fault.clone(), Some(SEND), usize::MAX));
            let started = Instant::now();
            let error = send(&producer, 500, false).unwrap_err();
            let fired: usize = fired.iter().map(|fired| fired.load(std::sync::atomic::Ordering::SeqCst)).sum();
            assert_eq!((error.outcome(), fired), (Outcome::Unknown, 1), "{way}: {error}");
            assert_eq!(started.elapsed() < millis(400), ends_early, "{way}: {error}");
            if let Error::Exhausted { because, .. } = error {
                assert_eq!(because, Exhaustion::Duplicates);
            }
            rig.brokers.iter().for_each(|broker| broker.clear());
        }
        assert_eq!(rig.times_stored(way), 2, "each was carried out once");
    }
}
