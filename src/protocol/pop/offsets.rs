//! The three infos of an answer to a pop: `retryMark queueKey value`, several of them separated by `;`.

use std::collections::HashMap;

use super::Retry;
use crate::error::{Error, Result};

/// One queue of the topic, or of one of its retry topics.
pub(super) type Key = (Retry, i32);

/// What an answer says about offsets.
#[derive(Debug, Default)]
pub(super) struct Infos {
    /// `None` from brokers that do not write them.
    pub(super) starts: Option<HashMap<Key, i64>>,
    /// Rising, by queue.
    pub(super) messages: HashMap<Key, Vec<i64>>,
    pub(super) by_offset: HashMap<(Key, i64), i32>,
    pub(super) by_queue: HashMap<Key, i32>,
}

impl Infos {
    pub(super) fn read(starts: Option<&str>, messages: Option<&str>, orders: Option<&str>) -> Result<Infos> {
        let mut infos = Infos::default();
        let starts = starts.filter(|text| !text.is_empty());
        if let Some(text) = starts {
            let mut table = HashMap::new();
            each("startOffsetInfo", text, |retry, queue, value| {
                table.insert((retry, queue.parse().ok()?), value.parse().ok()?).is_none().then_some(())
            })?;
            infos.starts = Some(table);
        }
        each("msgOffsetInfo", messages.unwrap_or_default(), |retry, queue, value| {
            let offsets: Option<Vec<i64>> = value.split(',').map(|offset| offset.parse().ok()).collect();
            let mut offsets = offsets?;
            offsets.sort_unstable();
            infos.messages.insert((retry, queue.parse().ok()?), offsets).is_none().then_some(())
        })?;
        each("orderCountInfo", orders.unwrap_or_default(), |retry, key, value| {
            let count = value.parse().ok()?;
            let known = match key.strip_prefix("qo") {
                Some(key) => {
                    let (queue, offset) = key.split_once('%')?;
                    infos.by_offset.insert(((retry, queue.parse().ok()?), offset.parse().ok()?), count)
                }
                None => infos.by_queue.insert((retry, key.parse().ok()?), count),
            };
            known.is_none().then_some(())
        })?;
        Ok(infos)
    }

    /// The offset by which the broker knows the message at `offset` of a queue: of messages that are stored together it
    /// knows the first only.
    pub(super) fn known_as(&self, key: Key, offset: i64) -> i64 {
        let Some(offsets) = self.messages.get(&key) else { return offset };
        let after = offsets.partition_point(|known| *known <= offset);
        after.checked_sub(1).map_or(offset, |at| offsets[at])
    }

    /// How often a message that is consumed in order was popped before.
    pub(super) fn count(&self, key: Key, offset: i64) -> Option<i32> {
        self.by_offset.get(&(key, offset)).or_else(|| self.by_queue.get(&key)).copied().filter(|count| *count > 0)
    }
}

/// Reads entries of three parts each. A mark that is unknown is passed over: its messages will have no handle.
fn each(name: &str, text: &str, mut entry: impl FnMut(Retry, &str, &str) -> Option<()>) -> Result<()> {
    for item in text.split(';').filter(|item| !item.is_empty()) {
        let mut parts = item.split(' ');
        let read = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(mark), Some(key), Some(value), None) => {
                Retry::from_mark(mark).map_or(Some(()), |retry| entry(retry, key, value))
            }
            _ => None,
        };
        if read.is_none() {
            let item: String = item.chars().take(100).collect();
            return Err(Error::malformed(format!("{name} with the entry {item:?}")));
        }
    }
    Ok(())
}

#[cfg(feature = "embedded")]
fn append(out: &mut String, retry: Retry, key: &str, value: &str) {
    if !out.is_empty() {
        out.push(';');
    }
    out.push_str(&[retry.mark(), " ", key, " ", value].concat());
}

/// Adds a queue's first offset.
#[cfg(feature = "embedded")]
pub(crate) fn write_start_offsets(out: &mut String, retry: Retry, queue_id: i32, start: i64) {
    append(out, retry, &queue_id.to_string(), &start.to_string());
}

/// Adds the offsets of a queue's messages.
#[cfg(feature = "embedded")]
pub(crate) fn write_message_offsets(out: &mut String, retry: Retry, queue_id: i32, offsets: &[i64]) {
    let offsets: Vec<String> = offsets.iter().map(i64::to_string).collect();
    append(out, retry, &queue_id.to_string(), &offsets.join(","));
}

/// Adds how often a message was popped before; without an offset, how often all of the queue were.
#[cfg(feature = "embedded")]
pub(crate) fn write_order_counts(out: &mut String, retry: Retry, queue_id: i32, offset: Option<i64>, count: i32) {
    let key = offset.map_or_else(|| queue_id.to_string(), |offset| format!("qo{queue_id}%{offset}"));
    append(out, retry, &key, &count.to_string());
}
