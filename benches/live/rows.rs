//! The rows of the table, and what they stand on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rocketmq_blocking::bench::requests_and_writes;
use rocketmq_blocking::{AutoBatch, Client, Message, MessageQueue, Producer, PullConsumer};

pub(crate) const SIZE: usize = 100;
const QUEUES: i32 = 4;

/// How much was done in which time.
pub(crate) struct Rate {
    pub(crate) messages: u64,
    elapsed: Duration,
}

impl Rate {
    pub(crate) fn per_second(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64()
    }
}

type Measure = Box<dyn Fn(&Stage, Duration) -> Rate>;

pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The row that does the same without batching.
    pub(crate) beside: Option<&'static str>,
    pub(crate) measure: Measure,
}

/// Everybody with open connections, and a topic.
pub(crate) struct Stage {
    client: Client,
    plain: Producer,
    batching: Producer,
    consumer: PullConsumer,
    queue: MessageQueue,
    next: AtomicI64,
    message: Message,
}

impl Stage {
    pub(crate) fn new(name_server: &str) -> Stage {
        let client = Client::connect(name_server).expect("the name server answers");
        let since = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis());
        let topic: Arc<str> = format!("LiveBench{since}").into();
        client.create_topic("TBW102", &topic, QUEUES).expect("the topic is created");
        let plain = client.producer("live-bench").start().expect("the group is free");
        let batching = client.producer("live-bench-batch").auto_batch(AutoBatch::default()).start();
        let consumer = client.pull_consumer("live-bench-pull").start().expect("the group is free");
        let message = Message::new(topic.clone(), vec![b'x'; SIZE]);
        // The queue to be pulled from: whatever the other rows add to it, it has enough from the start.
        let queue = plain.send(message.clone()).expect("the topic is there").queue().clone();
        for _ in 0..100 {
            plain.prepare_batch(vec![message.clone(); 200]).queue(&queue).send().expect("the broker takes batches");
        }
        let batching = batching.expect("the group is free");
        Stage { client, plain, batching, consumer, queue, next: AtomicI64::new(0), message }
    }

    /// Requests sent so far.
    pub(crate) fn requests(&self) -> u64 {
        requests_and_writes(&self.client).0
    }
}

pub(crate) fn rows() -> Vec<Row> {
    type Choose = fn(&Stage) -> &Producer;
    let (plain, batching): (Choose, Choose) = (|stage| &stage.plain, |stage| &stage.batching);
    let sync = |name, beside, producer: Choose, threads| {
        let measure = Box::new(move |stage: &Stage, time| sends(producer(stage), &stage.message, threads, time));
        Row { name, beside, measure }
    };
    let background = |name, beside, producer: Choose| {
        let measure = Box::new(move |stage: &Stage, time| sends_async(producer(stage), &stage.message, time));
        Row { name, beside, measure }
    };
    vec![
        sync("sync, 1 thread", None, plain, 1),
        sync("sync, 16 threads", None, plain, 16),
        sync("sync, 64 threads", None, plain, 64),
        sync("batched sync, 1 thread", Some("sync, 1 thread"), batching, 1),
        sync("batched sync, 16 threads", Some("sync, 16 threads"), batching, 16),
        sync("batched sync, 64 threads", Some("sync, 64 threads"), batching, 64),
        background("async", None, plain),
        background("batched async", Some("async"), batching),
        Row { name: "oneway, 1 thread", beside: None, measure: Box::new(sends_oneway) },
        Row { name: "pull of 32, 1 thread", beside: None, measure: Box::new(pulls) },
    ]
}

fn sends(producer: &Producer, message: &Message, threads: usize, time: Duration) -> Rate {
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut sent = 0;
                while !stop.load(Ordering::Relaxed) {
                    producer.send(message.clone()).expect("the broker stores it");
                    sent += 1;
                }
                count.fetch_add(sent, Ordering::Relaxed);
            });
        }
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
    });
    Rate { messages: count.into_inner(), elapsed: started.elapsed() }
}

/// Counted until the last result is there. The window of what is in flight is the default one.
fn sends_async(producer: &Producer, message: &Message, time: Duration) -> Rate {
    let ended = Arc::new(AtomicU64::new(0));
    let (started, mut accepted) = (Instant::now(), 0);
    while started.elapsed() < time {
        let counter = ended.clone();
        let count = move |result: Result<_, _>| {
            result.expect("the broker stores it");
            counter.fetch_add(1, Ordering::Release);
        };
        producer.send_async(message.clone(), count).expect("the window opens again");
        accepted += 1;
    }
    while ended.load(Ordering::Acquire) < accepted {
        std::thread::yield_now();
    }
    Rate { messages: accepted, elapsed: started.elapsed() }
}

/// Counted when the kernel has them; the broker may store some later.
fn sends_oneway(stage: &Stage, time: Duration) -> Rate {
    let (started, mut messages) = (Instant::now(), 0);
    while started.elapsed() < time {
        stage.plain.send_oneway(stage.message.clone()).expect("the broker reads");
        messages += 1;
    }
    Rate { messages, elapsed: started.elapsed() }
}

fn pulls(stage: &Stage, time: Duration) -> Rate {
    let (started, mut messages) = (Instant::now(), 0);
    while started.elapsed() < time {
        let from = stage.next.load(Ordering::Relaxed);
        let pulled = stage.consumer.pull(&stage.queue, from).expect("the broker answers");
        messages += pulled.messages().len() as u64;
        stage.next.store(if pulled.messages().is_empty() { 0 } else { pulled.next_offset() }, Ordering::Relaxed);
    }
    Rate { messages, elapsed: started.elapsed() }
}
