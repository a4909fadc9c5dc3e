//! Together with Java's producers of the same group.

use rocketmq_blocking::TransactionResolution::{Commit, Rollback, Unknown};

use super::{Checks, SOME_CHECKS, builder, message, scene};
use crate::support::{Java, body};

#[test]
fn a_check_is_answered_for_what_javas_producer_of_the_group_has_sent() {
    let (scene, _up) = scene(1);
    let (topic, group) = (&*scene.topic, &*scene.group);
    let bodies = ["commit one", "asked two", "other three"];
    let arguments = [&[&*scene.cluster.name_server, topic, group], &bodies[..]].concat();
    let Some(java) = Java::start("Transactions.java", "send", &arguments) else { return };
    let ids: Vec<String> = bodies.iter().map(|_| java.line()).collect();
    let checks = Checks::default();
    let noted = checks.clone();
    let named = scene.topic.clone();
    let checked = builder(&scene).producer(|producer| producer.topics([named])).check(move |half| {
        noted.note(half);
        if body(half).starts_with("asked") { Commit } else { Rollback }
    });
    let _producer = checked.start().unwrap();
    let visible = scene.arrived_within(SOME_CHECKS, 2);
    assert_eq!(crate::support::sorted_bodies(&visible), ["asked two", "commit one"]);
    checks.reach("other three", 1);
    let mut found: Vec<_> = visible.iter().map(|message| message.transaction_id().unwrap()).collect();
    found.sort_unstable();
    let mut expected = [&*ids[0], &*ids[1]];
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn javas_producer_of_the_group_answers_for_what_was_sent_here() {
    let (scene, _up) = scene(1);
    let arguments = [&*scene.cluster.name_server, &*scene.topic, &*scene.group];
    let Some(java) = Java::start("Transactions.java", "check", &arguments) else { return };
    assert_eq!(java.line(), "ready");
    let gone = scene.cluster.builder().build().unwrap();
    let sender = gone.transaction_producer(&*scene.group).check(|_| Unknown).start().unwrap();
    let text = "asked ".repeat(1000);
    let begun = sender.begin(message(&scene, &text)).unwrap();
    let id = begun.transaction_id().to_owned();
    drop(begun);
    gone.close().unwrap();
    assert_eq!(java.line(), format!("checked {id} {text}"));
    let visible = scene.arrived_within(SOME_CHECKS, 1);
    assert_eq!((visible[0].body_text(), visible[0].transaction_id()), (Some(&*text), Some(&*id)));
}
