//! Single decisions of an engine; `simulation` has them all together.

use std::time::Duration;

use super::*;
use crate::consumer::allocation::Averagely;
use crate::consumer::tests::tagged;

const SECOND: Duration = Duration::from_secs(1);

/// One consumer of a topic, `me`, with short times and small bounds.
pub(super) fn options(order: Order) -> EngineOptions {
    EngineOptions {
        group: "g".into(),
        client_id: "me".into(),
        model: MessageModel::Clustering,
        order,
        allocation: Arc::new(Averagely),
        by_broker: None,
        batch: 1,
        slots: if matches!(order, Order::Polled { .. }) { usize::MAX } else { 2 },
        limits: Limits { messages: 100, bytes: 1 << 20, span: None },
        topic_limits: (None, None),
        pull_interval: Duration::ZERO,
        rebalance_interval: 20 * SECOND,
        persist_interval: 5 * SECOND,
        consume_timeout: 900 * SECOND,
        suspend: SECOND,
        max_reconsume: None,
        revoke_grace: SECOND,
        handover: Duration::ZERO,
    }
}

pub(super) struct Stage {
    pub(super) engine: Engine,
    pub(super) now: Instant,
}

impl Stage {
    /// An engine whose group has these members, among which it is `me`.
    pub(super) fn new(order: Order, members: &[&str]) -> (Stage, Vec<Action>) {
        let options = options(order);
        let now = Instant::now();
        let mut stage = Stage { engine: Engine::new(options, now), now };
        let queues = vec![MessageQueue::new("T", "b", 0)];
        stage.tell(Event::Topics(vec![("T".into(), Some(queues.into()))]));
        let actions = stage.members(members);
        (stage, actions)
    }

    pub(super) fn tell(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.engine.handle(event, self.now, &mut actions);
        actions
    }

    pub(super) fn members(&mut self, members: &[&str]) -> Vec<Action> {
        let members = members.iter().map(|member| Arc::from(*member)).collect();
        self.tell(Event::Members { topic: "T".into(), members: Ok(members) })
    }

    /// Gives the locks that are asked for.
    fn locked(&mut self, actions: Vec<Action>) -> Vec<Action> {
        let lock = |action: &Action| if let Action::Lock { spell } = action { Some(spell.clone()) } else { None };
        let spell = actions.iter().find_map(lock);
        spell.map_or(actions, |spell| self.tell(Event::Locked { spell, given: Some(true) }))
    }

    /// Begins at offset 10 and says how the first pull went out.
    pub(super) fn open(&mut self, actions: &[Action]) -> (Spell, u64) {
        let spell = actions.iter().find_map(|action| match action {
            Action::FindStart { spell } => Some(spell.clone()),
            _ => None,
        });
        let spell = spell.expect("its start is looked for");
        let actions =
            self.tell(Event::Started { spell: spell.clone(), start: Ok(Start { offset: 10, stored: Some(10) }) });
        let [Action::Pull { offset: 10, ticket, .. }] = actions[..] else { panic!("{actions:?}") };
        (spell, ticket)
    }

    pub(super) fn found(&mut self, spell: &Spell, ticket: u64, offsets: std::ops::Range<i64>) -> Vec<Action> {
        let (next, messages) = (offsets.end, offsets.map(|offset| tagged("", offset)).collect());
        self.tell(Event::Pulled { spell: spell.clone(), ticket, pulled: Pulled::Found { messages, next } })
    }
}

pub(super) fn consumed(actions: &[Action]) -> Vec<i64> {
    let offset = |action: &Action| match action {
        Action::Consume(batch) => Some(batch.messages[0].queue_offset()),
        _ => None,
    };
    actions.iter().filter_map(offset).collect()
}

mod refilter;

#[test]
fn no_more_batches_are_handed_out_than_listeners_are_free_and_one_pull_is_under_way() {
    let (mut stage, actions) = Stage::new(Order::Concurrent, &["me"]);
    let (spell, ticket) = stage.open(&actions);
    let actions = stage.found(&spell, ticket, 10..14);
    assert_eq!(consumed(&actions), [10, 11]);
    assert_eq!(actions.iter().filter(|action| matches!(action, Action::Pull { offset: 14, .. })).count(), 1);
    let actions = stage.found(&spell, ticket, 10..14);
    assert!(actions.is_empty(), "an answer that comes again: {actions:?}");
    let verdict = Verdict::Success;
    assert_eq!(consumed(&stage.tell(Event::Consumed { spell, offsets: vec![11], verdict })), [12]);
}

#[test]
fn a_queue_that_goes_to_another_member_is_committed_once_its_listeners_have_ended() {
    let (mut stage, actions) = Stage::new(Order::Concurrent, &["me"]);
    let (spell, ticket) = stage.open(&actions);
    stage.found(&spell, ticket, 10..13);
    let actions = stage.members(&["before", "me"]);
    assert!(!actions.iter().any(|action| matches!(action, Action::Commit { .. })), "{actions:?}");
    let ended = |offset| Event::Consumed { spell: spell.clone(), offsets: vec![offset], verdict: Verdict::Success };
    assert!(stage.tell(ended(10)).is_empty(), "the other listener still runs, and nothing new is handed out");
    let actions = stage.tell(ended(11));
    let [Action::Commit { offset: 12, .. }] = actions[..] else { panic!("{actions:?}") };
    let actions = stage.tell(Event::Committed { spell, result: Ok(()) });
    assert!(matches!(actions[..], [Action::Left { .. }]), "{actions:?}");
    assert!(stage.engine.queues.is_empty());
}

#[test]
fn a_member_that_brokers_do_not_list_keeps_its_queues_and_tells_them_again() {
    let (mut stage, actions) = Stage::new(Order::Concurrent, &["me"]);
    stage.open(&actions);
    let actions = stage.members(&["other"]);
    assert!(matches!(actions[..], [Action::Heartbeat]), "{actions:?}");
    assert_eq!(stage.engine.queues.iter().count(), 1);
}

#[test]
fn an_operators_reset_begins_a_new_spell_and_is_committed_at_once() {
    let (mut stage, actions) = Stage::new(Order::Concurrent, &["me"]);
    let (spell, ticket) = stage.open(&actions);
    stage.found(&spell, ticket, 10..12);
    let actions = stage.tell(Event::Reset(vec![(spell.queue.clone(), 3)]));
    assert!(actions.iter().any(|action| matches!(action, Action::Moved { from: 10, to: 3, why: Why::Reset, .. })));
    assert!(actions.iter().any(|action| matches!(action, Action::Commit { offset: 3, .. })), "{actions:?}");
    assert!(actions.iter().any(|action| matches!(action, Action::Pull { offset: 3, .. })), "{actions:?}");
    stage.tell(Event::Consumed { spell, offsets: vec![10], verdict: Verdict::Success });
    stage.engine.look(stage.now, |queue, _| assert_eq!(queue.cache().commit_offset(), 3, "the former spell is over"));
}

#[test]
fn an_orderly_queue_is_consumed_under_its_lock_only_and_waits_after_a_failure() {
    let (mut stage, actions) = Stage::new(Order::Orderly, &["me"]);
    let [Action::Changed { .. }, Action::Heartbeat, Action::Lock { ref spell }] = actions[..] else {
        panic!("{actions:?}")
    };
    let actions = stage.tell(Event::Locked { spell: spell.clone(), given: Some(true) });
    let (spell, ticket) = stage.open(&actions);
    assert_eq!(consumed(&stage.found(&spell, ticket, 10..13)), [10], "one at a time");
    let failed = Event::Consumed { spell: spell.clone(), offsets: vec![10], verdict: Verdict::Suspend(None) };
    assert_eq!(consumed(&stage.tell(failed)), [0; 0]);
    stage.now += SECOND;
    assert_eq!(consumed(&stage.tell(Event::Tick)), [10], "the same again, after a second");
    stage.now += 30 * SECOND;
    let ended = Event::Consumed { spell, offsets: vec![10], verdict: Verdict::Success };
    assert_eq!(consumed(&stage.tell(ended)), [0; 0], "the lock has expired");
}

/// An engine that has `count` queues, of which it has just begun all.
fn crowded(count: i32) -> (Stage, Vec<Spell>) {
    let (mut stage, mut actions) = Stage::new(Order::Concurrent, &["me"]);
    let queues = (0..count).map(|id| MessageQueue::new("T", "b", id)).collect();
    stage.tell(Event::Topics(vec![("T".into(), Some(queues))]));
    actions.extend(stage.members(&["me"]));
    let spell = |action: &Action| match action {
        Action::FindStart { spell } => Some(spell.clone()),
        _ => None,
    };
    let spells: Vec<_> = actions.iter().filter_map(spell).collect();
    for spell in &spells {
        let start = Start { offset: 10, stored: Some(10) };
        stage.tell(Event::Started { spell: spell.clone(), start: Ok(start) });
    }
    (stage, spells)
}

#[cfg_attr(miri, ignore = "so many events take minutes")]
#[test]
fn what_an_event_costs_does_not_depend_on_the_number_of_queues() {
    let (mut stage, spells) = crowded(10_000);
    let before = stage.engine.queues.looks;
    for offset in 10..510 {
        stage.now += Duration::from_millis(1);
        let actions = stage.found(&spells[77], offset as u64 - 9, offset..offset + 1);
        assert_eq!(consumed(&actions), [offset]);
        let verdict = Verdict::Success;
        stage.tell(Event::Consumed { spell: spells[77].clone(), offsets: vec![offset], verdict });
        stage.tell(Event::Tick);
    }
    assert_eq!(stage.engine.queues.looks - before, 1500, "once per event, and once to hand out a batch");
}

#[test]
fn queues_that_are_idle_want_nothing_but_their_pulls() {
    let (mut stage, spells) = crowded(100);
    let start = stage.now;
    let mut ticks = 0;
    while let Some(at) = stage.engine.next_at().filter(|at| *at < start + 110 * SECOND) {
        assert!(at > stage.now, "it wants to be looked at again at once");
        stage.now = at;
        ticks += 1;
        for action in stage.tell(Event::Tick) {
            let Action::FetchMembers { .. } = action else { panic!("{action:?}") };
            stage.members(&["me"]);
        }
    }
    let queues = stage.engine.queues.iter().count();
    assert_eq!((ticks, queues, spells.len()), (6, 100, 100), "it only rebalanced, every 20 s");
}

#[test]
fn the_bounds_of_a_topic_are_divided_among_its_own_queues() {
    let (mut stage, _) = Stage::new(Order::Concurrent, &["me"]);
    stage.engine.options.topic_limits = (Some(40), Some(4000));
    let queues = |topic: &str, count| (0..count).map(|id| MessageQueue::new(topic, "b", id)).collect();
    let topics = vec![("T".into(), Some(queues("T", 4))), ("U".into(), Some(queues("U", 1)))];
    stage.tell(Event::Topics(topics));
    for topic in ["T", "U"] {
        stage.tell(Event::Members { topic: topic.into(), members: Ok(vec!["me".into()]) });
    }
    let of = |topic: &str| {
        let queue = stage.engine.queues.iter().find(|queue| queue.spell().queue.topic() == topic);
        stage.engine.limits(queue.expect("it is assigned"))
    };
    assert_eq!((of("T").messages, of("T").bytes), (10, 1000));
    assert_eq!((of("U").messages, of("U").bytes), (40, 4000));
}

#[test]
fn a_storm_of_notifications_rebalances_once_a_second() {
    let (mut stage, _) = Stage::new(Order::Concurrent, &["me"]);
    let start = stage.now;
    let mut rebalances = Vec::new();
    for millis in 1..=100 {
        stage.now = start + Duration::from_millis(millis);
        let actions = stage.tell(Event::Disturbed);
        rebalances.extend(actions.iter().map(|action| (millis, matches!(action, Action::FetchMembers { .. }))));
    }
    assert_eq!(rebalances, [], "the last rebalance is less than a second ago");
    assert_eq!(stage.engine.next_at(), Some(start + SECOND));
    stage.now = start + SECOND;
    assert!(matches!(stage.tell(Event::Tick)[..], [Action::FetchMembers { .. }]));
    stage.members(&["me"]);
    assert!(stage.engine.next_at() > Some(start + 2 * SECOND), "and then there is nothing left to do");
}

#[test]
fn a_queue_that_is_full_is_not_pulled_before_a_message_is_finished() {
    let bounds = [
        (Limits { messages: 3, bytes: 1 << 20, span: None }, Full::Messages),
        (Limits { messages: 100, bytes: 19, span: None }, Full::Bytes),
        (Limits { messages: 100, bytes: 1 << 20, span: Some(2) }, Full::Span),
    ];
    for (limits, full) in bounds {
        let (mut stage, actions) = Stage::new(Order::Concurrent, &["me"]);
        stage.engine.options.limits = limits;
        let (spell, ticket) = stage.open(&actions);
        let actions = stage.found(&spell, ticket, 10..14);
        assert!(!actions.iter().any(|action| matches!(action, Action::Pull { .. })), "{full:?}: {actions:?}");
        stage.engine.look(stage.now, |_, standing| assert_eq!(standing, Some(Standing::Full(full))));
        let actions = stage.tell(Event::Consumed { spell, offsets: vec![10], verdict: Verdict::Success });
        assert!(
            actions.iter().any(|action| matches!(action, Action::Pull { offset: 14, .. })),
            "{full:?}: {actions:?}"
        );
    }
}

#[test]
fn a_reset_while_a_queue_leaves_is_what_its_next_owner_finds() {
    let (mut stage, actions) = Stage::new(Order::Concurrent, &["me"]);
    let (spell, ticket) = stage.open(&actions);
    stage.found(&spell, ticket, 10..13);
    stage.members(&["before", "me"]);
    stage.tell(Event::Reset(vec![(spell.queue.clone(), 3)]));
    stage.now += SECOND;
    let actions = stage.tell(Event::Tick);
    let [Action::Commit { offset: 3, .. }] = actions[..] else { panic!("{actions:?}") };
}

fn pulls(actions: &[Action]) -> Vec<i64> {
    let offset = |action: &Action| if let Action::Pull { offset, .. } = action { Some(*offset) } else { None };
    actions.iter().filter_map(offset).collect()
}

#[test]
fn a_pull_that_is_not_answered_for_two_minutes_is_made_anew_and_its_late_answer_does_not_count() {
    let (mut stage, actions) = Stage::new(Order::Concurrent, &["me"]);
    let (spell, ticket) = stage.open(&actions);
    stage.now += 119 * SECOND;
    assert_eq!(pulls(&stage.tell(Event::Tick)), [0; 0]);
    assert!(stage.engine.next_at().is_some_and(|at| at <= stage.now + SECOND), "it wakes by itself");
    stage.now += SECOND;
    assert_eq!(pulls(&stage.tell(Event::Tick)), [10]);
    stage.engine.look(stage.now, |_, standing| assert_eq!(standing, Some(Standing::Failing)));
    assert_eq!(consumed(&stage.found(&spell, ticket, 10..12)), [0; 0], "the answer to the lost one");
    assert_eq!(consumed(&stage.found(&spell, ticket + 1, 10..12)), [10, 11]);
    stage.engine.look(stage.now, |_, standing| assert_eq!(standing, None));
}

#[test]
fn a_queue_that_nobody_tells_where_to_begin_asks_anew_after_two_minutes() {
    let (mut stage, _) = Stage::new(Order::Concurrent, &["me"]);
    let asked = |actions: &[Action]| actions.iter().any(|action| matches!(action, Action::FindStart { .. }));
    stage.now += 119 * SECOND;
    assert!(!asked(&stage.tell(Event::Tick)));
    stage.now += SECOND;
    assert!(asked(&stage.tell(Event::Tick)));
    assert!(!asked(&stage.tell(Event::Tick)), "once");
}

#[test]
fn listeners_that_do_not_return_for_a_minute_explain_why_their_queue_stands() {
    for order in [Order::Concurrent, Order::Orderly] {
        let (mut stage, actions) = Stage::new(order, &["me"]);
        let actions = stage.locked(actions);
        let (spell, ticket) = stage.open(&actions);
        stage.found(&spell, ticket, 10..14);
        let standing = |stage: &Stage| {
            let mut found = None;
            stage.engine.look(stage.now, |_, standing| found = standing);
            found
        };
        for seconds in [20, 20, 19] {
            stage.now += seconds * SECOND;
            stage.tell(Event::Tick);
            stage.tell(Event::Locked { spell: spell.clone(), given: Some(true) });
        }
        assert_ne!(standing(&stage), Some(Standing::Stalled));
        stage.now += SECOND;
        stage.tell(Event::Tick);
        assert_eq!(standing(&stage), Some(Standing::Stalled), "{order:?}");
        stage.tell(Event::Consumed { spell, offsets: vec![10], verdict: Verdict::Success });
        assert_ne!(standing(&stage), Some(Standing::Stalled));
    }
}

#[test]
fn what_a_filter_dropped_is_finished_and_the_rest_of_its_batch_may_fail() {
    for order in [Order::Concurrent, Order::Orderly] {
        let (mut stage, actions) = Stage::new(order, &["me"]);
        let actions = stage.locked(actions);
        let (spell, ticket) = stage.open(&actions);
        stage.found(&spell, ticket, 10..12);
        stage.tell(Event::Dropped { spell: spell.clone(), offsets: vec![10] });
        stage.engine.look(stage.now, |queue, _| assert_eq!(queue.cache().commit_offset(), 11));
        stage.tell(Event::Consumed { spell, offsets: Vec::new(), verdict: Verdict::Success });
        assert_eq!(stage.engine.running(), 1, "{order:?}");
    }
}

#[test]
fn an_answer_to_a_pull_of_a_queue_that_is_gone_is_dropped_and_counted() {
    let (mut stage, actions) = Stage::new(Order::Concurrent, &["me"]);
    let (spell, ticket) = stage.open(&actions);
    let actions = stage.members(&["before", "me"]);
    assert!(matches!(actions[..], [.., Action::Left { .. }]), "{actions:?}");
    assert_eq!(stage.engine.take_dropped_pulls(), 0);
    assert_eq!(consumed(&stage.found(&spell, ticket, 10..12)), [0; 0]);
    assert_eq!((stage.engine.take_dropped_pulls(), stage.engine.take_dropped_pulls()), (1, 0));
}

#[test]
fn a_lock_is_given_back_only_once_the_listener_has_ended() {
    for ends in [true, false] {
        let (mut stage, actions) = Stage::new(Order::Orderly, &["me"]);
        let Some(Action::Lock { spell }) = actions.last() else { panic!("{actions:?}") };
        let actions = stage.tell(Event::Locked { spell: spell.clone(), given: Some(true) });
        let (spell, ticket) = stage.open(&actions);
        stage.found(&spell, ticket, 10..13);
        assert_eq!(stage.tell(Event::Close { grace: SECOND }).len(), 0, "a listener runs");
        let actions = if ends {
            let ended = Event::Consumed { spell: spell.clone(), offsets: vec![10], verdict: Verdict::Success };
            assert!(matches!(stage.tell(ended)[..], [Action::Commit { offset: 11, .. }]));
            stage.tell(Event::Committed { spell, result: Ok(()) })
        } else {
            stage.now += SECOND;
            stage.tell(Event::Tick)
        };
        assert!(actions.iter().any(|action| matches!(action, Action::Closed)), "{actions:?}");
        let unlocked = actions.iter().any(|action| matches!(action, Action::Unlock { .. }));
        assert_eq!(unlocked, ends, "a listener that outlasts its grace keeps others out until the lock expires");
    }
}

#[test]
fn a_start_waits_neither_for_a_route_learnt_late_nor_for_a_broker_that_has_not_heard_of_it() {
    let (mut stage, _) = Stage::new(Order::Concurrent, &["me"]);
    let options = stage.engine.options.clone();
    stage.engine = Engine::new(options, stage.now);
    let fetches = |actions: &[Action]| actions.iter().any(|action| matches!(action, Action::FetchMembers { .. }));
    assert!(!fetches(&stage.tell(Event::Topics(vec![("T".into(), None)]))));
    stage.now += Duration::from_millis(5);
    let queues = vec![MessageQueue::new("T", "b", 0)];
    let actions = stage.tell(Event::Topics(vec![("T".into(), Some(queues.into()))]));
    assert!(fetches(&actions), "{actions:?}");
    assert!(actions.iter().any(|action| matches!(action, Action::Heartbeat)), "{actions:?}");
    assert!(!fetches(&stage.members(&["other"])));
    stage.now += Duration::from_millis(25);
    assert!(fetches(&stage.tell(Event::Tick)));
    assert!(stage.members(&["me"]).iter().any(|action| matches!(action, Action::FindStart { .. })));
}
