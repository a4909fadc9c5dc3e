//! Headers as JSON, written by hand into a reused buffer and read in place.
//!
//! Keys are written in the order of Java's output. On receipt any order, unknown keys, nulls and scalars that are not
//! strings are accepted, as Java accepts them.

use std::borrow::Cow;
use std::ops::Range;

use super::fields::{FieldSink, Raw};
use super::frame::{Head, Language};
use super::members::{Kind, Members, Value};
use super::scan;
use crate::error::Result;

/// What a header consists of; ranges point into its bytes.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) code: i32,
    pub(crate) language: Language,
    pub(crate) version: i32,
    pub(crate) opaque: i32,
    pub(crate) flag: i32,
    pub(crate) remark: Range<usize>,
    pub(crate) fields: Range<usize>,
}

/// Writes a header; `put` writes its fields.
pub(crate) fn write(out: &mut Vec<u8>, head: &Head<'_>, put: impl FnOnce(&mut Sink<'_>)) {
    out.extend_from_slice(b"{\"code\":");
    write_number(out, i64::from(head.code));
    let mark = out.len();
    out.extend_from_slice(b",\"extFields\":{");
    put(&mut Sink { out });
    match out.last_mut() {
        // Behind the last field.
        Some(comma @ b',') => *comma = b'}',
        _ => out.truncate(mark),
    }
    if (head.flag, head.language) == (0, Language::RUST) {
        out.extend_from_slice(b",\"flag\":0,\"language\":\"RUST\",\"opaque\":");
    } else {
        out.extend_from_slice(b",\"flag\":");
        write_number(out, i64::from(head.flag));
        out.extend_from_slice(b",\"language\":\"");
        out.extend_from_slice(head.language.name().as_bytes());
        out.extend_from_slice(b"\",\"opaque\":");
    }
    write_number(out, i64::from(head.opaque));
    if let Some(remark) = head.remark {
        out.extend_from_slice(b",\"remark\":\"");
        write_escaped(out, remark);
        out.push(b'"');
    }
    out.extend_from_slice(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    write_number(out, i64::from(head.version));
    out.push(b'}');
}

/// Writes fields as members of an object whose values all are strings, each with a comma behind it.
pub(crate) struct Sink<'a> {
    out: &'a mut Vec<u8>,
}

impl Sink<'_> {
    #[inline]
    fn name(&mut self, name: &str) {
        // Sends are what is written most often, and their names have one letter.
        if let &[letter @ b'a'..=b'z'] = name.as_bytes() {
            self.out.extend_from_slice(&[b'"', letter, b'"', b':', b'"']);
            return;
        }
        self.out.push(b'"');
        write_escaped(self.out, name);
        self.out.extend_from_slice(b"\":\"");
    }
}

impl FieldSink for Sink<'_> {
    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        write_escaped(self.out, value);
        self.out.extend_from_slice(b"\",");
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.name(name);
        self.out.extend_from_slice(if value { b"true\"," } else { b"false\"," });
    }

    fn number(&mut self, name: &str, value: i64) {
        if let (&[letter @ b'a'..=b'z'], 0..=9) = (name.as_bytes(), value) {
            let digit = b'0' + value as u8;
            self.out.extend_from_slice(&[b'"', letter, b'"', b':', b'"', digit, b'"', b',']);
            return;
        }
        self.name(name);
        write_number(self.out, value);
        self.out.extend_from_slice(b"\",");
    }
}

fn write_number(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Escapes what JSON must have escaped; message properties are full of U+0001 and U+0002.
fn write_escaped(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut done = 0;
    loop {
        let at = scan::to_escape(bytes, done);
        out.extend_from_slice(&bytes[done..at]);
        let Some(&byte) = bytes.get(at) else { return };
        done = at + 1;
        match byte {
            0x01 => out.extend_from_slice(b"\\u0001"),
            0x02 => out.extend_from_slice(b"\\u0002"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0C => out.extend_from_slice(b"\\f"),
            _ => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
    }
}

/// Reads a header.
pub(crate) fn read(header: &[u8]) -> Result<Parsed> {
    if let Some(parsed) = read_usual(header) {
        return Ok(parsed);
    }
    let mut members = Members::new(header);
    read_members(header, &mut members).ok_or_else(|| members.error())
}

/// Looks at sixteen bytes at once: short texts are what `contains` is slow for.
fn has_brace(text: &[u8]) -> bool {
    let in_chunk = |chunk: &[u8]| chunk.iter().fold(false, |found, byte| found | (*byte == b'}'));
    let chunks = text.chunks_exact(16);
    let at_the_end = in_chunk(chunks.remainder());
    chunks.fold(at_the_end, |found, chunk| found | in_chunk(chunk))
}

/// Reads a header that is laid out as Java and this crate do it, which is nearly every one; `None` says nothing about the
/// others.
///
/// It starts at the end, and so need not look at the fields: whatever they hold, their strings have no quote without a
/// backslash, so what looks like the members behind them is them. Only that they are all there is before those: something that
/// stands behind them may be what counts, as of two members with one name the last.
fn read_usual(header: &[u8]) -> Option<Parsed> {
    let mut from = Backwards(header);
    from.pass(b"}")?;
    let version = from.integer()?;
    from.pass(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":")?;
    let mut remark = 0..0;
    if from.pass(b"\"").is_some() {
        remark.end = from.0.len();
        from.0 = from.0.get(..=from.0.iter().rposition(|byte| *byte == b'"')?)?;
        remark.start = from.0.len();
        from.pass(b",\"remark\":\"")?;
    }
    let opaque = from.integer()?;
    let mut language = Language::JAVA;
    if from.pass(b",\"language\":\"JAVA\",\"opaque\":").is_none() {
        from.pass(b"\",\"opaque\":")?;
        let name = from.0.iter().rposition(|byte| *byte == b'"')? + 1;
        language = Language::from_name(from.0.get(name..)?);
        from.0 = from.0.get(..name)?;
        from.pass(b",\"language\":\"")?;
    }
    let flag = from.integer()?;
    from.pass(b",\"flag\":")?;
    let digits = from.0.strip_prefix(b"{\"code\":")?;
    let digits = digits.iter().position(|byte| *byte == b',').and_then(|end| digits.get(..end)).unwrap_or(digits);
    let code = i32::try_from(scan::decimal(digits)?).ok()?;
    let mut fields = 0..0;
    if let Some(rest) = from.0.get(b"{\"code\":".len() + digits.len()..).filter(|rest| !rest.is_empty()) {
        let object =
            rest.strip_prefix(b",\"extFields\":").filter(|rest| rest.starts_with(b"{") && rest.ends_with(b"}"))?;
        // Braces may stand within strings, too; such headers are rare and read in the other way.
        (!has_brace(&object[..object.len() - 1])).then_some(())?;
        fields = from.0.len() - object.len()..from.0.len();
    }
    Some(Parsed { code, language, version, opaque, flag, remark, fields })
}

/// The part of a header that is not read yet, from its end.
struct Backwards<'a>(&'a [u8]);

impl Backwards<'_> {
    /// Passes over exactly this text, or stays.
    #[inline]
    fn pass<const N: usize>(&mut self, text: &[u8; N]) -> Option<()> {
        let (rest, last) = self.0.split_last_chunk()?;
        (last == text).then(|| self.0 = rest)
    }

    fn integer(&mut self) -> Option<i32> {
        let start = self.0.iter().rposition(|byte| !matches!(byte, b'0'..=b'9' | b'-'))? + 1;
        let (rest, digits) = self.0.split_at_checked(start)?;
        self.0 = rest;
        i32::try_from(scan::decimal(digits)?).ok()
    }
}

fn read_members(header: &[u8], members: &mut Members<'_>) -> Option<Parsed> {
    let (mut code, mut opaque, mut flag) = (None, None, None);
    let mut parsed =
        Parsed { code: 0, language: Language::JAVA, version: 0, opaque: 0, flag: 0, remark: 0..0, fields: 0..0 };
    members.open()?;
    while members.another()? {
        let name = members.name()?;
        let value = members.value()?;
        match &header[name.range] {
            b"code" => code = Some(members.integer(&value, "code is not an integer")?),
            b"opaque" => opaque = Some(members.integer(&value, "opaque is not an integer")?),
            b"flag" => flag = Some(members.integer(&value, "flag is not an integer")?),
            b"version" if value.kind != Kind::Null => {
                parsed.version = members.integer(&value, "version is not an integer")?;
            }
            b"language" => parsed.language = language(header, &value),
            b"remark" => parsed.remark = value.range,
            b"extFields" if matches!(value.kind, Kind::Object | Kind::Null) => parsed.fields = value.range,
            b"extFields" => return members.fail("extFields is not an object"),
            _ => {}
        }
    }
    parsed.code = code.or_else(|| members.fail("code is missing"))?;
    parsed.opaque = opaque.or_else(|| members.fail("opaque is missing"))?;
    parsed.flag = flag.or_else(|| members.fail("flag is missing"))?;
    Some(parsed)
}

/// A name, or as Java also accepts, a number.
fn language(header: &[u8], value: &Value) -> Language {
    let text = &header[value.range.clone()];
    match value.kind {
        Kind::Null => Language::JAVA,
        Kind::Scalar => scan::decimal(text).map_or(Language::UNKNOWN, Language::from_number),
        _ => Language::from_name(text),
    }
}

/// Iterates over the members of the `extFields` object; nulls are left out.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    members: Members<'a>,
    ended: bool,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(raw: &'a [u8]) -> Fields<'a> {
        Fields { members: Members::new(raw), ended: raw.is_empty() }
    }

    #[inline]
    pub(crate) fn next_raw(&mut self) -> Result<Option<(Raw<'a>, Raw<'a>)>> {
        if self.ended {
            return Ok(None);
        }
        if let Some(member) = self.members.usual() {
            return Ok(Some(member));
        }
        self.step().ok_or_else(|| self.members.error())
    }

    fn step(&mut self) -> Option<Option<(Raw<'a>, Raw<'a>)>> {
        // Whatever ends this early ends the iteration.
        self.ended = true;
        self.members.open()?;
        while self.members.another()? {
            let name = self.members.name()?;
            let value = self.members.value()?;
            if value.kind != Kind::Null {
                self.ended = false;
                return Some(Some((self.members.raw(name), self.members.raw(value))));
            }
        }
        Some(None)
    }
}

/// Undoes JSON escapes; what is not valid is replaced, never refused, for a remark or a field concerns one call only.
pub(crate) fn unescape(raw: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(raw);
    if scan::quote_or_backslash(raw, 0) == raw.len() {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            out.push(char);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{C}'),
            Some('u') => out.push(unescape_unit(&mut chars)),
            Some(other) => out.push(other),
            None => out.push(char::REPLACEMENT_CHARACTER),
        }
    }
    Cow::Owned(out)
}

/// Reads the four digits after `\u`, and for a high surrogate the low one that must follow.
fn unescape_unit(chars: &mut std::str::Chars<'_>) -> char {
    let Some(unit) = hex4(chars) else { return char::REPLACEMENT_CHARACTER };
    if !(0xD800..0xDC00).contains(&unit) {
        return char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
    }
    let mut ahead = chars.clone();
    if let (Some('\\'), Some('u')) = (ahead.next(), ahead.next()) {
        if let Some(low @ 0xDC00..=0xDFFF) = hex4(&mut ahead) {
            *chars = ahead;
            return char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
                .unwrap_or(char::REPLACEMENT_CHARACTER);
        }
    }
    char::REPLACEMENT_CHARACTER
}

fn hex4(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit << 4 | chars.next()?.to_digit(16)?))
}

#[cfg(test)]
mod tests;
