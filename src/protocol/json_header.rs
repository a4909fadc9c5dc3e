//! Headers as JSON, written by hand into a reused buffer and read in place.
//!
//! Keys are written in the order of Java's output. On receipt any order, unknown keys, nulls and scalars that are not
//! strings are accepted, as Java accepts them.

use std::borrow::Cow;
use std::ops::Range;

use super::fields::{FieldSink, Raw};
use super::frame::{Head, Language};
use super::scan;
use crate::error::{Error, Result};

/// Deeper nesting than this in an unknown value is refused; real headers have one level.
const MAX_DEPTH: usize = 32;

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
    pub(crate) index: Index,
}

/// Where the fields of a header stand, noted while it is read so that they need not be looked for again. Only of headers
/// as Java and this crate write them, whose fields are a few strings without escapes and without space between them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    spans: [Span; Index::MOST],
    len: usize,
}

/// Positions in the header, which is below 64 KiB if it has an index.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    name: (u16, u16),
    value: (u16, u16),
}

impl Index {
    /// As many as the answer to a send has, and a few more.
    const MOST: usize = 12;

    /// Reads the object that starts at `at`, and returns also where it ends.
    fn of(bytes: &[u8], mut at: usize) -> Option<(Index, usize)> {
        let mut index = Index::default();
        loop {
            at += 1;
            let name = (at + 1, scan::quote_or_backslash(bytes, at + 1));
            let value = (name.1 + 3, scan::quote_or_backslash(bytes, name.1 + 3));
            if *bytes.get(at)? != b'"' || bytes.get(name.1..value.0)? != b"\":\"" || *bytes.get(value.1)? != b'"' {
                return None;
            }
            let span = index.spans.get_mut(index.len)?;
            let short = |at: usize| u16::try_from(at).ok();
            *span = Span { name: (short(name.0)?, short(name.1)?), value: (short(value.0)?, short(value.1)?) };
            index.len += 1;
            at = value.1 + 1;
            match bytes.get(at)? {
                b',' => {}
                b'}' => return Some((index, at + 1)),
                _ => return None,
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns a field of the header that the index was made of, by its number.
    pub(crate) fn field<'a>(&self, header: &'a [u8], number: usize) -> Option<(Raw<'a>, Raw<'a>)> {
        let raw = |(start, end): (u16, u16)| Some(Raw::new(header.get(usize::from(start)..usize::from(end))?, false));
        let span = self.spans.get(number).filter(|_| number < self.len)?;
        Some((raw(span.name)?, raw(span.value)?))
    }
}

/// Writes a header; `put` writes its fields.
pub(crate) fn write(out: &mut Vec<u8>, head: &Head<'_>, put: impl FnOnce(&mut Sink<'_>)) {
    out.extend_from_slice(b"{\"code\":");
    write_number(out, i64::from(head.code));
    let mark = out.len();
    out.extend_from_slice(b",\"extFields\":{");
    let mut sink = Sink { out, first: true };
    put(&mut sink);
    if sink.first {
        out.truncate(mark);
    } else {
        out.push(b'}');
    }
    out.extend_from_slice(b",\"flag\":");
    write_number(out, i64::from(head.flag));
    out.extend_from_slice(b",\"language\":\"");
    out.extend_from_slice(head.language.name().as_bytes());
    out.extend_from_slice(b"\",\"opaque\":");
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

/// Writes fields as members of an object whose values all are strings.
pub(crate) struct Sink<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl Sink<'_> {
    fn name(&mut self, name: &str) {
        if self.first {
            self.first = false;
            self.out.push(b'"');
        } else {
            self.out.extend_from_slice(b",\"");
        }
        write_escaped(self.out, name);
        self.out.extend_from_slice(b"\":\"");
    }
}

impl FieldSink for Sink<'_> {
    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        write_escaped(self.out, value);
        self.out.push(b'"');
    }

    fn number(&mut self, name: &str, value: i64) {
        self.name(name);
        write_number(self.out, value);
        self.out.push(b'"');
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
    let mut members = Members::new(header);
    let (mut code, mut opaque, mut flag) = (None, None, None);
    let mut parsed = Parsed {
        code: 0,
        language: Language::JAVA,
        version: 0,
        opaque: 0,
        flag: 0,
        remark: 0..0,
        fields: 0..0,
        index: Index::default(),
    };
    members.open()?;
    while let Some(name) = members.next_name()? {
        let name = &header[name.range];
        if name == b"extFields" {
            if let Some((index, end)) = Index::of(header, members.at) {
                (parsed.fields, parsed.index) = (members.at..end, index);
                members.at = end;
                continue;
            }
        }
        let value = members.value()?;
        match name {
            b"code" => code = Some(members.integer("code", &value)?),
            b"opaque" => opaque = Some(members.integer("opaque", &value)?),
            b"flag" => flag = Some(members.integer("flag", &value)?),
            b"version" if !value.is_null() => parsed.version = members.integer("version", &value)?,
            b"language" => parsed.language = members.language(&value),
            b"remark" => parsed.remark = value.text_range(),
            b"extFields" => {
                parsed.index = Index::default();
                parsed.fields = match value {
                    Value::Object(range) => range,
                    Value::Null => 0..0,
                    _ => return Err(members.wrong("extFields is not an object")),
                };
            }
            _ => {}
        }
    }
    let present =
        |value: Option<i32>, name| value.ok_or_else(|| Error::malformed(format!("JSON header without {name}")));
    parsed.code = present(code, "code")?;
    parsed.opaque = present(opaque, "opaque")?;
    parsed.flag = present(flag, "flag")?;
    Ok(parsed)
}

/// What stands between two quotes, still escaped.
#[derive(Debug, Clone)]
struct Text {
    range: Range<usize>,
    has_escapes: bool,
}

/// A value found by the scanner; ranges exclude quotes, and include braces and brackets.
#[derive(Debug, Clone)]
enum Value {
    Null,
    String(Text),
    /// A number, `true` or `false`.
    Scalar(Range<usize>),
    Object(Range<usize>),
    Array(Range<usize>),
}

impl Value {
    fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    fn text_range(&self) -> Range<usize> {
        match self {
            Value::Null => 0..0,
            Value::String(text) => text.range.clone(),
            Value::Scalar(range) | Value::Object(range) | Value::Array(range) => range.clone(),
        }
    }
}

/// Steps through the members of one object.
#[derive(Debug, Clone)]
struct Members<'a> {
    bytes: &'a [u8],
    at: usize,
    first: bool,
}

impl<'a> Members<'a> {
    fn new(bytes: &'a [u8]) -> Members<'a> {
        Members { bytes, at: 0, first: true }
    }

    #[cold]
    fn wrong(&self, what: &str) -> Error {
        Error::malformed(format!("JSON header, byte {}: {what}", self.at))
    }

    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.peek() != Some(byte) {
            return Err(self.wrong(&format!("{:?} expected", char::from(byte))));
        }
        self.at += 1;
        Ok(())
    }

    fn open(&mut self) -> Result<()> {
        self.expect(b'{')
    }

    /// Returns the name of the next member, or `None` at the closing brace; the value must be read before the next.
    #[inline]
    fn next_name(&mut self) -> Result<Option<Text>> {
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(None);
        }
        if !self.first {
            self.expect(b',')?;
        }
        self.first = false;
        self.expect(b'"')?;
        let name = self.string_rest()?;
        self.expect(b':')?;
        Ok(Some(name))
    }

    /// Passes over a string whose opening quote is behind, and returns what is between the quotes.
    fn string_rest(&mut self) -> Result<Text> {
        let start = self.at;
        let mut has_escapes = false;
        loop {
            let at = scan::quote_or_backslash(self.bytes, self.at);
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(Text { range: start..at, has_escapes });
                }
                Some(_) => {
                    has_escapes = true;
                    self.at = at + 2;
                }
                None => return Err(self.wrong("a string without an end")),
            }
        }
    }

    fn value(&mut self) -> Result<Value> {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                self.string_rest().map(Value::String)
            }
            Some(b'{') => self.nested().map(Value::Object),
            Some(b'[') => self.nested().map(Value::Array),
            Some(_) => {
                let start = self.at;
                while let Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.') = self.bytes.get(self.at) {
                    self.at += 1;
                }
                match &self.bytes[start..self.at] {
                    b"" => Err(self.wrong("a value expected")),
                    b"null" => Ok(Value::Null),
                    _ => Ok(Value::Scalar(start..self.at)),
                }
            }
            None => Err(self.wrong("a value expected")),
        }
    }

    /// Passes over an object or array, minding only strings and depth: the inside is read when it is asked for.
    fn nested(&mut self) -> Result<Range<usize>> {
        let start = self.at;
        let mut depth = 0;
        while let Some(&byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => {
                    self.string_rest()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Err(self.wrong("nested too deeply"));
                    }
                }
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(start..self.at);
                    }
                }
                _ => {}
            }
        }
        Err(self.wrong("a bracket without its partner"))
    }

    fn integer(&self, name: &str, value: &Value) -> Result<i32> {
        let number = match value {
            Value::String(_) | Value::Scalar(_) => scan::decimal(&self.bytes[value.text_range()]),
            _ => None,
        };
        let number = number.and_then(|number| i32::try_from(number).ok());
        number.ok_or_else(|| self.wrong(&format!("{name} is not an integer")))
    }

    /// A name, or as Java also accepts, a number.
    fn language(&self, value: &Value) -> Language {
        let text = &self.bytes[value.text_range()];
        match value {
            Value::Null => Language::JAVA,
            Value::Scalar(_) => scan::decimal(text).map_or(Language::UNKNOWN, Language::from_number),
            _ => Language::from_name(text),
        }
    }
}

/// Iterates over the members of the `extFields` object; nulls are left out.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    members: Members<'a>,
    opened: bool,
    ended: bool,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(raw: &'a [u8]) -> Fields<'a> {
        Fields { members: Members::new(raw), opened: false, ended: raw.is_empty() }
    }

    pub(crate) fn next_raw(&mut self) -> Result<Option<(Raw<'a>, Raw<'a>)>> {
        if self.ended {
            return Ok(None);
        }
        // Whatever ends this early ends the iteration.
        self.ended = true;
        if !self.opened {
            self.opened = true;
            self.members.open()?;
        }
        let bytes = self.members.bytes;
        while let Some(name) = self.members.next_name()? {
            let value = self.members.value()?;
            let has_escapes = match &value {
                Value::Null => continue,
                Value::String(text) => text.has_escapes,
                // Inside an object or array are strings of its own.
                Value::Scalar(_) | Value::Object(_) | Value::Array(_) => false,
            };
            self.ended = false;
            let name = Raw::new(&bytes[name.range], name.has_escapes);
            return Ok(Some((name, Raw::new(&bytes[value.text_range()], has_escapes))));
        }
        Ok(None)
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
