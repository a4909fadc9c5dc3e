use std::sync::Arc;
use std::time::Duration;

use crate::client::names;
use crate::error::{Error, Result};

/// The topic brokers with `traceTopicEnable` have.
const DEFAULT_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";
/// More are never put into one trace message.
const MAX_BATCH: usize = 20;
const MAX_QUEUE: usize = 1 << 20;

/// Settings of the message trace: records of what happened to each message, which the tools of RocketMQ show
/// (`mqadmin queryMsgTraceById`, the dashboard).
///
/// Records are gathered and sent in the background, as messages of a topic of their own. Brokers have that topic when they
/// are started with `traceTopicEnable=true`; a named one has to be created. Tracing never delays or fails what is traced:
/// when the trace topic is missing or cannot be written to, records are lost, counted and told in the log.
///
/// ```no_run
/// # fn main() -> rocketmq_blocking::Result<()> {
/// use rocketmq_blocking::{Client, Trace};
///
/// let client = Client::connect("127.0.0.1:9876")?;
/// let producer = client.producer("orders").trace(Trace::default().topic("OrderTrace")).start()?;
/// # producer.close()
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "settings do nothing until a builder takes them"]
pub struct Trace {
    pub(super) topic: Arc<str>,
    pub(super) batch: usize,
    pub(super) interval: Duration,
    pub(super) queue: usize,
}

impl Default for Trace {
    fn default() -> Trace {
        Trace { topic: DEFAULT_TOPIC.into(), batch: 10, interval: Duration::from_secs(5), queue: 2048 }
    }
}

impl Trace {
    /// Names the topic the records are sent to. `RMQ_SYS_TRACE_TOPIC` by default (Java: `traceTopic`). It is never created
    /// by sending. With credentials of the channel `CLOUD` it is `rmq_sys_TRACE_DATA_` and the broker's region, whatever is
    /// named here.
    pub fn topic(mut self, name: impl Into<Arc<str>>) -> Trace {
        self.topic = name.into();
        self
    }

    /// Sets how many records one trace message holds at most, 1 to 20. 10 by default (Java: `traceMsgBatchNum`). So many are
    /// sent without waiting for the interval.
    pub fn batch(mut self, records: usize) -> Trace {
        self.batch = records;
        self
    }

    /// Sets how long a record may wait for others, 10 ms to an hour. 5 s by default. As long nothing is sent after a trace
    /// message has failed.
    pub fn interval(mut self, interval: Duration) -> Trace {
        self.interval = interval;
        self
    }

    /// Sets how many records may wait to be sent, 1 to 1 048 576; further ones are dropped and counted. 2048 by default.
    /// Their texts may have 4 MiB together.
    pub fn queue(mut self, records: usize) -> Trace {
        self.queue = records;
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        names::check_target_topic(&self.topic)?;
        let wrong = |what: String| Err(Error::invalid(format!("trace: {what}")));
        if !(1..=MAX_BATCH).contains(&self.batch) {
            return wrong(format!("batch is {}, 1 to {MAX_BATCH} are allowed", self.batch));
        }
        if !(Duration::from_millis(10)..=Duration::from_secs(3600)).contains(&self.interval) {
            return wrong(format!("interval is {:?}, 10 ms to an hour are allowed", self.interval));
        }
        if !(1..=MAX_QUEUE).contains(&self.queue) {
            return wrong(format!("queue is {}, 1 to {MAX_QUEUE} are allowed", self.queue));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_refused_with_their_name() {
        assert!(Trace::default().check().is_ok());
        assert!(Trace::default().batch(20).queue(1).interval(Duration::from_millis(10)).check().is_ok());
        let refused = |trace: Trace| trace.check().unwrap_err().to_string();
        assert!(refused(Trace::default().batch(0)).contains("batch"));
        assert!(refused(Trace::default().batch(21)).contains("1 to 20"));
        assert!(refused(Trace::default().queue(0)).contains("queue"));
        assert!(refused(Trace::default().interval(Duration::ZERO)).contains("interval"));
        assert!(refused(Trace::default().topic("a b")).contains("topic"));
        assert!(refused(Trace::default().topic("SCHEDULE_TOPIC_XXXX")).contains("forbidden"));
    }
}
