//! Header fields (`extFields`): the traits behind the tables of `rpc`, and how single values are written.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::frame::HeaderKind;
use super::{binary_header, json_header, scan};
use crate::error::{Error, Result};

/// Takes the fields of a header in order. On the wire every value is text.
pub(crate) trait FieldSink {
    fn text(&mut self, name: &str, value: &str);
    fn number(&mut self, name: &str, value: i64);
    fn flag(&mut self, name: &str, value: bool) {
        self.text(name, if value { "true" } else { "false" });
    }
}

/// The named fields of one request or one answer.
pub(crate) trait Header: Sized {
    fn put<S: FieldSink>(&self, sink: &mut S);
    fn take(fields: FieldSource<'_>) -> Result<Self>;
}

/// Where it makes no difference whose fields they are or where they go.
pub(crate) trait Fields {
    fn put_all(&self, sink: &mut dyn FieldSink);
}

impl<H: Header> Fields for H {
    fn put_all(&self, mut sink: &mut dyn FieldSink) {
        self.put(&mut sink);
    }
}

impl FieldSink for &mut dyn FieldSink {
    fn text(&mut self, name: &str, value: &str) {
        (**self).text(name, value);
    }

    fn number(&mut self, name: &str, value: i64) {
        (**self).number(name, value);
    }

    fn flag(&mut self, name: &str, value: bool) {
        (**self).flag(name, value);
    }
}

/// The fields of any header, as a header that is only ever written. A hundred headers share the code that writes this one.
pub(crate) struct AnyFields<'a>(pub(crate) &'a dyn Fields);

impl Header for AnyFields<'_> {
    fn put<S: FieldSink>(&self, sink: &mut S) {
        self.0.put_all(sink);
    }

    fn take(_fields: FieldSource<'_>) -> Result<Self> {
        Err(Error::malformed("fields of any kind are not read back"))
    }
}

/// The header of requests and answers without fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct NoFields;

impl Header for NoFields {
    fn put<S: FieldSink>(&self, _sink: &mut S) {}

    fn take(_fields: FieldSource<'_>) -> Result<NoFields> {
        Ok(NoFields)
    }
}

/// A type that one field can have.
pub(crate) trait Field: Sized {
    fn put<S: FieldSink>(&self, name: &'static str, sink: &mut S);
    /// `found` is `None` when the field is absent.
    fn take(name: &'static str, found: Option<Cow<'_, str>>) -> Result<Self>;
}

fn required<'a>(name: &str, found: Option<Cow<'a, str>>) -> Result<Cow<'a, str>> {
    found.ok_or_else(|| Error::malformed(format!("field {name} is missing")))
}

impl Field for String {
    fn put<S: FieldSink>(&self, name: &'static str, sink: &mut S) {
        sink.text(name, self);
    }

    fn take(name: &'static str, found: Option<Cow<'_, str>>) -> Result<String> {
        required(name, found).map(Cow::into_owned)
    }
}

impl Field for Arc<str> {
    fn put<S: FieldSink>(&self, name: &'static str, sink: &mut S) {
        sink.text(name, self);
    }

    fn take(name: &'static str, found: Option<Cow<'_, str>>) -> Result<Arc<str>> {
        required(name, found).map(Arc::from)
    }
}

macro_rules! number_fields {
    ($($type:ty)*) => {
        $(impl Field for $type {
            fn put<S: FieldSink>(&self, name: &'static str, sink: &mut S) {
                sink.number(name, i64::from(*self));
            }

            fn take(name: &'static str, found: Option<Cow<'_, str>>) -> Result<$type> {
                let text = required(name, found)?;
                let number = scan::decimal(text.as_bytes()).or_else(|| scan::decimal(text.trim().as_bytes()));
                let fitting = number.and_then(|number| <$type>::try_from(number).ok());
                fitting.ok_or_else(|| Error::malformed(format!("field {name} is {text:?}, not a number that fits")))
            }
        })*
    };
}

number_fields!(i32 i64);

impl Field for bool {
    fn put<S: FieldSink>(&self, name: &'static str, sink: &mut S) {
        sink.flag(name, *self);
    }

    /// As in Java, everything but "true" in any case is false.
    fn take(name: &'static str, found: Option<Cow<'_, str>>) -> Result<bool> {
        required(name, found).map(|text| text.eq_ignore_ascii_case("true"))
    }
}

/// Milliseconds.
impl Field for Duration {
    fn put<S: FieldSink>(&self, name: &'static str, sink: &mut S) {
        sink.number(name, i64::try_from(self.as_millis()).unwrap_or(i64::MAX));
    }

    fn take(name: &'static str, found: Option<Cow<'_, str>>) -> Result<Duration> {
        let millis = i64::take(name, found)?;
        Ok(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
    }
}

impl<T: Field> Field for Option<T> {
    fn put<S: FieldSink>(&self, name: &'static str, sink: &mut S) {
        if let Some(value) = self {
            value.put(name, sink);
        }
    }

    fn take(name: &'static str, found: Option<Cow<'_, str>>) -> Result<Option<T>> {
        found.map(|text| T::take(name, Some(text))).transpose()
    }
}

/// Iterates over the fields of a received frame without copying what needs no unescaping.
#[derive(Debug, Clone)]
pub(crate) enum FieldSource<'a> {
    Json(json_header::Fields<'a>),
    Binary(binary_header::Fields<'a>),
}

impl<'a> FieldSource<'a> {
    pub(crate) fn new(kind: HeaderKind, raw: &'a [u8]) -> FieldSource<'a> {
        match kind {
            HeaderKind::Json => FieldSource::Json(json_header::Fields::new(raw)),
            HeaderKind::Binary => FieldSource::Binary(binary_header::Fields::new(raw)),
        }
    }

    /// Returns the next field without looking at its value, for those who want few of them. After an error there is none.
    pub(crate) fn next_raw(&mut self) -> Result<Option<(Raw<'a>, Raw<'a>)>> {
        match self {
            FieldSource::Json(fields) => fields.next_raw(),
            FieldSource::Binary(fields) => fields.next_raw(),
        }
    }
}

impl<'a> Iterator for FieldSource<'a> {
    type Item = Result<(Cow<'a, str>, Cow<'a, str>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_raw().map(|field| field.map(|(name, value)| (name.text(), value.text()))).transpose()
    }
}

/// A name or a value as it stands in the frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw<'a> {
    bytes: &'a [u8],
    has_escapes: bool,
}

impl<'a> Raw<'a> {
    /// `has_escapes` says that the bytes are a JSON string with a backslash in it.
    pub(crate) fn new(bytes: &'a [u8], has_escapes: bool) -> Raw<'a> {
        Raw { bytes, has_escapes }
    }

    #[inline]
    pub(crate) fn is(self, text: &str) -> bool {
        if self.has_escapes { self.text() == text } else { self.bytes == text.as_bytes() }
    }

    /// Returns the bytes of the text.
    #[inline]
    pub(crate) fn unescaped(self) -> Cow<'a, [u8]> {
        if self.has_escapes { Cow::Owned(self.text().into_owned().into_bytes()) } else { Cow::Borrowed(self.bytes) }
    }

    /// Reads a number without making text of it first.
    pub(crate) fn number<T: Field + TryFrom<i64>>(self, name: &'static str) -> Result<T> {
        match scan::decimal(self.bytes).map(T::try_from) {
            Some(Ok(number)) => Ok(number),
            _ => T::take(name, Some(self.text())),
        }
    }

    /// Returns a copy of the text; what is not UTF-8 is replaced.
    pub(crate) fn into_string(self) -> String {
        if self.has_escapes {
            return self.text().into_owned();
        }
        // Copied first, for text that is aligned is checked faster.
        String::from_utf8(self.bytes.to_vec())
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// Returns the text; what is not UTF-8 is replaced.
    pub(crate) fn text(self) -> Cow<'a, str> {
        if self.has_escapes {
            return json_header::unescape(self.bytes);
        }
        match std::str::from_utf8(self.bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(self.bytes),
        }
    }
}

/// Collects fields as text, for signing and for looking at.
#[derive(Debug, Default)]
pub(crate) struct Collected(pub(crate) Vec<(String, String)>);

impl FieldSink for Collected {
    fn text(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    fn number(&mut self, name: &str, value: i64) {
        self.0.push((name.to_owned(), value.to_string()));
    }
}
