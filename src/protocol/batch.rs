//! The body of a batch: messages one after another, without topic or queue.
//!
//! `i32 size | i32 0 | i32 0 | i32 flag | i32 + body | i16 + properties`, as sent under code 320 and as found inside an
//! inner batch.

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
    let mut at = 0;
    let cut = |item: Item| {
        let start = at;
        at += FIXED + item.body.len() + item.properties.len();
        data.slice(start..at)
    };
    Ok(decode(data)?.into_iter().map(cut).collect())
}

/// Reads all messages of a batch body.
pub(crate) fn decode(data: &Bytes) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut at = 0;
    while at < data.len() {
        let wrong = || Error::malformed(format!("batch: message {} does not fit its body", items.len() + 1));
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
        items.push(Item {
            flag: BigEndian::read_i32(&record[12..]),
            body: data.slice(at + 20..at + after_body),
            properties: data.slice(at + after_body + 2..at + end),
        });
        at += size;
    }
    Ok(items)
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
}
