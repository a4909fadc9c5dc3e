//! Closing in the middle of things, and callbacks that misbehave.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Instant;

use rocketmq_blocking::{Error, Outcome, Stage};

use crate::judge::timed;
use crate::proxy::{Fault, eventually};
use crate::rig::{Rig, message, millis, nothing_waits, producer, send, send_async, warm};
use crate::wire::SEND;

pub(crate) fn closing_while_sends_run() {
    // The broker answers; it does not, so that all 64 are under way when the client closes.
    for silent in [false, true] {
        let mut rig = Rig::new(1);
        let client = rig.client();
        let producer = producer(&client);
        warm(&producer, &rig);
        let swallowed = match silent {
            true => rig.brokers[0].fault(Fault::Swallow, Some(SEND), usize::MAX),
            false => Arc::default(),
        };
        let (ends, count) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for thread in 0..64 {
                let (producer, ends, count) = (&producer, &ends, &count);
                scope.spawn(move || {
                    for round in 0.. {
                        let key = format!("k-{thread}-{round}");
                        count.fetch_add(1, Ordering::SeqCst);
                        let end = match thread % 8 {
                            0 => {
                                let (sender, end) = mpsc::channel();
                                let started = producer.send_async(message(&key), move |end| drop(sender.send(end)));
                                started.and_then(|()| end.recv().expect("the callback is called"))
                            }
                            _ => producer.send(message(&key)),
                        };
                        let over = end.is_err();
                        ends.lock().unwrap().push((key, end.map_err(Error::from)));
                        if over {
                            return;
                        }
                    }
                });
            }
            match silent {
                true => eventually("64 sends are under way", || swallowed.load(Ordering::SeqCst) == 64),
                false => eventually("many are sent", || count.load(Ordering::SeqCst) > 1000),
            }
            let report = timed("close_within", millis(1200), || client.close_within(millis(100))).unwrap();
            assert!(report.complete, "{report}");
            let closed = Instant::now();
            eventually("all sends have ended", || {
                ends.lock().unwrap().iter().filter(|(_, end)| end.is_err()).count() == 64
            });
            assert!(closed.elapsed() < millis(300), "{:?} after closing", closed.elapsed());
        });
        let stored = rig.stored_times();
        for (key, end) in ends.into_inner().unwrap() {
            let times = stored.get(&key).copied().unwrap_or(0);
            match end {
                Ok(_) => assert_eq!(times, 1),
                Err(error) => {
                    assert!(matches!(error, Error::Closed { .. }), "{error}");
                    // What was under way has the grace period; only a broker that is silent leaves it unknown.
                    let outcome = if silent { Outcome::Unknown } else { Outcome::NotSent };
                    assert_eq!((error.outcome(), times), (outcome, 0), "{error}");
                }
            }
        }
    }
}

pub(crate) fn dropping_without_closing() {
    for silent in [false, true] {
        let rig = Rig::new(1);
        let client = rig.builder().build().unwrap();
        let producer = client.producer("faults").timeout(millis(700)).start().unwrap();
        warm(&producer, &rig);
        if silent {
            rig.brokers[0].fault(Fault::Swallow, Some(SEND), usize::MAX);
        }
        let answers: Vec<_> =
            (0..50).map(|number| send_async(&producer, &format!("k-{number}"), millis(700))).collect();
        let pending = producer.prepare(message("pending")).timeout(millis(700)).submit().unwrap();
        timed("drop", millis(2000), move || drop((producer, client)));
        for answer in answers {
            let end = answer.recv().expect("each callback is called");
            assert_eq!(end.is_err(), silent, "{end:?}");
            assert!(answer.recv().is_err(), "and called once");
        }
        assert_eq!(pending.wait().is_err(), silent);
        eventually("no connection is left", || rig.cluster.connections() == 0);
    }
}

pub(crate) fn a_callback_that_panics() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let producer = producer(&client);
    warm(&producer, &rig);
    for number in 0..20 {
        producer
            .send_async(message(&format!("k-{number}")), |_| std::panic::resume_unwind(Box::new("quietly")))
            .unwrap();
        let end = send_async(&producer, "next", millis(2000)).recv().unwrap();
        end.expect("the callback threads go on");
    }
    eventually("all are stored", || rig.stored().len() == 1 + 40);
    timed("close", millis(1500), || producer.close_within(millis(1000))).unwrap();
}

pub(crate) fn a_callback_that_closes() {
    for silent in [false, true] {
        let mut rig = Rig::new(1);
        let client = rig.client();
        let producer = Arc::new(producer(&client));
        warm(&producer, &rig);
        let (sender, ended) = mpsc::channel();
        let (all, submitted) = crossbeam_channel::bounded::<()>(0);
        for number in 0..50 {
            let submitted = submitted.clone();
            let (closing, own, sender) = (producer.clone(), client.clone(), sender.clone());
            let started = Instant::now();
            producer
                .prepare(message(&format!("k-{number}")))
                .timeout(millis(600))
                .send_async(move |end| {
                    if number == 10 {
                        // Closes when all are under way.
                        let _ = submitted.recv();
                        timed("close on a callback thread", millis(0), || {
                            closing.close().unwrap();
                            own.close().unwrap();
                        });
                    }
                    let _ = sender.send((number, end.map_err(Error::from), started.elapsed()));
                })
                .unwrap();
            if number == 20 && silent {
                rig.brokers[0].fault(Fault::Swallow, Some(SEND), usize::MAX);
            }
        }
        drop((sender, all));
        // The others have not been asked whether they mind: they end well, or as closed.
        let ends: Vec<_> = ended.iter().collect();
        assert_eq!(ends.len(), 50);
        for (number, end, took) in ends {
            assert!(took < millis(700), "{number} took {took:?}");
            let Err(error) = end else { continue };
            let stored = rig.times_stored(&format!("k-{number}"));
            assert!(error.outcome() == Outcome::Unknown || stored == 0, "{number}: {error}, stored {stored} times");
        }
        let report = timed("close", millis(2000), || client.close_within(millis(1000))).unwrap();
        assert!(report.complete, "{report}");
        assert!(matches!(send(&producer, "closed", millis(100)), Err(Error::Closed { outcome: Outcome::NotSent })));
        eventually("no connection is left", || rig.cluster.connections() == 0);
    }
}

pub(crate) fn a_full_window() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let producer = Arc::new(client.producer("faults").async_window(4, 1 << 20).start().unwrap());
    warm(&producer, &rig);
    rig.brokers[0].fault(Fault::Swallow, Some(SEND), usize::MAX);
    let full: Vec<_> = (0..4).map(|number| send_async(&producer, &format!("k-{number}"), millis(900))).collect();
    let limit = millis(300);
    let waited = timed("admission", limit, || producer.prepare(message("late")).timeout(limit).send_async(|_| {}));
    let error = waited.unwrap_err().error;
    assert!(matches!(error, Error::Timeout { stage: Stage::Admission, outcome: Outcome::NotSent, .. }), "{error}");
    let waited = timed("admission", limit, || producer.prepare(message("late")).timeout(limit).submit().map(drop));
    assert!(waited.unwrap_err().error.is_timeout());
    let refused = timed("try_submit", millis(0), || producer.prepare(message("late")).try_submit().map(drop));
    assert!(matches!(refused.unwrap_err().error, Error::Busy { .. }));
    assert!(full.iter().all(|end| end.recv().unwrap().is_err_and(|error| error.outcome() == Outcome::Unknown)));
    // A callback that sends does not wait for a place that only callbacks make free.
    rig.brokers[0].clear();
    let (sender, ends) = mpsc::channel();
    for number in 0..40 {
        let (again, sender) = (producer.clone(), sender.clone());
        let sent = producer.prepare(message(&format!("n-{number}"))).send_async(move |end| {
            end.expect("the broker answers");
            let from_here =
                timed("send_async on a callback thread", millis(0), || again.send_async(message("next"), |_| {}));
            let refused = from_here.err().map(|failed| failed.error);
            let _ = sender.send(refused.is_none_or(|error| matches!(error, Error::Busy { .. })));
        });
        sent.expect("a place becomes free");
    }
    drop(sender);
    assert_eq!(ends.iter().filter(|well| *well).count(), 40);
    nothing_waits(&client);
}
