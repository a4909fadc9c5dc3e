//! A group of a thousand members that share ten thousand queues of twenty brokers: how long it takes until each queue has one
//! owner again, and what that costs the brokers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::super::*;
use super::clock::{Clock, Date};
use super::options;
use crate::error::Error;

const MEMBERS: usize = 1_000;
const QUEUES: i32 = 10_000;
const BROKERS: i32 = 20;
const REBALANCE: Duration = Duration::from_secs(20);
/// How long brokers hold a pull that finds nothing.
const HOLD: u64 = 15_000;
/// How often every member tells every broker about itself.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// Brokers tell of what happened within this time at once.
const NOTIFY: u64 = 100;

enum Delivery {
    Tick(usize),
    Event(usize, Event),
    Beat(usize),
    Register(usize),
    Unregister(usize),
    Notify,
}

struct Member {
    engine: Engine,
    id: Arc<str>,
    alive: bool,
    wake: Option<Date>,
}

struct Fleet {
    clock: Clock<Delivery>,
    random: Rng,
    queues: Arc<[MessageQueue]>,
    members: Vec<Member>,
    /// Whom the brokers know, by client id.
    known: BTreeMap<Arc<str>, usize>,
    notifying: bool,
    /// How many requests of each kind the brokers got.
    requests: BTreeMap<&'static str, u64>,
    looked_at: Instant,
}

impl Fleet {
    fn new(seed: u64) -> Fleet {
        let name = |broker: i32| Arc::<str>::from(format!("broker-{broker:02}"));
        let topic: Arc<str> = "T".into();
        let of = |broker: i32| {
            let (topic, name) = (topic.clone(), name(broker));
            (0..QUEUES / BROKERS).map(move |id| MessageQueue::new(topic.clone(), name.clone(), id))
        };
        let clock = Clock::new();
        Fleet {
            looked_at: clock.now,
            clock,
            random: Rng::with_seed(seed),
            queues: (0..BROKERS).flat_map(of).collect(),
            members: Vec::new(),
            known: BTreeMap::new(),
            notifying: false,
            requests: BTreeMap::new(),
        }
    }

    fn join(&mut self) {
        let number = self.members.len();
        let id: Arc<str> = format!("10.0.{}.{}@{}", number / 256, number % 256, self.random.u16(..)).into();
        let options = EngineOptions {
            client_id: id.clone(),
            slots: 20,
            limits: Limits { messages: 1000, bytes: 100 << 20, span: Some(2000) },
            rebalance_interval: REBALANCE,
            consume_timeout: Duration::from_secs(900),
            ..options(Order::Concurrent)
        };
        self.members.push(Member { engine: Engine::new(options, self.clock.now), id, alive: true, wake: None });
        self.clock.after(0, Delivery::Beat(number));
        self.tell(number, Event::Topics(vec![("T".into(), Some(self.queues.clone()))]));
    }

    /// Takes out a member that says goodbye, or does not, so that brokers notice when its connections break.
    fn lose(&mut self, number: usize) {
        if self.random.bool() {
            return self.tell(number, Event::Close { grace: Duration::from_secs(5) });
        }
        self.end(number);
        let millis = self.random.u64(1..3_000);
        self.clock.after(millis, Delivery::Unregister(number));
    }

    fn end(&mut self, number: usize) {
        let Member { alive, wake, .. } = &mut self.members[number];
        *alive = false;
        if let Some(date) = wake.take() {
            self.clock.cancel(date);
        }
    }

    fn tell(&mut self, number: usize, event: Event) {
        let Member { engine, alive, wake, .. } = &mut self.members[number];
        if !*alive {
            return;
        }
        let mut actions = Vec::new();
        engine.handle(event, self.clock.now, &mut actions);
        let next = engine.next_at();
        if wake.map(|(at, _)| at) != next {
            if let Some(date) = wake.take() {
                self.clock.cancel(date);
            }
            *wake = next.map(|at| self.clock.at(at, Delivery::Tick(number)));
        }
        for action in actions {
            self.perform(number, action);
        }
    }

    fn perform(&mut self, number: usize, action: Action) {
        let millis = self.random.u64(1..50);
        let (kind, event) = match action {
            Action::Heartbeat => {
                *self.requests.entry("heartbeats").or_default() += BROKERS as u64;
                self.clock.after(millis, Delivery::Register(number));
                return;
            }
            Action::Closed => {
                *self.requests.entry("farewells").or_default() += BROKERS as u64;
                self.end(number);
                self.clock.after(millis, Delivery::Unregister(number));
                return;
            }
            Action::FetchMembers { topic } => {
                let lost = self.random.u8(0..50) == 0;
                let failure = || Error::Malformed { what: "lost".into(), addr: None };
                let members = if lost { Err(failure()) } else { Ok(self.known.keys().cloned().collect()) };
                ("lists of members", Event::Members { topic, members })
            }
            Action::FindStart { spell } => {
                ("offsets", Event::Started { spell, start: Ok(Start { offset: 0, stored: Some(0) }) })
            }
            Action::Commit { spell, .. } => ("commits", Event::Committed { spell, result: Ok(()) }),
            Action::Pull { spell, offset, ticket } => {
                *self.requests.entry("pulls").or_default() += 1;
                let answer = Event::Pulled { spell, ticket, pulled: Pulled::Nothing { next: offset } };
                self.clock.after(HOLD, Delivery::Event(number, answer));
                return;
            }
            _ => return,
        };
        *self.requests.entry(kind).or_default() += 1;
        self.clock.after(millis, Delivery::Event(number, event));
    }

    fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Tick(number) => self.tell(number, Event::Tick),
            Delivery::Event(number, event) => self.tell(number, event),
            Delivery::Beat(number) if self.members[number].alive => {
                self.perform(number, Action::Heartbeat);
                self.clock.at(self.clock.now + HEARTBEAT, Delivery::Beat(number));
            }
            Delivery::Beat(_) => {}
            Delivery::Register(number) => {
                let Member { id, alive, .. } = &self.members[number];
                if *alive && self.known.insert(id.clone(), number).is_none() {
                    self.notify();
                }
            }
            Delivery::Unregister(number) => {
                self.known.remove(&self.members[number].id);
                self.notify();
            }
            Delivery::Notify => {
                self.notifying = false;
                for number in self.known.values().copied().collect::<Vec<_>>() {
                    self.tell(number, Event::Disturbed);
                }
            }
        }
    }

    fn notify(&mut self) {
        if !std::mem::replace(&mut self.notifying, true) {
            self.clock.after(NOTIFY, Delivery::Notify);
        }
    }

    fn run(&mut self, time: Duration) {
        let until = self.clock.now + time;
        while let Some(delivery) = self.clock.next(until) {
            self.deliver(delivery);
        }
    }

    /// Whether each queue has one owner, which pulls it.
    fn is_divided(&self) -> bool {
        let mut owners: BTreeMap<&MessageQueue, usize> = BTreeMap::new();
        for member in self.members.iter().filter(|member| member.alive) {
            let pulled = member.engine.queues.iter().filter(|queue| !queue.is_leaving() && queue.last_pull.is_some());
            pulled.for_each(|queue| *owners.entry(&queue.spell().queue).or_default() += 1);
        }
        owners.len() == self.queues.len() && owners.values().all(|owners| *owners == 1)
    }

    /// Runs until each queue has one owner, and says how long that took.
    fn settle(&mut self) -> Duration {
        let since = self.clock.now;
        while !self.is_divided() {
            let took = self.clock.now - since;
            assert!(took < 2 * REBALANCE, "after {took:?} some queue has no owner or two of them");
            self.run(Duration::from_secs(1));
        }
        self.clock.now - since
    }

    /// Says what the brokers got since it was last asked.
    fn print_costs(&mut self, phase: &str) {
        let seconds = (self.clock.now - std::mem::replace(&mut self.looked_at, self.clock.now)).as_secs_f64();
        let requests = std::mem::take(&mut self.requests);
        let total = requests.values().sum::<u64>() as f64 / seconds;
        let each = requests.iter().map(|(kind, count)| format!("{:.0} {kind}", *count as f64 / seconds));
        let each = each.collect::<Vec<_>>().join(", ");
        println!(
            "{phase}, {seconds:.0} s: {total:.0} requests/s, {:.1} per broker ({each})",
            total / f64::from(BROKERS)
        );
    }
}

#[cfg_attr(miri, ignore = "it takes too many steps")]
#[test]
fn a_fleet_has_one_owner_for_each_queue_within_two_rebalance_periods_of_the_last_change() {
    let seed = 1;
    println!("{MEMBERS} members, {QUEUES} queues, {BROKERS} brokers, seed {seed}");
    let mut fleet = Fleet::new(seed);
    for _ in 0..10 {
        (0..MEMBERS / 10).for_each(|_| fleet.join());
        fleet.run(Duration::from_millis(200));
    }
    println!("divided {:?} after the last of them joined", fleet.settle());
    fleet.print_costs("while all join");
    for _ in 0..12 {
        for _ in 0..3 {
            match fleet.random.usize(0..fleet.members.len()) {
                number if fleet.random.bool() && fleet.members[number].alive => fleet.lose(number),
                _ => fleet.join(),
            }
        }
        fleet.run(Duration::from_millis(1500));
    }
    println!("divided {:?} after the last of 36 changes in 18 s", fleet.settle());
    fleet.print_costs("while they come and go");
    fleet.run(2 * REBALANCE);
    assert!(fleet.is_divided(), "it does not stay divided");
    fleet.print_costs("at rest");
    let alive = fleet.members.iter().filter(|member| member.alive);
    let shares: Vec<usize> = alive.map(|member| member.engine.queues.iter().count()).collect();
    let (least, most) = (shares.iter().min(), shares.iter().max());
    assert!(least.zip(most).is_some_and(|(least, most)| most - least <= 1), "from {least:?} to {most:?} queues each");
}
