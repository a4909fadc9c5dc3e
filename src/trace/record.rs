//! What a trace says: one record for each thing that happened to a message, and its wire form.
//!
//! Fields are joined by U+0001 and each record ends with U+0002. Java's tools find records by splitting only, so no field
//! may contain either.

use std::borrow::Cow;
use std::fmt::{Display, Write};
use std::sync::Arc;

use crate::message::OffsetMessageId;

/// Joins the fields of a record.
pub(super) const BETWEEN: char = '\u{1}';
/// Ends a record.
pub(super) const END: char = '\u{2}';

/// Something that happened to one message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    /// When it happened or began, in milliseconds since 1970.
    pub(crate) timestamp: i64,
    /// The broker's region. `SubAfter` does not carry it; it chooses the trace topic then.
    pub(crate) region: Cow<'static, str>,
    pub(crate) group: Arc<str>,
    /// The message's topic. The two records of consuming do not carry it; records of several topics are never mixed.
    pub(crate) topic: Arc<str>,
    /// The unique id.
    pub(crate) message_id: Arc<str>,
    /// The message's keys, separated by blanks.
    pub(crate) keys: String,
    pub(crate) event: Event,
}

/// What happened. The names are those of the wire.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// The message was sent, or sending it failed.
    Pub(Pub),
    /// A listener is about to be called with it.
    SubBefore {
        /// Shared with the `SubAfter` of the same call.
        request_id: Arc<str>,
        retries: i32,
    },
    /// A listener has returned.
    SubAfter {
        request_id: Arc<str>,
        /// In milliseconds, for each message of the call.
        cost: i64,
        success: bool,
        /// 0 success, 1 time-out, 2 exception, 3 no answer, 4 failed.
        code: i32,
    },
    /// A transaction was ended.
    EndTransaction(EndTransaction),
    /// A timer message was called back.
    Recall { success: bool },
}

/// The end of a send.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pub {
    pub(crate) tags: String,
    /// The broker's address; when it is empty, the one in the offset message id is written.
    pub(crate) store_host: Arc<str>,
    /// Of what was sent: a compressed body counts as such.
    pub(crate) body_length: usize,
    /// In milliseconds.
    pub(crate) cost: i64,
    pub(crate) kind: MessageKind,
    pub(crate) offset_message_id: String,
    pub(crate) success: bool,
    /// Only some versions write it.
    pub(crate) client_host: Option<Arc<str>>,
}

/// The end of a transaction, as far as the producer knows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EndTransaction {
    pub(crate) tags: String,
    pub(crate) store_host: Arc<str>,
    pub(crate) kind: MessageKind,
    pub(crate) transaction_id: Arc<str>,
    pub(crate) state: TransactionState,
    /// The broker had asked for it.
    pub(crate) from_check: bool,
}

/// What kind of message it is; the wire carries the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageKind {
    Normal = 0,
    /// The half message of a transaction.
    Half = 1,
    /// The end of a transaction.
    End = 2,
    Delay = 3,
    Order = 4,
}

impl MessageKind {
    pub(super) const ALL: [MessageKind; 5] =
        [MessageKind::Normal, MessageKind::Half, MessageKind::End, MessageKind::Delay, MessageKind::Order];
}

/// How a transaction was ended; the wire carries Java's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransactionState {
    Commit,
    Rollback,
    Unknown,
}

impl TransactionState {
    pub(super) const ALL: [TransactionState; 3] =
        [TransactionState::Commit, TransactionState::Rollback, TransactionState::Unknown];

    pub(super) fn name(self) -> &'static str {
        match self {
            TransactionState::Commit => "COMMIT_MESSAGE",
            TransactionState::Rollback => "ROLLBACK_MESSAGE",
            TransactionState::Unknown => "UNKNOW",
        }
    }
}

impl Record {
    /// Appends the wire form. `cloud` leaves out what that access channel does not carry.
    pub(crate) fn write(&self, out: &mut String, cloud: bool) {
        let mut fields = Fields { out };
        match &self.event {
            Event::Pub(sent) => {
                self.write_head(&mut fields, "Pub", &self.topic);
                fields.text(&self.message_id).text(&sent.tags).text(&self.keys);
                match offset_host(sent) {
                    Some(host) => fields.number(host),
                    None => fields.text(&sent.store_host),
                };
                fields.number(sent.body_length).number(sent.cost).number(sent.kind as i32);
                fields.text(&sent.offset_message_id).number(sent.success);
                if let Some(host) = &sent.client_host {
                    fields.text(host);
                }
            }
            Event::SubBefore { request_id, retries } => {
                self.write_head(&mut fields, "SubBefore", request_id);
                // Java's tools drop an empty field at the end, and then miss it. Java's own clients write this.
                let keys = if self.keys.is_empty() { "null" } else { &self.keys };
                fields.text(&self.message_id).number(retries).text(keys);
            }
            Event::SubAfter { request_id, cost, success, code } => {
                fields.text("SubAfter").text(request_id).text(&self.message_id);
                fields.number(cost).number(success).text(&self.keys).number(code);
                if !cloud {
                    fields.number(self.timestamp).text(&self.group);
                }
            }
            Event::EndTransaction(end) => {
                self.write_head(&mut fields, "EndTransaction", &self.topic);
                fields.text(&self.message_id).text(&end.tags).text(&self.keys).text(&end.store_host);
                fields.number(end.kind as i32).text(&end.transaction_id).text(end.state.name()).number(end.from_check);
            }
            Event::Recall { success } => {
                self.write_head(&mut fields, "Recall", &self.topic);
                fields.text(&self.message_id).number(success);
            }
        }
        fields.end();
    }

    /// The fields most records begin with.
    fn write_head(&self, fields: &mut Fields<'_>, kind: &str, fifth: &str) {
        fields.text(kind).number(self.timestamp).text(&self.region).text(&self.group).text(fifth);
    }

    /// What the record can be found by: the message's id and each of its keys.
    pub(crate) fn index_keys(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.message_id).chain(self.keys.split_ascii_whitespace()).filter(|key| !key.is_empty())
    }

    /// How many bytes of text it holds for itself.
    pub(super) fn weight(&self) -> usize {
        let own = match &self.event {
            Event::Pub(sent) => sent.tags.len() + sent.offset_message_id.len(),
            Event::EndTransaction(end) => end.tags.len(),
            _ => 0,
        };
        own + self.keys.len() + self.message_id.len()
    }
}

/// A broker puts the address it is known by into the id; nothing else need be kept for it.
fn offset_host(sent: &Pub) -> Option<std::net::SocketAddr> {
    let id: OffsetMessageId = sent.offset_message_id.parse().ok().filter(|_| sent.store_host.is_empty())?;
    Some(id.store_host)
}

/// Writes fields one after another.
struct Fields<'a> {
    out: &'a mut String,
}

impl Fields<'_> {
    /// Every field is followed by a separator; the last one's becomes the end of the record.
    fn text(&mut self, text: &str) -> &mut Self {
        if text.bytes().any(|byte| char::from(byte) == BETWEEN || char::from(byte) == END) {
            self.out.extend(text.chars().map(|c| if matches!(c, BETWEEN | END) { ' ' } else { c }));
        } else {
            self.out.push_str(text);
        }
        self.out.push(BETWEEN);
        self
    }

    fn number(&mut self, number: impl Display) -> &mut Self {
        // Writing to a string does not fail.
        let _ = write!(self.out, "{number}{BETWEEN}");
        self
    }

    fn end(&mut self) {
        self.out.pop();
        self.out.push(END);
    }
}
