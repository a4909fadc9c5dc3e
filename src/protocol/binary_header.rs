//! Headers in Java's `ROCKETMQ` serialization.
//!
//! `i16 code | u8 language | i16 version | i32 opaque | i32 flag | i32 + remark | i32 + entries`, each entry
//! `i16 + key | i32 + value`. Lengths are signed in Java and checked here against the bytes that are left.

use byteorder::{BigEndian, ByteOrder};

use super::fields::{FieldSink, Raw};
use super::frame::{Head, Language};
use super::json_header::Parsed;
use crate::error::{Error, Result};

/// Everything before the remark's bytes.
const FIXED: usize = 17;

/// Writes a header; `put` writes its fields. The code fits 16 bits: larger ones are sent as JSON.
pub(crate) fn write(out: &mut Vec<u8>, head: &Head<'_>, put: impl FnOnce(&mut Sink<'_>)) {
    out.extend_from_slice(&(head.code as i16).to_be_bytes());
    out.push(head.language.0);
    out.extend_from_slice(&(head.version as i16).to_be_bytes());
    out.extend_from_slice(&head.opaque.to_be_bytes());
    out.extend_from_slice(&head.flag.to_be_bytes());
    let remark = head.remark.unwrap_or_default();
    out.extend_from_slice(&(remark.len() as u32).to_be_bytes());
    out.extend_from_slice(remark.as_bytes());
    let mark = out.len();
    out.extend_from_slice(&[0; 4]);
    put(&mut Sink { out });
    let len = (out.len() - mark - 4) as u32;
    BigEndian::write_u32(&mut out[mark..], len);
}

/// Writes fields as length-prefixed pairs.
pub(crate) struct Sink<'a> {
    out: &'a mut Vec<u8>,
}

impl FieldSink for Sink<'_> {
    fn text(&mut self, name: &str, value: &str) {
        self.out.extend_from_slice(&(name.len() as u16).to_be_bytes());
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(&(value.len() as u32).to_be_bytes());
        self.out.extend_from_slice(value.as_bytes());
    }

    fn number(&mut self, name: &str, value: i64) {
        self.text(name, itoa::Buffer::new().format(value));
    }
}

/// Reads a header; bytes behind the entries are tolerated.
pub(crate) fn read(header: &[u8]) -> Result<Parsed> {
    if header.len() < FIXED + 4 {
        return Err(Error::malformed(format!("a binary header of {} bytes; it has at least 21", header.len())));
    }
    let remark = section(header, FIXED - 4, "remark")?;
    let fields = section(header, remark.end, "fields")?;
    Ok(Parsed {
        code: i32::from(BigEndian::read_i16(header)),
        language: Language(header[2]),
        version: i32::from(BigEndian::read_i16(&header[3..])),
        opaque: BigEndian::read_i32(&header[5..]),
        flag: BigEndian::read_i32(&header[9..]),
        remark,
        fields,
    })
}

/// Returns where the bytes lie whose i32 length stands at `at`.
fn section(bytes: &[u8], at: usize, what: &str) -> Result<std::ops::Range<usize>> {
    let left = bytes.len().saturating_sub(at + 4);
    let len = bytes.get(at..at + 4).map(BigEndian::read_i32);
    match len.and_then(|len| usize::try_from(len).ok()) {
        Some(len) if len <= left => Ok(at + 4..at + 4 + len),
        _ => Err(Error::malformed(format!("binary header: {what} of {} bytes with {left} left", len.unwrap_or(-1)))),
    }
}

/// Iterates over the entries; empty values are left out, for this form cannot tell them from absent ones: Java reads them
/// as null.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    raw: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(raw: &'a [u8]) -> Fields<'a> {
        Fields { raw }
    }

    pub(crate) fn next_raw(&mut self) -> Result<Option<(Raw<'a>, Raw<'a>)>> {
        while !self.raw.is_empty() {
            // Whatever ends this early ends the iteration.
            let raw = std::mem::take(&mut self.raw);
            let name_len = raw.first_chunk().map(|len| usize::from(u16::from_be_bytes(*len)));
            let name = name_len.and_then(|len| raw.get(2..2 + len));
            let (Some(name_len), Some(name)) = (name_len, name) else {
                return Err(Error::malformed("binary header: a field's name is cut off"));
            };
            let value = section(raw, 2 + name_len, "a value")?;
            self.raw = &raw[value.end..];
            if !value.is_empty() {
                return Ok(Some((Raw::new(name, false), Raw::new(&raw[value], false))));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::protocol::frame::{Frame, HeaderKind, decode_whole};
    use crate::protocol::golden::vector;

    fn frame(header: &[u8]) -> Result<Frame> {
        Frame::decode(HeaderKind::Binary, bytes::Bytes::copy_from_slice(header), header.len())
    }

    fn header_of(name: &str) -> Vec<u8> {
        let bytes = vector(name).bytes;
        bytes[8..8 + BigEndian::read_u24(&bytes[5..]) as usize].to_vec()
    }

    #[test]
    fn a_header_cut_anywhere_is_an_error() {
        for name in ["frame_rmq_send_v2", "frame_rmq_response", "frame_rmq_request_no_ext"] {
            let header = header_of(name);
            assert!(frame(&header).is_ok());
            for cut in crate::sampled(0..header.len()) {
                assert!(matches!(frame(&header[..cut]), Err(Error::Malformed { .. })), "{name} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_damaged_byte_never_panics() {
        for name in ["frame_rmq_send_v2", "frame_rmq_response"] {
            let header = header_of(name);
            for at in crate::sampled(0..header.len()) {
                for byte in crate::sampled(0..=255) {
                    let mut damaged = header.clone();
                    damaged[at] = byte;
                    let Ok(frame) = frame(&damaged) else { continue };
                    let _ = (frame.remark(), frame.fields().count(), frame.field("b"), frame.body());
                    let _ = frame.header::<crate::protocol::rpc::send::SendMessage>();
                }
            }
        }
    }

    #[test]
    fn lengths_that_are_negative_or_too_long_are_errors_that_name_the_part() {
        let header = header_of("frame_rmq_response");
        let entries = 17 + 14;
        for (at, value, what) in
            [(13, -1, "remark"), (13, 15 + 4, "remark"), (entries, -1, "fields"), (entries, 1, "fields")]
        {
            let mut wrong = header.clone();
            BigEndian::write_i32(&mut wrong[at..], value);
            let error = frame(&wrong).unwrap_err().to_string();
            assert!(error.contains(what) && error.contains(&value.to_string()), "{error}");
        }
    }

    #[test]
    fn bytes_behind_the_entries_are_skipped() {
        let mut header = header_of("frame_rmq_request");
        header.extend_from_slice(b"more");
        let frame = frame(&header).unwrap();
        assert_eq!(frame.field("topic").as_deref(), Some("TopicTest"));
        assert_eq!(frame.fields().count(), 1);
    }

    #[test]
    fn empty_values_are_absent_as_in_java_and_other_text_is_repaired() {
        let mut header = header_of("frame_rmq_request_no_ext");
        for (name, value) in [(&b"offset"[..], &b""[..]), (b"topic", b"a\xFFb"), (b"", b"x")] {
            let mut entry = (name.len() as u16).to_be_bytes().to_vec();
            entry.extend_from_slice(name);
            entry.extend_from_slice(&(value.len() as u32).to_be_bytes());
            entry.extend_from_slice(value);
            header.extend_from_slice(&entry);
        }
        let len = header.len() as u32 - 21;
        BigEndian::write_u32(&mut header[17..], len);
        let frame = frame(&header).unwrap();
        let fields: Vec<_> = frame.fields().map(Result::unwrap).collect();
        assert_eq!(fields, [("topic".into(), "a\u{FFFD}b".into()), (Cow::from(""), Cow::from("x"))]);
        let reply = frame.header::<crate::protocol::rpc::offset::ConsumerOffsetReply>().unwrap();
        assert_eq!(reply.offset, None);
    }

    #[test]
    fn negative_codes_and_unknown_languages_are_values() {
        let mut header = header_of("frame_rmq_response");
        BigEndian::write_i16(&mut header, -7);
        header[2] = 200;
        let frame = frame(&header).unwrap();
        assert_eq!((frame.code, frame.language.0), (-7, 200));
        assert!(decode_whole(&vector("frame_rmq_response").bytes).is_ok());
    }
}
