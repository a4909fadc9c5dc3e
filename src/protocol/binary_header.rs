//! Headers in Java's `ROCKETMQ` serialization.
//!
//! `i16 code | u8 language | i16 version | i32 opaque | i32 flag | i32 + remark | i32 + entries`, each entry
//! `i16 + key | i32 + value`. Lengths are signed in Java and checked here against the bytes that are left.

use std::borrow::Cow;

use byteorder::{BigEndian, ByteOrder};

use super::fields::FieldSink;
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

/// Iterates over the entries.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    raw: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(raw: &'a [u8]) -> Fields<'a> {
        Fields { raw }
    }

    fn step(&mut self) -> Result<(Cow<'a, str>, Cow<'a, str>)> {
        let raw = self.raw;
        let name_len = raw.get(..2).map(|len| usize::from(BigEndian::read_u16(len)));
        let name = name_len.and_then(|len| raw.get(2..2 + len));
        let (Some(name_len), Some(name)) = (name_len, name) else {
            return Err(Error::malformed("binary header: a field's name is cut off"));
        };
        let value = section(raw, 2 + name_len, "a value")?;
        self.raw = &raw[value.end..];
        Ok((String::from_utf8_lossy(name), String::from_utf8_lossy(&raw[value])))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(Cow<'a, str>, Cow<'a, str>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.raw.is_empty() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.raw = &[];
        }
        Some(step)
    }
}
