//! The body of a batch: messages one after another, without topic or queue.
//!
//! `i32 size | i32 0 | i32 0 | i32 flag | i32 + body | i16 + properties`, as sent under code 320 and as found inside an
//! inner batch.

use std::ops::Range;

use byteorder::{BigEndian, ByteOrder};
use bytes::Bytes;

use crate::error::{Error, Result};

/// Everything but body and properties.
pub(crate) const FIXED: usize = 22;

/// Appends one message; `properties` are their wire text of at most 32 767 bytes, which the caller has checked.
pub(crate) fn encode(out: &mut Vec<u8>, flag: i32, body: &[u8], properties: &str) {
    encode_with(out, flag, body, |out| out.extend_from_slice(properties.as_bytes()));
}

/// As [`encode`], for properties that `properties` appends.
pub(crate) fn encode_with(out: &mut Vec<u8>, flag: i32, body: &[u8], properties: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 12]);
    out.extend_from_slice(&flag.to_be_bytes());
    out.extend_from_slice(&(body.len() as u32).to_be_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(&[0; 2]);
    let text = out.len();
    properties(out);
    let (size, properties_len) = (out.len() - start, out.len() - text);
    BigEndian::write_u16(&mut out[text - 2..], properties_len as u16);
    BigEndian::write_u32(&mut out[start..], size as u32);
}

/// One message of a batch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) flag: i32,
    pub(crate) body: Bytes,
    pub(crate) properties: Bytes,
}

/// Cuts a batch body into its messages, which stay encoded.
pub(crate) fn encoded(data: &Bytes) -> Result<Vec<Bytes>> {
    let mut messages = Vec::new();
    each(data, |range, _| messages.push(data.slice(range)))?;
    Ok(messages)
}

/// Reads all messages of a batch body.
pub(crate) fn decode(data: &Bytes) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    each(data, |_, item| items.push(item))?;
    Ok(items)
}

/// Goes over the messages. One may be longer than what is in it: its size says where the next begins.
fn each(data: &Bytes, mut found: impl FnMut(Range<usize>, Item)) -> Result<()> {
    let (mut at, mut count) = (0, 0);
    while at < data.len() {
        count += 1;
        let wrong = || Error::malformed(format!("batch: message {count} does not fit its body"));
        let rest = &data[at..];
        let size = rest.get(..4).map(BigEndian::read_u32).ok_or_else(wrong)? as usize;
        let record = rest.get(..size).filter(|record| record.len() >= FIXED).ok_or_else(wrong)?;
        let body_len = BigEndian::read_u32(&record[16..]) as usize;
        let after_body = 20usize.checked_add(body_len).filter(|end| end + 2 <= size).ok_or_else(wrong)?;
        let properties_len = usize::from(BigEndian::read_u16(&record[after_body..]));
        let end = after_body + 2 + properties_len;
        if end > size {
            return Err(wrong());
        }
        let item = Item {
            flag: BigEndian::read_i32(&record[12..]),
            body: data.slice(at + 20..at + after_body),
            properties: data.slice(at + after_body + 2..at + end),
        };
        found(at..at + size, item);
        at += size;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_cut_anywhere_is_an_error_and_never_a_panic() {
        let mut body = Vec::new();
        encode(&mut body, 0, b"m1", "a\u{1}b\u{2}");
        encode(&mut body, 5, b"", "");
        assert_eq!(decode(&Bytes::from(body.clone())).unwrap().len(), 2);
        let boundary = FIXED + 2 + 4;
        for cut in (1..body.len()).filter(|cut| *cut != boundary) {
            assert!(decode(&Bytes::copy_from_slice(&body[..cut])).is_err(), "cut at {cut}");
        }
        for at in 0..body.len() {
            let mut damaged = body.clone();
            damaged[at] = 0xFF;
            let _ = decode(&Bytes::from(damaged));
        }
    }

    #[test]
    fn a_message_longer_than_what_is_in_it_is_cut_where_the_next_begins() {
        let mut body = Vec::new();
        encode(&mut body, 1, b"m1", "");
        body.extend_from_slice(b"slack");
        let size = body.len() as u32;
        BigEndian::write_u32(&mut body, size);
        encode(&mut body, 2, b"m2", "a\u{1}b\u{2}");
        let body = Bytes::from(body);
        let items = decode(&body).unwrap();
        let cut = encoded(&body).unwrap();
        assert_eq!((items.len(), cut.len(), cut.concat().len()), (2, 2, body.len()));
        for (item, cut) in items.iter().zip(&cut) {
            assert_eq!(decode(cut).unwrap(), std::slice::from_ref(item));
        }
    }
}
