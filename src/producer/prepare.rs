//! From the user's message to the form in which it is sent: every check there is, before anything leaves.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::client::send::Prepared;
use crate::client::{names, namespace};
use crate::error::{Error, Result};
use crate::message::{Message, Properties, UniqueIds, append_property, key, sys_flag, write_property};
use crate::protocol::batch;
use crate::protocol::compress::Compression;
use crate::protocol::namespace::Namespace;

/// The broker refuses more than 32 767 bytes after adding its own properties, for which this leaves room.
const PROPERTIES_LIMIT: usize = 32_767 - 512;

/// The settings that concern single messages.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) max_message_size: usize,
    pub(super) compress_above: usize,
    pub(super) compression: Compression,
    pub(super) compress_level: Option<u32>,
    /// Where the topics are.
    pub(super) namespace: Option<Namespace>,
}

/// Checks and prepares one message.
pub(super) fn message(message: &Message, ids: &UniqueIds, limits: &Limits) -> Result<Prepared> {
    check(message, limits)?;
    let id = unique_id(message, ids);
    let properties = wire_properties(message, &id, limits)?;
    let compressed = (message.body().len() >= limits.compress_above)
        .then(|| limits.compression.deflate(message.body(), limits.compress_level))
        .flatten();
    let (body, sys_flag) = compressed.unwrap_or_else(|| (message.shared_body().clone(), 0));
    let sys_flag = if message.is_half() { sys_flag | sys_flag::PREPARED } else { sys_flag };
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
    check_properties(message, &id, limits)?;
    batch::encode_with(out, message.flag(), message.body(), |out| {
        message.properties().append_wire(out);
        if message.property(key::UNIQUE_ID).is_none() {
            append_property(out, key::UNIQUE_ID, &id);
        }
        if let Some(namespace) = &limits.namespace {
            append_property(out, key::INSTANCE_ID, namespace.name());
        }
    });
    Ok(id)
}

/// Returns how many bytes [`member`] appends at most.
pub(super) fn member_size(message: &Message, limits: &Limits) -> usize {
    // The unique id has 56 digits with an IPv6 address.
    const LONGEST_ID: &str = "00000000000000000000000000000000000000000000000000000000";
    batch::FIXED + message.body().len() + properties_len(message, LONGEST_ID, limits)
}

/// Checks and prepares a batch: what applies to all its messages together is checked here, each by itself as well. With
/// `inner` it has a unique id of its own, beside those of its messages.
pub(super) fn batch(messages: &[Message], ids: &UniqueIds, limits: &Limits, inner: bool) -> Result<Prepared> {
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
        if message.is_reply() {
            return Err(of("is a reply, which brokers do not hand on from a batch: send it by itself"));
        }
        if message.is_delayed() {
            // A broker would deliver it at once.
            return Err(of("is delayed, which a batch cannot be: send it by itself"));
        }
        if message.priority().is_some() {
            // A broker would keep it and not act on it.
            return Err(of("has a priority, which a batch cannot have: send it by itself"));
        }
        let id = unique_id(message, ids);
        batch::encode(&mut body, message.flag(), message.body(), &wire_properties(message, &id, limits)?);
        if number > 0 {
            all_ids.push(',');
        }
        all_ids.push_str(&id);
    }
    if body.len() > limits.max_message_size {
        let (size, max) = (body.len(), limits.max_message_size);
        return Err(Error::invalid(format!("the batch has {size} bytes, at most {max} are allowed: see split_batch")));
    }
    let mut properties = if inner { inner_properties(messages, ids)? } else { String::new() };
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

/// What a batch that is stored as one record has in common. Its unique id is what makes a broker store it so; brokers before
/// 5.4 may give it to every message, so it is not there without being asked for. Brokers filter by the tag and index the
/// keys of the batch, not of its messages.
fn inner_properties(messages: &[Message], ids: &UniqueIds) -> Result<String> {
    let mut properties = String::new();
    write_property(&mut properties, key::UNIQUE_ID, &ids.next());
    let tag = messages.first().and_then(Message::tag);
    if let Some(tag) = tag.filter(|tag| messages.iter().all(|message| message.tag() == Some(tag))) {
        write_property(&mut properties, key::TAGS, tag);
    }
    let keys: BTreeSet<&str> = messages.iter().flat_map(Message::keys).collect();
    if !keys.is_empty() {
        let keys: Vec<&str> = keys.into_iter().collect();
        write_property(&mut properties, key::KEYS, &keys.join(" "));
    }
    if properties.len() > PROPERTIES_LIMIT {
        let len = properties.len();
        return Err(Error::invalid(format!(
            "the keys of the batch have {len} bytes, at most {PROPERTIES_LIMIT} are allowed"
        )));
    }
    Ok(properties)
}

fn check(message: &Message, limits: &Limits) -> Result<()> {
    if let Some(defect) = message.defect() {
        return Err(Error::Invalid { what: defect.clone() });
    }
    names::check_target_topic(message.topic())?;
    namespace::check_topic(limits.namespace.as_ref(), message.topic())?;
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

fn properties_len(message: &Message, id: &str, limits: &Limits) -> usize {
    let instance = limits.namespace.as_ref().map(Namespace::name);
    let instance_len = instance.map_or(0, |name| key::INSTANCE_ID.len() + name.len() + 2);
    message.properties().wire_len() + key::UNIQUE_ID.len() + id.len() + 2 + instance_len
}

/// Returns the length of the properties with what is added to them, which must not be more than the limit.
fn check_properties(message: &Message, id: &str, limits: &Limits) -> Result<usize> {
    let len = properties_len(message, id, limits);
    if len > PROPERTIES_LIMIT {
        return Err(Error::invalid(format!("the properties have {len} bytes, at most {PROPERTIES_LIMIT} are allowed")));
    }
    Ok(len)
}

fn wire_properties(message: &Message, id: &str, limits: &Limits) -> Result<String> {
    let properties: &Properties = message.properties();
    let instance = limits.namespace.as_ref().map(Namespace::name);
    let len = check_properties(message, id, limits)?;
    let mut text = String::with_capacity(len);
    properties.write_wire(&mut text);
    if properties.get(key::UNIQUE_ID).is_none() {
        write_property(&mut text, key::UNIQUE_ID, id);
    }
    if let Some(name) = instance {
        write_property(&mut text, key::INSTANCE_ID, name);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        max_message_size: 1000,
        compress_above: 100,
        compression: Compression::Zlib,
        compress_level: None,
        namespace: None,
    };

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
        let prepared = super::batch(&[message.clone(), message], &ids(), &LIMITS, false).unwrap();
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
        for namespace in [None, Some(Namespace::new("billing"))] {
            let limits = Limits { namespace, ..LIMITS };
            let (mut alone, mut expected) = (Vec::new(), Vec::new());
            let id = member(&message, &ids(), &limits, &mut alone).unwrap();
            batch::encode(&mut expected, 7, b"body", &wire_properties(&message, &id, &limits).unwrap());
            assert_eq!(alone, expected);
            assert!(alone.len() <= member_size(&message, &limits), "it is never larger than was told");
        }
    }

    #[test]
    fn a_batch_stored_as_one_has_an_id_the_common_tag_and_all_keys() {
        let message = |tag: &str, key: &str| Message::builder("T", "x").tag(tag).key(key).build();
        let inner = |messages: &[Message]| super::batch(messages, &ids(), &LIMITS, true).unwrap();
        let alike = inner(&[message("a", "k2"), message("a", "k1"), message("a", "k2")]);
        assert!(!alike.message_id.contains(&alike.property("UNIQ_KEY").unwrap()), "the messages have others");
        assert_eq!((alike.property("TAGS").unwrap(), alike.property("KEYS").unwrap()), ("a".into(), "k1 k2".into()));
        let mixed = inner(&[message("a", "k"), Message::new("T", "x")]);
        assert_eq!(mixed.property("TAGS"), None);
    }

    #[test]
    fn a_batch_must_be_of_one_kind() {
        let batch = |messages: &[Message]| refused(super::batch(messages, &ids(), &LIMITS, false));
        let plain = Message::new("T", "x");
        assert!(batch(&[]).contains("empty"));
        assert!(batch(&[plain.clone(), Message::new("U", "x")]).contains("topic"));
        assert!(batch(&[plain.clone(), Message::builder("T", "x").delay_level(1).build()]).contains("delayed"));
        let after = std::time::Duration::from_secs(1);
        assert!(batch(&[Message::builder("T", "x").deliver_after(after).build()]).contains("delayed"));
        assert!(batch(&[plain.clone(), Message::builder("T", "x").wait_store(false).build()]).contains("storage"));
        assert!(batch(&vec![Message::new("T", vec![b'x'; 400]); 3]).contains("split_batch"));
        assert!(batch(&[Message::new("%RETRY%g", "x")]).contains("retry"));
        assert!(batch(&[Message::builder("T", "x").priority(1).build()]).contains("priority"));
    }
}
