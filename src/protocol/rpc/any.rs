//! A request of any code with any fields, for what has no table here.

use std::borrow::Cow;

use crate::code::RequestCode;
use crate::error::Result;
use crate::protocol::fields::{FieldSink, FieldSource, Header};
use crate::protocol::request::Request;

/// Fields as they are, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Fields(pub(crate) Vec<(String, String)>);

impl Header for Fields {
    fn put<S: FieldSink>(&self, sink: &mut S) {
        for (name, value) in &self.0 {
            sink.text(name, value);
        }
    }

    fn take(fields: FieldSource<'_>) -> Result<Fields> {
        let owned = |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into_owned(), value.into_owned());
        fields.map(|field| field.map(owned)).collect::<Result<_>>().map(Fields)
    }
}

/// A request of any code. Its answer is one with success.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AnyRequest {
    pub(crate) code: RequestCode,
    pub(crate) fields: Fields,
}

impl Header for AnyRequest {
    fn put<S: FieldSink>(&self, sink: &mut S) {
        self.fields.put(sink);
    }

    /// The code is not in the fields, so what is read back has none.
    fn take(fields: FieldSource<'_>) -> Result<AnyRequest> {
        Fields::take(fields).map(|fields| AnyRequest { code: RequestCode(0), fields })
    }
}

impl Request for AnyRequest {
    type Reply = Fields;

    fn code(&self) -> RequestCode {
        self.code
    }
}
