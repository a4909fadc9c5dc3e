//! Pulling on a schedule: a callback per queue, which says when it wants to be called again.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::builder::PullConsumerBuilder;
use super::tasks::Tasks;
use super::{DEFAULT_GRACE, PullConsumer};
use crate::client::CloseReport;
use crate::error::{Error, Result};
use crate::message::MessageQueue;
use crate::thread::Thread;

/// As in Java, when nothing is said.
const PAUSE: Duration = Duration::from_millis(200);
/// As in Java, after a failure.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);
const MOST_THREADS: usize = 1000;

/// After how long a queue is to be pulled again, from what the callback of a [`PullSchedule`] returns: nothing means 200 ms,
/// a [`Duration`] itself, and an error 1 s, which is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullAgain(Duration);

impl From<()> for PullAgain {
    fn from((): ()) -> PullAgain {
        PullAgain(PAUSE)
    }
}

impl From<Duration> for PullAgain {
    fn from(pause: Duration) -> PullAgain {
        PullAgain(pause)
    }
}

impl<T: Into<PullAgain>, E: fmt::Display> From<Result<T, E>> for PullAgain {
    fn from(result: Result<T, E>) -> PullAgain {
        result.map(Into::into).unwrap_or_else(|error| {
            log::warn!("scheduled pulling failed, and goes on in {PAUSE_AFTER_FAILURE:?}: {error}");
            PullAgain(PAUSE_AFTER_FAILURE)
        })
    }
}

impl PullConsumerBuilder {
    /// Starts the consumer and calls `pull` for each queue that it has of its [registered
    /// topics](PullConsumerBuilder::register_topic), again and again (Java: `MQPullConsumerScheduleService`).
    ///
    /// For one queue it is called by one thread at a time, first as soon as the queue is this member's, then after the time
    /// it returned: see [`PullAgain`]. A panic counts as an error. It pulls, consumes, and says how far it is:
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # fn main() -> rocketmq_blocking::Result<()> {
    /// # let client = rocketmq_blocking::Client::connect("127.0.0.1:9876")?;
    /// let schedule = client.pull_consumer("audit").register_topic("OrderTopic").start_scheduled(4, |consumer, queue| {
    ///     let offset = match consumer.offset(queue)? {
    ///         Some(offset) => offset,
    ///         None => consumer.max_offset(queue)?,
    ///     };
    ///     let found = consumer.pull(queue, offset)?;
    ///     for message in found.messages() {
    ///         println!("{message}");
    ///     }
    ///     consumer.update_offset(queue, found.next_offset())?;
    ///     Ok::<_, rocketmq_blocking::Error>(Duration::from_millis(100))
    /// })?;
    /// # schedule.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`start`](PullConsumerBuilder::start), and [`Error::Invalid`] for 0 or more than 1000 threads, or no topic.
    pub fn start_scheduled<R: Into<PullAgain>>(
        self,
        threads: usize,
        pull: impl Fn(&PullConsumer, &MessageQueue) -> R + Send + Sync + 'static,
    ) -> Result<PullSchedule> {
        if !(1..=MOST_THREADS).contains(&threads) {
            return Err(Error::invalid(format!("{threads} threads for scheduled pulling: 1 to {MOST_THREADS} can be")));
        }
        if self.topics.is_empty() {
            return Err(Error::invalid("scheduled pulling needs a registered topic"));
        }
        let tasks = Arc::new(Tasks::default());
        let consumer = Arc::new(self.start_with(Some(tasks.clone()))?);
        let pull = Arc::new(move |consumer: &PullConsumer, queue: &MessageQueue| pull(consumer, queue).into());
        let schedule = PullSchedule { consumer: consumer.clone() };
        for number in 1..=threads {
            let name = format!("mq-pull {} {number}", consumer.group());
            let (consumer, tasks, pull) = (consumer.clone(), tasks.clone(), pull.clone());
            let thread = Thread::spawn(name, move || run(&consumer, &tasks, &*pull))?;
            schedule.consumer.upkeep.parts().pulling.push(thread);
        }
        Ok(schedule)
    }
}

fn run(consumer: &PullConsumer, tasks: &Tasks, pull: &dyn Fn(&PullConsumer, &MessageQueue) -> PullAgain) {
    while let Some(queue) = tasks.next() {
        let PullAgain(pause) = catch_unwind(AssertUnwindSafe(|| pull(consumer, &queue))).unwrap_or_else(|_| {
            log::error!("scheduled pulling of {queue} panicked, and goes on in {PAUSE_AFTER_FAILURE:?}");
            PullAgain(PAUSE_AFTER_FAILURE)
        });
        tasks.done(queue, pause);
    }
}

/// A pull consumer with threads that pull on a schedule; made by
/// [`start_scheduled`](PullConsumerBuilder::start_scheduled). Dropping it closes it.
#[derive(Debug)]
pub struct PullSchedule {
    consumer: Arc<PullConsumer>,
}

impl PullSchedule {
    /// Returns the consumer.
    pub fn consumer(&self) -> &PullConsumer {
        &self.consumer
    }

    /// Closes it: no callback begins any more, pulls that wait end, callbacks that run have five seconds, and the offsets they
    /// told are committed. Then the consumer is closed. In a callback it does not wait for the others.
    ///
    /// # Errors
    /// None at present.
    pub fn close(&self) -> Result<()> {
        self.close_within(DEFAULT_GRACE).map(drop)
    }

    /// As [`close`](PullSchedule::close), giving callbacks at most `grace`.
    ///
    /// # Errors
    /// None at present; what was left unfinished stands in the report.
    pub fn close_within(&self, grace: Duration) -> Result<CloseReport> {
        self.consumer.close_within(grace)
    }
}

impl Drop for PullSchedule {
    fn drop(&mut self) {
        // Its threads hold the consumer, which would not be dropped before they end.
        let _ = self.close();
    }
}
