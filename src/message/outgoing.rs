use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::properties::{Properties, check_text, key};

/// A message to send.
///
/// Made by [`Message::new`] or, with a tag, keys and properties, by [`Message::builder`]. It never changes: sending works
/// on a copy of its properties, and cloning does not copy the body. What is wrong with a value given to the builder is
/// reported by the send, before anything leaves.
///
/// ```
/// use rocketmq_blocking::Message;
///
/// let plain = Message::new("OrderTopic", "hello");
/// let full = Message::builder("OrderTopic", "hello").tag("paid").key("order-17").property("shop", "north").build();
/// assert_eq!(full.tag(), Some("paid"));
/// ```
#[derive(Clone, PartialEq)]
pub struct Message {
    topic: Arc<str>,
    body: Bytes,
    properties: Properties,
    rare: Option<Box<Rare>>,
}

/// What few messages have. It stands apart because a failed send gives its message back: an error should be small enough
/// to be returned by value.
#[derive(Debug, Clone, Default, PartialEq)]
struct Rare {
    flag: i32,
    defect: Option<Arc<str>>,
}

impl Message {
    /// Makes a message of a topic and a body: an owned string or bytes, or a literal, none of which is copied. Borrowed text
    /// is copied by the caller: `text.to_owned()`.
    ///
    /// A topic has 1 to 127 letters, digits and `% | _ -`; a body 1 byte to the producer's limit (4 MiB by default). Both are
    /// checked by the send.
    pub fn new(topic: impl Into<Arc<str>>, body: impl Into<Bytes>) -> Message {
        Message { topic: topic.into(), body: body.into(), properties: Properties::default(), rare: None }
    }

    /// Starts a message with more than a topic and a body, which are as for [`new`](Message::new).
    pub fn builder(topic: impl Into<Arc<str>>, body: impl Into<Bytes>) -> MessageBuilder {
        MessageBuilder { message: Message::new(topic, body) }
    }

    /// Returns a builder that starts from this message, to change a part of it.
    pub fn rebuild(&self) -> MessageBuilder {
        MessageBuilder { message: self.clone() }
    }

    /// Returns the topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns the body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the body as text, or `None` when it is not UTF-8.
    pub fn body_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }

    /// Returns the tag, `None` without one.
    pub fn tag(&self) -> Option<&str> {
        self.properties.get(key::TAGS)
    }

    /// Iterates over the keys under which the message can be [found](crate::Client::query_messages) again.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.properties.get(key::KEYS).unwrap_or_default().split(' ').filter(|key| !key.is_empty())
    }

    /// Returns the value of a property, `None` without it.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name)
    }

    /// Returns all properties, the system's own (`TAGS`, `KEYS`, `DELAY`, …) among them.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Returns the delay level, 0 for none.
    pub fn delay_level(&self) -> i32 {
        self.properties.get(key::DELAY).and_then(|level| level.parse().ok()).unwrap_or(0)
    }

    /// Returns the application's own flag.
    pub fn flag(&self) -> i32 {
        self.rare.as_ref().map_or(0, |rare| rare.flag)
    }

    /// Returns whether the broker answers only when the message is stored as durably as it is configured to.
    pub fn wait_store(&self) -> bool {
        self.properties.get(key::WAIT) != Some("false")
    }

    /// Returns whether the message is delivered later than it is stored.
    pub fn is_delayed(&self) -> bool {
        let timer = [key::TIMER_DELAY_SECONDS, key::TIMER_DELAY_MILLIS, key::TIMER_DELIVER_MILLIS];
        self.delay_level() > 0 || timer.iter().any(|name| self.properties.get(name).is_some())
    }

    /// Returns the priority, `None` without one.
    pub fn priority(&self) -> Option<i32> {
        self.properties.get(key::PRIORITY)?.parse().ok()
    }

    /// Returns the half message by which a transaction of a producer group begins: a copy that says so.
    pub(crate) fn half(&self, group: &str, first_check_seconds: Option<u64>) -> Message {
        let mut half = self.clone();
        half.properties.set(key::TRANSACTION_PREPARED, "true");
        half.properties.set(key::PRODUCER_GROUP, group);
        if let Some(seconds) = first_check_seconds {
            half.properties.set(key::CHECK_IMMUNITY_SECONDS, seconds.to_string());
        }
        half
    }

    /// Returns whether it is the half message of a transaction.
    pub(crate) fn is_half(&self) -> bool {
        self.properties.get(key::TRANSACTION_PREPARED) == Some("true")
    }

    /// Sets a property that users may not set themselves.
    pub(crate) fn set_system_property(&mut self, name: &'static str, value: impl Into<String>) {
        self.properties.set(name, value);
    }

    pub(crate) fn shared_topic(&self) -> &Arc<str> {
        &self.topic
    }

    pub(crate) fn shared_body(&self) -> &Bytes {
        &self.body
    }

    /// Returns what is wrong with a value the builder was given.
    pub(crate) fn defect(&self) -> Option<&Arc<str>> {
        self.rare.as_ref()?.defect.as_ref()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic)
            .field("body_size", &self.body.len())
            .field("flag", &self.flag())
            .field("properties", &self.properties)
            .finish_non_exhaustive()
    }
}

/// Puts a message together; made by [`Message::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is built or sent"]
pub struct MessageBuilder {
    message: Message,
}

impl MessageBuilder {
    /// Sets the tag, by which consumers filter. One tag: `a || b` is a subscription, not a tag.
    pub fn tag(mut self, tag: impl AsRef<str>) -> Self {
        let tag = tag.as_ref();
        self.check("the tag", tag);
        if tag.contains("||") {
            self.defect(format!("the tag {tag:?} contains ||, which joins tags in a subscription"));
        }
        self.message.properties.set(key::TAGS, tag.trim());
        self
    }

    /// Adds a key under which the message can be [found](crate::Client::query_messages) again. A key contains no space.
    pub fn key(mut self, key: impl AsRef<str>) -> Self {
        let text = key.as_ref();
        self.check("a key", text);
        if text.contains(' ') {
            self.defect(format!("the key {text:?} contains a space, which separates keys: add each by itself"));
        }
        let keys = match self.message.properties.get(key::KEYS) {
            Some(keys) => format!("{keys} {text}"),
            None => text.to_owned(),
        };
        self.message.properties.set(key::KEYS, keys);
        self
    }

    /// Adds several keys, each as [`key`](MessageBuilder::key) does.
    pub fn keys<K: AsRef<str>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        keys.into_iter().fold(self, |builder, key| builder.key(key))
    }

    /// Sets a property of the application's own. Names the protocol uses are refused, and so are blank names and values.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.check("a property's name", &name);
        self.check(&format!("the value of property {name:?}"), &value);
        if key::is_reserved(&name) {
            self.defect(format!("the property name {name:?} is used by RocketMQ itself: choose another"));
        }
        self.message.properties.set(name, value);
        self
    }

    /// Delays delivery by one of the broker's levels: 1 to 18 are `1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m
    /// 1h 2h` unless the broker is configured otherwise, a level above its maximum counts as the maximum, 0 means none.
    pub fn delay_level(mut self, level: i32) -> Self {
        match level {
            ..0 => self.defect(format!("the delay level {level} is negative")),
            0 => self.message.properties.remove(key::DELAY),
            _ => self.message.properties.set(key::DELAY, level.to_string()),
        }
        self
    }

    /// Delays delivery by a time of at most three days, to the second (brokers 5.0 and later).
    ///
    /// A broker of the 4.x line ignores it and delivers at once.
    pub fn deliver_after(mut self, delay: Duration) -> Self {
        self.message.properties.set(key::TIMER_DELAY_MILLIS, delay.as_millis().to_string());
        self
    }

    /// Delays delivery until a time at most three days ahead, to the second (brokers 5.0 and later). A time in the past
    /// delivers at once; so does a broker of the 4.x line, whatever the time.
    pub fn deliver_at(mut self, time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => self.message.properties.set(key::TIMER_DELIVER_MILLIS, since.as_millis().to_string()),
            Err(_) => self.defect("the delivery time lies before 1970".to_owned()),
        }
        self
    }

    /// Gives the message a priority of 0 or more, more being more urgent (brokers 5.4 and later).
    ///
    /// The broker puts the message into the queue of that number, or into its last one, whatever queue it was sent to; so a
    /// topic has as many priorities as it has queues on a broker. Pop consumers of a topic of type
    /// [`Priority`](crate::TopicType::Priority) are given the higher queues first; whoever pulls chooses the order himself.
    /// A message that is delayed or has a sharding key loses its priority at the broker, a batch is not given any. An older
    /// broker carries it along and does nothing with it.
    pub fn priority(mut self, priority: i32) -> Self {
        match priority {
            ..0 => self.defect(format!("the priority {priority} is negative")),
            _ => self.message.properties.set(key::PRIORITY, priority.to_string()),
        }
        self
    }

    /// Sets the flag, a number the application gives a meaning to. 0 by default.
    pub fn flag(mut self, flag: i32) -> Self {
        if flag != self.message.flag() {
            self.rare().flag = flag;
        }
        self
    }

    /// Sets whether the broker answers only when the message is stored as durably as it is configured to (Java:
    /// `waitStoreMsgOK`). True by default.
    pub fn wait_store(mut self, wait: bool) -> Self {
        self.message.properties.set(key::WAIT, if wait { "true" } else { "false" });
        self
    }

    /// Names what the message belongs to for ordering (`__SHARDINGKEY`). It is only carried along: the queue is chosen by
    /// [`PreparedSend::select`](crate::PreparedSend::select).
    pub fn sharding_key(mut self, sharding_key: impl AsRef<str>) -> Self {
        self.check("the sharding key", sharding_key.as_ref());
        self.message.properties.set(key::SHARDING_KEY, sharding_key.as_ref());
        self
    }

    /// Finishes the message. Whatever takes a message takes the builder as well.
    pub fn build(self) -> Message {
        self.message
    }

    fn check(&mut self, what: &str, text: &str) {
        if let Err(defect) = check_text(what, text) {
            self.defect(defect);
        }
    }

    fn defect(&mut self, defect: String) {
        self.rare().defect.get_or_insert_with(|| defect.into());
    }

    fn rare(&mut self) -> &mut Rare {
        self.message.rare.get_or_insert_default()
    }
}

impl From<MessageBuilder> for Message {
    fn from(builder: MessageBuilder) -> Message {
        builder.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_defect_is_kept() {
        let defect = |builder: MessageBuilder| builder.build().defect().map(|text| text.to_string());
        let start = || Message::builder("T", "body");
        assert_eq!(defect(start().tag("a").key("k").property("p", "v").delay_level(3)), None);
        assert!(defect(start().property("KEYS", "v")).unwrap().contains("used by RocketMQ"));
        assert!(defect(start().property("p", " ")).unwrap().contains("blank"));
        assert!(defect(start().property("p", "a\u{1}b")).unwrap().contains("U+0001"));
        assert!(defect(start().tag("a||b")).unwrap().contains("||"));
        assert!(defect(start().key("a b")).unwrap().contains("space"));
        assert!(defect(start().delay_level(-1)).unwrap().contains("negative"));
        assert!(defect(start().priority(-1)).unwrap().contains("negative"));
        assert!(defect(start().property("_SYS_MSG_PRIORITY_", "1")).unwrap().contains("used by RocketMQ"));
    }

    #[test]
    fn parts_are_read_back_as_they_were_set() {
        let message = Message::builder("T", "正文").tag(" a ").keys(["k1", "k2"]).property("名", "😀").flag(7).build();
        assert_eq!(message.tag(), Some("a"));
        assert_eq!(message.keys().collect::<Vec<_>>(), ["k1", "k2"]);
        assert_eq!(message.property("名"), Some("😀"));
        assert_eq!((message.flag(), message.wait_store(), message.is_delayed()), (7, true, false));
        assert_eq!(message.body_text(), Some("正文"));
        assert_eq!(message.rebuild().delay_level(4).build().delay_level(), 4);
        assert_eq!((message.priority(), message.rebuild().priority(0).build().priority()), (None, Some(0)));
    }
}
