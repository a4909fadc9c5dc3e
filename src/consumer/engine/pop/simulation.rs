//! Two members that pop from a simulated broker, in simulated time: late and lost answers, listeners that fail or take too
//! long, queues that come and go. Whatever happens, every message is consumed, and nothing is acknowledged without a
//! listener.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use fastrand::Rng;

use super::queue::THRESHOLD;
use super::tests::options;
use super::*;
use crate::consumer::engine::{Action, Engine, EngineOptions, Event, Order};
use crate::consumer::tests::{read_from, stored};
use crate::error::Error;
use crate::message::MessageView;

const TOPIC: &str = "T";
const BATCH: usize = 8;
const INVISIBLE: Duration = Duration::from_secs(10);

/// A message as the broker keeps it.
#[derive(Debug, Clone, Default)]
struct Message {
    /// Who may speak for it: the number of its last delivery.
    delivery: u64,
    deliveries: i32,
    visible_at: Option<Instant>,
    done: bool,
    consumed: u32,
}

#[derive(Debug)]
enum Delivery {
    Event(Event),
    Pop { spell: Spell, ticket: u64 },
    Ack(Vec<(Place, u64)>),
    Change(Place, u64, Duration),
    End(Batch),
}

/// A queue of the broker, and an offset in it.
type Place = (i32, usize);

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

struct World {
    now: Instant,
    random: Rng,
    order: Order,
    /// In thousandths: answers that are lost, listeners that fail, and those that take too long.
    weather: (u32, u32, u32),
    queues: BTreeMap<i32, Vec<Message>>,
    members: Vec<Engine>,
    scheduled: BinaryHeap<Scheduled>,
    number: u64,
    deliveries: u64,
    /// Deliveries a listener finished with success in time, and those that anybody acknowledged.
    finished: BTreeSet<u64>,
    acked: BTreeSet<u64>,
    /// The queues of the broker that a listener has messages of, by member.
    running: BTreeMap<(usize, i32), usize>,
    late: usize,
}

impl World {
    fn new(seed: u64, order: Order, weather: (u32, u32, u32)) -> World {
        let mut world = World {
            now: Instant::now(),
            random: Rng::with_seed(seed),
            order,
            weather,
            queues: (0..3).map(|id| (id, Vec::new())).collect(),
            members: Vec::new(),
            scheduled: BinaryHeap::new(),
            number: 0,
            deliveries: 0,
            finished: BTreeSet::new(),
            acked: BTreeSet::new(),
            running: BTreeMap::new(),
            late: 0,
        };
        for member in 0..2 {
            let by_broker = Some(PopOptions { invisible: INVISIBLE, batch: BATCH });
            let batch = world.random.usize(1..4);
            let client_id = format!("c{member}").into();
            let max_reconsume = Some(i32::MAX);
            let options = EngineOptions { client_id, by_broker, batch, slots: 3, max_reconsume, ..options(order) };
            world.members.push(Engine::new(options, world.now));
            let all: Arc<[MessageQueue]> = (0..3).map(queue).collect();
            world.tell(member, Event::Topics(vec![(TOPIC.into(), Some(all))]));
        }
        world
    }

    fn chance(&mut self, thousandths: u32) -> bool {
        self.random.u32(0..1000) < thousandths
    }

    fn soon(&mut self, member: usize, millis: std::ops::Range<u64>, delivery: Delivery) {
        let at = self.now + Duration::from_millis(self.random.u64(millis));
        self.number += 1;
        self.scheduled.push(Scheduled { at, number: self.number, member, delivery });
    }

    fn tell(&mut self, member: usize, event: Event) {
        let mut actions = Vec::new();
        self.members[member].handle(event, self.now, &mut actions);
        for action in actions {
            self.perform(member, action);
        }
        self.members[member].look_at_pops(|queue, _| {
            assert!(queue.unacked() <= THRESHOLD + BATCH, "{} messages are not acknowledged", queue.unacked());
        });
    }

    fn perform(&mut self, member: usize, action: Action) {
        let lost = self.chance(self.weather.0);
        match action {
            Action::FetchAssignment { topic, .. } => {
                // All of it, or one queue of its own, as it comes.
                let pop = if self.random.bool() { vec![queue(-1)] } else { vec![queue(member as i32), queue(2)] };
                let assignment = Ok(Assignment::Queues { pull: Vec::new(), pop });
                self.soon(member, 1..100, Delivery::Event(Event::Assigned { topic, assignment }));
            }
            Action::Pop(PopAction::Pop { spell, ticket, .. }) => {
                self.soon(member, 1..200, Delivery::Pop { spell, ticket });
            }
            Action::Pop(PopAction::Ack { spell, messages }) => {
                let named = messages.iter().map(|acked| (place(&acked.message), delivery(&acked.message))).collect();
                self.acked.extend(messages.iter().map(|acked| delivery(&acked.message)));
                let numbers = messages.iter().map(|acked| acked.number).collect();
                self.told(member, spell, numbers, lost, Delivery::Ack(named));
            }
            Action::Pop(PopAction::ChangeInvisible { spell, message, invisible }) => {
                let change = Delivery::Change(place(&message.message), delivery(&message.message), invisible);
                self.told(member, spell, vec![message.number], lost, change);
            }
            Action::Consume(batch) => self.consume(member, batch),
            Action::Heartbeat | Action::Changed { .. } | Action::Leftovers { .. } => {}
            other => panic!("nobody asked for {other:?}"),
        }
    }

    /// What is said to the broker may get lost on the way there or back.
    fn told(&mut self, member: usize, spell: Spell, numbers: Vec<u64>, lost: bool, what: Delivery) {
        if !lost || self.random.bool() {
            self.soon(member, 1..20, what);
        }
        let settled = PopEvent::Settled { spell, numbers, done: !lost };
        self.soon(member, 20..50, Delivery::Event(Event::Pop(settled)));
    }

    fn consume(&mut self, member: usize, batch: Batch) {
        let id = batch.messages[0].queue().queue_id();
        assert!(batch.messages.iter().all(|message| message.queue().queue_id() == id), "of two queues: {batch:?}");
        let running = self.running.entry((member, id)).or_default();
        *running += 1;
        assert!(self.order == Order::Concurrent || *running == 1, "two batches of one queue at once");
        let longest = if self.chance(self.weather.2) { 2 * INVISIBLE.as_millis() as u64 } else { 300 };
        self.soon(member, 1..longest, Delivery::End(batch));
    }

    fn deliver(&mut self, member: usize, delivery: Delivery) {
        match delivery {
            Delivery::Event(event) => self.tell(member, event),
            Delivery::Pop { spell, ticket } => {
                let lost = self.chance(self.weather.0);
                // It may be lost on its way back, with messages that nobody has then.
                let messages = if lost && self.random.bool() { Vec::new() } else { self.pop(&spell.queue) };
                let popped = match messages {
                    _ if lost => Popped::Failed(Error::malformed("lost")),
                    messages if messages.is_empty() => Popped::Nothing,
                    messages => Popped::Found { messages, refused: Vec::new(), arrived: self.now },
                };
                self.tell(member, Event::Pop(PopEvent::Popped { spell, ticket, popped }));
            }
            Delivery::Ack(messages) => {
                for (place, delivery) in messages {
                    let now = self.now;
                    let message = self.message(place);
                    let in_time = message.visible_at.is_some_and(|at| now < at);
                    message.done |= message.delivery == delivery && in_time;
                }
            }
            Delivery::Change(place, delivery, invisible) => {
                let now = self.now;
                let message = self.message(place);
                if message.delivery == delivery && message.visible_at.is_some_and(|at| now < at) {
                    message.visible_at = Some(now + invisible);
                }
            }
            Delivery::End(batch) => self.end(member, &batch),
        }
    }

    fn message(&mut self, (id, offset): Place) -> &mut Message {
        &mut self.queues.get_mut(&id).unwrap()[offset]
    }

    fn pop(&mut self, from: &MessageQueue) -> Vec<MessageView> {
        let (now, order) = (self.now, self.order);
        let mut popped = Vec::new();
        for (id, messages) in &mut self.queues {
            let is_free = |message: &Message| message.visible_at.is_none_or(|at| at <= now);
            let ours = from.queue_id() < 0 || from.queue_id() == *id;
            // In order everything before must be acknowledged, or free again.
            let blocked = order == Order::Orderly && messages.iter().any(|message| !message.done && !is_free(message));
            if !ours || blocked {
                continue;
            }
            for (offset, message) in messages.iter_mut().enumerate() {
                if message.done || !is_free(message) || popped.len() == BATCH {
                    continue;
                }
                self.deliveries += 1;
                message.delivery = self.deliveries;
                message.visible_at = Some(now + INVISIBLE);
                popped.push(view(*id, offset as i64, message.deliveries, self.deliveries));
                message.deliveries += 1;
            }
        }
        popped
    }

    fn end(&mut self, member: usize, batch: &Batch) {
        *self.running.get_mut(&(member, batch.messages[0].queue().queue_id())).unwrap() -= 1;
        let fails = self.chance(self.weather.1);
        let verdict = match self.order {
            _ if !fails => Verdict::Success,
            Order::Concurrent | Order::Elsewhere => {
                Verdict::Later { consumed: self.random.usize(0..=batch.messages.len()), delay_level: 0 }
            }
            Order::Orderly | Order::Polled { .. } => Verdict::Suspend(Some(Duration::from_millis(500))),
        };
        let consumed = match verdict {
            Verdict::Success => batch.messages.len(),
            Verdict::Later { consumed, .. } => consumed,
            Verdict::Suspend(_) => 0,
        };
        for message in &batch.messages[..consumed] {
            let (place, number) = (place(message), delivery(message));
            let (id, offset) = place;
            if self.order == Order::Orderly {
                let before = &self.queues[&id][..offset];
                assert!(before.iter().all(|message| message.consumed > 0), "{offset} of queue {id} came too early");
            }
            self.message(place).consumed += 1;
            self.finished.insert(number);
            self.late += usize::from(self.message(place).delivery != number);
        }
        let offsets = batch.messages.iter().map(MessageView::queue_offset).collect();
        self.tell(member, Event::Consumed { spell: batch.spell.clone(), offsets, verdict });
    }

    fn run(&mut self, until: Instant) {
        loop {
            let delivery = self.scheduled.peek().map(|scheduled| scheduled.at);
            let ticks = self.members.iter().enumerate().filter_map(|(id, member)| Some((member.next_at()?, id)));
            let tick = ticks.min();
            let next = delivery.into_iter().chain(tick.map(|(at, _)| at)).min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = self.now.max(next);
            if delivery.is_some_and(|at| at <= self.now) {
                let Some(Scheduled { member, delivery, .. }) = self.scheduled.pop() else { break };
                self.deliver(member, delivery);
            } else if let Some((_, member)) = tick {
                // A tick that is due again at once, with nothing in between, would be a loop.
                self.now += Duration::from_millis(1);
                self.tell(member, Event::Tick);
            }
        }
        self.now = self.now.max(until);
    }

    fn missing(&self) -> Vec<Place> {
        let of_queue = |(id, messages): (&i32, &Vec<Message>)| {
            let id = *id;
            let missing = messages.iter().enumerate().filter(|(_, message)| !message.done);
            missing.map(move |(offset, _)| (id, offset)).collect::<Vec<_>>()
        };
        self.queues.iter().flat_map(of_queue).collect()
    }
}

fn queue(id: i32) -> MessageQueue {
    MessageQueue::new(TOPIC, "b", id)
}

/// A message that knows which delivery it is.
fn view(id: i32, offset: i64, times: i32, delivery: u64) -> MessageView {
    let mut stored = stored("", offset);
    stored.reconsume_times = times;
    stored.commit_log_offset = delivery as i64;
    read_from(queue(id), stored)
}

fn place(message: &MessageView) -> Place {
    (message.queue().queue_id(), message.queue_offset() as usize)
}

fn delivery(message: &MessageView) -> u64 {
    message.commit_log_offset() as u64
}

fn simulate(seed: u64, order: Order, weather: (u32, u32, u32)) -> World {
    let mut world = World::new(seed, order, weather);
    for _ in 0..3000 {
        if world.random.u32(0..3) > 0 {
            let id = world.random.i32(0..3);
            world.queues.get_mut(&id).unwrap().push(Message::default());
        }
        let pause = Duration::from_millis(world.random.u64(1..60));
        world.run(world.now + pause);
    }
    world.weather = (0, 0, 0);
    for _ in 0..2000 {
        if world.missing().is_empty() {
            break;
        }
        world.run(world.now + Duration::from_secs(10));
    }
    assert_eq!(world.missing(), [], "lost with seed {seed}: {order:?}");
    assert!(world.acked.is_subset(&world.finished), "acknowledged without a listener, seed {seed}: {order:?}");
    let never: Vec<_> = world.queues.values().flatten().filter(|message| message.consumed == 0).collect();
    assert!(never.is_empty(), "acknowledged and never consumed, seed {seed}: {never:?}");
    world
}

#[cfg_attr(miri, ignore = "it takes too many steps")]
#[test]
fn without_faults_every_message_is_consumed_once() {
    for seed in 0..4 {
        for order in [Order::Concurrent, Order::Orderly] {
            let world = simulate(seed, order, (0, 0, 0));
            // What waited for a listener when its queue was given up comes again, but no listener had it before.
            let twice = world.queues.values().flatten().filter(|message| message.consumed > 1).count();
            assert_eq!(twice, 0, "{order:?}, seed {seed}");
        }
    }
}

#[cfg_attr(miri, ignore = "it takes too many steps")]
#[test]
fn with_lost_answers_and_slow_and_failing_listeners_nothing_is_lost_and_order_holds() {
    for order in [Order::Concurrent, Order::Orderly] {
        let late: usize = (10..16).map(|seed| simulate(seed, order, (50, 60, 20)).late).sum();
        assert!(late > 3, "the weather was fair: {late} listeners were late, {order:?}");
    }
}
