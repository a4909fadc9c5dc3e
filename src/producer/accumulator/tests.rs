//! The decision in virtual time, and what its bounds promise.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::AutoBatch;
use super::gather::{Batch, Gather, Key, Limits, Share};
use super::under_way::may_be_one_members_fault;
use crate::code::ResponseCode;
use crate::error::{Attempt, Error, Exhaustion, Outcome};
use crate::remoting::Deadline;

const LIMITS: Limits = Limits { delay: Duration::from_millis(10), bytes: 1000, held: 10_000 };
const TIMEOUT: Duration = Duration::from_secs(3);

fn key_of(topic: &Arc<str>) -> Key<'_> {
    Key { topic, tag: None, wait_store: true, attempts: 3 }
}

/// One group's messages, numbered, at times in milliseconds.
struct Scene {
    gather: Gather<usize>,
    start: Instant,
    topic: Arc<str>,
    added: usize,
}

impl Scene {
    fn new(limits: Limits) -> Scene {
        Scene { gather: Gather::new(limits), start: Instant::now(), topic: "T".into(), added: 0 }
    }

    fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    /// Adds a message; returns what leaves, and for when a tick is wanted in milliseconds.
    fn add(&mut self, millis: u64, bytes: usize) -> (Option<Batch<usize>>, Option<u64>) {
        let topic = self.topic.clone();
        let place = self.gather.place(&key_of(&topic), bytes).expect("room");
        let now = self.at(millis);
        let deadline = Deadline::from(now, TIMEOUT);
        self.added += 1;
        let (batch, tick) = self.gather.add(now, place, deadline, &vec![b'x'; bytes], self.added);
        let start = self.start;
        (batch, tick.map(|at| (at - start).as_millis() as u64))
    }

    /// As [`add`](Scene::add), for a message that must leave: returns which ones leave with it.
    fn leaves(&mut self, millis: u64, bytes: usize) -> (Vec<usize>, Share) {
        let batch = self.add(millis, bytes).0.expect("a batch leaves");
        (batch.members, batch.share)
    }

    fn gathers(&mut self, millis: u64, bytes: usize) {
        assert_eq!(self.add(millis, bytes).0, None, "message {} is gathered", self.added);
    }
}

#[test]
fn a_lone_sender_never_waits() {
    let mut scene = Scene::new(LIMITS);
    for number in 1..=100 {
        let topic = scene.topic.clone();
        let share = scene.gather.alone(&key_of(&topic)).expect("nothing is under way");
        assert_eq!(scene.gather.ended(share), None);
        let (members, share) = scene.leaves(number, 100);
        assert_eq!(members, [number as usize]);
        assert_eq!(scene.gather.ended(share), None);
    }
    assert_eq!((scene.gather.held(), scene.gather.batches()), (0, 0));
}

#[test]
fn a_few_leave_at_once_and_more_are_gathered_until_they_are_as_many_as_are_under_way() {
    let mut scene = Scene::new(LIMITS);
    let shares: Vec<Share> = (0..4).map(|_| scene.leaves(0, 10).1).collect();
    let topic = scene.topic.clone();
    assert_eq!(scene.gather.alone(&key_of(&topic)), None, "four are enough");
    (0..3).for_each(|_| scene.gathers(1, 10));
    let (members, large) = scene.leaves(1, 10);
    assert_eq!(members, [5, 6, 7, 8]);
    assert_eq!(scene.add(2, 10), (None, None), "the tick that the batch before asked for is still to come");
    scene.gathers(2, 10);
    // Eight are under way; two are due once two are left.
    assert_eq!(scene.gather.ended(large), None);
    let ended: Vec<_> = shares.into_iter().map(|share| scene.gather.ended(share)).collect();
    let left: Vec<_> = ended.into_iter().map(|batch| batch.map(|batch| batch.members)).collect();
    assert_eq!(left, [Some(vec![9, 10]), None, None, None], "with three under way nothing is held back");
}

#[test]
fn the_first_message_waits_for_the_delay_and_no_longer() {
    let mut scene = Scene::new(LIMITS);
    (0..4).for_each(|_| drop(scene.leaves(0, 10)));
    assert_eq!(scene.add(5, 10), (None, Some(15)));
    scene.gathers(14, 10);
    assert!(scene.gather.tick(scene.at(14)).0.is_empty());
    let (due, next) = scene.gather.tick(scene.at(15));
    assert_eq!(due.iter().map(|batch| &batch.members[..]).collect::<Vec<_>>(), [[5, 6]]);
    assert_eq!(next, None);
    assert_eq!(scene.add(16, 10), (None, Some(26)), "the next tick is asked for anew");
    scene.gather.ended(due[0].share);
    assert_eq!(scene.gather.tick(scene.at(20)), (Vec::new(), Some(scene.at(26))), "too early: it comes again");
}

#[test]
fn a_batch_never_grows_beyond_its_bytes() {
    let mut scene = Scene::new(LIMITS);
    (0..4).for_each(|_| drop(scene.leaves(0, 400)));
    scene.gathers(1, 400);
    scene.gathers(1, 400);
    let (members, _) = scene.leaves(1, 400);
    assert_eq!(members, [5, 6], "the message that found no room begins the next batch");
    let (members, _) = scene.leaves(1, 600);
    assert_eq!(members, [7, 8], "exactly full");
}

#[test]
fn the_deadline_of_a_batch_is_its_earliest_one() {
    let mut scene = Scene::new(LIMITS);
    (0..4).for_each(|_| drop(scene.leaves(0, 10)));
    scene.gathers(7, 10);
    scene.gathers(3, 10);
    scene.gathers(5, 10);
    let batch = scene.add(9, 10).0.expect("a batch leaves");
    assert_eq!(batch.deadline.at(), scene.at(3) + TIMEOUT);
}

#[test]
fn a_message_in_a_hurry_takes_no_other_along() {
    let mut scene = Scene::new(LIMITS);
    (0..4).for_each(|_| drop(scene.leaves(0, 10)));
    scene.gathers(1, 10);
    let place = scene.gather.place(&key_of(&"T".into()), 10).expect("room");
    let soon = Deadline::from(scene.start, Duration::from_millis(100));
    let batch = scene.gather.add_alone(place, soon, &[b'x'; 10], 99);
    assert_eq!((&batch.members[..], batch.deadline), (&[99][..], soon));
    assert_eq!((scene.gather.held(), scene.gather.batches()), (60, 5));
    let left = scene.gather.take_all();
    assert_eq!((left.len(), &left[0].members[..]), (1, &[5][..]));
}

#[test]
fn too_much_held_makes_no_room_until_something_has_ended() {
    let mut scene = Scene::new(Limits { held: 1000, ..LIMITS });
    let (_, first) = scene.leaves(0, 900);
    assert_eq!(scene.gather.place(&key_of(&"T".into()), 200), None);
    scene.gather.ended(first);
    assert_eq!(scene.gather.held(), 0, "an end gives back what was held");
    scene.leaves(0, 5000);
    assert_eq!(scene.gather.held(), 5000, "whatever its size, the first gets in");
}

#[test]
fn groups_that_rest_are_forgotten() {
    let mut gather = Gather::<()>::new(LIMITS);
    for number in 0..10_000 {
        let topic: Arc<str> = format!("T{number}").into();
        let key = Key { topic: &topic, tag: Some("tag"), wait_store: false, attempts: 1 };
        let share = gather.alone(&key).expect("nothing is under way");
        gather.ended(share);
    }
    assert!(gather.known_groups() <= 65, "{} groups are kept", gather.known_groups());
}

/// What the walk knows of one message.
#[derive(Debug, Clone, PartialEq)]
struct Sent {
    number: usize,
    key: (usize, Option<&'static str>, bool, u32),
    joined: Instant,
}

/// Random senders, ends and ticks: nothing is lost, nothing leaves twice, the bounds hold, and kinds are never mixed.
#[test]
fn whatever_happens_every_message_leaves_once_with_its_own_kind_and_in_time() {
    let mut random = fastrand::Rng::with_seed(11);
    let topics: [Arc<str>; 3] = ["T".into(), "U".into(), "V".into()];
    for _ in 0..300 {
        let limits = Limits {
            delay: Duration::from_millis(random.u64(1..50)),
            bytes: random.usize(1..2000),
            held: random.usize(2000..20_000),
        };
        let mut gather = Gather::<Sent>::new(limits);
        let (mut now, mut tick) = (Instant::now(), None::<Instant>);
        let (mut added, mut left, mut under_way, mut last) = (0, HashSet::new(), Vec::new(), HashMap::new());
        let mut take = |batch: Batch<Sent>, now: Instant, full: bool, under_way: &mut Vec<(Share, usize)>| {
            let first = batch.members[0].clone();
            assert!(batch.body.len() <= limits.bytes || batch.members.len() == 1, "a batch is too large");
            assert!(full || now <= first.joined + limits.delay, "a message waited too long");
            for member in &batch.members {
                assert_eq!(member.key, first.key, "kinds are mixed");
                assert_eq!(topics[member.key.0], batch.topic);
                assert_eq!((member.key.2, member.key.3), (batch.wait_store, batch.attempts));
                assert!(left.insert(member.number), "message {} left twice", member.number);
                let before = last.insert(member.key, member.number);
                assert!(before.is_none_or(|before| before < member.number), "order within a group");
            }
            under_way.push((batch.share, batch.body.len()));
        };
        for _ in 0..random.usize(1..400) {
            match random.u32(0..10) {
                0..=5 => {
                    let tag = [None, Some("a"), Some("b")][random.usize(0..3)];
                    let key = (random.usize(0..3), tag, random.bool(), random.u32(1..3));
                    let (topic, bytes) = (&topics[key.0], random.usize(1..300));
                    let wire = Key { topic, tag, wait_store: key.2, attempts: key.3 };
                    let Some(place) = gather.place(&wire, bytes) else {
                        gather.take_all().into_iter().for_each(|batch| take(batch, now, true, &mut under_way));
                        continue;
                    };
                    added += 1;
                    let sent = Sent { number: added, key, joined: now };
                    let deadline = Deadline::from(now, TIMEOUT);
                    let (batch, asked) = gather.add(now, place, deadline, &vec![0; bytes], sent);
                    assert!(asked.is_none() || tick.is_none(), "one tick at a time");
                    tick = tick.or(asked);
                    batch.into_iter().for_each(|batch| take(batch, now, true, &mut under_way));
                }
                6 | 7 if !under_way.is_empty() => {
                    let (share, _) = under_way.swap_remove(random.usize(..under_way.len()));
                    gather.ended(share).into_iter().for_each(|batch| take(batch, now, true, &mut under_way));
                }
                _ => {
                    let then = now + Duration::from_millis(random.u64(0..20));
                    // Time passes from tick to tick.
                    while let Some(at) = tick.filter(|at| *at <= then) {
                        now = at;
                        let (due, next) = gather.tick(now);
                        tick = next;
                        due.into_iter().for_each(|batch| take(batch, now, false, &mut under_way));
                    }
                    now = then;
                }
            }
            let held: usize = under_way.iter().map(|(_, bytes)| bytes).sum();
            assert!(gather.held() >= held && (gather.held() <= limits.held || gather.held() < 300), "held");
        }
        gather.take_all().into_iter().for_each(|batch| take(batch, now, true, &mut under_way));
        let ends: Vec<Share> = under_way.drain(..).map(|(share, _)| share).collect();
        assert!(ends.into_iter().all(|share| gather.ended(share).is_none()));
        assert_eq!((left.len(), gather.held(), gather.batches()), (added, 0, 0));
    }
}

#[test]
fn only_a_refusal_that_may_be_one_messages_fault_is_looked_into_message_by_message() {
    let rejected = |code, remark: &str| Error::Rejected { addr: "a:1".into(), code, remark: remark.into() };
    let lost = Error::Disconnected { addr: "a:1".into(), outcome: Outcome::Unknown, reason: "reset".into() };
    let exhausted = |first: Error, last: Error| {
        let attempt = |error| Attempt { broker_name: "b".into(), addr: "a:1".into(), elapsed: Duration::ZERO, error };
        Error::Exhausted { attempts: [attempt(first), attempt(last)].into(), because: Exhaustion::Attempts }
    };
    let illegal = || rejected(ResponseCode::MESSAGE_ILLEGAL, "");
    let busy = || rejected(ResponseCode::SYSTEM_BUSY, "");
    assert!(may_be_one_members_fault(&illegal()));
    assert!(may_be_one_members_fault(&exhausted(busy(), illegal())));
    let too_large = "java.lang.RuntimeException: message body size exceeded";
    assert!(may_be_one_members_fault(&rejected(ResponseCode::SYSTEM_ERROR, too_large)));
    assert!(may_be_one_members_fault(&Error::Unsupported { what: "batches".into(), addr: Some("a:1".into()) }));
    for error in [
        busy(),
        lost.clone(),
        rejected(ResponseCode::NO_PERMISSION, ""),
        rejected(ResponseCode::TOPIC_NOT_EXIST, ""),
        rejected(ResponseCode::SYSTEM_ERROR, "in-sync replicas not enough"),
        exhausted(lost, illegal()),
        Error::invalid("x"),
    ] {
        assert!(!may_be_one_members_fault(&error), "{error}");
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    let wrong = |settings: AutoBatch| settings.check().unwrap_err().to_string();
    assert!(AutoBatch::default().check().is_ok());
    assert!(wrong(AutoBatch::default().max_delay(Duration::ZERO)).contains("max_delay"));
    assert!(wrong(AutoBatch::default().max_delay(Duration::from_secs(31))).contains("max_delay"));
    assert!(wrong(AutoBatch::default().max_bytes(0)).contains("max_bytes"));
    assert!(wrong(AutoBatch::default().max_bytes(3 << 20)).contains("max_bytes"));
    assert!(wrong(AutoBatch::default().max_held_bytes(1000)).contains("max_held_bytes"));
}
