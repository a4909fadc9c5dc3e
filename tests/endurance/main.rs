//! Faults for minutes on Apache's server: `tests/live/run --long` starts the servers and this. Nothing acknowledged is lost,
//! every failed send says the truth, the order holds, every queue is consumed again soon, and nothing grows.
//!
//! `ROCKETMQ_ENDURANCE_SECONDS` (600) and `ROCKETMQ_ENDURANCE_INTERVAL` (20) set how long it takes and how often something
//! fails; `ROCKETMQ_ENDURANCE_REPORT` names the report to be written, `ROCKETMQ_ENDURANCE_LOG` prints what clients log.

#![allow(clippy::result_large_err, reason = "a failed send gives its message back")]

mod cables;
mod faults;
mod groups;
mod heap;
mod ledger;
mod meter;
mod report;
mod senders;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rocketmq_blocking::{Client, MessageQueue, Producer, PullStatus, PushConsumer};

use cables::Network;
use faults::{Fault, Site};
use groups::{MEMBERS, Watch};
use ledger::{GROUPS, Ledger, Mark};
use meter::{Line, Sample};
use report::Passed;
use senders::{Senders, Stop, Way};

/// Within which a queue is to be consumed again once its broker is back, in milliseconds.
const SOON: u64 = 10_000;

struct Printer(Instant);

impl log::Log for Printer {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("?");
        eprintln!("{} ms {} {name}: {}", self.0.elapsed().as_millis(), record.level(), record.args());
    }

    fn flush(&self) {}
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(cables::ARGUMENT) {
        cables::run(arguments);
        return ExitCode::SUCCESS;
    }
    let Some(site) = Site::from_environment() else {
        println!("long faults are tested on Apache's server only: tests/live/run --long");
        return ExitCode::SUCCESS;
    };
    if std::env::var_os("ROCKETMQ_ENDURANCE_LOG").is_some() {
        let _ = log::set_logger(Box::leak(Box::new(Printer(Instant::now()))));
        log::set_max_level(log::LevelFilter::Debug);
    }
    let wrong = Course::begin(site).run();
    wrong.iter().for_each(|what| println!("WRONG {what}"));
    println!("\nendurance: {} things wrong", wrong.len());
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(format!("ROCKETMQ_ENDURANCE_{name}")).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// Waits until a condition holds; whether it does within the time.
fn wait(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let (until, stop) = (Instant::now() + limit, Stop::default());
    while !condition() {
        if Instant::now() >= until {
            return false;
        }
        stop.pause(Duration::from_millis(10));
    }
    true
}

/// A run: the servers, the network before them, and those who use them.
struct Course {
    site: Site,
    network: Network,
    seconds: u64,
    interval: u64,
    topic: String,
    ledger: Arc<Ledger>,
    senders: Arc<Senders>,
    watch: Arc<Watch>,
    producer: Arc<Producer>,
    consumers: Vec<PushConsumer>,
    clients: Vec<Client>,
}

impl Course {
    fn begin(site: Site) -> Course {
        let network = Network::to(site.addrs());
        let client = || {
            let ways = network.ways().clone();
            let builder = Client::builder().name_servers(&ways[&site.name_server]);
            builder.address_map(move |addr| ways.get(addr).cloned().unwrap_or_else(|| addr.to_owned())).build()
        };
        let (seconds, interval) = (setting("SECONDS", 600), setting("INTERVAL", 20));
        let topic = std::env::var("ROCKETMQ_LIVE_SOAK_TOPIC").expect("ROCKETMQ_LIVE_SOAK_TOPIC names the topic");
        let first = client().expect("a client");
        let mut queues: Vec<MessageQueue> = first.publish_queues(&topic).expect("the topic is there from the start");
        queues.sort();
        assert_eq!(queues.len(), site.masters.len() * 4, "{queues:?}");
        // Some time for what comes after the last fault.
        let ledger = Arc::new(Ledger::new(senders::SENDERS, senders::calls(seconds + 120)));
        let senders = Arc::new(Senders::new(ledger.clone(), queues.clone()));
        let watch = Arc::new(Watch::new(ledger.clone(), queues));
        let producer = Arc::new(first.producer("endurance").start().expect("a producer"));
        let (mut clients, mut consumers) = (vec![first], Vec::new());
        let run = format!("endurance_{}", std::process::id());
        for group in 0..GROUPS.len() {
            for _ in 0..MEMBERS {
                clients.push(client().expect("a client"));
                let member = clients.last().expect("it was just made");
                consumers.push(groups::join(member, group, &run, &topic, &watch).expect("a consumer"));
            }
        }
        Course { site, network, seconds, interval, topic, ledger, senders, watch, producer, consumers, clients }
    }

    fn run(mut self) -> Vec<String> {
        let threads = self.senders.start(&self.producer, &self.topic);
        let (mut wrong, mut passed, mut samples) = (Vec::new(), Vec::new(), Vec::new());
        if !wait(Duration::from_secs(60), || self.all_since(1, 0..self.queues())) {
            wrong.push("not every queue is consumed before the first fault".to_owned());
        }
        println!("every queue is consumed after {} ms", self.ledger.now());
        let began = self.ledger.now();
        for number in 0.. {
            let due = began + number as u64 * self.interval * 1000;
            if due >= began + self.seconds * 1000 {
                break;
            }
            wait(Duration::from_millis(due.saturating_sub(self.ledger.now())), || false);
            if self.ledger.now() >= began + self.seconds * 1000 {
                break;
            }
            samples.push(Sample::now(self.ledger.now() as f64 / 1000.0));
            passed.push(self.one_fault(number, &mut wrong));
        }
        wait(Duration::from_secs(self.interval), || false);
        // A client connects to brokers it has no queue of with its next heartbeat.
        let now = || Sample::now(self.ledger.now() as f64 / 1000.0);
        let as_before = |sample: Sample| (1..3).all(|value| sample.values[value] <= samples[0].values[value]);
        if !wait(Duration::from_secs(40), || as_before(now())) {
            wrong.push(format!("more threads or sockets than before the first fault: {:?}, {:?}", now(), samples[0]));
        }
        samples.push(now());
        self.senders.stop.stop();
        threads.into_iter().for_each(|thread| thread.join().expect("a sender does not panic"));
        self.settle(&mut wrong);
        self.judge(passed, &samples, wrong)
    }

    fn queues(&self) -> usize {
        self.senders.queues.len()
    }

    /// Whether each of these queues was stored to and consumed by both groups at `since` or later.
    fn all_since(&self, since: u64, mut queues: impl Iterator<Item = usize>) -> bool {
        let after = |times: &[AtomicU64], queue: usize| times[queue].load(Relaxed) >= since;
        let all = [&self.senders.stored_in, &self.watch.last[0], &self.watch.last[1]];
        queues.all(|queue| all.iter().all(|times| after(times, queue)))
    }

    fn one_fault(&mut self, number: usize, wrong: &mut Vec<String>) -> Passed {
        let fault = Fault::ALL[number % Fault::ALL.len()];
        let which = number / Fault::ALL.len() + number % Fault::ALL.len();
        self.senders.pulses.iter().for_each(senders::Pulse::forget);
        let began = self.ledger.now();
        let masters = self.site.suffer(fault, which, &mut self.network);
        let back = self.ledger.now();
        let names: Vec<&str> = masters.iter().map(|master| &*self.site.masters[*master].name).collect();
        let concerned = |queue: &usize| names.contains(&self.senders.queues[*queue].broker_name());
        let queues: Vec<usize> = (0..self.queues()).filter(concerned).collect();
        // The first sign of life in each queue after the servers were back; what stored, then what consumed.
        let all = [&self.senders.stored_in, &self.watch.last[0], &self.watch.last[1]];
        let mut first = vec![[0_u64; 3]; queues.len()];
        wait(Duration::from_secs(60), || {
            for (queue, first) in queues.iter().zip(&mut first) {
                for (times, first) in all.iter().zip(first) {
                    let time = times[*queue].load(Relaxed);
                    if *first == 0 && time >= back {
                        *first = time;
                    }
                }
            }
            first.iter().flatten().all(|time| *time > 0)
        });
        let now = self.ledger.now();
        let slowest = |what: usize| {
            let time = |first: &[u64; 3]| if first[what] == 0 { now } else { first[what] } - back;
            first.iter().map(time).max().unwrap_or(0)
        };
        let free = self.senders.pulses.iter().filter(|pulse| pulse.way != Way::Ordered);
        let sends = free.map(|pulse| pulse.longest(now)).max().unwrap_or(0);
        let passed =
            Passed { fault, down: back - began, sends, stored: slowest(0), consumed: [slowest(1), slowest(2)] };
        println!("{:>4} s {}, {}: {passed:?}", began / 1000, fault.describe(), names.join(" "));
        for (group, took) in GROUPS.iter().zip(passed.consumed).filter(|(_, took)| *took > SOON) {
            wrong.push(format!(
                "{} of {names:?} at {began} ms: group {group} goes on after {took} ms",
                fault.describe()
            ));
            self.tell_queues();
        }
        passed
    }

    /// Why queues stand still, for whoever looks for the cause.
    fn tell_queues(&self) {
        for consumer in &self.consumers {
            let queues = consumer.queues().unwrap_or_default();
            queues.iter().filter(|queue| queue.standing.is_some()).for_each(|queue| println!("  {queue:?}"));
        }
    }

    /// Reads back what is stored, and waits until all of it is consumed.
    fn settle(&self, wrong: &mut Vec<String>) {
        let all = || (0..GROUPS.len()).all(|group| self.ledger.missing(group) == 0);
        if !wait(Duration::from_secs(90), all) {
            let missing = [0, 1].map(|group| self.ledger.missing(group));
            wrong.push(format!("{missing:?} messages were not consumed"));
            self.tell_queues();
        }
        // What is unknown may still be under way.
        wait(Duration::from_secs(5), || false);
        let reader = self.clients[0].pull_consumer("endurance_reader").start().expect("a consumer");
        for queue in &self.senders.queues {
            let mut offset = reader.min_offset(queue).expect("a minimum");
            loop {
                let found = reader.prepare_pull(queue, offset).max(32).fetch().expect("the broker is up");
                offset = found.next_offset();
                let marks = found.messages().iter().filter_map(|message| Mark::read(message.body_text()?));
                marks.for_each(|mark| self.ledger.stored(mark));
                if matches!(found.status(), PullStatus::NoNewMessage | PullStatus::OffsetIllegal) {
                    break;
                }
            }
        }
    }

    fn judge(self, passed: Vec<Passed>, samples: &[Sample], mut wrong: Vec<String>) -> Vec<String> {
        let complaints = self.watch.complaints();
        let contradictions = self.ledger.contradictions();
        // The first faults make connections and buffers that stay.
        let settled = &samples[(samples.len() / 5).max(3).min(samples.len() - 1)..];
        let lines: [Line; meter::VALUES] = std::array::from_fn(|value| Line::through(settled, value));
        samples.iter().for_each(|sample| println!("{sample:?}"));
        // Connections to a broker that has just come back may be missing in a sample; at the end none may be too many. What
        // the process has from the system grows for a while without more being allocated: threads and connections that come
        // and go leave gaps.
        let share = |value| if value == 0 { 0.25 } else { 0.1 };
        let flat: [bool; meter::VALUES] = std::array::from_fn(|value| lines[value].is_flat(share(value), 1.0));
        for (name, line) in meter::NAMES.iter().zip(lines).zip(flat).filter(|(_, flat)| !flat).map(|(both, _)| both) {
            wrong.push(format!("{name} grows: {line:?}"));
        }
        if self.senders.overflowed() {
            wrong.push("the ledger was too small".to_owned());
        }
        let run = report::Run {
            seconds: self.seconds,
            interval: self.interval,
            passed: &passed,
            ledger: &self.ledger,
            lines,
            complaints: complaints.len(),
        };
        let text = run.text();
        println!("\n{text}");
        if let Some(path) = std::env::var("ROCKETMQ_ENDURANCE_REPORT").ok().filter(|path| !path.is_empty()) {
            report::keep(&path, &text);
        }
        if !contradictions.is_empty() {
            let failures = self.senders.failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            failures.iter().for_each(|failure| println!("failed: {failure}"));
        }
        wrong.extend(complaints);
        wrong.extend(contradictions.into_iter().take(200));
        self.producer.close().unwrap_or_else(|error| wrong.push(format!("closing: {error}")));
        for consumer in &self.consumers {
            consumer.close().unwrap_or_else(|error| wrong.push(format!("closing: {error}")));
        }
        wrong
    }
}
