//! Single decisions about queues that brokers assign and that are popped; `simulation` has them all together.

use std::sync::Arc;

use super::*;
use crate::consumer::engine::{self, Action, Engine, EngineOptions, Event, Order, Standing, Start};
use crate::consumer::tests::{read_from, stored};
use crate::message::MessageView;

const SECOND: Duration = Duration::from_secs(1);
const INVISIBLE: Duration = Duration::from_secs(60);

pub(super) fn options(order: Order) -> EngineOptions {
    let by_broker = Some(PopOptions { invisible: INVISIBLE, batch: 32 });
    EngineOptions { by_broker, ..engine::tests::options(order) }
}

struct Stage {
    engine: Engine,
    now: Instant,
}

fn queue(id: i32) -> MessageQueue {
    MessageQueue::new("T", "b", id)
}

/// A message of a queue that was delivered again so often.
fn message(id: i32, offset: i64, times: i32) -> MessageView {
    let mut stored = stored("", offset);
    stored.reconsume_times = times;
    read_from(queue(id), stored)
}

impl Stage {
    /// An engine of a topic with two queues that pops all of them, and its first pop.
    fn popping(options: EngineOptions) -> (Stage, Spell) {
        let mut stage = Stage::new(options);
        let actions = stage.assigned(&[], &[queue(-1)]);
        let spell = actions.iter().find_map(|action| match action {
            Action::Pop(PopAction::Pop { spell, ticket: 1, .. }) => Some(spell.clone()),
            _ => None,
        });
        (stage, spell.unwrap_or_else(|| panic!("nothing is popped: {actions:?}")))
    }

    fn new(options: EngineOptions) -> Stage {
        let now = Instant::now();
        let mut stage = Stage { engine: Engine::new(options, now), now };
        let actions = stage.tell(Event::Topics(vec![("T".into(), Some([queue(0), queue(1)].into()))]));
        assert!(
            matches!(&actions[..], [Action::Heartbeat, Action::FetchAssignment { strategy, .. }] if &**strategy == "AVG")
        );
        stage
    }

    fn tell(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.engine.handle(event, self.now, &mut actions);
        actions
    }

    fn after(&mut self, pause: Duration) -> Vec<Action> {
        self.now += pause;
        self.tell(Event::Tick)
    }

    fn assigned(&mut self, pull: &[MessageQueue], pop: &[MessageQueue]) -> Vec<Action> {
        let assignment = Ok(Assignment::Queues { pull: pull.to_vec(), pop: pop.to_vec() });
        self.tell(Event::Assigned { topic: "T".into(), assignment })
    }

    fn found(&mut self, spell: &Spell, ticket: u64, messages: Vec<MessageView>) -> Vec<Action> {
        let popped = Popped::Found { messages, refused: Vec::new(), arrived: self.now };
        self.tell(Event::Pop(PopEvent::Popped { spell: spell.clone(), ticket, popped }))
    }

    fn says(&mut self, batch: &Batch, verdict: Verdict) -> Vec<Action> {
        self.tell(Event::Consumed { spell: batch.spell.clone(), offsets: Vec::new(), verdict })
    }

    fn settled(&mut self, spell: &Spell, numbers: &[u64], done: bool) -> Vec<Action> {
        self.tell(Event::Pop(PopEvent::Settled { spell: spell.clone(), numbers: numbers.to_vec(), done }))
    }

    fn unacked(&self) -> usize {
        let mut count = 0;
        self.engine.look_at_pops(|queue, _| count += queue.unacked());
        count
    }
}

fn batches(actions: &[Action]) -> Vec<Batch> {
    let batch = |action: &Action| if let Action::Consume(batch) = action { Some(batch.clone()) } else { None };
    actions.iter().filter_map(batch).collect()
}

fn pops(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::Pop(PopAction::Pop { .. }))).count()
}

/// The offsets that are acknowledged, one list a request.
fn acks(actions: &[Action]) -> Vec<Vec<i64>> {
    let ack = |action: &Action| match action {
        Action::Pop(PopAction::Ack { messages, .. }) => {
            Some(messages.iter().map(|acked| acked.message.queue_offset()).collect())
        }
        _ => None,
    };
    actions.iter().filter_map(ack).collect()
}

/// The offsets that come again, and after how many seconds.
fn changes(actions: &[Action]) -> Vec<(i64, u64)> {
    let change = |action: &Action| match action {
        Action::Pop(PopAction::ChangeInvisible { message, invisible, .. }) => {
            Some((message.message.queue_offset(), invisible.as_secs()))
        }
        _ => None,
    };
    actions.iter().filter_map(change).collect()
}

fn burials(actions: &[Action]) -> Vec<(i64, u64)> {
    let burial = |action: &Action| match action {
        Action::Pop(PopAction::Bury { message, .. }) => Some((message.message.queue_offset(), message.number)),
        _ => None,
    };
    actions.iter().filter_map(burial).collect()
}

const LATER: Verdict = Verdict::Later { consumed: 0, delay_level: 0 };

#[test]
fn what_listeners_finished_is_acknowledged_and_more_is_popped_meanwhile() {
    let (mut stage, spell) = Stage::popping(options(Order::Concurrent));
    let actions = stage.found(&spell, 1, vec![message(0, 5, 0), message(1, 5, 0), message(1, 6, 0)]);
    let handed = batches(&actions);
    assert_eq!((handed.len(), pops(&actions)), (2, 1), "two listeners are free: {actions:?}");
    let actions = stage.says(&handed[0], Verdict::Success);
    assert_eq!((acks(&actions), batches(&actions).len()), (vec![vec![5]], 1));
    let third = batches(&actions).remove(0);
    assert!(acks(&stage.says(&handed[1], Verdict::Success)).is_empty(), "one acknowledgement at a time");
    assert!(acks(&stage.says(&third, Verdict::Success)).is_empty());
    assert_eq!(acks(&stage.settled(&spell, &[1], true)), [[5, 6]], "and then all that are done");
    assert_eq!(stage.unacked(), 2);
    stage.settled(&spell, &[2, 3], true);
    assert_eq!(stage.unacked(), 0);
}

#[cfg_attr(miri, ignore = "so many messages take a minute")]
#[test]
fn nothing_is_popped_while_more_than_96_messages_are_not_acknowledged() {
    let (mut stage, spell) = Stage::popping(options(Order::Concurrent));
    let (mut ticket, mut offset, mut handed) = (1, 0, Vec::new());
    loop {
        let messages = (offset..offset + 32).map(|offset| message(0, offset, 0)).collect();
        let actions = stage.found(&spell, ticket, messages);
        handed.extend(batches(&actions));
        (ticket, offset) = (ticket + 1, offset + 32);
        if pops(&actions) == 0 {
            break;
        }
    }
    assert_eq!(stage.unacked(), 128);
    assert_eq!(stage.engine.next_at().map(|at| at - stage.now), Some(20 * SECOND), "it waits for a listener");
    for number in 1.. {
        let actions = stage.says(&handed.remove(0), Verdict::Success);
        handed.extend(batches(&actions));
        assert_eq!(pops(&actions), 0);
        if pops(&stage.settled(&spell, &[number], true)) > 0 {
            break;
        }
    }
    assert_eq!(stage.unacked(), 96);
}

#[test]
fn what_fails_comes_again_later_with_every_failure_and_becomes_a_dead_letter_at_last() {
    let cases = [(LATER, 0, 10), (LATER, 2, 60), (Verdict::Later { consumed: 0, delay_level: 3 }, 0, 120)];
    for (verdict, times, expected) in cases.into_iter().chain([(Verdict::Suspend(Some(7 * SECOND)), 1, 7)]) {
        let (mut stage, spell) = Stage::popping(options(Order::Concurrent));
        let handed = batches(&stage.found(&spell, 1, vec![message(0, 5, times)]));
        assert_eq!(changes(&stage.says(&handed[0], verdict)), [(5, expected)], "{verdict:?} after {times}");
        stage.settled(&spell, &[1], true);
        assert_eq!(stage.unacked(), 0);
    }
    let dead = Verdict::Later { consumed: 0, delay_level: -1 };
    for (verdict, times, max) in [(LATER, 16, None), (LATER, 3, Some(3)), (dead, 0, None)] {
        let (mut stage, spell) = Stage::popping(EngineOptions { max_reconsume: max, ..options(Order::Concurrent) });
        let handed = batches(&stage.found(&spell, 1, vec![message(0, 5, times)]));
        assert_eq!(burials(&stage.says(&handed[0], verdict)), [(5, 1)]);
        assert_eq!(burials(&stage.settled(&spell, &[1], false)), []);
        assert_eq!(burials(&stage.after(SECOND)), [(5, 1)], "tried again");
        assert_eq!(acks(&stage.settled(&spell, &[1], true)), [[5]], "acknowledged only when it is buried");
    }
}

#[test]
fn of_a_batch_the_first_ones_may_succeed_and_the_others_fail() {
    let (mut stage, spell) = Stage::popping(EngineOptions { batch: 4, ..options(Order::Concurrent) });
    let messages = (0..4).map(|offset| message(0, offset, 0)).chain([message(1, 9, 0)]).collect();
    let handed = batches(&stage.found(&spell, 1, messages));
    assert_eq!(handed.iter().map(|batch| batch.messages.len()).collect::<Vec<_>>(), [4, 1], "each of one queue");
    let actions = stage.says(&handed[0], Verdict::Later { consumed: 2, delay_level: 0 });
    assert_eq!((acks(&actions), changes(&actions)), (vec![vec![0, 1]], vec![(2, 10), (3, 10)]));
}

#[test]
fn what_a_hook_drops_of_a_batch_is_acknowledged_and_the_verdict_is_about_the_others() {
    let (mut stage, spell) = Stage::popping(EngineOptions { batch: 4, ..options(Order::Concurrent) });
    let handed = batches(&stage.found(&spell, 1, (0..4).map(|offset| message(0, offset, 0)).collect()));
    let actions = stage.tell(Event::Dropped { spell: handed[0].spell.clone(), offsets: vec![0, 2] });
    assert_eq!(acks(&actions), [[0, 2]]);
    let actions = stage.says(&handed[0], Verdict::Later { consumed: 1, delay_level: 0 });
    assert_eq!(changes(&actions), [(3, 10)]);
    assert_eq!(acks(&stage.settled(&spell, &[1, 3], true)), [[1]]);
}

#[test]
fn two_messages_of_one_offset_are_never_in_one_batch() {
    let (mut stage, spell) = Stage::popping(EngineOptions { batch: 4, slots: 1, ..options(Order::Concurrent) });
    let messages = vec![message(0, 7, 0), message(0, 7, 1), message(0, 8, 0)];
    let handed = batches(&stage.found(&spell, 1, messages));
    assert_eq!(handed[0].messages.iter().map(MessageView::queue_offset).collect::<Vec<_>>(), [7, 8]);
}

#[test]
fn a_listener_that_took_longer_than_the_message_was_its_own_has_no_say() {
    for verdict in [Verdict::Success, LATER, Verdict::Later { consumed: 0, delay_level: -1 }] {
        let (mut stage, spell) = Stage::popping(options(Order::Concurrent));
        let handed = batches(&stage.found(&spell, 1, vec![message(0, 5, 0)]));
        stage.now += INVISIBLE;
        let actions = stage.says(&handed[0], verdict);
        assert_eq!((acks(&actions).len(), changes(&actions).len(), burials(&actions).len()), (0, 0, 0));
        assert_eq!(stage.unacked(), 0);
    }
}

#[test]
fn messages_that_waited_too_long_for_a_listener_are_not_handed_out_and_keep_others_away_until_then() {
    let (mut stage, spell) = Stage::popping(options(Order::Concurrent));
    let handed = batches(&stage.found(&spell, 1, (0..100).map(|offset| message(0, offset, 0)).collect()));
    let actions = stage.after(INVISIBLE);
    assert_eq!((pops(&actions), stage.unacked()), (0, 100), "they would only wait in their place");
    let actions = stage.says(&handed[0], Verdict::Success);
    assert_eq!((batches(&actions).len(), pops(&actions), stage.unacked()), (0, 1, 1));
}

#[test]
fn an_acknowledgement_that_failed_is_repeated_as_long_as_it_counts() {
    let (mut stage, spell) = Stage::popping(options(Order::Concurrent));
    let handed = batches(&stage.found(&spell, 1, vec![message(0, 5, 0)]));
    stage.says(&handed[0], Verdict::Success);
    assert!(acks(&stage.settled(&spell, &[1], false)).is_empty());
    assert_eq!(stage.engine.next_at(), Some(stage.now + SECOND));
    assert_eq!(acks(&stage.after(SECOND)), [[5]]);
    stage.settled(&spell, &[1], false);
    assert!(acks(&stage.after(INVISIBLE)).is_empty());
    assert_eq!(stage.unacked(), 0);
}

#[test]
fn what_the_filter_refuses_is_acknowledged_without_a_listener() {
    let (mut stage, spell) = Stage::popping(options(Order::Concurrent));
    let refused = vec![message(0, 5, 0)];
    let popped = Popped::Found { messages: Vec::new(), refused, arrived: stage.now };
    let actions = stage.tell(Event::Pop(PopEvent::Popped { spell, ticket: 1, popped }));
    assert_eq!((acks(&actions), pops(&actions), batches(&actions).len()), (vec![vec![5]], 1, 0));
}

#[test]
fn a_broker_that_cannot_answer_is_asked_again_but_not_at_once() {
    let failed = || Popped::Failed(crate::error::Error::malformed("a broken answer"));
    for (popped, pause) in [
        (Popped::Nothing, Duration::from_millis(50)),
        (Popped::Throttled, Duration::from_millis(20)),
        (Popped::Crowded, SECOND),
        (failed(), SECOND),
    ] {
        let (mut stage, spell) = Stage::popping(options(Order::Concurrent));
        let actions = stage.tell(Event::Pop(PopEvent::Popped { spell: spell.clone(), ticket: 1, popped }));
        assert_eq!(pops(&actions), 0);
        assert_eq!(stage.engine.next_at(), Some(stage.now + pause));
        assert_eq!(pops(&stage.after(pause)), 1);
    }
    let (mut stage, spell) = Stage::popping(options(Order::Concurrent));
    stage.now += 15 * SECOND;
    let held = PopEvent::Popped { spell: spell.clone(), ticket: 1, popped: Popped::Nothing };
    assert_eq!(pops(&stage.tell(Event::Pop(held))), 1, "one that was held is repeated at once");
    assert_eq!(changes(&stage.found(&spell, 1, vec![message(0, 5, 0)])), [(5, 0)], "an answer that is too late");
}

#[test]
fn a_queue_that_goes_away_has_its_running_listeners_acknowledged_and_gives_back_what_waits() {
    let (mut stage, spell) = Stage::popping(options(Order::Concurrent));
    let handed = batches(&stage.found(&spell, 1, (0..4).map(|offset| message(0, offset, 0)).collect()));
    let actions = stage.assigned(&[], &[queue(1)]);
    assert_eq!(changes(&actions), [(2, 0), (3, 0)], "others get at once what waits here");
    stage.settled(&spell, &[3, 4], true);
    let actions = stage.says(&handed[0], Verdict::Success);
    assert_eq!((acks(&actions), batches(&actions).len()), (vec![vec![0]], 0));
    assert!(acks(&stage.says(&handed[1], Verdict::Success)).is_empty());
    assert_eq!(acks(&stage.settled(&spell, &[1], true)), [[1]]);
    assert_eq!(changes(&stage.found(&spell, 2, vec![message(0, 9, 0)])), [(9, 0)], "the pop that was under way");
    stage.settled(&spell, &[2, 5], true);
    assert!(!stage.engine.by_broker.pops.queues.contains_key(&queue(-1)));
    assert_eq!(changes(&stage.found(&spell, 2, vec![message(0, 9, 0)])), [(9, 0)], "or its answer came even later");
}

#[test]
fn closing_waits_for_acknowledgements_and_not_for_a_listener_without_end() {
    let (mut stage, spell) = Stage::popping(options(Order::Concurrent));
    let handed = batches(&stage.found(&spell, 1, (0..2).map(|offset| message(0, offset, 0)).collect()));
    assert!(stage.tell(Event::Close { grace: 5 * SECOND }).is_empty());
    assert_eq!(acks(&stage.says(&handed[0], Verdict::Success)), [[0]]);
    assert_eq!(stage.engine.next_at(), Some(stage.now + 5 * SECOND));
    assert!(stage.after(5 * SECOND).is_empty());
    assert!(matches!(stage.settled(&spell, &[1], true)[..], [Action::Closed]));
}

#[test]
fn in_order_one_batch_of_each_queue_is_out_and_what_fails_holds_up_its_queue() {
    let (mut stage, spell) = Stage::popping(EngineOptions { slots: 4, ..options(Order::Orderly) });
    let messages = [(0, 5), (0, 6), (0, 7), (1, 1), (1, 2)].map(|(id, offset)| message(id, offset, 0));
    let handed = batches(&stage.found(&spell, 1, messages.to_vec()));
    assert_eq!(handed.iter().map(|batch| batch.messages[0].queue_offset()).collect::<Vec<_>>(), [5, 1]);
    let next = batches(&stage.says(&handed[0], Verdict::Success)).remove(0);
    assert_eq!(next.messages[0].queue_offset(), 6);
    let actions = stage.says(&next, Verdict::Suspend(Some(3 * SECOND)));
    assert_eq!(
        (changes(&actions), batches(&actions).len()),
        (vec![(6, 3), (7, 3)], 0),
        "what is behind comes after it"
    );
    assert_eq!(
        batches(&stage.says(&handed[1], Verdict::Success))[0].messages[0].queue_offset(),
        2,
        "the other goes on"
    );
}

#[test]
fn in_order_what_comes_again_takes_the_place_of_what_still_waits() {
    let (mut stage, spell) = Stage::popping(options(Order::Orderly));
    let handed = batches(&stage.found(&spell, 1, (5..8).map(|offset| message(0, offset, 0)).collect()));
    assert_eq!(stage.unacked(), 3);
    assert!(batches(&stage.found(&spell, 2, (5..8).map(|offset| message(0, offset, 1)).collect())).is_empty());
    assert_eq!(stage.unacked(), 4, "a listener still has the first");
    let next = batches(&stage.says(&handed[0], Verdict::Success)).remove(0);
    assert_eq!((next.messages[0].queue_offset(), next.messages[0].reconsume_times()), (5, 1));
}

#[test]
fn in_order_a_message_that_failed_too_often_is_buried_and_those_behind_wait() {
    let max_reconsume = Some(2);
    let (mut stage, spell) = Stage::popping(EngineOptions { max_reconsume, ..options(Order::Orderly) });
    let handed = batches(&stage.found(&spell, 1, vec![message(0, 5, 2), message(0, 6, 0)]));
    let actions = stage.says(&handed[0], LATER);
    assert_eq!((burials(&actions), changes(&actions)), (vec![(5, 1)], vec![(6, 1)]));
}

#[test]
fn a_queue_changes_its_mode_when_it_is_done_with_in_the_other() {
    let (mut stage, spell) = Stage::popping(options(Order::Concurrent));
    let handed = batches(&stage.found(&spell, 1, vec![message(0, 5, 0)]));
    let actions = stage.assigned(&[queue(0), queue(1)], &[]);
    assert!(!actions.iter().any(|action| matches!(action, Action::FindStart { .. })), "{actions:?}");
    assert!(actions.iter().any(|action| matches!(action, Action::Leftovers { wanted: true, .. })), "{actions:?}");
    stage.says(&handed[0], Verdict::Success);
    stage.settled(&spell, &[1], true);
    assert_eq!(stage.unacked(), 0);
    let actions = stage.after(SECOND);
    assert!(actions.iter().any(|action| matches!(action, Action::FetchAssignment { .. })), "asked again soon");
    let actions = stage.assigned(&[queue(0), queue(1)], &[]);
    let starts: Vec<Spell> = actions.iter().filter_map(start_of).collect();
    assert_eq!(starts.len(), 2);
    let start = Ok(Start { offset: 6, stored: Some(6) });
    stage.tell(Event::Started { spell: starts[0].clone(), start });
    // And back: nothing is popped before the last commit.
    assert_eq!(pops(&stage.assigned(&[], &[queue(-1)])), 0);
    let actions = stage.after(SECOND);
    assert_eq!(pops(&actions), 0, "{actions:?}");
    let actions = stage.assigned(&[], &[queue(-1)]);
    assert_eq!(pops(&actions), 1, "{actions:?}");
    assert!(actions.iter().any(|action| matches!(action, Action::Leftovers { wanted: false, .. })));
}

fn start_of(action: &Action) -> Option<Spell> {
    if let Action::FindStart { spell } = action { Some(spell.clone()) } else { None }
}

#[test]
fn a_broker_that_does_not_know_the_question_is_not_asked_it_again() {
    let mut stage = Stage::new(options(Order::Concurrent));
    let actions = stage.tell(Event::Assigned { topic: "T".into(), assignment: Ok(Assignment::Unsupported) });
    assert!(matches!(actions[..], [Action::FetchMembers { .. }]), "{actions:?}");
    let actions = stage.tell(Event::Members { topic: "T".into(), members: Ok(vec!["me".into()]) });
    assert_eq!(actions.iter().filter_map(start_of).count(), 2);
    let actions = stage.after(20 * SECOND);
    assert!(actions.iter().any(|action| matches!(action, Action::FetchMembers { .. })), "{actions:?}");
    assert!(!actions.iter().any(|action| matches!(action, Action::FetchAssignment { .. })), "{actions:?}");
}

#[test]
fn queues_are_given_up_only_when_the_broker_knows_this_member() {
    let (mut stage, _) = Stage::popping(options(Order::Concurrent));
    let has_queues = |stage: &Stage| stage.engine.by_broker.pops.has("T");
    assert!(matches!(stage.assigned(&[], &[])[..], [Action::FetchMembers { .. }]));
    let members = |ids: &[&str]| Ok(ids.iter().map(|id| Arc::from(*id)).collect());
    let actions = stage.tell(Event::Members { topic: "T".into(), members: members(&["other"]) });
    assert!(matches!(actions[..], [Action::Heartbeat]) && has_queues(&stage), "{actions:?}");
    stage.assigned(&[], &[]);
    stage.tell(Event::Members { topic: "T".into(), members: members(&["me", "other"]) });
    assert!(!has_queues(&stage));
    // One that cannot tell, or does not answer, takes nothing away and is asked again.
    let (mut stage, _) = Stage::popping(options(Order::Concurrent));
    for assignment in [Ok(Assignment::Unknown), Err(crate::error::Error::malformed("no list"))] {
        stage.tell(Event::Assigned { topic: "T".into(), assignment });
        assert!(has_queues(&stage));
        assert!(stage.after(SECOND).iter().any(|action| matches!(action, Action::FetchAssignment { .. })));
    }
}

#[test]
fn a_suspended_consumer_pops_nothing_and_goes_on_afterwards() {
    let (mut stage, spell) = Stage::popping(options(Order::Concurrent));
    stage.tell(Event::Suspended(true));
    let actions = stage.found(&spell, 1, vec![message(0, 5, 0)]);
    assert_eq!((batches(&actions).len(), pops(&actions)), (1, 0), "what is here already is consumed");
    stage.engine.look_at_pops(|_, standing| assert_eq!(standing, Some(Standing::Suspended)));
    assert_eq!(pops(&stage.tell(Event::Suspended(false))), 1);
}
