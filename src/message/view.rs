use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::properties::{Properties, find_in_wire, key};
use super::{Damage, MessageQueue, OffsetMessageId, Receipt};
use crate::error::Result;

/// Bits of a message's system flag.
pub(crate) mod sys_flag {
    pub(crate) const COMPRESSED: i32 = 0x1;
    /// A half message; the bits are cleared when it is stored.
    pub(crate) const PREPARED: i32 = 0x4;
    pub(crate) const BORN_HOST_V6: i32 = 0x10;
    pub(crate) const STORE_HOST_V6: i32 = 0x20;
    pub(crate) const NEED_UNWRAP: i32 = 0x40;
    pub(crate) const INNER_BATCH: i32 = 0x80;
    pub(crate) const COMPRESSION_MASK: i32 = 0x700;
    pub(crate) const LZ4: i32 = 0x100;
    pub(crate) const ZSTD: i32 = 0x200;
    pub(crate) const ZLIB: i32 = 0x300;
}

/// The fields of a stored message as they stand on the wire.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) queue_id: i32,
    pub(crate) flag: i32,
    pub(crate) queue_offset: i64,
    pub(crate) commit_log_offset: i64,
    pub(crate) sys_flag: i32,
    pub(crate) body_crc: u32,
    pub(crate) born_timestamp: i64,
    pub(crate) born_host: SocketAddr,
    pub(crate) store_timestamp: i64,
    pub(crate) store_host: SocketAddr,
    pub(crate) reconsume_times: i32,
    pub(crate) prepared_transaction_offset: i64,
    pub(crate) body: Bytes,
    pub(crate) topic: Arc<str>,
    /// The properties in their wire form, valid UTF-8.
    pub(crate) properties: Bytes,
}

/// A message received from a broker (Java: `MessageExt`). Cloning it copies neither body nor properties.
///
/// It shares the memory of the answer it came in; [`detach`](MessageView::detach) copies one message out of it.
#[derive(Clone)]
pub struct MessageView {
    /// All messages of the answer: one piece of memory for all of them costs less than one for each.
    answer: Arc<Vec<View>>,
    at: usize,
}

/// What a broker stored, and what the client knows about it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct View {
    stored: Stored,
    queue: Arc<MessageQueue>,
    /// The inflated body, or why it could not be inflated; `None` for one that is stored as it is.
    inflated: Option<Result<Bytes, Damage>>,
    /// Of a message that was popped.
    receipt: Option<Arc<Receipt>>,
}

impl View {
    /// Puts a view together; `inflated` is `None` for a body that is not compressed.
    pub(crate) fn new(stored: Stored, queue: Arc<MessageQueue>, inflated: Option<Result<Bytes, Damage>>) -> View {
        View { stored, queue, inflated, receipt: None }
    }

    /// Makes messages of what one answer brought.
    pub(crate) fn messages(views: Vec<View>) -> Vec<MessageView> {
        let answer = Arc::new(views);
        (0..answer.len()).map(|at| MessageView { answer: answer.clone(), at }).collect()
    }

    fn body(&self) -> Result<&Bytes, &Damage> {
        self.inflated.as_ref().map_or(Ok(&self.stored.body), Result::as_ref)
    }

    pub(crate) fn stored(&self) -> &Stored {
        &self.stored
    }

    pub(crate) fn queue(&self) -> &MessageQueue {
        &self.queue
    }

    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        find_in_wire(self.wire_properties(), name)
    }

    fn wire_properties(&self) -> &str {
        std::str::from_utf8(&self.stored.properties).unwrap_or_default()
    }

    /// Names the topic as users know it, where the wire knows it by another name.
    pub(crate) fn rename(&mut self, topic: Arc<str>) {
        let (broker_name, queue_id) = (self.queue.shared_broker_name().clone(), self.queue.queue_id());
        self.queue = Arc::new(MessageQueue::new(topic.clone(), broker_name, queue_id));
        self.stored.topic = topic;
    }

    /// Takes the receipt of this delivery, or one that replaces it.
    pub(crate) fn receive(&mut self, receipt: Receipt) {
        self.receipt = Some(Arc::new(receipt));
    }

    /// Says how often the message was handed out before, where the broker keeps count of it elsewhere.
    pub(crate) fn retried(&mut self, times: i32) {
        self.stored.reconsume_times = times;
    }
}

impl PartialEq for MessageView {
    fn eq(&self, other: &MessageView) -> bool {
        self.view() == other.view()
    }
}

impl MessageView {
    /// Puts a message together that came alone; `body` is the inflated body, or why it could not be inflated.
    pub(crate) fn new(stored: Stored, broker_name: Arc<str>, body: Result<Bytes, Damage>) -> MessageView {
        let queue = MessageQueue::new(stored.topic.clone(), broker_name, stored.queue_id);
        MessageView::alone(View::new(stored, Arc::new(queue), Some(body)))
    }

    fn alone(view: View) -> MessageView {
        MessageView { answer: Arc::new(vec![view]), at: 0 }
    }

    fn view(&self) -> &View {
        &self.answer[self.at]
    }

    /// Returns the topic.
    pub fn topic(&self) -> &str {
        &self.view().stored.topic
    }

    /// Returns the queue the message was read from. The broker's name is empty for a message looked up by its id.
    pub fn queue(&self) -> &MessageQueue {
        &self.view().queue
    }

    /// Returns the message's place in its queue, from 0.
    pub fn queue_offset(&self) -> i64 {
        self.view().stored.queue_offset
    }

    /// Returns the body, inflated when it was sent compressed. Empty when it is [damaged](MessageView::check_body).
    pub fn body(&self) -> &[u8] {
        self.view().body().map(|body| &**body).unwrap_or_default()
    }

    /// Returns the body without copying it.
    pub fn body_bytes(&self) -> Bytes {
        self.view().body().cloned().unwrap_or_default()
    }

    /// Returns the body as text, or `None` when it is not UTF-8.
    pub fn body_text(&self) -> Option<&str> {
        std::str::from_utf8(self.body()).ok()
    }

    /// Checks that the body could be inflated.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`](crate::Error::LimitExceeded) where it inflates to more than is taken, or has too many
    /// properties with it, else [`Error::Malformed`](crate::Error::Malformed) with the reason. The other parts of the message
    /// are intact, and so are the messages around it.
    pub fn check_body(&self) -> Result<()> {
        match self.view().body() {
            Ok(_) => Ok(()),
            Err(damage) => Err(damage.error()),
        }
    }

    pub(crate) fn is_damaged(&self) -> bool {
        self.view().body().is_err()
    }

    /// Returns the tag, `None` without one.
    pub fn tag(&self) -> Option<&str> {
        self.property(key::TAGS)
    }

    /// Iterates over the keys under which the message can be found.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.property(key::KEYS).unwrap_or_default().split(' ').filter(|key| !key.is_empty())
    }

    /// Returns the value of a property, `None` without it.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.view().property(name)
    }

    /// Decodes all properties, the system's own (`KEYS`, `TAGS`, `UNIQ_KEY`, …) among them. For one or two,
    /// [`property`](MessageView::property) is cheaper.
    pub fn properties(&self) -> Properties {
        Properties::from_wire(self.view().wire_properties())
    }

    /// Returns the message id: the unique id its producer gave it (`UNIQ_KEY`; Java: `getMsgId`), else the offset message
    /// id. [`Client::find_message`](crate::Client::find_message) takes it.
    pub fn message_id(&self) -> Cow<'_, str> {
        match self.property(key::UNIQUE_ID) {
            Some(id) => id.into(),
            None => self.offset_message_id().to_string().into(),
        }
    }

    /// Returns the id of the transaction the message was sent in, `None` for a message sent without one.
    pub fn transaction_id(&self) -> Option<&str> {
        // Brokers of the 4.x line do not write it; it is the unique id there as well.
        let in_transaction = || self.property(key::PRODUCER_GROUP).and_then(|_| self.property(key::UNIQUE_ID));
        self.property(key::TRANSACTION_ID).or_else(in_transaction)
    }

    /// Returns where the message is stored, which also is an id that [`view_message`] takes.
    ///
    /// [`view_message`]: crate::Client::view_message
    pub fn offset_message_id(&self) -> OffsetMessageId {
        OffsetMessageId {
            store_host: self.view().stored.store_host,
            commit_log_offset: self.view().stored.commit_log_offset,
        }
    }

    /// Returns when the producer made the message, by the producer's clock.
    pub fn born_timestamp(&self) -> SystemTime {
        from_millis(self.view().stored.born_timestamp)
    }

    /// Returns the producer's address, as the broker saw it.
    pub fn born_host(&self) -> SocketAddr {
        self.view().stored.born_host
    }

    /// Returns when the broker stored the message, by the broker's clock.
    pub fn store_timestamp(&self) -> SystemTime {
        from_millis(self.view().stored.store_timestamp)
    }

    /// Returns the address of the broker that stored the message.
    pub fn store_host(&self) -> SocketAddr {
        self.view().stored.store_host
    }

    /// Returns how often a consumer gave the message back for another try; 0 at first.
    pub fn reconsume_times(&self) -> i32 {
        self.view().stored.reconsume_times
    }

    /// Returns the delay level the message was sent with, 0 for none.
    pub fn delay_level(&self) -> i32 {
        self.property(key::DELAY).and_then(|level| level.parse().ok()).unwrap_or(0)
    }

    /// Returns the priority the message was given, `None` without one or where the broker took it away.
    pub fn priority(&self) -> Option<i32> {
        self.property(key::PRIORITY)?.parse().ok()
    }

    /// Returns the application's own flag.
    pub fn flag(&self) -> i32 {
        self.view().stored.flag
    }

    /// Returns the position in the broker's commit log, in bytes.
    pub fn commit_log_offset(&self) -> i64 {
        self.view().stored.commit_log_offset
    }

    /// Returns the handle by which a message is acknowledged that was handed out by a broker (a
    /// [`SimpleConsumer`](crate::SimpleConsumer), or a push consumer in pop mode; Java: the property `POP_CK`), `None` for a
    /// message that was pulled.
    ///
    /// It names this delivery, not the message: the next one has another handle.
    pub fn receipt_handle(&self) -> Option<&str> {
        self.view().receipt.as_deref().map(Receipt::handle)
    }

    /// Returns whether the body was sent compressed.
    pub fn was_compressed(&self) -> bool {
        self.view().stored.sys_flag & sys_flag::COMPRESSED != 0
    }

    /// Copies the message out of the answer it came in, so that keeping it does not keep its neighbours in memory.
    pub fn detach(&self) -> MessageView {
        let mut copy = self.view().clone();
        copy.stored.body = Bytes::copy_from_slice(&copy.stored.body);
        copy.stored.properties = Bytes::copy_from_slice(&copy.stored.properties);
        if let Some(Ok(body)) = &mut copy.inflated {
            *body = Bytes::copy_from_slice(body);
        }
        MessageView::alone(copy)
    }

    pub(crate) fn shared_topic(&self) -> &Arc<str> {
        &self.view().stored.topic
    }

    /// Gives a message that was read from its group's retry topic the topic it was sent to. `own` turns a wire name into the
    /// user's.
    pub(crate) fn restore_topic(&mut self, retry_topic: &str, own: impl FnOnce(&str) -> String) {
        if &*self.view().stored.topic != retry_topic {
            return;
        }
        if let Some(topic) = self.property(key::RETRY_TOPIC).map(own) {
            self.restore(topic.into());
        }
    }

    /// Names the topic that users sent it to; the queue stays the one it was read from.
    pub(crate) fn restore(&mut self, topic: Arc<str>) {
        self.edit().stored.topic = topic;
    }

    pub(crate) fn receipt(&self) -> Option<&Arc<Receipt>> {
        self.view().receipt.as_ref()
    }

    /// Other clones of the message stay as they are, and so do its neighbours: it leaves the answer it came in.
    pub(crate) fn edit(&mut self) -> &mut View {
        if self.answer.len() > 1 {
            *self = MessageView::alone(self.view().clone());
        }
        let alone = Arc::make_mut(&mut self.answer);
        &mut alone[self.at]
    }

    pub(crate) fn stored(&self) -> &Stored {
        &self.view().stored
    }
}

/// A negative or absurd time of a broken peer must not panic.
fn from_millis(millis: i64) -> SystemTime {
    let since = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}

impl fmt::Debug for MessageView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageView")
            .field("message_id", &self.message_id())
            .field("queue", &format_args!("{}", self.view().queue))
            .field("queue_offset", &self.view().stored.queue_offset)
            .field("body_size", &self.body().len())
            .field("properties", &self.properties())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for MessageView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {}", self.message_id(), self.view().queue, self.view().stored.queue_offset)?;
        if let Some(tag) = self.tag() {
            write!(f, " [{tag}]")?;
        }
        match (self.view().body(), self.body_text()) {
            (Err(what), _) => write!(f, " damaged body: {what}"),
            (_, Some(text)) if text.len() <= 200 => write!(f, " {text:?}"),
            _ => write!(f, " {} bytes", self.body().len()),
        }
    }
}
