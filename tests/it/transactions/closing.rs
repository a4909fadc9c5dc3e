//! Checks and transactions beside the end of their producer.

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use rocketmq_blocking::{
    Error, Outcome, TransactionProducer,
    TransactionResolution::{Commit, Unknown},
};

use super::{SOME_CHECKS, message, scene, start};
use crate::support::{PATIENCE, body};

#[test]
fn a_transaction_can_end_on_another_thread_and_after_its_producer() {
    let (scene, _up) = scene(1);
    let producer = start(&scene, |_| Unknown);
    let begun = producer.begin(message(&scene, "late")).unwrap();
    producer.close().unwrap();
    producer.close().unwrap();
    let refused = producer.begin(message(&scene, "refused")).unwrap_err();
    assert!(matches!(refused.error, Error::Closed { outcome: Outcome::NotSent }), "{refused}");
    assert_eq!(refused.message.body_text(), Some("refused"));
    std::thread::spawn(move || begun.commit().unwrap()).join().unwrap();
    assert_eq!(body(&scene.arrived(1)[0]), "late");
}

#[test]
fn a_check_may_close_its_producer_and_its_client() {
    let (scene, _up) = scene(1);
    let slot = Arc::new(Mutex::new(None::<TransactionProducer>));
    let (own, client) = (slot.clone(), scene.cluster.builder().build().unwrap());
    let (closing, (sender, checked)) = (client.clone(), mpsc::channel());
    let producer = client
        .transaction_producer(&*scene.group)
        .check(move |_| {
            // Dropping it here is the last that happens to it.
            drop(own.lock().unwrap().take());
            closing.close().unwrap();
            let _ = sender.send(());
            Unknown
        })
        .start()
        .unwrap();
    drop(producer.begin(message(&scene, "closing")).unwrap());
    *slot.lock().unwrap() = Some(producer);
    checked.recv_timeout(SOME_CHECKS).expect("closing from a check does not wait for the check");
    let report = client.close_within(PATIENCE).unwrap();
    assert!(report.complete, "{report}");
    assert!(matches!(client.publish_queues(&scene.topic), Err(Error::Closed { .. })));
}

#[test]
fn closing_waits_for_a_check_that_runs_but_not_longer_than_it_may() {
    let (scene, _up) = scene(1);
    let (started, begun) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let producer = start(&scene, move |_| {
        let _ = started.send(());
        let _ = held.lock().unwrap().recv();
        Commit
    });
    drop(producer.begin(message(&scene, "held")).unwrap());
    begun.recv_timeout(SOME_CHECKS).expect("it is checked");
    let before = Instant::now();
    let report = producer.close_within(Duration::from_millis(200)).unwrap();
    assert!(!report.complete && report.abandoned == 1, "{report}");
    assert!(before.elapsed() < Duration::from_secs(3), "{:?}", before.elapsed());
    drop(release);
    let report = producer.close_within(PATIENCE).unwrap();
    assert!(report.complete, "{report}");
}
