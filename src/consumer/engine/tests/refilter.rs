//! A filter that changes while a pull is on its way.

use super::*;

fn pulls(actions: &[Action]) -> Vec<(i64, u64)> {
    let pull = |action: &Action| match action {
        Action::Pull { offset, ticket, .. } => Some((*offset, *ticket)),
        _ => None,
    };
    actions.iter().filter_map(pull).collect()
}

#[test]
fn what_is_on_its_way_does_not_count_when_the_filter_changes_and_the_queue_is_pulled_at_once() {
    let (mut stage, actions) = Stage::new(Order::Concurrent, &["me"]);
    let (spell, ticket) = stage.open(&actions);
    let other = stage.tell(Event::Refiltered { topic: "other".into() });
    assert!(other.is_empty(), "another topic's queues are left alone: {other:?}");
    let actions = stage.tell(Event::Refiltered { topic: spell.queue.shared_topic().clone() });
    let [(10, anew)] = pulls(&actions)[..] else { panic!("{actions:?}") };
    assert!(stage.found(&spell, ticket, 10..12).is_empty(), "the answer to the first one");
    assert_eq!(stage.engine.take_dropped_pulls(), 1);
    assert_eq!(consumed(&stage.found(&spell, anew, 11..12)), [11], "nothing is lost or doubled");
}

#[test]
fn a_filter_that_changes_while_nothing_is_on_its_way_begins_no_second_pull() {
    let (mut stage, actions) = Stage::new(Order::Concurrent, &["me"]);
    let (spell, ticket) = stage.open(&actions);
    let failed = Pulled::Failed(crate::error::Error::invalid("x"));
    stage.tell(Event::Pulled { spell: spell.clone(), ticket, pulled: failed });
    let change = Event::Refiltered { topic: spell.queue.shared_topic().clone() };
    assert_eq!(pulls(&stage.tell(change)).len(), 1, "a failing queue does not wait");
    stage.tell(Event::Close { grace: std::time::Duration::ZERO });
    let change = Event::Refiltered { topic: spell.queue.shared_topic().clone() };
    assert!(pulls(&stage.tell(change)).is_empty(), "one that is given up is not pulled");
}
