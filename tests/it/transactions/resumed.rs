//! What an operator does about a transaction that brokers ask about no more.

use rocketmq_blocking::TransactionResolution::{Commit, Rollback};

use super::{Checks, SOME_CHECKS, message, scene, start};
use crate::support::body;

#[test]
fn a_transaction_that_is_over_is_asked_about_again_when_an_operator_wants_it() {
    let (scene, _up) = scene(1);
    let checks = Checks::default();
    let noted = checks.clone();
    let producer = start(&scene, move |half| {
        noted.note(half);
        Commit
    });
    let done = producer.send(message(&scene, "rolled back"), |_| Rollback).unwrap();
    assert_eq!(checks.of("rolled back"), 0);
    let half = done.sent().offset_message_id().to_owned();
    scene.client.admin().resume_check(&half).unwrap();
    let visible = scene.arrived_within(SOME_CHECKS, 1);
    assert_eq!((body(&visible[0]), &*visible[0].message_id()), ("rolled back".to_owned(), done.sent().message_id()));
    assert!(checks.of("rolled back") >= 1);
}
