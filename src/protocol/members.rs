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
    at: usize,
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

    /// Passes over the opening brace, unless it is behind.
    pub(super) fn open(&mut self) -> Option<()> {
        if self.at > 0 {
            return Some(());
        }
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

    /// Reads a member with what stands before it, if it is laid out as Java does it and a string without escapes; else
    /// stays.
    #[inline]
    pub(super) fn usual(&mut self) -> Option<(Raw<'a>, Raw<'a>)> {
        let [before, b'"', rest @ ..] = self.bytes.get(self.at..)? else { return None };
        if *before != if self.first { b'{' } else { b',' } {
            return None;
        }
        let (name, rest) = rest.split_at_checked(scan::quote_or_backslash(rest, 0))?;
        let [b'"', b':', b'"', rest @ ..] = rest else { return None };
        let (value, rest) = rest.split_at_checked(scan::quote_or_backslash(rest, 0))?;
        let [b'"', rest @ ..] = rest else { return None };
        self.at = self.bytes.len() - rest.len();
        self.first = false;
        Some((Raw::new(name, false), Raw::new(value, false)))
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
