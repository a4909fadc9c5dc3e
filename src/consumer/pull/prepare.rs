use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::shared::Shared;
use super::{PullOptions, PullResult};
use crate::client::{check_offset, check_queue, to_millis};
use crate::consumer::Filter;
use crate::error::{Error, Result};
use crate::message::MessageQueue;
use crate::protocol::rpc::pull::{PullMessage, pull_flag};
use crate::remoting::Deadline;

/// Most messages one pull may ask for, as in Java. Brokers return 32 at most unless configured otherwise.
const MAX_MESSAGES: usize = 1024;
/// Most bytes one pull may ask for: more does not fit into an answer.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// A pull that is being put together; it ends in [`fetch`](PreparedPull::fetch) or
/// [`fetch_async`](PreparedPull::fetch_async).
///
/// ```no_run
/// # use std::time::Duration;
/// # fn main() -> rocketmq_blocking::Result<()> {
/// # let client = rocketmq_blocking::Client::connect("127.0.0.1:9876")?;
/// let consumer = client.pull_consumer("audit").start()?;
/// for queue in consumer.fetch_queues("OrderTopic")? {
///     let wait = Duration::from_secs(10);
///     let found = consumer.prepare_pull(&queue, 0).filter("paid || refunded").max(16).wait(wait).fetch()?;
///     println!("{found}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is pulled before fetch or fetch_async"]
pub struct PreparedPull<'a> {
    shared: &'a Arc<Shared>,
    queue: MessageQueue,
    offset: i64,
    filter: Filter,
    max: usize,
    max_bytes: Option<usize>,
    wait: Option<Duration>,
    timeout: Option<Duration>,
}

impl<'a> PreparedPull<'a> {
    pub(super) fn new(shared: &'a Arc<Shared>, queue: &MessageQueue, offset: i64) -> PreparedPull<'a> {
        let PullOptions { max, max_bytes, .. } = *shared.options();
        let (queue, filter) = (queue.clone(), Filter::all());
        PreparedPull { shared, queue, offset, filter, max, max_bytes, wait: None, timeout: None }
    }

    /// Chooses among the messages: a tag expression such as `"paid || refunded"`, or [`Filter::sql`]. All by default.
    pub fn filter(mut self, filter: impl Into<Filter>) -> PreparedPull<'a> {
        self.filter = filter.into();
        self
    }

    /// Sets how many messages to return at most, 1 to 1024; 32 by default. Brokers have a limit of their own: 32
    /// messages from memory and 8 from disk unless configured otherwise.
    pub fn max(mut self, messages: usize) -> PreparedPull<'a> {
        self.max = messages;
        self
    }

    /// Sets how many bytes of messages the broker is asked to return at most, up to 16 MiB.
    ///
    /// A wish: Apache's broker 5.5.0 was seen to ignore it, and those before 5.0 do not know it. Brokers have a limit
    /// of their own, 256 KiB from memory and 64 KiB from disk by default, and return one message even if it is larger.
    pub fn max_bytes(mut self, bytes: usize) -> PreparedPull<'a> {
        self.max_bytes = Some(bytes);
        self
    }

    /// Lets the broker hold the pull for up to `hold` until a message arrives, when it has none (Java:
    /// `pullBlockIfNotFound`). Without this, or with zero, it answers at once.
    ///
    /// A broker may answer before: with [`NoMatchedMessage`](super::PullStatus::NoMatchedMessage), or after a second
    /// when long polling is switched off there. It looks for the end of the hold every 5 s, so that may be late by as
    /// much.
    pub fn wait(mut self, hold: Duration) -> PreparedPull<'a> {
        self.wait = (!hold.is_zero()).then_some(hold);
        self
    }

    /// Sets by when the call ends, whatever happens. By default 10 s, and 10 s more than the broker may wait; both can
    /// be changed for all pulls of the consumer.
    pub fn timeout(mut self, timeout: Duration) -> PreparedPull<'a> {
        self.timeout = Some(timeout);
        self
    }

    /// Pulls, and blocks until the broker answered, at most for the [`timeout`](PreparedPull::timeout).
    ///
    /// Reads from the slave that the last answer for this queue suggested, else from the master. When that one cannot
    /// be reached, another server of the route is tried once.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an argument out of its range, before anything is sent. [`Error::NoRoute`] and
    /// [`Error::NoBroker`] for a topic or broker that does not exist. [`Error::Malformed`] when not even the first
    /// message of the answer can be read. [`Error::Closed`] when the consumer is closed, which also ends a pull that
    /// waits. Else what asking the broker failed with. A pull changes nothing at the broker: it can always be
    /// repeated.
    pub fn fetch(self) -> Result<PullResult> {
        self.shared.check_open()?;
        let shared = self.shared;
        shared.fetch(&self.into_pull()?)
    }

    /// Pulls without blocking; `callback` gets the result, once, on one of the client's callback threads.
    ///
    /// A panic of the callback is contained and logged. It may pull again, and close the consumer.
    ///
    /// # Errors
    /// Returned at once, and then the callback is never called: [`Error::Invalid`] for an argument out of its range,
    /// [`Error::Busy`] when the consumer's window of asynchronous pulls is full, [`Error::Closed`]. All others go to
    /// the callback; when the consumer closes first that is [`Error::Closed`] too.
    pub fn fetch_async(self, callback: impl FnOnce(Result<PullResult>) + Send + 'static) -> Result<()> {
        self.shared.check_open()?;
        let shared = self.shared.clone();
        shared.fetch_async(self.into_pull()?, Box::new(callback))
    }

    fn into_pull(self) -> Result<Pull> {
        check_queue(&self.queue)?;
        check_offset(self.offset)?;
        self.filter.check()?;
        check_max(self.max)?;
        self.max_bytes.map_or(Ok(()), check_max_bytes)?;
        let options = self.shared.options();
        let default = self.wait.map_or(options.timeout, |hold| hold.saturating_add(options.hold_margin));
        let timeout = self.timeout.unwrap_or(default);
        if timeout.is_zero() || self.wait.is_some_and(|hold| timeout < hold) {
            let hold = self.wait.unwrap_or_default();
            return Err(Error::invalid(format!("a pull cannot end after {timeout:?} and wait for {hold:?}")));
        }
        Ok(Pull {
            filter: self.filter,
            offset: self.offset,
            max: self.max,
            max_bytes: self.max_bytes,
            hold: self.wait,
            deadline: Deadline::after(timeout),
            queue: self.queue,
        })
    }
}

pub(super) fn check_max(messages: usize) -> Result<()> {
    if !(1..=MAX_MESSAGES).contains(&messages) {
        return Err(Error::invalid(format!("a pull of at most {messages} messages: 1 to {MAX_MESSAGES} are possible")));
    }
    Ok(())
}

pub(super) fn check_max_bytes(bytes: usize) -> Result<()> {
    if !(1..=MAX_BYTES).contains(&bytes) {
        return Err(Error::invalid(format!("a pull of at most {bytes} bytes: 1 to {MAX_BYTES} are possible")));
    }
    Ok(())
}

/// A pull whose arguments are in order.
#[derive(Debug)]
pub(in crate::consumer) struct Pull {
    pub(in crate::consumer) queue: MessageQueue,
    pub(in crate::consumer) offset: i64,
    pub(in crate::consumer) filter: Filter,
    pub(in crate::consumer) max: usize,
    pub(in crate::consumer) max_bytes: Option<usize>,
    /// How long the broker may hold it.
    pub(in crate::consumer) hold: Option<Duration>,
    pub(in crate::consumer) deadline: Deadline,
}

impl Pull {
    /// It carries its subscription, so the broker need not know the group's from a heartbeat.
    pub(super) fn request(&self, group: &Arc<str>) -> PullMessage {
        let suspend = if self.hold.is_some() { pull_flag::SUSPEND } else { 0 };
        // A version makes brokers compile a condition; a tag expression has none.
        let sub_version = if self.filter.is_sql() { to_millis(SystemTime::now()) } else { 0 };
        PullMessage {
            consumer_group: group.clone(),
            topic: self.queue.shared_topic().clone(),
            queue_id: self.queue.queue_id(),
            queue_offset: self.offset,
            max_messages: small(self.max),
            sys_flag: pull_flag::SUBSCRIPTION | suspend,
            commit_offset: 0,
            suspend_timeout: self.hold.unwrap_or_default(),
            subscription: Some(self.filter.to_string().into()),
            sub_version,
            expression_type: Some(self.filter.expression_type().into()),
            max_bytes: self.max_bytes.map(small),
            broker_name: Some(self.queue.shared_broker_name().clone()),
        }
    }
}

/// Both numbers were checked against far smaller bounds.
fn small(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(filter: Filter, hold: Option<Duration>) -> Pull {
        let (queue, deadline) = (MessageQueue::new("T", "b", 3), Deadline::after(Duration::from_secs(10)));
        Pull { queue, offset: 7, filter, max: 32, max_bytes: None, hold, deadline }
    }

    #[test]
    fn a_pull_that_waits_says_so_and_for_how_long() {
        let request = pull("b||a".into(), Some(Duration::from_secs(20))).request(&"g".into());
        assert_eq!((request.sys_flag, request.suspend_timeout), (2 | 4, Duration::from_secs(20)));
        let request = pull("b||a".into(), None).request(&"g".into());
        assert_eq!((request.sys_flag, request.suspend_timeout), (4, Duration::ZERO));
        assert_eq!((request.commit_offset, request.queue_offset, request.max_messages), (0, 7, 32));
    }

    #[test]
    fn tags_have_no_version_and_sql_has_one() {
        let tags = pull("b||a".into(), None).request(&"g".into());
        assert_eq!((tags.subscription.as_deref(), tags.expression_type.as_deref()), (Some("b || a"), Some("TAG")));
        assert_eq!(tags.sub_version, 0);
        let sql = pull(Filter::sql("a > 1"), None).request(&"g".into());
        assert_eq!((sql.subscription.as_deref(), sql.expression_type.as_deref()), (Some("a > 1"), Some("SQL92")));
        assert!(sql.sub_version > 0);
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert!(check_max(1).is_ok() && check_max(1024).is_ok());
        assert!(check_max(0).is_err() && check_max(1025).is_err());
        assert!(check_max_bytes(1).is_ok() && check_max_bytes(MAX_BYTES).is_ok());
        assert!(check_max_bytes(0).is_err() && check_max_bytes(MAX_BYTES + 1).is_err());
    }
}
