//! From the user's message to the form in which it is sent: every check there is, before anything leaves.

use std::sync::Arc;

use bytes::Bytes;

use crate::client::names;
use crate::client::send::Prepared;
use crate::error::{Error, Result};
use crate::message::{Message, Properties, UniqueIds, append_property, key, sys_flag, write_property};
use crate::protocol::{batch, compress};

/// The broker refuses more than 32 767 bytes after adding its own properties, for which this leaves room.
const PROPERTIES_LIMIT: usize = 32_767 - 512;

/// The settings that concern single messages.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) max_message_size: usize,
    pub(super) compress_above: usize,
    pub(super) compress_level: u32,
}

/// Checks and prepares one message.
pub(super) fn message(message: &Message, ids: &UniqueIds, limits: &Limits) -> Result<Prepared> {
    check(message, limits)?;
    let id = unique_id(message, ids);
    let properties = wire_properties(message, &id)?;
    let compressed = (message.body().len() >= limits.compress_above)
        .then(|| compress::zlib(message.body(), limits.compress_level))
        .flatten();
    let (body, sys_flag) = match compressed {
        Some(smaller) => (Bytes::from(smaller), sys_flag::COMPRESSED | sys_flag::ZLIB),
        None => (message.shared_body().clone(), 0),
    };
    Ok(Prepared {
        topic: message.shared_topic().clone(),
        body,
        sys_flag,
        flag: message.flag(),
        properties,
        message_id: id,
        batch: false,
    })
}

/// Checks one message and appends it to a batch, for which the caller knows it to be fit; returns its unique id.
pub(super) fn member(message: &Message, ids: &UniqueIds, limits: &Limits, out: &mut Vec<u8>) -> Result<Arc<str>> {
    check(message, limits)?;
    let id = unique_id(message, ids);
    check_properties(message, &id)?;
    batch::encode_with(out, message.flag(), message.body(), |out| {
        message.properties().append_wire(out);
        if message.property(key::UNIQUE_ID).is_none() {
            append_property(out, key::UNIQUE_ID, &id);
        }
    });
    Ok(id)
}

/// Returns about how many bytes [`member`] appends.
pub(super) fn member_size(message: &Message) -> usize {
    // The unique id with its name: 56 digits for an IPv6 address.
    batch::FIXED + message.body().len() + message.properties().wire_len() + key::UNIQUE_ID.len() + 2 + 56
}

/// Checks and prepares a batch: what applies to all its messages together is checked here, each by itself as well.
pub(super) fn batch(messages: &[Message], ids: &UniqueIds, limits: &Limits) -> Result<Prepared> {
    let first = messages.first().ok_or_else(|| Error::invalid("the batch is empty"))?;
    let (mut body, mut all_ids) = (Vec::new(), String::new());
    for (number, message) in messages.iter().enumerate() {
        let of = |what: &str| Error::invalid(format!("message {number} of the batch {what}"));
        check(message, limits)?;
        if message.topic() != first.topic() {
            return Err(of(&format!("has topic {}, the first has {}", message.topic(), first.topic())));
        }
        if message.topic().starts_with("%RETRY%") {
            return Err(of("goes to a retry topic, which takes no batches"));
        }
        if message.wait_store() != first.wait_store() {
            return Err(of("differs from the first in whether to wait for storage"));
        }
        if message.is_delayed() {
            // A broker would deliver it at once.
            return Err(of("is delayed, which a batch cannot be: send it by itself"));
        }
        let id = unique_id(message, ids);
        batch::encode(&mut body, message.flag(), message.body(), &wire_properties(message, &id)?);
        if number > 0 {
            all_ids.push(',');
        }
        all_ids.push_str(&id);
    }
    if body.len() > limits.max_message_size {
        let (size, max) = (body.len(), limits.max_message_size);
        return Err(Error::invalid(format!("the batch has {size} bytes, at most {max} are allowed: see split_batch")));
    }
    // No unique id here: brokers of the 4.x line would give it to every member.
    let mut properties = String::new();
    if !first.wait_store() {
        write_property(&mut properties, key::WAIT, "false");
    }
    Ok(Prepared {
        topic: first.shared_topic().clone(),
        body: body.into(),
        sys_flag: 0,
        flag: 0,
        properties,
        message_id: all_ids.into(),
        batch: true,
    })
}

fn check(message: &Message, limits: &Limits) -> Result<()> {
    if let Some(defect) = message.defect() {
        return Err(Error::Invalid { what: defect.clone() });
    }
    names::check_target_topic(message.topic())?;
    let size = message.body().len();
    if size == 0 {
        return Err(Error::invalid("the message body is empty: RocketMQ takes at least one byte"));
    }
    if size > limits.max_message_size {
        let max = limits.max_message_size;
        return Err(Error::invalid(format!("the message body has {size} bytes, at most {max} are allowed")));
    }
    Ok(())
}

/// A message that was sent before is sent under a new id: the application sends it anew.
fn unique_id(message: &Message, ids: &UniqueIds) -> Arc<str> {
    match message.property(key::UNIQUE_ID) {
        Some(id) => id.into(),
        None => ids.next(),
    }
}

/// Returns the length of the properties with the unique id, which must not be more than the limit.
fn check_properties(message: &Message, id: &str) -> Result<usize> {
    let len = message.properties().wire_len() + key::UNIQUE_ID.len() + id.len() + 2;
    if len > PROPERTIES_LIMIT {
        return Err(Error::invalid(format!("the properties have {len} bytes, at most {PROPERTIES_LIMIT} are allowed")));
    }
    Ok(len)
}

fn wire_properties(message: &Message, id: &str) -> Result<String> {
    let properties: &Properties = message.properties();
    let len = check_properties(message, id)?;
    let mut text = String::with_capacity(len);
    properties.write_wire(&mut text);
    if properties.get(key::UNIQUE_ID).is_none() {
        write_property(&mut text, key::UNIQUE_ID, id);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_message_size: 1000, compress_above: 100, compress_level: 5 };

    fn ids() -> UniqueIds {
        UniqueIds::new([127, 0, 0, 1].into())
    }

    fn refused(result: Result<Prepared>) -> String {
        match result {
            Err(Error::Invalid { what }) => what.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_broker_would_refuse_or_damage_is_refused_before() {
        let prepare = |message: Message| refused(super::message(&message, &ids(), &LIMITS));
        assert!(prepare(Message::new("T", "")).contains("empty"));
        assert!(prepare(Message::new("T", vec![b'x'; 1001])).contains("1001 bytes"));
        assert!(prepare(Message::new("a b", "x")).contains("topic"));
        assert!(prepare(Message::new("SCHEDULE_TOPIC_XXXX", "x")).contains("forbidden"));
        assert!(prepare(Message::builder("T", "x").property("TAGS", "v").build()).contains("used by RocketMQ"));
        assert!(prepare(Message::builder("T", "x").property("p", "v".repeat(33_000)).build()).contains("properties"));
    }

    #[test]
    fn a_body_is_compressed_from_the_threshold_on_when_that_helps() {
        let prepared = super::message(&Message::new("T", vec![b'x'; 100]), &ids(), &LIMITS).unwrap();
        assert_eq!(prepared.sys_flag, 0x301);
        assert!(prepared.body.len() < 100);
        let small = super::message(&Message::new("T", vec![b'x'; 99]), &ids(), &LIMITS).unwrap();
        assert_eq!((small.sys_flag, small.body.len()), (0, 99));
        let noise: Vec<u8> = (0..500).map(|_| fastrand::u8(..)).collect();
        assert_eq!(super::message(&Message::new("T", noise), &ids(), &LIMITS).unwrap().sys_flag, 0);
    }

    #[test]
    fn every_message_has_a_unique_id_and_a_batch_has_none_of_its_own() {
        let message = Message::new("T", "x");
        let prepared = super::message(&message, &ids(), &LIMITS).unwrap();
        assert_eq!(prepared.property("UNIQ_KEY").as_deref(), Some(&*prepared.message_id));
        let prepared = super::batch(&[message.clone(), message], &ids(), &LIMITS).unwrap();
        assert_eq!(prepared.property("UNIQ_KEY"), None);
        let members = batch::decode(&prepared.body).unwrap();
        let ids: Vec<&str> = prepared.message_id.split(',').collect();
        assert_eq!(members.len(), 2);
        assert_ne!(ids[0], ids[1]);
        assert!(String::from_utf8_lossy(&members[1].properties).contains(ids[1]));
    }

    #[test]
    fn a_message_is_encoded_the_same_by_itself_and_with_others() {
        let message = Message::builder("T", "body").tag("t").key("k").property("名", "值").flag(7).build();
        let mut alone = Vec::new();
        let id = member(&message, &ids(), &LIMITS, &mut alone).unwrap();
        let mut expected = Vec::new();
        batch::encode(&mut expected, 7, b"body", &wire_properties(&message, &id).unwrap());
        assert_eq!(alone, expected);
        assert!(alone.len() <= member_size(&message), "it is never larger than was told");
    }

    #[test]
    fn a_batch_must_be_of_one_kind() {
        let batch = |messages: &[Message]| refused(super::batch(messages, &ids(), &LIMITS));
        let plain = Message::new("T", "x");
        assert!(batch(&[]).contains("empty"));
        assert!(batch(&[plain.clone(), Message::new("U", "x")]).contains("topic"));
        assert!(batch(&[plain.clone(), Message::builder("T", "x").delay_level(1).build()]).contains("delayed"));
        let after = std::time::Duration::from_secs(1);
        assert!(batch(&[Message::builder("T", "x").deliver_after(after).build()]).contains("delayed"));
        assert!(batch(&[plain.clone(), Message::builder("T", "x").wait_store(false).build()]).contains("storage"));
        assert!(batch(&vec![Message::new("T", vec![b'x'; 400]); 3]).contains("split_batch"));
        assert!(batch(&[Message::new("%RETRY%g", "x")]).contains("retry"));
    }
}
