//! What an engine does for callers who poll.

use std::time::Duration;

use super::super::tests::{Stage, consumed};
use super::super::{Held, Order, Pulled, Spell, Why};
use super::*;
use crate::code::ResponseCode;
use crate::error::Error;

const SECOND: Duration = Duration::from_secs(1);
const AUTO: Order = Order::Polled { auto_commit: true };
const MANUAL: Order = Order::Polled { auto_commit: false };

/// A queue at offset 10 with messages up to `end` handed over.
fn handed_over(order: Order, end: i64) -> (Stage, Spell) {
    let (mut stage, actions) = Stage::new(order, &["me"]);
    let (spell, ticket) = stage.open(&actions);
    let actions = stage.found(&spell, ticket, 10..end);
    assert_eq!(consumed(&actions), (10..end).collect::<Vec<_>>(), "everything goes to the inbox at once");
    (stage, spell)
}

fn take(stage: &mut Stage, spell: &Spell, offsets: impl IntoIterator<Item = i64>, floor: Option<i64>) -> Vec<Action> {
    let held = Held { floor, busy: floor.is_some() };
    stage.tell(Event::Taken { spell: spell.clone(), offsets: offsets.into_iter().collect(), held })
}

fn commits(actions: &[Action]) -> Vec<i64> {
    let offset = |action: &Action| if let Action::Commit { offset, .. } = action { Some(*offset) } else { None };
    actions.iter().filter_map(offset).collect()
}

fn answers(actions: &[Action]) -> Vec<String> {
    let answer = |action: &Action| match action {
        Action::Answer { ask, answer: Answer::Failed(error) } => Some(format!("{ask} {error}")),
        Action::Answer { ask, answer } => Some(format!("{ask} {answer:?}")),
        _ => None,
    };
    actions.iter().filter_map(answer).collect()
}

#[test]
fn what_callers_have_is_not_committed_and_takes_no_room() {
    let (mut stage, spell) = handed_over(AUTO, 20);
    stage.now += 5 * SECOND;
    take(&mut stage, &spell, 10..14, Some(10));
    stage.engine.look(stage.now, |queue, _| assert_eq!((queue.cache().len(), queue.commit_offset()), (6, 10)));
    stage.now += 5 * SECOND;
    assert_eq!(commits(&stage.tell(Event::Tick)), [0; 0], "the store has 10");
    assert_eq!(commits(&take(&mut stage, &spell, 14..18, Some(14))), [14]);
    stage.tell(Event::Committed { spell: spell.clone(), result: Ok(()) });
    stage.now += 5 * SECOND;
    assert_eq!(commits(&take(&mut stage, &spell, 18..20, Some(18))), [18]);
}

#[test]
fn without_automatic_commits_nothing_is_committed_until_somebody_asks() {
    let (mut stage, spell) = handed_over(MANUAL, 20);
    take(&mut stage, &spell, 10..14, Some(10));
    take(&mut stage, &spell, [], None);
    stage.now += 60 * SECOND;
    assert_eq!(commits(&stage.tell(Event::Tick)), [0; 0]);
    let actions = stage.tell(Event::Commit { queue: spell.queue.clone(), offset: None, ask: 7 });
    assert_eq!((commits(&actions), answers(&actions)), (vec![14], Vec::new()));
    let explicit = Event::Commit { queue: spell.queue.clone(), offset: Some(12), ask: 8 };
    assert!(stage.tell(explicit).is_empty(), "one commit at a time");
    let actions = stage.tell(Event::Committed { spell: spell.clone(), result: Ok(()) });
    assert_eq!((commits(&actions), answers(&actions)), (vec![12], vec!["7 Committed(Some(14))".to_owned()]));
    let actions = stage.tell(Event::Committed { spell: spell.clone(), result: Err(Error::invalid("no")) });
    assert_eq!(answers(&actions), ["8 no"]);
    let again = stage.tell(Event::Commit { queue: spell.queue.clone(), offset: Some(14), ask: 9 });
    assert_eq!(answers(&again), ["9 Committed(Some(14))"], "the store has it already");
    let actions = stage.tell(Event::Close { grace: SECOND });
    assert!(matches!(actions[..], [Action::Recall { .. }]), "{actions:?}");
    let actions = stage.tell(Event::Recalled { spell, held: Held::default() });
    assert!(matches!(actions[..], [Action::Left { .. }, Action::Closed]), "{actions:?}");
}

#[test]
fn a_seek_is_answered_after_the_old_messages_are_dropped_and_begins_a_new_spell() {
    let (mut stage, spell) = handed_over(AUTO, 20);
    take(&mut stage, &spell, 10..14, Some(10));
    let actions = stage.tell(Event::Seek { queue: spell.queue.clone(), offset: 3, ask: 1 });
    let moved = actions.iter().position(|action| matches!(action, Action::Moved { to: 3, why: Why::Sought, .. }));
    let answered = actions.iter().position(|action| matches!(action, Action::Answer { ask: 1, answer: Answer::Done }));
    assert!(moved.is_some() && moved < answered, "{actions:?}");
    assert_eq!(commits(&actions), [3]);
    assert!(actions.iter().any(|action| matches!(action, Action::Pull { offset: 3, .. })), "{actions:?}");
    // Who had messages of before changes nothing any more.
    take(&mut stage, &spell, 14..20, None);
    stage.engine.look(stage.now, |queue, _| assert_eq!(queue.commit_offset(), 3));
}

#[test]
fn only_a_queue_that_is_here_can_be_sought_and_committed() {
    let (mut stage, _) = handed_over(AUTO, 20);
    let other = MessageQueue::new("T", "b", 9);
    let sought = stage.tell(Event::Seek { queue: other.clone(), offset: 3, ask: 1 });
    assert_eq!(answers(&sought), ["1 NotHere"]);
    let committed = stage.tell(Event::Commit { queue: other, offset: Some(3), ask: 2 });
    assert_eq!(answers(&committed), ["2 NotHere"]);
}

#[test]
fn a_paused_queue_is_not_pulled_and_hands_nothing_over() {
    let (mut stage, actions) = Stage::new(AUTO, &["me"]);
    let (spell, ticket) = stage.open(&actions);
    let pause = |paused| Event::Paused { queues: vec![MessageQueue::new("T", "b", 0)], paused };
    assert!(stage.tell(pause(true)).is_empty());
    assert!(stage.found(&spell, ticket, 10..12).is_empty(), "what was on its way waits here");
    stage.now += 10 * SECOND;
    assert!(stage.tell(Event::Tick).iter().all(|action| matches!(action, Action::FetchMembers { .. })));
    let actions = stage.tell(pause(false));
    assert_eq!(consumed(&actions), [10, 11]);
    assert!(actions.iter().any(|action| matches!(action, Action::Pull { offset: 12, .. })), "{actions:?}");
}

#[test]
fn a_queue_that_leaves_asks_back_what_nobody_took_and_waits_for_who_took_some() {
    let (mut stage, spell) = handed_over(AUTO, 20);
    take(&mut stage, &spell, 10..14, Some(10));
    let actions = stage.members(&["before", "me"]);
    assert!(actions.iter().any(|action| matches!(action, Action::Recall { .. })), "{actions:?}");
    assert_eq!(commits(&actions), [0; 0]);
    let held = Held { floor: Some(10), busy: true };
    assert!(stage.tell(Event::Recalled { spell: spell.clone(), held }).is_empty());
    assert_eq!(commits(&take(&mut stage, &spell, [], None)), [14]);
    let actions = stage.tell(Event::Committed { spell, result: Ok(()) });
    assert!(matches!(actions[..], [Action::Left { .. }]), "{actions:?}");
}

#[test]
fn nobody_waits_longer_than_the_grace_and_what_is_unfinished_then_is_not_committed() {
    let (mut stage, spell) = handed_over(AUTO, 20);
    take(&mut stage, &spell, 10..14, Some(12));
    stage.members(&["before", "me"]);
    let held = Held { floor: Some(12), busy: true };
    stage.tell(Event::Recalled { spell: spell.clone(), held });
    stage.now += SECOND;
    assert_eq!(commits(&stage.tell(Event::Tick)), [12]);
}

#[test]
fn given_queues_need_no_members_and_are_changed_by_giving_others() {
    let (mut stage, _) = Stage::new(AUTO, &["other"]);
    let (one, two) = (MessageQueue::new("T", "b", 1), MessageQueue::new("U", "b", 2));
    let actions = stage.tell(Event::Assign(vec![one.clone(), two.clone()]));
    let starts = actions.iter().filter(|action| matches!(action, Action::FindStart { .. })).count();
    assert_eq!((starts, actions.len()), (2, 2), "no heartbeat, no members: {actions:?}");
    stage.now += 20 * SECOND;
    let actions = stage.tell(Event::Tick);
    assert!(!actions.iter().any(|action| matches!(action, Action::FetchMembers { .. })), "{actions:?}");
    stage.tell(Event::Assign(vec![two.clone()]));
    let mut left = Vec::new();
    stage.engine.look(stage.now, |queue, _| left.extend((!queue.is_leaving()).then(|| queue.spell().queue.clone())));
    assert_eq!(left, [two]);
}

#[test]
fn a_refusal_that_no_repetition_mends_is_told_when_it_begins() {
    let (mut stage, actions) = Stage::new(AUTO, &["me"]);
    let (spell, ticket) = stage.open(&actions);
    let refused =
        |code, remark: &str| Pulled::Failed(Error::Rejected { addr: "a:1".into(), code, remark: remark.into() });
    let mut fail = |ticket, pulled| {
        let actions = stage.tell(Event::Pulled { spell: spell.clone(), ticket, pulled });
        // A refusal is asked about again every five seconds, other failures every second.
        stage.now += SECOND * 5;
        stage.tell(Event::Tick);
        actions.iter().any(|action| matches!(action, Action::Refused { .. }))
    };
    assert!(fail(ticket, refused(ResponseCode::NO_PERMISSION, "")));
    assert!(!fail(ticket + 1, refused(ResponseCode::NO_PERMISSION, "")), "once");
    for (at, code, remark, told) in [
        (2, ResponseCode::SYSTEM_BUSY, "", false),
        (4, ResponseCode::SUBSCRIPTION_NOT_LATEST, "", false),
        (6, ResponseCode::SYSTEM_ERROR, "The broker does not support consumer to filter message by SQL92", true),
        (8, ResponseCode::SUBSCRIPTION_PARSE_FAILED, "", true),
    ] {
        assert!(!fail(ticket + at, Pulled::Nothing { next: 10 }));
        assert_eq!(fail(ticket + at + 1, refused(code, remark)), told, "{code}");
    }
}
