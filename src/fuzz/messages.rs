use std::sync::Arc;

use bytes::Bytes;

use crate::message::{MessageView, Properties, Stored, append_property, find_in_wire, sys_flag, wire_pairs};
use crate::protocol::bounds::Bounds;
use crate::protocol::compress::{self, Compression};
use crate::protocol::record::{self, Records};
use crate::protocol::{batch as batches, filter};

/// Stored messages, as answers carry them, inner batches and compressed bodies too. The first byte bounds the bodies.
pub fn records(data: &[u8]) {
    let Some((limit, data)) = data.split_first() else { return };
    let (limit, data) = (usize::from(*limit) * 32, Bytes::copy_from_slice(data));
    let broker: Arc<str> = "b".into();
    let mut compressed = false;
    let mut ended = false;
    for stored in Records::new(data.clone()) {
        assert!(!ended, "a record behind one that cannot be read");
        match stored {
            Ok(stored) => {
                compressed |= stored.sys_flag & sys_flag::COMPRESSED != 0;
                survives(&stored);
            }
            Err(_) => ended = true,
        }
    }
    assert!(!compressed || record::any_compressed(&data));
    let (views, error) = record::messages(data.clone(), &broker, &Bounds { body: limit, ..Bounds::default() });
    assert_eq!(error.is_some(), ended);
    assert!(views.len() <= data.len() / batches::FIXED);
    for view in views {
        look_at(&view, limit);
    }
}

fn survives(stored: &Stored) {
    // Text that had to be repaired may have grown.
    if stored.topic.len() > usize::from(u16::MAX) || stored.properties.len() > usize::from(u16::MAX) {
        return;
    }
    let mut bytes = Vec::new();
    record::encode(&mut bytes, stored);
    let again: Vec<_> = Records::new(bytes.into()).collect();
    let [Ok(again)] = &again[..] else { panic!("one record was written, {again:?}") };
    assert_eq!(again, stored);
}

fn look_at(view: &MessageView, limit: usize) {
    assert!(view.body().len() <= limit || !view.was_compressed());
    let _ = (view.check_body().is_ok(), view.body_text(), view.keys().count(), view.born_timestamp());
    let _ = (view.store_timestamp(), view.message_id(), view.offset_message_id().to_string(), view.transaction_id());
    let _ = (view.delay_level(), view.priority(), view.queue().to_string(), format!("{view:?}"));
    if let Some(tag) = view.tag() {
        let _ = filter::java_hash(tag);
    }
    assert_eq!(view.detach().body(), view.body());
    assert_eq!(view.detach().properties(), view.properties());
}

/// The body of a batch: what is read survives being written, and cutting it gives the same messages.
pub fn batch(data: &[u8]) {
    let data = Bytes::copy_from_slice(data);
    let Ok(items) = batches::decode(&data) else { return assert!(batches::encoded(&data).is_err()) };
    let carried: usize = items.iter().map(|item| item.body.len() + item.properties.len() + batches::FIXED).sum();
    assert!(carried <= data.len());
    let mut again = Vec::new();
    for item in &items {
        batches::encode_with(&mut again, item.flag, &item.body, |out| out.extend_from_slice(&item.properties));
    }
    assert_eq!(batches::decode(&again.into()).expect("what was written is read"), items);
    let cut = batches::encoded(&data).expect("what can be read can be cut");
    assert_eq!(cut.iter().map(Bytes::len).sum::<usize>(), data.len());
    for (item, cut) in items.iter().zip(&cut) {
        assert_eq!(batches::decode(cut).expect("a message by itself"), std::slice::from_ref(item));
    }
}

/// The text of properties: all ways to read it agree, and what is read survives being written.
pub fn properties(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let properties = Properties::from_wire(&text);
    assert!(properties.len() <= wire_pairs(&text).count());
    for (name, value) in properties.iter().take(50) {
        assert_eq!(find_in_wire(&text, name), Some(value));
        assert_eq!(properties.get(name), Some(value));
    }
    let (mut again, mut bytes) = (String::new(), Vec::new());
    properties.write_wire(&mut again);
    properties.append_wire(&mut bytes);
    assert_eq!((again.as_bytes(), again.len()), (&bytes[..], properties.wire_len()));
    assert_eq!(Properties::from_wire(&again), properties);
    // One more is read as it was written, and hides an older one of its name.
    append_property(&mut bytes, "TAGS", "new");
    let longer = String::from_utf8(bytes).expect("text");
    assert_eq!(Properties::from_wire(&longer).get("TAGS"), Some("new"));
}

/// A compressed body is never larger than its bound, and one of our own is what it was. The first byte has the type and
/// says which of both, the second bounds the body.
pub fn inflate(data: &[u8]) {
    let Some((&[kind, limit], body)) = data.split_first_chunk() else { return };
    let limit = usize::from(limit) * 64;
    let flag = sys_flag::COMPRESSED | i32::from(kind & 7) << 8;
    if kind & 0x80 == 0 {
        if let Ok(inflated) = compress::inflate(flag, body, limit) {
            assert!(inflated.len() <= limit);
            // The bound decides about nothing else.
            assert_eq!(compress::inflate(flag, body, inflated.len()).as_ref(), Ok(&inflated));
            assert_eq!(compress::inflate(flag, body, limit + 1000).as_ref(), Ok(&inflated));
            if let Some(less) = inflated.len().checked_sub(1) {
                assert!(compress::inflate(flag, body, less).is_err());
            }
        }
        return;
    }
    let kinds = [
        Compression::Zlib,
        #[cfg(feature = "lz4")]
        Compression::Lz4,
        #[cfg(feature = "zstd")]
        Compression::Zstd,
    ];
    let compression = kinds[usize::from(kind & 7) % kinds.len()];
    let level = compression.levels().map(|levels| (u32::from(kind >> 3 & 15)).clamp(*levels.start(), *levels.end()));
    // Repeated, so that there is something to gain.
    let body = body.repeat(1 + usize::from(kind & 3) * 8);
    if let Some((deflated, flag)) = compression.deflate(&body, level) {
        assert!(deflated.len() < body.len() && flag & sys_flag::COMPRESSED != 0);
        assert_eq!(compress::inflate(flag, &deflated, body.len()).expect("our own"), body);
        assert!(compress::inflate(flag, &deflated, body.len() - 1).is_err(), "one byte above the bound");
    }
}
