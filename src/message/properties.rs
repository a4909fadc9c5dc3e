use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// The property names the protocol itself uses.
pub(crate) mod key {
    pub(crate) const KEYS: &str = "KEYS";
    pub(crate) const TAGS: &str = "TAGS";
    pub(crate) const WAIT: &str = "WAIT";
    pub(crate) const DELAY: &str = "DELAY";
    pub(crate) const UNIQUE_ID: &str = "UNIQ_KEY";
    pub(crate) const RETRY_TOPIC: &str = "RETRY_TOPIC";
    pub(crate) const REAL_TOPIC: &str = "REAL_TOPIC";
    pub(crate) const REAL_QUEUE_ID: &str = "REAL_QID";
    pub(crate) const INSTANCE_ID: &str = "INSTANCE_ID";
    pub(crate) const CLUSTER: &str = "CLUSTER";
    pub(crate) const CORRELATION_ID: &str = "CORRELATION_ID";
    pub(crate) const REPLY_TO_CLIENT: &str = "REPLY_TO_CLIENT";
    pub(crate) const TTL: &str = "TTL";
    pub(crate) const MESSAGE_TYPE: &str = "MSG_TYPE";
    pub(crate) const ARRIVE_TIME: &str = "ARRIVE_TIME";
    pub(crate) const PUSH_REPLY_TIME: &str = "PUSH_REPLY_TIME";
    pub(crate) const REGION: &str = "MSG_REGION";
    pub(crate) const TRACE_ON: &str = "TRACE_ON";
    pub(crate) const SHARDING_KEY: &str = "__SHARDINGKEY";
    pub(crate) const TIMER_DELAY_SECONDS: &str = "TIMER_DELAY_SEC";
    pub(crate) const TIMER_DELAY_MILLIS: &str = "TIMER_DELAY_MS";
    pub(crate) const TIMER_DELIVER_MILLIS: &str = "TIMER_DELIVER_MS";
    pub(crate) const TRANSACTION_PREPARED: &str = "TRAN_MSG";
    pub(crate) const PRIORITY: &str = "_SYS_MSG_PRIORITY_";
    pub(crate) const INNER_COUNT: &str = "INNER_NUM";
    pub(crate) const PRODUCER_GROUP: &str = "PGROUP";
    pub(crate) const CHECK_IMMUNITY_SECONDS: &str = "CHECK_IMMUNITY_TIME_IN_SECONDS";
    /// The handle of a popped message, where the broker wrote it.
    pub(crate) const POP_HANDLE: &str = "POP_CK";
    pub(crate) const TRANSACTION_CHECKS: &str = "TRANSACTION_CHECK_TIMES";
    /// Brokers 5.0 and later put it on half messages, and it stays on those that are committed.
    pub(crate) const TRANSACTION_ID: &str = "__transactionId__";

    /// Names that users may not set themselves: the protocol gives them a meaning. `__SHARDINGKEY` is not among them.
    pub(super) const RESERVED: &[&str] = &[
        KEYS,
        TAGS,
        WAIT,
        DELAY,
        RETRY_TOPIC,
        REAL_TOPIC,
        REAL_QUEUE_ID,
        TRANSACTION_PREPARED,
        PRODUCER_GROUP,
        "MIN_OFFSET",
        "MAX_OFFSET",
        "BUYER_ID",
        "ORIGIN_MESSAGE_ID",
        "TRANSFER_FLAG",
        "CORRECTION_FLAG",
        "MQ2_FLAG",
        "RECONSUME_TIME",
        REGION,
        TRACE_ON,
        UNIQUE_ID,
        "EXTEND_UNIQ_INFO",
        "MAX_RECONSUME_TIMES",
        "CONSUME_START_TIME",
        "TRAN_PREPARED_QUEUE_OFFSET",
        TRANSACTION_CHECKS,
        CHECK_IMMUNITY_SECONDS,
        TRANSACTION_ID,
        INSTANCE_ID,
        CORRELATION_ID,
        REPLY_TO_CLIENT,
        TTL,
        ARRIVE_TIME,
        PUSH_REPLY_TIME,
        CLUSTER,
        MESSAGE_TYPE,
        POP_HANDLE,
        "POP_CK_OFFSET",
        "1ST_POP_TIME",
        PRIORITY,
        "__LITE_TOPIC",
        INNER_COUNT,
        "INNER_BASE",
        "DUP_INFO",
        TIMER_DELAY_SECONDS,
        TIMER_DELAY_MILLIS,
        TIMER_DELIVER_MILLIS,
        "TIMER_ENQUEUE_MS",
        "TIMER_DEQUEUE_MS",
        "TIMER_ROLL_TIMES",
        "TIMER_OUT_MS",
        "TIMER_DEL_UNIQKEY",
        "TIMER_DELAY_LEVEL",
        "PROPERTY_FORWARD_QUEUE_ID",
        "REDIRECT",
        "INNER_MULTI_DISPATCH",
        "INNER_MULTI_QUEUE_OFFSET",
        "TRACE_CONTEXT",
        "__BORNHOST",
        "BORN_TIMESTAMP",
        "DLQ_ORIGIN_TOPIC",
        "DLQ_ORIGIN_MESSAGE_ID",
        "__CRC32#",
    ];

    /// Returns whether the protocol reserves this name.
    pub(crate) fn is_reserved(name: &str) -> bool {
        name.starts_with("__RMQ.TRANSIENT.") || RESERVED.contains(&name)
    }
}

/// Separates a key from its value in the properties text of the wire.
pub(super) const AFTER_KEY: char = '\u{1}';
/// Ends a key-value pair in the properties text of the wire.
pub(super) const AFTER_VALUE: char = '\u{2}';

/// Refuses text that the wire form cannot carry: Java lets it pass and damages the record, Go drops it without a word.
pub(crate) fn check_text(what: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err(format!("{what} is blank: RocketMQ drops blank names and values"));
    }
    if text.contains([AFTER_KEY, AFTER_VALUE]) {
        return Err(format!("{what} contains U+0001 or U+0002, which separate properties on the wire"));
    }
    Ok(())
}

/// The properties of a message, in the order they were set.
///
/// System properties (`KEYS`, `TAGS`, `UNIQ_KEY`, …) are among them under the protocol's names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties {
    entries: Vec<(Cow<'static, str>, String)>,
}

impl Properties {
    /// Returns the value of a property.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Iterates over names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(key, value)| (key.as_ref(), value.as_str()))
    }

    /// Returns how many properties there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.entries.iter_mut().find(|(key, _)| *key == name) {
            Some((_, old)) => *old = value,
            None => self.entries.push((name, value)),
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.entries.retain(|(key, _)| key != name);
    }

    /// Returns the length of the wire text in bytes.
    pub(crate) fn wire_len(&self) -> usize {
        self.entries.iter().map(|(key, value)| key.len() + value.len() + 2).sum()
    }

    /// Appends the wire text: `key U+0001 value U+0002`, repeated.
    pub(crate) fn write_wire(&self, out: &mut String) {
        for (key, value) in &self.entries {
            write_property(out, key, value);
        }
    }

    /// As [`write_wire`](Properties::write_wire), into bytes.
    pub(crate) fn append_wire(&self, out: &mut Vec<u8>) {
        for (key, value) in &self.entries {
            append_property(out, key, value);
        }
    }

    /// Reads the wire text with all the leniency of Java's reader, see [`wire_pairs`].
    pub(crate) fn from_wire(text: &str) -> Properties {
        // Comparing each name with all before it takes long where a peer wrote many.
        const FEW_BYTES: usize = 1024;
        let mut properties = Properties::default();
        if text.len() <= FEW_BYTES {
            wire_pairs(text).for_each(|(key, value)| properties.set(key.to_owned(), value));
            return properties;
        }
        let mut places = HashMap::new();
        for (key, value) in wire_pairs(text) {
            let place = *places.entry(key).or_insert(properties.entries.len());
            match properties.entries.get_mut(place) {
                Some((_, old)) => value.clone_into(old),
                None => properties.entries.push((key.to_owned().into(), value.to_owned())),
            }
        }
        properties
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Appends one property in its wire form.
pub(crate) fn write_property(out: &mut String, key: &str, value: &str) {
    out.push_str(key);
    out.push(AFTER_KEY);
    out.push_str(value);
    out.push(AFTER_VALUE);
}

/// As [`write_property`], into bytes.
pub(crate) fn append_property(out: &mut Vec<u8>, key: &str, value: &str) {
    out.extend_from_slice(key.as_bytes());
    out.push(AFTER_KEY as u8);
    out.extend_from_slice(value.as_bytes());
    out.push(AFTER_VALUE as u8);
}

/// Iterates over the pairs of a wire text as Java's reader does: a last segment without its U+0002 counts, further
/// U+0001 belong to the value, and a pair with an empty key or value is dropped. A later duplicate wins.
pub(crate) fn wire_pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(AFTER_VALUE)
        .filter_map(|segment| segment.split_once(AFTER_KEY))
        .filter(|(key, value)| !key.is_empty() && !value.is_empty())
}

/// Returns how many bytes of a wire text the first `count` properties take; all of it when it has no more.
pub(crate) fn first_in_wire(text: &[u8], count: usize) -> usize {
    let ends = text.iter().enumerate().filter(|(_, byte)| **byte == AFTER_VALUE as u8);
    let mut ends = ends.map(|(at, _)| at + 1).skip(count.saturating_sub(1));
    ends.next().unwrap_or(text.len())
}

/// Looks one property up without decoding the others; the last duplicate wins.
pub(crate) fn find_in_wire<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    wire_pairs(text).filter(|(key, _)| *key == name).last().map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_java_reads_from_a_damaged_text() {
        let text = "a\u{1}\u{2}b\u{1}x\u{2}\u{1}y\u{2}c\u{1}1\u{1}2\u{2}d\u{1}8\u{2}d\u{1}9";
        let properties = Properties::from_wire(text);
        let read: Vec<_> = properties.iter().collect();
        assert_eq!(read, [("b", "x"), ("c", "1\u{1}2"), ("d", "9")]);
        assert_eq!(find_in_wire(text, "d"), Some("9"));
        assert_eq!(find_in_wire(text, "a"), None);
    }

    #[test]
    fn the_first_properties_of_a_text_end_with_their_last_byte() {
        let text = "a\u{1}1\u{2}b\u{1}2\u{2}c\u{1}3";
        for (count, first) in [(1, 4), (2, 8), (3, text.len()), (9, text.len())] {
            assert_eq!(first_in_wire(text.as_bytes(), count), first, "{count}");
        }
    }

    #[test]
    fn as_many_as_a_message_can_have_are_read_in_no_time() {
        let mut text = String::new();
        let count = crate::rounds(8_000);
        (0..count).for_each(|number| write_property(&mut text, &format!("{number:x}"), "1"));
        write_property(&mut text, "0", "last");
        let last = format!("{:x}", count - 1);
        let took = (0..crate::rounds(20)).map(|_| {
            let began = std::time::Instant::now();
            let properties = Properties::from_wire(&text);
            assert_eq!(
                (properties.len(), properties.get("0"), properties.get(&last)),
                (count, Some("last"), Some("1"))
            );
            began.elapsed()
        });
        // The least, because other tests take the processor away.
        let least = took.min().unwrap_or_default();
        assert!(cfg!(miri) || least < std::time::Duration::from_millis(100), "{least:?}");
    }

    #[test]
    fn writes_what_it_counts_and_reads_it_back() {
        let mut properties = Properties::default();
        properties.set("名", "值😀");
        properties.set(key::TAGS, "a");
        properties.set(key::TAGS, "b");
        let mut text = String::new();
        properties.write_wire(&mut text);
        assert_eq!(text.len(), properties.wire_len());
        assert_eq!(Properties::from_wire(&text), properties);
    }
}
