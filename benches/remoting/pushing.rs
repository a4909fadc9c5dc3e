//! Push consumption of prebuilt pulls by a listener that does nothing, and decoding alone.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rocketmq_blocking::bench::{Codec, Form, Stream};
use rocketmq_blocking::{Client, PushConsumer};

use crate::counting;
use crate::rows::Run;
use crate::server::{ENDLESS_TOPIC, PULLED, SIZE};

/// A push consumer with an endless backlog, suspended while nobody measures it.
pub(crate) struct Pushing {
    consumer: PushConsumer,
    consumed: Arc<AtomicU64>,
    _client: Client,
}

impl Pushing {
    pub(crate) fn new(addr: SocketAddr) -> Pushing {
        let client = Client::connect(addr.to_string()).expect("the server is there");
        let consumed = Arc::new(AtomicU64::new(0));
        let counter = consumed.clone();
        let builder =
            client.push_consumer("bench-push").subscribe(ENDLESS_TOPIC, "*").batch(PULLED as usize).threads(2);
        let consumer = builder.start(move |messages| {
            counter.fetch_add(messages.len() as u64, Ordering::Relaxed);
        });
        let consumer = consumer.expect("the group is free");
        let pushing = Pushing { consumer, consumed, _client: client };
        pushing.wait_until(|consumed| consumed > 0);
        pushing.suspend();
        pushing
    }

    fn wait_until(&self, reached: impl Fn(u64) -> bool) {
        let until = Instant::now() + Duration::from_secs(20);
        while !reached(self.consumed.load(Ordering::Relaxed)) {
            assert!(Instant::now() < until, "nothing is consumed: {:?}", self.consumer.queues());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Returns once what was pulled already is consumed.
    fn suspend(&self) {
        self.consumer.suspend().expect("it is open");
        let before = std::cell::Cell::new(u64::MAX);
        self.wait_until(|consumed| {
            std::thread::sleep(Duration::from_millis(10));
            before.replace(consumed) == consumed
        });
    }

    pub(crate) fn run(&self, time: Duration) -> Run {
        self.consumer.resume().expect("it is open");
        let (before, started) = (self.consumed.load(Ordering::Relaxed), Instant::now());
        std::thread::sleep(time);
        let (count, elapsed) = (self.consumed.load(Ordering::Relaxed) - before, started.elapsed());
        self.suspend();
        Run { count, elapsed }
    }

    /// Allocations of all threads per message, over so many of them.
    pub(crate) fn allocations(&self, messages: u64) -> f64 {
        self.consumer.resume().expect("it is open");
        let per_message = |_| {
            let before = self.consumed.load(Ordering::Relaxed);
            let count = counting::count(|| self.wait_until(|consumed| consumed - before >= messages));
            count as f64 / (self.consumed.load(Ordering::Relaxed) - before) as f64
        };
        let least = (0..3).map(per_message).fold(f64::INFINITY, f64::min);
        self.suspend();
        least
    }
}

/// Reads and decodes answers that are in memory, on one thread.
pub(crate) fn decodes(time: Duration) -> Run {
    let (codec, mut stream, mut frame) = (Codec::new(Form::Json, ENDLESS_TOPIC), Stream::default(), Vec::new());
    codec.encode_pull_reply(&mut frame, 1, PULLED, SIZE).expect("it fits");
    let (started, mut count) = (Instant::now(), 0);
    while started.elapsed() < time {
        for _ in 0..100 {
            let Ok(Some(frame)) = stream.read(black_box(&frame)) else { panic!("a whole frame") };
            black_box(codec.decode_pull_reply(&frame).expect("well formed"));
            count += u64::from(PULLED);
        }
    }
    Run { count, elapsed: started.elapsed() }
}
