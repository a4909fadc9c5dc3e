//! The rows of the table: what is done, by each contender.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rocketmq_blocking::bench::requests_and_writes;
use rocketmq_blocking::{AutoBatch, Client, Message, MessageQueue, Producer, PullConsumer};

use crate::baseline::Baseline;
use crate::floor::Floor;
use crate::pushing::{Pushing, decodes};
use crate::server::{HELD_TOPIC, PULLED, QUEUES, SIZE};

const WINDOW: usize = 256;
const POLLS: usize = 16;

/// How much was done in which time.
pub(crate) struct Run {
    pub(crate) count: u64,
    pub(crate) elapsed: Duration,
}

impl Run {
    pub(crate) fn per_second(&self) -> f64 {
        self.count as f64 / self.elapsed.as_secs_f64()
    }
}

type Measure = Box<dyn Fn(&Contenders, Duration) -> Run>;

pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) aim: &'static str,
    pub(crate) client: Measure,
    pub(crate) floor: Measure,
    pub(crate) baseline: Measure,
}

/// Everybody with open connections.
pub(crate) struct Contenders {
    pub(crate) client: Client,
    /// A client of its own for the row beside long polls, so that they hang on no other row's connection.
    polling: Client,
    producer: Producer,
    batching: Producer,
    /// With the window that producers have by default.
    wide: Producer,
    batching_wide: Producer,
    beside: Producer,
    consumer: PullConsumer,
    pub(crate) pushing: Pushing,
    _poller: PullConsumer,
    queue: MessageQueue,
    message: Message,
    floor: Mutex<Floor>,
    baseline: Baseline,
    baseline_beside: Baseline,
}

impl Contenders {
    pub(crate) fn new(addr: SocketAddr) -> Contenders {
        let client = || Client::connect(addr.to_string()).expect("the server is there");
        let (client, polling) = (client(), client());
        let producer = |client: &Client| {
            let builder = client.producer("bench").async_window(WINDOW, 64 << 20);
            builder.start().expect("the group is free")
        };
        let batching = client.producer("bench-batch").async_window(WINDOW, 64 << 20).auto_batch(AutoBatch::default());
        let batching_wide = client.producer("bench-batch-wide").auto_batch(AutoBatch::default());
        let consumer = |client: &Client| client.pull_consumer("bench-pull").start().expect("the group is free");
        let (baseline, baseline_beside) = (Baseline::new(addr), Baseline::new(addr));
        let poller = consumer(&polling);
        let held = MessageQueue::new(HELD_TOPIC, "broker", 0);
        for _ in 0..POLLS {
            baseline_beside.hold();
            let hold = Duration::from_secs(600);
            poller.prepare_pull(&held, 0).wait(hold).fetch_async(|_| {}).expect("the window has room");
        }
        Contenders {
            producer: producer(&client),
            batching: batching.start().expect("the group is free"),
            wide: client.producer("bench-wide").start().expect("the group is free"),
            batching_wide: batching_wide.start().expect("the group is free"),
            beside: producer(&polling),
            consumer: consumer(&client),
            pushing: Pushing::new(addr),
            _poller: poller,
            queue: MessageQueue::new("Bench", "broker", 0),
            message: Message::new("Bench", vec![b'x'; SIZE]),
            floor: Mutex::new(Floor::new(addr)),
            baseline,
            baseline_beside,
            client,
            polling,
        }
    }

    /// Requests of both clients so far, and the writes with which they left.
    pub(crate) fn requests_and_writes(&self) -> (u64, u64) {
        let ((requests, writes), (others, other_writes)) =
            (requests_and_writes(&self.client), requests_and_writes(&self.polling));
        (requests + others, writes + other_writes)
    }

    /// One send by the producer.
    pub(crate) fn send(&self) {
        self.producer.send(self.message.clone()).expect("the server answers");
    }

    fn body(&self) -> &[u8] {
        self.message.body()
    }
}

impl Drop for Contenders {
    fn drop(&mut self) {
        // The polls never end by themselves.
        let _ = self.polling.close_within(Duration::ZERO);
    }
}

/// Runs `work` over and over on some threads for a time; it says how much it did.
fn run(threads: usize, time: Duration, work: impl Fn() -> u64 + Sync) -> Run {
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut done = 0;
                while !stop.load(Ordering::Relaxed) {
                    done += work();
                }
                count.fetch_add(done, Ordering::Relaxed);
            });
        }
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
    });
    Run { count: count.into_inner(), elapsed: started.elapsed() }
}

/// As [`run`] on one thread, and counts the time that `finish` takes.
fn run_and_finish(time: Duration, mut work: impl FnMut() -> u64, finish: impl FnOnce()) -> Run {
    let started = Instant::now();
    let mut count = 0;
    while started.elapsed() < time {
        count += work();
    }
    finish();
    Run { count, elapsed: started.elapsed() }
}

/// Sends of the client under way, so that a run can wait for their end. It needs no window: the producer has one.
#[derive(Default)]
struct Under {
    way: Mutex<usize>,
    changed: Condvar,
}

impl Under {
    fn enter(&self, most: usize) {
        let way = self.way.lock().unwrap();
        *self.changed.wait_while(way, |way| *way >= most).unwrap() += 1;
    }

    fn leave(&self) {
        *self.way.lock().unwrap() -= 1;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let way = self.way.lock().unwrap();
        let _ended = self.changed.wait_while(way, |way| *way > 0).unwrap();
    }
}

pub(crate) fn client_sends(contenders: &Contenders, threads: usize, time: Duration) -> Run {
    sends_by(&contenders.producer, contenders, threads, time)
}

fn sends_by(producer: &Producer, contenders: &Contenders, threads: usize, time: Duration) -> Run {
    run(threads, time, || {
        producer.send(contenders.message.clone()).expect("the server answers");
        1
    })
}

fn sends_async_by(producer: &Producer, contenders: &Contenders, time: Duration) -> Run {
    let sent = Arc::new(AtomicU64::new(0));
    let mut accepted = 0;
    let send = || {
        let counter = sent.clone();
        let count = move |result: Result<_, _>| {
            result.expect("the server answers");
            counter.fetch_add(1, Ordering::Release);
        };
        producer.send_async(contenders.message.clone(), count).expect("the window opens again");
        accepted += 1;
        1
    };
    let started = Instant::now();
    let Run { count, .. } = run_and_finish(time, send, || {});
    while sent.load(Ordering::Acquire) < accepted {
        std::thread::yield_now();
    }
    Run { count, elapsed: started.elapsed() }
}

fn client_sends_oneway(contenders: &Contenders, time: Duration) -> Run {
    let send = || {
        contenders.producer.send_oneway(contenders.message.clone()).expect("the server reads");
        1
    };
    // The server reads in order, so the answer to one more send means that it has read all.
    run_and_finish(time, send, || contenders.send())
}

fn client_sends_buffered(contenders: &Contenders, time: Duration) -> Run {
    let send = || {
        let prepared = contenders.producer.prepare(contenders.message.clone()).buffered(true);
        prepared.send_oneway().expect("the server reads");
        1
    };
    run_and_finish(time, send, || contenders.send())
}

fn client_pulls(contenders: &Contenders, time: Duration) -> Run {
    run(1, time, || {
        let pulled = contenders.consumer.pull(&contenders.queue, 0).expect("the server answers");
        assert_eq!(pulled.messages().len(), PULLED as usize);
        1
    })
}

fn client_sends_beside_polls(contenders: &Contenders, time: Duration) -> Run {
    run(1, time, || {
        contenders.beside.send(contenders.message.clone()).expect("the server answers");
        1
    })
}

fn baseline_sends(baseline: &Baseline, body: &[u8], threads: usize, time: Duration) -> Run {
    run(threads, time, || {
        baseline.send(body);
        1
    })
}

fn baseline_sends_async(contenders: &Contenders, time: Duration) -> Run {
    let under = Arc::new(Under::default());
    let send = || {
        under.enter(WINDOW);
        let ended = under.clone();
        contenders.baseline.send_async(contenders.body(), move |_| ended.leave());
        1
    };
    run_and_finish(time, send, || under.wait())
}

fn baseline_sends_oneway(contenders: &Contenders, time: Duration) -> Run {
    let send = || {
        contenders.baseline.send_oneway(contenders.body());
        1
    };
    run_and_finish(time, send, || {
        contenders.baseline.send(contenders.body());
    })
}

/// Sends on the bare socket, so many at once.
fn floor_sends(depth: usize) -> Measure {
    Box::new(move |contenders, time| {
        let mut floor = contenders.floor.lock().unwrap();
        let send = || {
            floor.sends(depth);
            depth as u64
        };
        run_and_finish(time, send, || {})
    })
}

fn floor_sends_oneway(contenders: &Contenders, time: Duration) -> Run {
    let floor = std::cell::RefCell::new(contenders.floor.lock().unwrap());
    let send = || {
        floor.borrow_mut().oneway();
        1
    };
    run_and_finish(time, send, || floor.borrow_mut().sends(1))
}

/// Pulls on the bare socket, so many at once.
fn floor_pulls(contenders: &Contenders, depth: usize, time: Duration) -> Run {
    let mut floor = contenders.floor.lock().unwrap();
    let pull = || {
        floor.pulls(depth);
        depth as u64
    };
    run_and_finish(time, pull, || {})
}

/// Counts messages instead of pulls.
fn messages(pulls: Run) -> Run {
    Run { count: pulls.count * u64::from(PULLED), ..pulls }
}

pub(crate) fn rows() -> Vec<Row> {
    let sync = |name, aim, threads: usize| Row {
        name,
        aim,
        client: Box::new(move |contenders, time| client_sends(contenders, threads, time)),
        floor: floor_sends(threads),
        baseline: Box::new(move |contenders, time| {
            baseline_sends(&contenders.baseline, contenders.body(), threads, time)
        }),
    };
    // Beside the same producer without batching, which stands where the plain way does in the other rows.
    let batched = |name, threads: usize| Row {
        name,
        aim: "baseline: without batching",
        client: Box::new(move |contenders, time| sends_by(&contenders.batching, contenders, threads, time)),
        floor: floor_sends(threads),
        baseline: Box::new(move |contenders, time| client_sends(contenders, threads, time)),
    };
    vec![
        sync("sync, 1 thread", "0.75 of the floor, better 0.9", 1),
        sync("sync, 8 threads", "1.7 x baseline, 0.3 writes", 8),
        sync("sync, 64 threads", "1.9 x baseline, 0.05 writes", 64),
        Row {
            name: "async, window 256",
            aim: "4 x baseline",
            client: Box::new(|contenders, time| sends_async_by(&contenders.producer, contenders, time)),
            floor: floor_sends(WINDOW),
            baseline: Box::new(baseline_sends_async),
        },
        batched("batched sync, 1 thread", 1),
        batched("batched sync, 16 threads", 16),
        batched("batched sync, 64 threads", 64),
        Row {
            name: "batched async, window 256",
            aim: "baseline: without batching",
            client: Box::new(|contenders, time| sends_async_by(&contenders.batching, contenders, time)),
            floor: floor_sends(WINDOW),
            baseline: Box::new(|contenders, time| sends_async_by(&contenders.producer, contenders, time)),
        },
        Row {
            name: "batched async, as it is set",
            aim: "2 x without batching (baseline)",
            client: Box::new(|contenders, time| sends_async_by(&contenders.batching_wide, contenders, time)),
            floor: floor_sends(WINDOW),
            baseline: Box::new(|contenders, time| sends_async_by(&contenders.wide, contenders, time)),
        },
        Row {
            name: "oneway, 1 thread",
            aim: "1.5 x baseline",
            client: Box::new(client_sends_oneway),
            floor: Box::new(floor_sends_oneway),
            baseline: Box::new(baseline_sends_oneway),
        },
        Row {
            name: "oneway, buffered",
            aim: "1.5 x baseline",
            client: Box::new(client_sends_buffered),
            floor: Box::new(floor_sends_oneway),
            baseline: Box::new(baseline_sends_oneway),
        },
        Row {
            name: "pull of 32, 1 thread",
            aim: "",
            client: Box::new(client_pulls),
            floor: Box::new(|contenders, time| floor_pulls(contenders, 1, time)),
            baseline: Box::new(|contenders, time| {
                run(1, time, || {
                    contenders.baseline.pull();
                    1
                })
            }),
        },
        Row {
            name: "push, messages",
            aim: "1500 thousand, 0.8 us of cpu",
            client: Box::new(|contenders, time| contenders.pushing.run(time)),
            floor: Box::new(|contenders, time| messages(floor_pulls(contenders, QUEUES, time))),
            baseline: Box::new(|contenders, time| {
                messages(run(1, time, || {
                    contenders.baseline.pull();
                    1
                }))
            }),
        },
        Row {
            name: "decoding, messages",
            aim: "4000 thousand",
            client: Box::new(|_, time| decodes(time)),
            floor: Box::new(|contenders, time| messages(floor_pulls(contenders, QUEUES, time))),
            baseline: Box::new(|_, time| decodes(time)),
        },
        Row {
            name: "sync beside 16 long polls",
            aim: "0.9 of the first row",
            client: Box::new(client_sends_beside_polls),
            floor: floor_sends(1),
            baseline: Box::new(|contenders, time| {
                baseline_sends(&contenders.baseline_beside, contenders.body(), 1, time)
            }),
        },
    ]
}
