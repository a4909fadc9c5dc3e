//! What is refused before anything is sent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rocketmq_blocking::{
    Error, Message, Outcome, TransactionProducerBuilder,
    TransactionResolution::{Commit, Unknown},
};

use crate::support::{NOWHERE, PATIENCE, client_to_nowhere};

#[test]
fn a_delayed_message_is_refused_before_anything_is_sent() {
    let client = client_to_nowhere();
    let producer = client.transaction_producer("g").check(|_| Unknown).start().unwrap();
    let builders = [
        Message::builder("T", "x").delay_level(3),
        Message::builder("T", "x").deliver_after(Duration::from_secs(1)),
        Message::builder("T", "x").deliver_at(std::time::SystemTime::now()),
    ];
    for builder in builders {
        let failed = producer.begin(builder.clone()).unwrap_err();
        assert!(matches!(failed.error, Error::Invalid { .. }) && failed.to_string().contains("delayed"), "{failed}");
        let ran = AtomicBool::new(false);
        let failed = producer.send(builder, |_| {
            ran.store(true, Ordering::SeqCst);
            Commit
        });
        assert!(failed.is_err() && !ran.load(Ordering::SeqCst));
    }
    let (began, limit) = (Instant::now(), Duration::from_millis(300));
    drop(producer);
    let producer = client.transaction_producer("g").producer(|p| p.timeout(limit)).check(|_| Unknown).start().unwrap();
    let failed = producer.begin(Message::new("T", "x")).unwrap_err();
    assert_eq!(failed.error.outcome(), Outcome::NotSent, "{NOWHERE} {failed}");
    assert_eq!(failed.message, Message::new("T", "x"), "the message comes back as it was");
    assert!(began.elapsed() < PATIENCE);
}

#[test]
fn a_producer_needs_a_check_and_settings_that_make_sense() {
    let client = client_to_nowhere();
    let refused = |builder: TransactionProducerBuilder, what: &str| match builder.start() {
        Err(Error::Invalid { what: text }) => assert!(text.contains(what), "{text}"),
        other => panic!("{what}: {other:?}"),
    };
    let builder = || client.transaction_producer("g");
    refused(builder(), "check");
    refused(builder().check(|_| Unknown).check_threads(0), "check_threads");
    refused(builder().check(|_| Unknown).check_threads(257), "check_threads");
    refused(builder().check(|_| Unknown).check_queue(0), "check_queue");
    refused(builder().check(|_| Unknown).first_check_after(Duration::ZERO), "first_check_after");
    refused(builder().check(|_| Unknown).producer(|producer| producer.timeout(Duration::ZERO)), "timeout");
    let first = builder().check(|_| Unknown).start().unwrap();
    assert!(matches!(builder().check(|_| Unknown).start(), Err(Error::GroupInUse { .. })));
    assert!(matches!(client.producer("g").start(), Err(Error::GroupInUse { .. })));
    first.close().unwrap();
    builder().check(|_| Unknown).start().unwrap();
}
