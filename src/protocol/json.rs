//! Bodies that are JSON, read with all the tolerance that old servers need.
//!
//! Java's fastjson writes maps with bare numbers or whole objects as keys: `{0:"a"}`, `{{"queueId":0}:5}`. What serde
//! cannot read is rewritten once, each such key becoming a string that holds its text.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Objects as keys nest; no real body has more than a few levels.
const MAX_DEPTH: usize = 64;

/// Reads a body, named `what` in errors.
pub(crate) fn decode<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T> {
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

/// Turns keys that are not strings into strings; `None` when the text is not even roughly JSON.
fn standardize(body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len() + body.len() / 8);
    let mut rewriter = Rewriter { bytes: body, at: 0 };
    rewriter.value(&mut out, 0)?;
    Some(out)
}

struct Rewriter<'a> {
    bytes: &'a [u8],
    at: usize,
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
            b'{' => self.members(out, b'}', |rewriter, out| {
                rewriter.key(out, depth + 1)?;
                (rewriter.peek()? == b':').then_some(())?;
                rewriter.at += 1;
                out.push(b':');
                rewriter.value(out, depth + 1)
            }),
            b'[' => self.members(out, b']', |rewriter, out| rewriter.value(out, depth + 1)),
            b'"' => {
                out.extend_from_slice(self.string()?);
                Some(())
            }
            _ => {
                out.extend_from_slice(self.bare());
                Some(())
            }
        }
    }

    fn members(
        &mut self,
        out: &mut Vec<u8>,
        close: u8,
        mut member: impl FnMut(&mut Self, &mut Vec<u8>) -> Option<()>,
    ) -> Option<()> {
        out.push(self.bytes[self.at]);
        self.at += 1;
        loop {
            match self.peek()? {
                byte if byte == close => {
                    self.at += 1;
                    out.push(close);
                    return Some(());
                }
                b',' => {
                    self.at += 1;
                    out.push(b',');
                }
                _ => {
                    let before = self.at;
                    member(self, out)?;
                    (self.at > before).then_some(())?;
                }
            }
        }
    }

    fn key(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => out.extend_from_slice(self.string()?),
            b'{' | b'[' => {
                let mut text = Vec::new();
                self.value(&mut text, depth)?;
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
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn bare_numbers_are_read_as_keys() {
        let read: BTreeMap<i64, String> = decode("test", br#"{0:"a:1", 1 : "b"}"#).unwrap();
        assert_eq!(read, BTreeMap::from([(0, "a:1".into()), (1, "b".into())]));
    }

    #[test]
    fn objects_are_read_as_keys_that_hold_their_text() {
        let body = br#"{"offsetTable":{{"brokerName":"b","queueId":0,"topic":"t"}:123}}"#;
        let read: BTreeMap<String, BTreeMap<String, i64>> = decode("test", body).unwrap();
        let (key, offset) = read["offsetTable"].iter().next().unwrap();
        assert_eq!((key.as_str(), *offset), (r#"{"brokerName":"b","queueId":0,"topic":"t"}"#, 123));
    }

    #[test]
    fn what_is_not_json_is_an_error_that_names_the_body() {
        for wrong in ["", "{", "{0", "{:1}", "[[", "\"", "{\"a\":\"\\", "nonsense", "{,:,}"] {
            let error = decode::<BTreeMap<String, i64>>("route", wrong.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("route"), "{wrong}: {error}");
        }
        let deep = "{".repeat(100_000);
        assert!(decode::<BTreeMap<String, i64>>("route", deep.as_bytes()).is_err());
    }
}
