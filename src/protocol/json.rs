//! Bodies that are JSON, read with all the tolerance that old servers need.
//!
//! Java's fastjson writes maps with bare numbers or whole objects as keys: `{0:"a"}`, `{{"queueId":0}:5}`. What serde
//! cannot read is rewritten once: each such key becomes a string that holds its text, members that are null are left out,
//! and so is `$ref`, with which fastjson names an object it has written before: such an object counts as empty.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::Error;

/// No real body has more than a few levels.
const MAX_DEPTH: usize = 64;
/// Objects as keys within such keys: each level doubles what has to be escaped, and no real body has a second one.
const MAX_KEY_DEPTH: usize = 2;
/// The most entries of one list: an entry of a few bytes becomes one of a hundred, and limits are looked at afterwards.
/// Fewer for the tests under Miri, so that one can have more in time.
pub(crate) const MOST_IN_BODY: usize = if cfg!(all(test, miri)) { 1_000 } else { 262_144 };

/// Reads a body, named `what` in errors.
pub(crate) fn decode<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, Error> {
    let first = match serde_json::from_slice(body) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let wrong = |error: &dyn std::fmt::Display| Error::malformed(format!("{what}: {error}"));
    let Some(standard) = standardize(body) else { return Err(wrong(&first)) };
    serde_json::from_slice(&standard).map_err(|error| wrong(&error))
}

/// Writes a body. The types of this crate have no maps with keys that are not text, so it cannot fail.
pub(crate) fn encode<T: Serialize>(body: &T) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}

/// Reads an integer that may stand in quotes: in its standard form fastjson writes those beyond 2^53 so. For
/// `#[serde(deserialize_with)]`.
pub(crate) fn integer<'de, D: Deserializer<'de>, T: TryFrom<i64>>(from: D) -> Result<T, D::Error> {
    struct Integer<T>(PhantomData<T>);

    impl<T: TryFrom<i64>> Integer<T> {
        fn fit<E: de::Error>(value: i64) -> Result<T, E> {
            T::try_from(value).map_err(|_| E::custom(format!("{value} is out of range")))
        }
    }

    impl<T: TryFrom<i64>> Visitor<'_> for Integer<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an integer, or one in quotes")
        }

        fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
            Integer::fit(value)
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<T, E> {
            i64::try_from(value).map_err(E::custom).and_then(Integer::fit)
        }

        fn visit_str<E: de::Error>(self, value: &str) -> Result<T, E> {
            value.trim().parse().map_err(E::custom).and_then(Integer::fit)
        }
    }

    from.deserialize_any(Integer(PhantomData))
}

/// Reads a list of at most [`MOST_IN_BODY`] entries. For `#[serde(deserialize_with)]`.
pub(crate) fn bounded<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    struct Bounded<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MOST_IN_BODY}")
        }

        fn visit_unit<E: de::Error>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut from: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(entry) = from.next_element()? {
                if list.len() == MOST_IN_BODY {
                    return Err(de::Error::custom(format_args!("a list of more than {MOST_IN_BODY}")));
                }
                list.push(entry);
            }
            Ok(list)
        }
    }

    from.deserialize_any(Bounded(PhantomData))
}

/// Turns keys that are not strings into strings; `None` when the text is not even roughly JSON.
fn standardize(body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len() + body.len() / 8);
    let mut rewriter = Rewriter { bytes: body, at: 0, keys: 0 };
    rewriter.value(&mut out, 0)?;
    Some(out)
}

struct Rewriter<'a> {
    bytes: &'a [u8],
    at: usize,
    /// How many keys the place lies in.
    keys: usize,
}

impl Rewriter<'_> {
    fn peek(&mut self) -> Option<u8> {
        while self.bytes.get(self.at)?.is_ascii_whitespace() {
            self.at += 1;
        }
        Some(self.bytes[self.at])
    }

    fn value(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.peek()? {
            b'{' => self.items(out, b'}', |rewriter, out| rewriter.member(out, depth + 1))?,
            b'[' => self.items(out, b']', |rewriter, out| rewriter.value(out, depth + 1).map(|()| true))?,
            b'"' => out.extend_from_slice(self.string()?),
            _ => out.extend_from_slice(self.bare()),
        }
        Some(())
    }

    /// Writes what stands between two brackets; `item` says whether what it wrote is to be kept.
    fn items(
        &mut self,
        out: &mut Vec<u8>,
        close: u8,
        mut item: impl FnMut(&mut Self, &mut Vec<u8>) -> Option<bool>,
    ) -> Option<()> {
        out.push(self.bytes[self.at]);
        self.at += 1;
        let mut separator = false;
        loop {
            match self.peek()? {
                byte if byte == close => {
                    self.at += 1;
                    out.push(close);
                    return Some(());
                }
                b',' => self.at += 1,
                _ => {
                    let (before, mark) = (self.at, out.len());
                    if separator {
                        out.push(b',');
                    }
                    if item(self, out)? {
                        separator = true;
                    } else {
                        out.truncate(mark);
                    }
                    (self.at > before).then_some(())?;
                }
            }
        }
    }

    fn member(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<bool> {
        let key = out.len();
        self.key(out, depth)?;
        (self.peek()? == b':').then_some(())?;
        self.at += 1;
        out.push(b':');
        let value = out.len();
        self.value(out, depth)?;
        Some(&out[key..value] != b"\"$ref\":" && &out[value..] != b"null")
    }

    fn key(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => out.extend_from_slice(self.string()?),
            b'{' | b'[' => {
                let mut text = Vec::new();
                self.keys += 1;
                (self.keys <= MAX_KEY_DEPTH).then_some(())?;
                self.value(&mut text, depth)?;
                self.keys -= 1;
                quote(out, &text);
            }
            _ => {
                let text = self.bare();
                (!text.is_empty()).then_some(())?;
                quote(out, text);
            }
        }
        Some(())
    }

    /// Returns a string with its quotes.
    fn string(&mut self) -> Option<&[u8]> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(&self.bytes[start..self.at]);
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    fn bare(&mut self) -> &[u8] {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(|byte| !b",:{}[]\"".contains(byte) && !byte.is_ascii_whitespace()) {
            self.at += 1;
        }
        &self.bytes[start..self.at]
    }
}

fn quote(out: &mut Vec<u8>, text: &[u8]) {
    let text: Cow<'_, str> = String::from_utf8_lossy(text);
    // Writing a string to memory cannot fail.
    let _ = serde_json::to_writer(out, text.as_ref());
}

#[cfg(test)]
mod tests;
