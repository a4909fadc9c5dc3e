//! Looking messages up: by where they are stored, by unique id, and by key.

use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::core::Core;
use super::gather::{Server, gather};
use super::offsets::to_millis;
use super::route::vip_address;
use super::{Client, names};
use crate::code::ResponseCode;
use crate::error::{Attempt, Error, Exhaustion, Result};
use crate::message::{MessageView, OffsetMessageId, key};
use crate::protocol::rpc::query::{QueryMessage, ViewMessage};
use crate::remoting::Deadline;

/// Brokers answer at most so many messages to a query by unique id.
const SAME_ID: usize = 32;

/// Brokers round the times in their index to whole seconds.
const INDEX_PRECISION: Duration = Duration::from_secs(1);

/// With this remark, and code 1, brokers of all versions say that nothing is stored at an offset.
const NOTHING_THERE: &str = "can not find message by the offset";

/// What a query by key found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct QueryResult {
    /// The messages, the one stored first at the front.
    pub messages: Vec<MessageView>,
    /// The brokers that could not be asked, or whose answer could not be read to its end. Messages they hold are
    /// missing.
    pub failures: Vec<Attempt>,
}

impl IntoIterator for QueryResult {
    type Item = MessageView;
    type IntoIter = std::vec::IntoIter<MessageView>;

    fn into_iter(self) -> Self::IntoIter {
        self.messages.into_iter()
    }
}

impl Client {
    /// Looks a message up by its offset message id ([`MessageView::offset_message_id`]), straight at the broker whose
    /// address is in the id; `None` when nothing is stored there (any more).
    ///
    /// The address is translated by the client's address map. Blocks at most for the request timeout (3 s by default).
    ///
    /// # Errors
    /// [`Error::Invalid`] for an id of another kind: [`find_message`](Client::find_message) takes unique ids as well.
    /// Else what asking the broker failed with, [`Error::Connect`] when its address cannot be reached from here.
    ///
    /// ```no_run
    /// # fn main() -> rocketmq_blocking::Result<()> {
    /// # let client = rocketmq_blocking::Client::connect("127.0.0.1:9876")?;
    /// if let Some(message) = client.view_message("7F00000100002A9F0000000000000000")? {
    ///     println!("{message}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn view_message(&self, id: &str) -> Result<Option<MessageView>> {
        let core = self.core();
        core.check_open()?;
        core.view_message(id.trim().parse()?, None, core.request_deadline())
    }

    /// Looks a message of a topic up by its message id, either kind: the offset message id, else the unique id its
    /// producer gave it ([`MessageView::message_id`]); `None` when no broker of the topic has it.
    ///
    /// The index behind unique ids follows storing by up to a second. When several messages have the id (a send that
    /// was repeated), the one stored first is returned. Blocks at most for the request timeout (3 s by default).
    ///
    /// # Errors
    /// [`Error::NoRoute`] when the topic does not exist. [`Error::Exhausted`] when the message was not found and a
    /// broker that could not be asked may have it.
    pub fn find_message(&self, topic: &str, id: &str) -> Result<Option<MessageView>> {
        let core = self.core();
        core.check_open()?;
        names::check_topic(topic)?;
        core.find_message(&topic.into(), id.trim(), core.request_deadline())
    }

    /// Returns messages of a topic that carry a key and were stored within a period, at most `max`, the newest of
    /// them, sorted by store time.
    ///
    /// All brokers of the topic are asked in parallel, and what they answer is compared again, because their index
    /// only has hashes. It follows storing by up to a second. Blocks until all have answered, at most for the request
    /// timeout (3 s by default). Brokers return 64 messages at most unless configured otherwise.
    ///
    /// # Errors
    /// A broker that fails is named in [`QueryResult::failures`]; only when none answered the call fails, with
    /// [`Error::Exhausted`]. [`Error::Invalid`] for a blank key or a `max` of 0, [`Error::NoRoute`] when the topic
    /// does not exist.
    ///
    /// ```no_run
    /// # fn main() -> rocketmq_blocking::Result<()> {
    /// # let client = rocketmq_blocking::Client::connect("127.0.0.1:9876")?;
    /// for message in client.query_messages("OrderTopic", "order-4711", 32, ..)? {
    ///     println!("{message}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn query_messages(
        &self,
        topic: &str,
        key: &str,
        max: usize,
        stored: impl RangeBounds<SystemTime>,
    ) -> Result<QueryResult> {
        let core = self.core();
        core.check_open()?;
        names::check_topic(topic)?;
        if key.trim().is_empty() {
            return Err(Error::invalid("the key to look for is blank"));
        }
        let Some(max) = i32::try_from(max).ok().filter(|max| *max > 0) else {
            return Err(Error::invalid(format!("at most {max} messages: 1 or more are expected")));
        };
        let period = Period::new(&stored);
        let query = QueryMessage {
            unique_id_query: Some(false),
            begin_timestamp: period.begin.saturating_sub(INDEX_PRECISION.as_millis() as i64).max(0),
            end_timestamp: period.end,
            key: key.into(),
            max_messages: max,
            topic: topic.into(),
        };
        let mut found = core.query(query, core.request_deadline())?;
        found.messages.retain(|message| {
            message.topic() == topic && message.keys().any(|own| own == key) && period.contains(message)
        });
        let surplus = found.messages.len().saturating_sub(max as usize);
        found.messages.drain(..surplus);
        Ok(found)
    }
}

impl Core {
    fn view_message(
        self: &Arc<Self>,
        id: OffsetMessageId,
        topic: Option<Arc<str>>,
        deadline: Deadline,
    ) -> Result<Option<MessageView>> {
        let options = self.options();
        let reached = |addr: String| match &options.address_map {
            Some(map) => map.apply(&addr),
            None => addr.into(),
        };
        let advertised = id.store_host.to_string();
        let second = options.vip_channel.then(|| vip_address(&advertised)).flatten();
        let advertised = reached(advertised);
        let addr = second.map_or_else(|| advertised.clone(), reached);
        let request = ViewMessage { offset: id.commit_log_offset, topic };
        let answer = match self.remoting().call(&addr, &request, &[], deadline) {
            Err(Error::Rejected { code: ResponseCode::SYSTEM_ERROR, remark, .. }) if remark.contains(NOTHING_THERE) => {
                return Ok(None);
            }
            answer => answer?,
        };
        let known = self.routes().addresses().into_iter().find(|(_, _, known)| *known == advertised);
        let broker_name = known.map_or_else(|| "".into(), |(broker_name, _, _)| broker_name);
        let (views, broken) = self.messages(answer.frame.body_bytes(), &broker_name);
        match (views.into_iter().next(), broken) {
            // An offset in the middle of a message could show anything.
            (Some(view), _) if view.commit_log_offset() != id.commit_log_offset => Ok(None),
            (Some(view), _) => Ok(Some(view)),
            (None, Some(error)) => Err(error.with_addr(&addr)),
            (None, None) => Ok(None),
        }
    }

    fn find_message(self: &Arc<Self>, topic: &Arc<str>, id: &str, deadline: Deadline) -> Result<Option<MessageView>> {
        if id.is_empty() {
            return Err(Error::invalid("the message id is blank"));
        }
        if let Ok(offset_id) = id.parse() {
            // A unique id can look like an offset id whose address leads nowhere, so the other way needs time as well.
            let now = Instant::now();
            let half = deadline.sooner(now + deadline.left(now) / 2);
            match self.view_message(offset_id, Some(topic.clone()), half) {
                Ok(Some(view)) => return Ok(Some(view)),
                Ok(None) => {}
                Err(error) => log::debug!("no message at {offset_id}: {error}; looking for it by unique id"),
            }
        }
        let query = QueryMessage {
            unique_id_query: Some(true),
            begin_timestamp: 0,
            end_timestamp: i64::MAX,
            key: id.into(),
            max_messages: SAME_ID as i32,
            topic: topic.clone(),
        };
        let QueryResult { messages, failures } = self.query(query, deadline)?;
        let mut same =
            messages.into_iter().filter(|view| view.topic() == &**topic && view.property(key::UNIQUE_ID) == Some(id));
        match same.next() {
            None if !failures.is_empty() => Err(nobody_else(failures)),
            found => Ok(found),
        }
    }

    /// Asks one address of each broker of the topic. What comes back is what the brokers' hashes found.
    fn query(self: &Arc<Self>, query: QueryMessage, deadline: Deadline) -> Result<QueryResult> {
        let route = self.routes().get(self, &query.topic, deadline)?;
        let servers: Vec<Server> = route
            .brokers()
            .filter_map(|(broker_name, _)| Some((broker_name, route.any(broker_name)?)))
            .map(|(broker_name, addr)| Server { broker_name: broker_name.clone(), addr: addr.clone() })
            .collect();
        if servers.is_empty() {
            let reason = "its route names no broker".into();
            return Err(Error::NoBroker { what: format!("topic {}", query.topic).into(), reason });
        }
        let mut found = QueryResult { messages: Vec::new(), failures: Vec::new() };
        for asked in gather(self, &servers, &query, &[], deadline) {
            let elapsed = asked.elapsed;
            match asked.split() {
                Ok((_, answer)) if answer.code() == ResponseCode::QUERY_NOT_FOUND => {}
                Ok((server, answer)) => {
                    let (views, broken) = self.messages(answer.frame.body_bytes(), &server.broker_name);
                    found.messages.extend(views);
                    found.failures.extend(broken.map(|error| server.failed(elapsed, error.with_addr(&server.addr))));
                }
                Err(attempt) => found.failures.push(attempt),
            }
        }
        if found.failures.len() == servers.len() && found.messages.is_empty() {
            return Err(nobody_else(found.failures));
        }
        found.messages.sort_by_key(|view| view.stored().store_timestamp);
        Ok(found)
    }
}

fn nobody_else(failures: Vec<Attempt>) -> Error {
    Error::Exhausted { attempts: failures.into(), because: Exhaustion::Brokers }
}

/// Store times in milliseconds, both ends included.
#[derive(Debug, PartialEq)]
struct Period {
    begin: i64,
    end: i64,
}

impl Period {
    fn new(range: &impl RangeBounds<SystemTime>) -> Period {
        let begin = match range.start_bound() {
            Bound::Included(time) => to_millis(*time),
            Bound::Excluded(time) => to_millis(*time).saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(time) => to_millis(*time),
            // A time that is no whole millisecond lies behind the millisecond it is rounded to.
            Bound::Excluded(time) if is_whole(*time) => to_millis(*time).saturating_sub(1),
            Bound::Excluded(time) => to_millis(*time),
            Bound::Unbounded => i64::MAX,
        };
        Period { begin, end }
    }

    fn contains(&self, message: &MessageView) -> bool {
        (self.begin..=self.end).contains(&message.stored().store_timestamp)
    }
}

fn is_whole(time: SystemTime) -> bool {
    time.duration_since(UNIX_EPOCH).is_ok_and(|since| since.subsec_nanos() % 1_000_000 == 0)
}

#[cfg(test)]
mod tests;
