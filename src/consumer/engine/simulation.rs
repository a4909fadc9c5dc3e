//! Members of one group against a simulated broker, in simulated time: joining, leaving, crashing, late and lost answers, lost
//! locks, resets, listeners that fail.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::correction::{Bounds, Illegal};
use super::*;
use crate::consumer::allocation::Averagely;
use crate::consumer::tests::stored;
use crate::error::Error;
use crate::message::MessageView;

const TOPIC: &str = "T";
const RETRY: &str = "%RETRY%g";
const QUEUES: i32 = 4;
/// How long the simulated broker keeps a lock.
const BROKER_LOCK: Duration = Duration::from_secs(60);

/// What happens, and how often: in thousandths of all answers or steps.
#[derive(Debug, Clone, Copy)]
struct Weather {
    lost_answers: u32,
    failing_listeners: u32,
    crashes: u32,
}

const FAIR: Weather = Weather { lost_answers: 0, failing_listeners: 30, crashes: 0 };
const FOUL: Weather = Weather { lost_answers: 50, failing_listeners: 60, crashes: 4 };

/// Identifies a message whatever queue it is delivered in: the queue it was first stored in, and its place there.
type Identity = (i32, i64);

#[derive(Debug, Default)]
struct SimQueue {
    messages: Vec<(Identity, i32)>,
    stored: Option<i64>,
    lock: Option<(usize, Instant)>,
    /// Who consumes right now.
    consuming: BTreeMap<(usize, u64), usize>,
    /// The highest offset that a listener consumed.
    reached: i64,
}

#[derive(Debug)]
enum Delivery {
    Event(Event),
    Store { queue: MessageQueue, offset: i64 },
    Unlock(MessageQueue),
    Return(Identity, i32),
    Register,
    End(Batch, Verdict),
    Pull { spell: Spell, offset: i64, ticket: u64 },
    Lock(Spell),
    Start(Spell),
    Members(Arc<str>),
}

struct Scheduled {
    at: Instant,
    number: u64,
    member: usize,
    delivery: Delivery,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

struct Member {
    engine: Engine,
    alive: bool,
    registered: bool,
    closed: bool,
}

struct World {
    now: Instant,
    random: Rng,
    weather: Weather,
    order: Order,
    queues: BTreeMap<MessageQueue, SimQueue>,
    members: Vec<Member>,
    scheduled: BinaryHeap<Scheduled>,
    number: u64,
    sent: BTreeSet<Identity>,
    consumed: BTreeMap<Identity, u32>,
    /// Something of which nobody can know whether it happened: from then on a message may come twice.
    doubts: u32,
}

impl World {
    fn new(seed: u64, order: Order, weather: Weather) -> World {
        let own = (0..QUEUES).map(|id| MessageQueue::new(TOPIC, "b", id));
        let queues = own.chain([MessageQueue::new(RETRY, "b", 0)]).map(|queue| (queue, SimQueue::default()));
        World {
            now: Instant::now(),
            random: Rng::with_seed(seed),
            weather,
            order,
            queues: queues.collect(),
            members: Vec::new(),
            scheduled: BinaryHeap::new(),
            number: 0,
            sent: BTreeSet::new(),
            consumed: BTreeMap::new(),
            doubts: 0,
        }
    }

    fn chance(&mut self, thousandths: u32) -> bool {
        self.random.u32(0..1000) < thousandths
    }

    fn soon(&mut self, member: usize, millis: std::ops::Range<u64>, delivery: Delivery) {
        let at = self.now + Duration::from_millis(self.random.u64(millis));
        self.number += 1;
        self.scheduled.push(Scheduled { at, number: self.number, member, delivery });
    }

    fn join(&mut self) {
        let member = self.members.len();
        let options = EngineOptions {
            group: "g".into(),
            client_id: format!("c{member}").into(),
            model: MessageModel::Clustering,
            order: self.order,
            allocation: Arc::new(Averagely),
            batch: self.random.usize(1..4),
            slots: 4,
            limits: Limits { messages: 20, bytes: 1 << 20, span: (self.order == Order::Concurrent).then_some(100) },
            topic_limits: (None, None),
            pull_interval: Duration::ZERO,
            rebalance_interval: Duration::from_secs(20),
            persist_interval: Duration::from_secs(5),
            consume_timeout: Duration::from_secs(900),
            suspend: Duration::from_secs(1),
            max_reconsume: None,
            revoke_grace: Duration::from_secs(1),
            // A rebalance may come a second late, and then the listeners have theirs.
            handover: Duration::from_millis(2500),
        };
        let engine = Engine::new(options, self.now);
        self.members.push(Member { engine, alive: true, registered: false, closed: false });
        let topic =
            |name: &str| self.queues.keys().filter(|queue| queue.topic() == name).cloned().collect::<Arc<[_]>>();
        let topics = vec![(TOPIC.into(), Some(topic(TOPIC))), (RETRY.into(), Some(topic(RETRY)))];
        self.tell(member, Event::Topics(topics));
    }

    fn crash(&mut self, member: usize) {
        self.members[member].alive = false;
        self.members[member].registered = false;
        for queue in self.queues.values_mut() {
            queue.consuming.retain(|(by, _), _| *by != member);
        }
        self.doubts += 1;
        self.disturb();
    }

    fn disturb(&mut self) {
        for member in 0..self.members.len() {
            self.soon(member, 1..50, Delivery::Event(Event::Disturbed));
        }
    }

    fn tell(&mut self, member: usize, event: Event) {
        if !self.members[member].alive {
            return;
        }
        let mut actions = Vec::new();
        self.members[member].engine.handle(event, self.now, &mut actions);
        for action in actions {
            self.perform(member, action);
        }
    }

    fn perform(&mut self, member: usize, action: Action) {
        if let Action::Left { .. } = action {
            return;
        }
        let lost = self.chance(self.weather.lost_answers);
        match action {
            Action::FetchMembers { topic } => self.soon(member, 1..100, Delivery::Members(topic)),
            Action::Heartbeat => self.soon(member, 1..200, Delivery::Register),
            Action::FindStart { spell } => self.soon(member, 1..100, Delivery::Start(spell)),
            Action::Lock { spell } => self.soon(member, 1..100, Delivery::Lock(spell)),
            Action::Unlock { queue } => self.soon(member, 1..20, Delivery::Unlock(queue)),
            Action::Pull { spell, offset, ticket } => {
                assert!(offset >= 0, "a negative offset was pulled");
                self.soon(member, 1..300, Delivery::Pull { spell, offset, ticket });
            }
            Action::FindBounds { spell } => {
                let max = self.queues[&spell.queue].messages.len() as i64;
                let bounds = (!lost).then_some(Bounds { min: 0, max });
                self.soon(member, 1..100, Delivery::Event(Event::Bounds { spell, bounds }));
            }
            Action::Consume(batch) => self.consume(member, batch),
            Action::HandBack { spell, message, repeats, .. } => {
                let offset = message.queue_offset();
                let (identity, tries) = self.queues[&spell.queue].messages[offset as usize];
                let (arrives, answered) = (!lost || self.random.bool(), !lost);
                self.doubts += u32::from(lost);
                if arrives {
                    self.soon(member, 1..20, Delivery::Return(identity, tries + 1 + repeats));
                }
                self.soon(member, 20..50, Delivery::Event(Event::HandedBack { spell, offset, done: answered }));
            }
            Action::Commit { spell, offset } => {
                self.doubts += u32::from(lost);
                if !lost || self.random.bool() {
                    self.soon(member, 1..20, Delivery::Store { queue: spell.queue.clone(), offset });
                }
                self.soon(member, 20..50, Delivery::Event(Event::Committed { spell, done: !lost }));
            }
            Action::Changed { .. } | Action::Left { .. } => {}
            // Nobody polls here.
            Action::Recall { .. } | Action::Answer { .. } | Action::Refused { .. } => {}
            Action::Moved { queue, to, .. } => self.queues.get_mut(&queue).unwrap().reached = to,
            Action::Closed => {
                self.members[member].closed = true;
                self.members[member].alive = false;
                self.members[member].registered = false;
                self.disturb();
            }
        }
    }

    fn consume(&mut self, member: usize, batch: Batch) {
        let queue = self.queues.get_mut(&batch.spell.queue).unwrap();
        if self.order == Order::Orderly {
            assert!(queue.consuming.is_empty(), "{} has two owners at once", batch.spell.queue);
            let offset = batch.messages[0].queue_offset();
            assert!(offset <= queue.reached, "{}: {offset} comes before {}", batch.spell.queue, queue.reached);
        }
        *queue.consuming.entry((member, batch.spell.epoch)).or_default() += 1;
        let failing = self.chance(self.weather.failing_listeners);
        let verdict = match self.order {
            _ if !failing => Verdict::Success,
            Order::Concurrent => {
                Verdict::Later { consumed: self.random.usize(0..=batch.messages.len()), delay_level: 0 }
            }
            Order::Orderly | Order::Polled { .. } => Verdict::Suspend(Some(Duration::from_millis(200))),
        };
        // Always shorter than the grace that the listeners of a revoked queue have.
        let longest = if self.chance(100) { 800 } else { 80 };
        self.soon(member, 1..longest, Delivery::End(batch, verdict));
    }

    fn deliver(&mut self, member: usize, delivery: Delivery) {
        if !self.members[member].alive && !matches!(delivery, Delivery::Store { .. } | Delivery::Return(..)) {
            return;
        }
        let lost = self.chance(self.weather.lost_answers);
        let failure = || Error::Malformed { what: "lost".into(), addr: None };
        match delivery {
            Delivery::Event(event) => self.tell(member, event),
            Delivery::Store { queue, offset } => self.queues.get_mut(&queue).unwrap().stored = Some(offset),
            Delivery::Return(identity, tries) => {
                self.queues.get_mut(&MessageQueue::new(RETRY, "b", 0)).unwrap().messages.push((identity, tries));
            }
            Delivery::Unlock(queue) => {
                let lock = &mut self.queues.get_mut(&queue).unwrap().lock;
                if lock.is_some_and(|(owner, _)| owner == member) {
                    *lock = None;
                }
            }
            Delivery::Register => {
                if !std::mem::replace(&mut self.members[member].registered, true) {
                    self.disturb();
                }
            }
            Delivery::End(batch, verdict) => self.end(member, &batch, verdict),
            Delivery::Lock(spell) => {
                let now = self.now;
                let queue = self.queues.get_mut(&spell.queue).unwrap();
                let free = queue.lock.is_none_or(|(owner, until)| owner == member || until <= now);
                if free {
                    queue.lock = Some((member, now + BROKER_LOCK));
                }
                self.tell(member, Event::Locked { spell, given: (!lost).then_some(free) });
            }
            Delivery::Start(spell) => {
                let stored = self.queues[&spell.queue].stored;
                let start = if lost { Err(failure()) } else { Ok(Start { offset: stored.unwrap_or(0), stored }) };
                self.tell(member, Event::Started { spell, start });
            }
            Delivery::Members(topic) => {
                let known = self.members.iter().enumerate().filter(|(_, member)| member.registered);
                let ids = known.map(|(id, _)| format!("c{id}").into()).collect();
                let members = if lost { Err(failure()) } else { Ok(ids) };
                self.tell(member, Event::Members { topic, members });
            }
            Delivery::Pull { spell, offset, ticket } => {
                let pulled = if lost { Pulled::Failed(failure()) } else { self.pull(&spell.queue, offset) };
                self.tell(member, Event::Pulled { spell, ticket, pulled });
            }
        }
    }

    fn pull(&mut self, queue: &MessageQueue, offset: i64) -> Pulled {
        let len = self.queues[queue].messages.len() as i64;
        if offset > len {
            return Pulled::Illegal(Illegal { asked: offset, next: len, max: len, from_master: true });
        }
        let next = len.min(offset + 8);
        let message = |offset: i64| {
            let mut stored = stored("", offset);
            stored.reconsume_times = self.queues[queue].messages[offset as usize].1;
            let body = Ok(stored.body.clone());
            let mut view = MessageView::new(stored, "b".into(), body);
            view.read_from(queue, 0);
            view
        };
        match offset {
            _ if offset == len => Pulled::Nothing { next },
            _ => Pulled::Found { messages: (offset..next).map(message).collect(), next },
        }
    }

    fn end(&mut self, member: usize, batch: &Batch, verdict: Verdict) {
        let queue = self.queues.get_mut(&batch.spell.queue).unwrap();
        let running = queue.consuming.entry((member, batch.spell.epoch)).or_default();
        *running -= 1;
        queue.consuming.retain(|_, running| *running > 0);
        let consumed = match verdict {
            Verdict::Success => batch.messages.len(),
            Verdict::Later { consumed, .. } => consumed,
            Verdict::Suspend(_) => 0,
        };
        for message in &batch.messages[..consumed] {
            let offset = message.queue_offset();
            queue.reached = queue.reached.max(offset + 1);
            *self.consumed.entry(queue.messages[offset as usize].0).or_default() += 1;
        }
        let offsets = batch.messages.iter().map(MessageView::queue_offset).collect();
        self.tell(member, Event::Consumed { spell: batch.spell.clone(), offsets, verdict });
    }

    /// Sends messages, and lets members come and go.
    fn stir(&mut self) {
        let alive: Vec<usize> = (0..self.members.len()).filter(|member| self.members[*member].alive).collect();
        match self.random.u32(0..1000) {
            0..700 => {
                let id = self.random.i32(0..QUEUES);
                let queue = self.queues.get_mut(&MessageQueue::new(TOPIC, "b", id)).unwrap();
                let identity = (id, queue.messages.len() as i64);
                queue.messages.push((identity, 0));
                self.sent.insert(identity);
            }
            700..703 if alive.len() < 3 => self.join(),
            703..706 if alive.len() > 1 => {
                let member = alive[self.random.usize(..alive.len())];
                self.tell(member, Event::Close { grace: Duration::from_secs(5) });
            }
            _ if alive.len() > 1 && self.chance(self.weather.crashes) => {
                let member = alive[self.random.usize(..alive.len())];
                self.crash(member);
            }
            _ => {}
        }
    }

    /// Lets everything happen that is due until `until`.
    fn run(&mut self, until: Instant) {
        loop {
            let delivery = self.scheduled.peek().map(|scheduled| scheduled.at);
            let alive = self.members.iter().enumerate().filter(|(_, member)| member.alive);
            let tick = alive.filter_map(|(id, member)| Some((member.engine.next_at()?, id))).min();
            let tick_at = tick.map(|(at, _)| at.max(self.now));
            let Some(next) = delivery.into_iter().chain(tick_at).min().filter(|next| *next <= until) else { break };
            // A tick that is due again at once, with nothing in between, would be a loop.
            self.now = self.now.max(next);
            if delivery.is_some_and(|at| at <= self.now) {
                let Some(Scheduled { member, delivery, .. }) = self.scheduled.pop() else { break };
                self.deliver(member, delivery);
            } else if let Some((_, member)) = tick {
                self.now += Duration::from_millis(1);
                self.tell(member, Event::Tick);
            }
        }
        self.now = self.now.max(until);
    }

    /// What every queue looks like, for a test that fails.
    fn describe(&self) -> String {
        let mut text = String::new();
        for (queue, state) in &self.queues {
            text += &format!(
                "{queue}: {} stored, offset {:?}, lock {:?}\n",
                state.messages.len(),
                state.stored,
                state.lock
            );
        }
        for (id, member) in self.members.iter().enumerate().filter(|(_, member)| member.alive) {
            text += &format!("member {id}, registered {}, {} running\n", member.registered, member.engine.running);
            member.engine.look(self.now, |queue, standing| {
                text += &format!("  {:?} {standing:?} {:?}\n", queue.spell(), queue.cache().commit_offset());
                text +=
                    &format!("  next {:?}\n", queue.next_at(&member.engine.options, self.now).map(|at| at - self.now));
            });
        }
        for scheduled in &self.scheduled {
            text += &format!("{} in {:?}: {:.300?}\n", scheduled.member, scheduled.at - self.now, scheduled.delivery);
        }
        text += &format!("{:?}\n", self.queues.values().map(|queue| &queue.consuming).collect::<Vec<_>>());
        text
    }

    fn missing(&self) -> Vec<Identity> {
        self.sent.iter().filter(|identity| !self.consumed.contains_key(identity)).copied().collect()
    }
}

fn simulate(seed: u64, order: Order, weather: Weather) -> World {
    let mut world = World::new(seed, order, weather);
    world.join();
    world.join();
    for _ in 0..10_000 {
        world.stir();
        let pause = Duration::from_millis(world.random.u64(1..60));
        world.run(world.now + pause);
    }
    world.weather = Weather { lost_answers: 0, failing_listeners: 0, crashes: 0 };
    for _ in 0..400 {
        if world.missing().is_empty() {
            break;
        }
        world.run(world.now + Duration::from_secs(5));
    }
    assert_eq!(world.missing(), [], "messages were lost with seed {seed}: {order:?}\n{}", world.describe());
    world
}

#[test]
fn without_faults_every_message_is_consumed_exactly_once() {
    for seed in 0..4 {
        for order in [Order::Concurrent, Order::Orderly] {
            let world = simulate(seed, order, FAIR);
            let twice: Vec<_> = world.consumed.iter().filter(|(_, times)| **times > 1).collect();
            assert!(twice.is_empty(), "{order:?}, seed {seed}: consumed twice: {twice:?}");
        }
    }
}

#[test]
fn with_crashes_and_lost_answers_nothing_is_lost_and_order_holds() {
    for seed in 10..16 {
        for order in [Order::Concurrent, Order::Orderly] {
            let world = simulate(seed, order, FOUL);
            assert!(world.doubts > 5 && world.members.len() > 3, "the weather was not foul: {}", world.doubts);
        }
    }
}
