use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};

use rocketmq_blocking::{MessageQueue, MessageView, SendResult};
use serde::Serialize;
use std::collections::BTreeMap;

use crate::failure::Failure;
use crate::table::table;
use crate::text;

/// Standard output: text for people, or JSON with one object a line.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    out: BufWriter<Stdout>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Output {
        Output { json, out: BufWriter::new(io::stdout()) }
    }

    pub(crate) fn json(&self) -> bool {
        self.json
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.out.get_ref().is_terminal()
    }

    /// Writes an object when JSON is asked for, else what `people` makes.
    pub(crate) fn line(&mut self, object: &impl Serialize, people: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json {
            serde_json::to_writer(&mut self.out, object).map_err(io::Error::from)?;
            self.out.write_all(b"\n")?;
        } else {
            writeln!(self.out, "{}", people())?;
        }
        Ok(())
    }

    /// Writes an object for each item when JSON is asked for, else a table of them.
    pub(crate) fn list<T: Copy, S: Serialize, const N: usize>(
        &mut self,
        names: [&str; N],
        items: impl IntoIterator<Item = T>,
        shown: impl Fn(T) -> S,
        row: impl Fn(T) -> [String; N],
    ) -> Result<(), Failure> {
        if self.json {
            items.into_iter().try_for_each(|item| self.line(&shown(item), String::new))?;
        } else {
            let rows: Vec<_> = items.into_iter().map(row).collect();
            self.line(&(), || table(names, &rows))?;
        }
        // What is said of it on standard error comes behind it.
        self.flush()
    }

    /// Hands what was written to whoever reads it.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }
}

/// A message that was sent. What a oneway send does not learn is `null`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sent<'a> {
    pub(crate) message_id: Option<&'a str>,
    pub(crate) offset_message_id: Option<&'a str>,
    pub(crate) topic: &'a str,
    pub(crate) broker_name: Option<&'a str>,
    pub(crate) queue_id: Option<i32>,
    pub(crate) queue_offset: Option<i64>,
    pub(crate) status: String,
    /// How its transaction ended, when it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) transaction: Option<&'static str>,
    /// By which it can be recalled before it is delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recall_handle: Option<&'a str>,
}

impl<'a> Sent<'a> {
    /// The messages of one send, which are several when it was a batch.
    pub(crate) fn of(result: &'a SendResult) -> impl Iterator<Item = Sent<'a>> {
        let mut offset_ids = result.offset_message_id().split(',').filter(|id| !id.is_empty());
        let queue = result.queue();
        result.message_ids().zip(0..).map(move |(message_id, place)| Sent {
            message_id: Some(message_id),
            offset_message_id: offset_ids.next(),
            topic: queue.topic(),
            broker_name: Some(queue.broker_name()),
            queue_id: Some(queue.queue_id()),
            queue_offset: Some(result.queue_offset() + place),
            status: result.status().to_string(),
            transaction: None,
            recall_handle: result.recall_handle().filter(|handle| !handle.is_empty()),
        })
    }

    /// A message that left oneway, and the queue if one was asked for.
    pub(crate) fn oneway(topic: &'a str, queue: Option<&'a MessageQueue>) -> Sent<'a> {
        Sent {
            message_id: None,
            offset_message_id: None,
            topic,
            broker_name: queue.map(MessageQueue::broker_name),
            queue_id: queue.map(MessageQueue::queue_id),
            queue_offset: None,
            status: "ONEWAY".to_owned(),
            transaction: None,
            recall_handle: None,
        }
    }

    pub(crate) fn people(&self) -> String {
        match (self.message_id, self.broker_name, self.queue_id, self.queue_offset) {
            (Some(id), Some(broker_name), Some(queue_id), Some(offset)) => {
                let handle = self.recall_handle.map(|handle| format!("  recall {handle}")).unwrap_or_default();
                format!("{}  {id}  {broker_name}/{queue_id}  offset {offset}{handle}", self.status)
            }
            _ => format!("{}  left for {}, unanswered", self.status, self.topic),
        }
    }
}

/// A message that was received.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Received<'a> {
    message_id: String,
    offset_message_id: String,
    topic: &'a str,
    broker_name: &'a str,
    queue_id: i32,
    queue_offset: i64,
    status: &'static str,
    tag: Option<&'a str>,
    keys: Vec<&'a str>,
    properties: BTreeMap<String, String>,
    reconsume_times: i32,
    /// By which it is acknowledged, when a broker handed it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt_handle: Option<&'a str>,
    born_timestamp: u64,
    store_timestamp: u64,
    body_size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
}

impl<'a> Received<'a> {
    /// A message that was refused on purpose, and comes again.
    pub(crate) fn failed(message: &'a MessageView) -> Received<'a> {
        Received { status: "FAILED", ..Received::of(message) }
    }

    pub(crate) fn of(message: &'a MessageView) -> Received<'a> {
        let properties = message.properties();
        let intact = message.check_body().is_ok();
        Received {
            message_id: message.message_id().into_owned(),
            offset_message_id: message.offset_message_id().to_string(),
            topic: message.topic(),
            broker_name: message.queue().broker_name(),
            queue_id: message.queue().queue_id(),
            queue_offset: message.queue_offset(),
            status: if intact { "FOUND" } else { "DAMAGED" },
            tag: message.tag(),
            keys: message.keys().collect(),
            properties: properties.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            reconsume_times: message.reconsume_times(),
            receipt_handle: message.receipt_handle(),
            born_timestamp: text::millis(message.born_timestamp()),
            store_timestamp: text::millis(message.store_timestamp()),
            body_size: message.body().len(),
            body: message.body_text().filter(|_| intact),
        }
    }
}
