//! The members of one group and the queues they share. What brokers answer is in `members`.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

use super::super::*;
use super::broker::{Identity, SimQueue};
use super::clock::{Clock, Date};
use super::{Weather, options};
use crate::message::MessageView;

const TOPIC: &str = "T";
const RETRY: &str = "%RETRY%g";
const QUEUES: i32 = 4;

pub(super) fn retry_queue() -> MessageQueue {
    MessageQueue::new(RETRY, "b", 0)
}

/// Something on its way to a member, or from it.
#[derive(Debug)]
pub(super) enum Delivery {
    Tick,
    Event(Event),
    Request(Action),
    Return(Identity, i32),
    End(Batch, Verdict),
}

pub(super) struct Member {
    pub(super) engine: Engine,
    pub(super) alive: bool,
    /// Nothing it sent arrives any more, and its listeners are gone.
    pub(super) crashed: bool,
    pub(super) registered: bool,
    wake: Option<Date>,
}

pub(super) struct World {
    seed: u64,
    pub(super) random: Rng,
    pub(super) weather: Weather,
    pub(super) order: Order,
    pub(super) clock: Clock<(usize, Delivery)>,
    pub(super) queues: BTreeMap<MessageQueue, SimQueue>,
    pub(super) members: Vec<Member>,
    /// Whether a message has to come, and how often it did.
    pub(super) messages: BTreeMap<Identity, (bool, u32)>,
    pub(super) crashes: u32,
}

impl World {
    pub(super) fn new(seed: u64, order: Order, weather: Weather) -> World {
        let own = (0..QUEUES).map(|id| MessageQueue::new(TOPIC, "b", id));
        let queues = own.chain([retry_queue()]).map(|queue| (queue, SimQueue::default()));
        World {
            seed,
            random: Rng::with_seed(seed),
            weather,
            order,
            clock: Clock::new(),
            queues: queues.collect(),
            members: Vec::new(),
            messages: BTreeMap::new(),
            crashes: 0,
        }
    }

    pub(super) fn chance(&mut self, thousandths: u32) -> bool {
        self.random.u32(0..1000) < thousandths
    }

    pub(super) fn soon(&mut self, member: usize, millis: std::ops::Range<u64>, delivery: Delivery) {
        let millis = self.random.u64(millis);
        self.clock.after(millis, (member, delivery));
    }

    pub(super) fn queue(&mut self, name: &MessageQueue) -> &mut SimQueue {
        self.queues.get_mut(name).expect("no queue is ever made up")
    }

    pub(super) fn join(&mut self) {
        let member = self.members.len();
        let batch = self.random.usize(1..4);
        let options = EngineOptions { client_id: format!("c{member}").into(), batch, ..options(self.order) };
        let engine = Engine::new(options, self.clock.now);
        self.members.push(Member { engine, alive: true, crashed: false, registered: false, wake: None });
        let topic = |name: &str| self.queues.keys().filter(|queue| queue.topic() == name).cloned().collect();
        let topics = vec![(TOPIC.into(), Some(topic(TOPIC))), (RETRY.into(), Some(topic(RETRY)))];
        self.tell(member, Event::Topics(topics));
    }

    fn crash(&mut self, member: usize) {
        self.crashes += 1;
        let Member { engine, alive, crashed, registered, wake } = &mut self.members[member];
        (*alive, *crashed, *registered) = (false, true, false);
        if let Some(date) = wake.take() {
            self.clock.cancel(date);
        }
        for queue in engine.queues.iter() {
            self.queues.get_mut(&queue.spell().queue).expect("it exists").doubts += 1;
        }
        for queue in self.queues.values_mut() {
            queue.consuming.retain(|(by, _), _| *by != member);
        }
        self.disturb();
    }

    /// Tells all members that somebody came or went.
    pub(super) fn disturb(&mut self) {
        for member in 0..self.members.len() {
            self.soon(member, 1..50, Delivery::Event(Event::Disturbed));
        }
    }

    pub(super) fn tell(&mut self, member: usize, event: Event) {
        let (now, mut actions) = (self.clock.now, Vec::new());
        let Member { engine, alive, wake, .. } = &mut self.members[member];
        if !*alive {
            return;
        }
        engine.handle(event, now, &mut actions);
        let next = engine.next_at();
        assert!(next.is_none_or(|at| at > now), "member {member} wants to be woken again at once");
        if wake.map(|(at, _)| at) != next {
            if let Some(date) = wake.take() {
                self.clock.cancel(date);
            }
            *wake = next.map(|at| self.clock.at(at, (member, Delivery::Tick)));
        }
        for action in actions {
            self.perform(member, action);
        }
    }

    pub(super) fn closed(&mut self, member: usize) {
        let Member { alive, registered, wake, .. } = &mut self.members[member];
        (*alive, *registered) = (false, false);
        if let Some(date) = wake.take() {
            self.clock.cancel(date);
        }
        self.disturb();
    }

    /// Sends messages, resets offsets, and lets members come and go.
    pub(super) fn stir(&mut self, most_members: usize) {
        let alive: Vec<usize> = (0..self.members.len()).filter(|member| self.members[*member].alive).collect();
        match self.random.u32(0..1000) {
            0..700 => {
                let id = self.random.i32(0..QUEUES);
                let queue = self.queue(&MessageQueue::new(TOPIC, "b", id));
                let identity = (id, queue.len());
                queue.push(identity, 0);
                self.messages.insert(identity, (true, 0));
            }
            700..703 if alive.len() < most_members => self.join(),
            703..706 if alive.len() > 1 => {
                let member = alive[self.random.usize(..alive.len())];
                self.tell(member, Event::Close { grace: Duration::from_secs(5) });
            }
            _ if self.chance(self.weather.resets) => self.reset(),
            _ if alive.len() > 1 && self.chance(self.weather.crashes) => {
                let member = alive[self.random.usize(..alive.len())];
                self.crash(member);
            }
            _ => {}
        }
    }

    /// An operator wants the group to go on elsewhere: brokers see to it since 5.0, before they told every member.
    fn reset(&mut self) {
        let name = MessageQueue::new(TOPIC, "b", self.random.i32(0..QUEUES));
        let (len, by_broker) = (self.queues[&name].len(), self.random.bool());
        let back = self.random.i64(0..40);
        let to = (len - back).max(0);
        let queue = self.queue(&name);
        queue.reset(to, by_broker);
        let passed: Vec<_> = queue.messages[..to as usize].iter().map(|message| message.identity).collect();
        for identity in passed {
            self.messages.entry(identity).or_default().0 = false;
        }
        for member in (0..self.members.len()).filter(|_| !by_broker) {
            self.clock.after(1, (member, Delivery::Event(Event::Reset(vec![(name.clone(), to)]))));
        }
    }

    /// Lets everything happen that is due within this time.
    pub(super) fn run(&mut self, time: Duration) {
        let until = self.clock.now + time;
        while let Some((member, delivery)) = self.clock.next(until) {
            self.deliver(member, delivery);
        }
    }

    /// What is to be consumed, and is not yet.
    pub(super) fn missing(&self) -> Vec<Identity> {
        self.messages.iter().filter(|(_, state)| **state == (true, 0)).map(|(identity, _)| *identity).collect()
    }

    /// How often the message was consumed that was consumed most often.
    pub(super) fn most_often(&self) -> u32 {
        self.messages.values().map(|(_, times)| *times).max().unwrap_or(0)
    }

    /// A listener has consumed a message.
    pub(super) fn consumed(&mut self, queue: &MessageQueue, message: &MessageView) {
        let offset = message.queue_offset();
        let state = self.queue(queue);
        state.reached = state.reached.max(offset + 1);
        let message = &mut state.messages[offset as usize];
        message.is_finished = true;
        let identity = message.identity;
        let times = &mut self.messages.entry(identity).or_default().1;
        *times += 1;
        let doubts =
            self.queues[&MessageQueue::new(TOPIC, "b", identity.0)].doubts + self.queues[&retry_queue()].doubts;
        assert!(*times <= 1 + doubts, "{identity:?} was consumed {times} times, with {doubts} doubts");
    }

    /// What every queue looks like, for a test that fails.
    pub(super) fn describe(&self) -> String {
        let mut text = format!("{:?}\n", self.queues.iter().map(|(name, queue)| (name, queue.committed, queue.len())));
        for (id, member) in self.members.iter().enumerate().filter(|(_, member)| member.alive) {
            text += &format!("member {id}, registered {}, {} running\n", member.registered, member.engine.running);
            member.engine.look(self.clock.now, |queue, standing| text += &format!("  {queue:?} {standing:?}\n"));
        }
        text
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it was seed {}, {:?}, {:?}", self.seed, self.order, self.weather);
        }
    }
}
