//! Peers that do not read.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::mpsc;

use rocketmq_blocking::{Error, Message, Outcome};

use crate::judge::{Timer, timed};
use crate::proxy::eventually;
use crate::rig::{Rig, TOPIC, every_way, millis, recovers, warm};

/// Bodies that fill the kernel's buffers soon.
fn big(key: &str, bytes: usize) -> Message {
    Message::builder(TOPIC, vec![7; bytes]).key(key).build()
}

pub(crate) fn a_peer_that_stops_reading_and_resumes() {
    let mut rig = Rig::new(1);
    // Some calls wait for room in the outbox, most in it. Probes are patient: this is about one connection.
    let client = rig.look_after(rig.builder().outbox_limit(4 << 20).probe_timeout(millis(5000)));
    let producer = client.producer("faults").compress_above(usize::MAX).start().unwrap();
    warm(&producer, &rig);
    rig.brokers[0].pause();
    let (ends, told) = (Mutex::new(Vec::new()), mpsc::channel());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (producer, ends, sender) = (&producer, &ends, told.0.clone());
            scope.spawn(move || {
                for round in 0..25 {
                    let key = format!("k-{thread}-{round}");
                    let limit = millis(20 + 30 * (round % 3));
                    let send = producer.prepare(big(&key, 200_000)).timeout(limit);
                    match (thread + round) % 4 {
                        0 => {
                            let (timer, sender) = (Timer::start("send_async", limit), sender.clone());
                            let told = key.clone();
                            let started = send.send_async(move |result| {
                                timer.end();
                                let _ = sender.send((told, result.map(drop).map_err(Error::from)));
                            });
                            started.expect("an asynchronous send is accepted");
                        }
                        1 => {
                            let result = timed("oneway", limit, || send.send_oneway());
                            ends.lock().unwrap().push((key, result.map_err(Error::from)));
                        }
                        _ => {
                            let result = timed("send", limit, || send.send());
                            ends.lock().unwrap().push((key, result.map(drop).map_err(Error::from)));
                        }
                    }
                }
            });
        }
    });
    drop(told.0);
    let mut ends = ends.into_inner().unwrap();
    ends.extend(told.1);
    assert_eq!(ends.len(), 200);
    let keys = |outcome| -> HashSet<String> {
        let of = |(key, end): &(String, Result<(), Error>)| {
            (end.as_ref().err().map(Error::outcome) == outcome).then(|| key.clone())
        };
        ends.iter().filter_map(of).collect()
    };
    let (not_sent, unknown, sent) = (keys(Some(Outcome::NotSent)), keys(Some(Outcome::Unknown)), keys(None));
    assert_eq!(not_sent.len() + unknown.len() + sent.len(), 200, "none was rejected");
    assert!(not_sent.len() >= 20 && !unknown.is_empty(), "{} and {}", not_sent.len(), unknown.len());
    rig.brokers[0].resume();
    recovers(&producer);
    client.close().unwrap();
    let arrived: HashSet<String> = rig.brokers[0].arrived().into_iter().collect();
    let wrong: Vec<_> = not_sent.intersection(&arrived).collect();
    assert!(wrong.is_empty(), "reported as not sent, and arrived: {wrong:?}");
    // What is unknown has arrived, but for one of which only a part was written when its time was over.
    let lost: Vec<_> = sent.difference(&arrived).collect();
    assert!(lost.is_empty(), "reported as sent, and never arrived: {lost:?}");
    assert!(unknown.intersection(&arrived).count() > 0);
}

pub(crate) fn a_broker_that_never_reads() {
    let mut rig = Rig::new(1);
    let client = rig.look_after(rig.builder().stall_limit(millis(400)));
    let producer = client.producer("faults").compress_above(usize::MAX).start().unwrap();
    warm(&producer, &rig);
    rig.brokers[0].pause();
    let limit = millis(1500);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let producer = &producer;
            scope.spawn(move || {
                for round in 0..2 {
                    let send =
                        producer.prepare(big(&format!("k-{thread}-{round}"), 2_000_000)).retries(0).timeout(limit);
                    let error = timed("send", limit, || send.send()).unwrap_err().error;
                    // The connection is closed at the stall limit, or this one is among what fits into the kernel.
                    assert!(matches!(error, Error::Disconnected { .. } | Error::Timeout { .. }), "{error}");
                    if error.is_timeout() {
                        break;
                    }
                }
            });
        }
    });
    let lost = rig.brokers[0].accepted() > 1;
    assert!(lost, "the connection was given up");
    every_way(&client, &producer, &rig.queue(0), millis(300));
    rig.brokers[0].resume();
    recovers(&producer);
    eventually("connections that were given up are gone", || rig.cluster.broker("broker-a").connections() <= 1);
}
