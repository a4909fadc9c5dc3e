//! What every request gets on its way out, whatever it asks: the namespace of its names, further fields, the signature.

use super::RemotingOptions;
use crate::code::ResponseCode;
use crate::error::{Error, Result};
use crate::protocol::fields::{AnyFields, FieldSink, FieldSource, Header};
use crate::protocol::frame::{self, Head};
use crate::protocol::namespace::InNamespace;
use crate::protocol::request::Request;

/// What is asked, whatever it is: what remoting does with it is compiled once, and not for every request.
pub(crate) trait Asking {
    /// Appends it without its body to `out`.
    fn encode(
        &self,
        options: &RemotingOptions,
        out: &mut Vec<u8>,
        body: &[u8],
        opaque: i32,
        oneway: bool,
    ) -> Result<()>;

    /// The codes that are answers.
    fn answers(&self) -> &'static [ResponseCode];

    /// A copy for later.
    fn keep(&self) -> Box<dyn Asking + Send>;
}

impl<R: Request> Asking for R {
    fn encode(
        &self,
        options: &RemotingOptions,
        out: &mut Vec<u8>,
        body: &[u8],
        opaque: i32,
        oneway: bool,
    ) -> Result<()> {
        let head = Head::request(options.header_kind, self.code(), opaque);
        let head = Head { version: R::VERSION, ..if oneway { head.oneway() } else { head } };
        match R::IS_FREQUENT {
            true => encode(options, out, &head, self, body),
            false => encode(options, out, &head, &AnyFields(self), body),
        }
    }

    fn answers(&self) -> &'static [ResponseCode] {
        R::ANSWERS
    }

    fn keep(&self) -> Box<dyn Asking + Send> {
        Box::new(self.clone())
    }
}

fn encode<H: Header>(
    options: &RemotingOptions,
    out: &mut Vec<u8>,
    head: &Head<'_>,
    header: &H,
    body: &[u8],
) -> Result<()> {
    let dressed = Dressed { header, options };
    #[cfg(feature = "acl")]
    if let Some(signer) = options.signing.signer()? {
        let extra = signer.sign(&dressed, body);
        let extra: Vec<(&str, &str)> = extra.iter().map(|(name, value)| (*name, value.as_str())).collect();
        return frame::encode(out, head, &dressed, &extra, body.len());
    }
    frame::encode(out, head, &dressed, &[], body.len())
}

/// A request with all that is signed: servers compute the signature over every field they receive.
///
/// Java adds the zone's fields after signing, which a server that checks signatures refuses.
struct Dressed<'a, H> {
    header: &'a H,
    options: &'a RemotingOptions,
}

impl<H: Header> Header for Dressed<'_, H> {
    fn put<S: FieldSink>(&self, sink: &mut S) {
        match &self.options.namespace {
            Some(namespace) => InNamespace { header: self.header, namespace }.put(sink),
            None => self.header.put(sink),
        }
        for (name, value) in &self.options.fields {
            sink.text(name, value);
        }
    }

    fn take(_fields: FieldSource<'_>) -> Result<Self> {
        Err(Error::malformed("requests are not read back"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::protocol::frame::HeaderKind;
    use crate::protocol::namespace::Namespace;
    use crate::protocol::rpc::route::GetRoute;

    fn options() -> RemotingOptions {
        RemotingOptions::default()
    }

    fn sent(options: &RemotingOptions) -> Vec<(String, String)> {
        let mut out = Vec::new();
        let request = GetRoute { standard_json: None, topic: "orders".into() };
        Asking::encode(&request, options, &mut out, &[], 7, false).unwrap();
        let frame = frame::decode_whole(&out).unwrap();
        let fields: Result<Vec<_>> = frame.fields().collect();
        fields.unwrap().into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_client_without_any_of_it_sends_what_the_request_says() {
        assert_eq!(sent(&options()), [pair("topic", "orders")]);
    }

    #[test]
    fn further_fields_stand_in_both_forms_of_the_header() {
        let fields: Vec<(&'static str, Arc<str>)> =
            vec![("nsd", "true".into()), ("ns", "two".into()), ("__ZONE_NAME", "z".into())];
        for header_kind in [HeaderKind::Json, HeaderKind::Binary] {
            let options = RemotingOptions { fields: fields.clone(), header_kind, ..options() };
            let expected = [pair("topic", "orders"), pair("nsd", "true"), pair("ns", "two"), pair("__ZONE_NAME", "z")];
            assert_eq!(sent(&options), expected);
        }
    }

    #[test]
    fn names_go_out_in_the_namespace() {
        let options = RemotingOptions { namespace: Some(Namespace::new("one")), ..options() };
        assert_eq!(sent(&options), [pair("topic", "one%orders")]);
    }

    #[cfg(feature = "acl")]
    #[test]
    fn the_signature_covers_the_names_in_the_namespace_and_the_further_fields() {
        use crate::remoting::{Signer, Signing};

        let signer = || Signer::new("access".into(), "secret".into(), None, None);
        let signature = |options: RemotingOptions| {
            let options = RemotingOptions { signing: Signing::Fixed(Arc::new(signer())), ..options };
            sent(&options).pop().filter(|(name, _)| name == "Signature").expect("a signature").1
        };
        let route = |topic: &str| GetRoute { standard_json: None, topic: topic.into() };
        let of_plain = |topic: &str| signer().sign(&route(topic), &[]).pop().unwrap().1;
        assert_eq!(signature(options()), of_plain("orders"));
        let wrapped = RemotingOptions { namespace: Some(Namespace::new("one")), ..options() };
        assert_eq!(signature(wrapped), of_plain("one%orders"));
        // Values are signed in the order of their fields' names: AccessKey, ns, nsd, topic.
        let v2 = RemotingOptions { fields: vec![("nsd", "true".into()), ("ns", "two".into())], ..options() };
        assert_eq!(signature(v2), of_plain("twotrueorders"));
    }
}
