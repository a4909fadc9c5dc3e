//! Stepping through the text of JSON headers in place: nothing is built, ranges are returned.

use std::ops::Range;

use super::fields::Raw;
use super::scan;
use crate::error::Error;

/// Deeper nesting than this in an unknown value is refused; real headers have one level.
pub(super) const MAX_DEPTH: usize = 32;

/// A name or a value; its range excludes quotes, and includes braces and brackets. That of null is empty.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) kind: Kind,
    pub(super) range: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    /// A string without escapes.
    Plain,
    /// A string with escapes.
    Escaped,
    /// A number, `true` or `false`.
    Scalar,
    Object,
    Array,
}

/// Steps through the members of one object: [`another`](Members::another), name, value, and again.
///
/// `None` means that the text is wrong; [`error`](Members::error) says how.
#[derive(Debug, Clone)]
pub(super) struct Members<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
    first: bool,
    problem: &'static str,
}

impl<'a> Members<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Members<'a> {
        Members { bytes, at: 0, first: true, problem: "" }
    }

    pub(super) fn error(&self) -> Error {
        Error::malformed(format!("JSON header, byte {}: {}", self.at, self.problem))
    }

    #[cold]
    pub(super) fn fail<T>(&mut self, problem: &'static str) -> Option<T> {
        self.problem = problem;
        None
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
    fn expect(&mut self, byte: u8, problem: &'static str) -> Option<()> {
        if self.peek() != Some(byte) {
            return self.fail(problem);
        }
        self.at += 1;
        Some(())
    }

    pub(super) fn open(&mut self) -> Option<()> {
        self.expect(b'{', "not an object")
    }

    /// Returns whether there is another member; at the closing brace there is not.
    #[inline]
    pub(super) fn another(&mut self) -> Option<bool> {
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Some(false);
        }
        if !std::mem::take(&mut self.first) {
            self.expect(b',', "a comma or closing brace expected")?;
        }
        Some(true)
    }

    #[inline]
    pub(super) fn name(&mut self) -> Option<Value> {
        self.expect(b'"', "a name expected")?;
        let name = self.string_rest()?;
        self.expect(b':', "a colon expected")?;
        Some(name)
    }

    /// Passes over a string whose opening quote is behind, and returns what is between the quotes.
    #[inline]
    fn string_rest(&mut self) -> Option<Value> {
        let start = self.at;
        let mut kind = Kind::Plain;
        loop {
            let at = scan::quote_or_backslash(self.bytes, self.at);
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Some(Value { kind, range: start..at });
                }
                Some(_) => {
                    kind = Kind::Escaped;
                    self.at = at + 2;
                }
                None => return self.fail("a string without an end"),
            }
        }
    }

    #[inline]
    pub(super) fn value(&mut self) -> Option<Value> {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                self.string_rest()
            }
            Some(b'{') => self.nested().map(|range| Value { kind: Kind::Object, range }),
            Some(b'[') => self.nested().map(|range| Value { kind: Kind::Array, range }),
            _ => self.scalar(),
        }
    }

    fn scalar(&mut self) -> Option<Value> {
        let start = self.at;
        while let Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.') = self.bytes.get(self.at) {
            self.at += 1;
        }
        match self.bytes.get(start..self.at) {
            None | Some(b"") => self.fail("a value expected"),
            Some(b"null") => Some(Value { kind: Kind::Null, range: 0..0 }),
            Some(_) => Some(Value { kind: Kind::Scalar, range: start..self.at }),
        }
    }

    /// Passes over an object or array, minding only strings and depth: the inside is read when it is asked for.
    fn nested(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let mut depth = 0;
        while let Some(&byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => drop(self.string_rest()?),
                b'{' | b'[' => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return self.fail("nested too deeply");
                    }
                }
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(start..self.at);
                    }
                }
                _ => {}
            }
        }
        self.fail("a bracket without its partner")
    }

    /// Reads an integer, which may stand in quotes.
    #[inline]
    pub(super) fn integer(&mut self, value: &Value, problem: &'static str) -> Option<i32> {
        let number = match value.kind {
            Kind::Plain | Kind::Scalar => scan::decimal(&self.bytes[value.range.clone()]),
            _ => None,
        };
        match number.map(i32::try_from) {
            Some(Ok(number)) => Some(number),
            _ => self.fail(problem),
        }
    }

    pub(super) fn raw(&self, value: Value) -> Raw<'a> {
        Raw::new(&self.bytes[value.range], value.kind == Kind::Escaped)
    }
}

/// Steps through text that is expected to be laid out in one way.
#[derive(Debug)]
pub(super) struct Literal<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Literal<'a> {
    /// Passes over exactly this text, or stays.
    #[inline]
    pub(super) fn pass<const N: usize>(&mut self, text: &[u8; N]) -> Option<()> {
        if self.bytes.get(self.at..)?.first_chunk() != Some(text) {
            return None;
        }
        self.at += N;
        Some(())
    }

    /// Passes over a string without escapes, whose opening quote is behind.
    #[inline]
    pub(super) fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let end = scan::quote_or_backslash(self.bytes, start);
        if *self.bytes.get(end)? != b'"' {
            return None;
        }
        self.at = end + 1;
        Some(start..end)
    }

    /// Reads an integer.
    #[inline]
    pub(super) fn integer(&mut self) -> Option<i32> {
        let negative = self.pass(b"-").is_some();
        let start = self.at;
        let mut value = 0i64;
        while let Some(&digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
            self.at += 1;
        }
        // What wrapped has more digits.
        if !(1..=10).contains(&(self.at - start)) {
            return None;
        }
        i32::try_from(if negative { -value } else { value }).ok()
    }
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
    pub(super) fn of(bytes: &[u8], at: usize) -> Option<(Index, usize)> {
        // So every position below fits.
        u16::try_from(bytes.len()).ok()?;
        let mut index = Index::default();
        let mut from = Literal { bytes, at };
        from.pass(b"{\"")?;
        for span in &mut index.spans {
            let name = from.string()?;
            from.pass(b":\"")?;
            let value = from.string()?;
            let short = |range: Range<usize>| (range.start as u16, range.end as u16);
            *span = Span { name: short(name), value: short(value) };
            index.len += 1;
            if from.pass(b",\"").is_none() {
                from.pass(b"}")?;
                return Some((index, from.at));
            }
        }
        None
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
