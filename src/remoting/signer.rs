//! The signature that brokers with access control ask for (ACL, both generations).
//!
//! HMAC-SHA1 with the secret key over the values of all fields in the order of their names, and the body. Neither code nor
//! opaque is covered, and there is no nonce: only TLS protects the exchange.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::protocol::fields::{Collected, Fields};
use crate::protocol::rpc::query::UNSIGNED_QUERY_FIELD;

/// Signs requests with one pair of keys.
#[derive(Clone)]
pub(crate) struct Signer {
    access_key: String,
    secret_key: String,
    security_token: Option<String>,
    channel: Option<String>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

impl Signer {
    pub(crate) fn new(
        access_key: String,
        secret_key: String,
        security_token: Option<String>,
        channel: Option<String>,
    ) -> Signer {
        Signer { access_key, secret_key, security_token, channel }
    }

    /// Returns the fields to be added to a request, the signature last.
    pub(crate) fn sign(&self, header: &dyn Fields, body: &[u8]) -> Vec<(&'static str, String)> {
        let mut extra = vec![("AccessKey", self.access_key.clone())];
        extra.extend(self.channel.iter().map(|channel| ("OnsChannel", channel.clone())));
        extra.extend(self.security_token.iter().map(|token| ("SecurityToken", token.clone())));
        let mut fields = Collected::default();
        header.put_all(&mut fields);
        let signature = signature(&self.secret_key, &content(fields.0, &extra, body));
        extra.push(("Signature", signature));
        extra
    }
}

/// The bytes that are signed.
fn content(fields: Vec<(String, String)>, extra: &[(&'static str, String)], body: &[u8]) -> Vec<u8> {
    let extra = extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let mut all: Vec<(String, String)> = fields.into_iter().chain(extra).collect();
    all.retain(|(name, _)| name != UNSIGNED_QUERY_FIELD);
    all.sort();
    let mut content: Vec<u8> = all.into_iter().flat_map(|(_, value)| value.into_bytes()).collect();
    content.extend_from_slice(body);
    content
}

fn signature(secret_key: &str, content: &[u8]) -> String {
    // HMAC takes keys of every length, so there is no error to meet.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret_key.as_bytes()) else { return String::new() };
    mac.update(content);
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rpc::route::GetRoute;

    #[test]
    fn signatures_are_those_of_java_and_go() {
        assert_eq!(signature("adiaushdiaushd", b"Hello RocketMQ Client ACL Feature"), "tAb/54Rwwcq+pbH8Loi7FWX4QSQ=");
        let signer = Signer::new("rocketmq2".into(), "12345678".into(), None, None);
        let extra = signer.sign(&GetRoute { standard_json: None, topic: "TopicTest".into() }, b"");
        assert_eq!(extra[0], ("AccessKey", "rocketmq2".to_owned()));
        assert_eq!(extra[1], ("Signature", "GeeGoP9mRvDhoVp4PD5omX0prgE=".to_owned()));
    }

    #[test]
    fn signatures_are_those_of_the_golden_vectors() {
        use crate::protocol::golden::{send_of_the_vectors, vector};

        let golden = |name: &str| {
            let vector = vector(name);
            (String::from_utf8(vector.bytes).unwrap(), vector.decoded["Signature"].as_str().unwrap().to_owned())
        };
        let (text, expected) = golden("acl_hmac_primitive");
        assert_eq!(signature("adiaushdiaushd", text.as_bytes()), expected);
        let (text, expected) = golden("acl_signed_content_route");
        let signer = Signer::new("rocketmq2".into(), "12345678".into(), None, None);
        let route = GetRoute { standard_json: None, topic: "TopicTest".into() };
        assert_eq!(signature("12345678", text.as_bytes()), expected);
        assert_eq!(signer.sign(&route, b"").last(), Some(&("Signature", expected)));
        let (text, expected) = golden("acl_signed_content_send_v2");
        let signer = Signer::new("rocketmq2".into(), "12345678".into(), Some("tok-1".into()), None);
        assert_eq!(signature("12345678", text.as_bytes()), expected);
        assert_eq!(signer.sign(&send_of_the_vectors(), b"hello").last(), Some(&("Signature", expected)));
    }

    #[test]
    fn the_secret_is_not_in_debug_output() {
        let signer = Signer::new("access".into(), "sesame".into(), Some("sesame".into()), None);
        assert!(!format!("{signer:?}").contains("sesame"));
    }
}
