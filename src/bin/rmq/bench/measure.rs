use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use rocketmq_blocking::Error;

use super::figures::Figures;
use crate::failure::{Failure, complain, explain};
use crate::histogram::Histogram;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::usage;

/// Failures that are told one by one; the others are counted.
const TOLD: u64 = 5;
/// After so many failures a run measures nothing but failing.
const TOO_MANY: u64 = 100;
/// How often the progress bar follows.
const LOOK: Duration = Duration::from_millis(200);

/// Counts and times one run of so many messages, by any number of threads and callbacks.
#[derive(Debug)]
pub(super) struct Measure {
    target: u64,
    begun: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
    latencies: Histogram,
    interrupt: Interrupt,
}

/// A measure in the hands of threads and callbacks; the run is over when all have dropped it.
#[derive(Debug, Clone)]
pub(super) struct Hand(Arc<Held>);

#[derive(Debug)]
struct Held {
    measure: Arc<Measure>,
    _end: Sender<()>,
}

impl Deref for Hand {
    type Target = Measure;

    fn deref(&self) -> &Measure {
        &self.0.measure
    }
}

impl Measure {
    /// Returns whether one more message is to be sent, and counts it as begun.
    pub(super) fn begin(&self) -> bool {
        !self.is_given_up() && self.begun.fetch_add(1, Ordering::Relaxed) < self.target
    }

    /// Returns whether more messages are to be read.
    pub(super) fn goes_on(&self) -> bool {
        !self.is_given_up() && self.done.load(Ordering::Relaxed) < self.target
    }

    fn is_given_up(&self) -> bool {
        self.interrupt.happened() || self.failed.load(Ordering::Relaxed) >= TOO_MANY
    }

    /// Records a call that took so long and was about so many messages.
    pub(super) fn record(&self, took: Duration, messages: u64) {
        self.latencies.record(took);
        self.done.fetch_add(messages, Ordering::Relaxed);
    }

    pub(super) fn fail(&self, error: &Error) {
        if self.failed.fetch_add(1, Ordering::Relaxed) < TOLD {
            complain(&format!("{}: {}", error.outcome(), explain(error)));
        }
    }
}

/// Runs `work` on so many threads until it has ended everywhere, callbacks included, and returns what it took.
///
/// Failures have been told when it returns.
pub(super) fn run(
    target: u64,
    threads: u16,
    interrupt: &Interrupt,
    progress: &Progress,
    work: impl Fn(u16, Hand) + Sync,
) -> Result<Figures, Failure> {
    let measure = Arc::new(Measure {
        target,
        begun: AtomicU64::new(0),
        done: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        latencies: Histogram::new(),
        interrupt: interrupt.clone(),
    });
    let (end, ended) = bounded::<()>(0);
    let hand = Hand(Arc::new(Held { measure: measure.clone(), _end: end }));
    let (cpu, started) = (usage::cpu_time(), Instant::now());
    thread::scope(|scope| {
        for number in 0..threads {
            let (work, hand) = (&work, hand.clone());
            thread::Builder::new()
                .name(format!("rmq-bench {number}"))
                .spawn_scoped(scope, move || work(number, hand))
                .map_err(|error| Failure::Failed(format!("cannot start a thread: {error}")))?;
        }
        drop(hand);
        while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            progress.reach(measure.done.load(Ordering::Relaxed));
        }
        Ok::<(), Failure>(())
    })?;
    let elapsed = started.elapsed();
    let cpu = usage::cpu_time().zip(cpu).map(|(after, before)| after.saturating_sub(before));
    let (done, failed) = (measure.done.load(Ordering::Relaxed), measure.failed.load(Ordering::Relaxed));
    if failed > TOLD {
        progress.aside(|| complain(&format!("{} more calls failed", failed - TOLD)));
    }
    Ok(Figures::new(done, failed, elapsed, cpu, Some(&measure.latencies)))
}
