//! Checking the signature of a request, as brokers with ACL 2.0 do.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::protocol::frame::Frame;
use crate::protocol::rpc::query::UNSIGNED_QUERY_FIELD;

/// Up to this version (`V4_9_3`) clients leave one field of a query out of what they sign.
const LAST_WITHOUT_QUERY_FIELD: i32 = 399;

/// Checks the signature of a request.
pub(super) fn check(frame: &Frame, secret_key: &str) -> Result<(), ()> {
    let mut fields: Vec<(Cow<'_, str>, Cow<'_, str>)> = frame.fields().filter_map(Result::ok).collect();
    let signature = fields.iter().find(|(name, _)| name == "Signature").map(|(_, value)| value.to_string());
    fields.retain(|(name, _)| {
        name != "Signature" && !(name == UNSIGNED_QUERY_FIELD && frame.version <= LAST_WITHOUT_QUERY_FIELD)
    });
    fields.sort();
    let mut mac = Hmac::<Sha1>::new_from_slice(secret_key.as_bytes()).map_err(drop)?;
    for (_, value) in &fields {
        mac.update(value.as_bytes());
    }
    mac.update(frame.body());
    let given = signature.and_then(|text| STANDARD.decode(text).ok()).ok_or(())?;
    mac.verify_slice(&given).map_err(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::RequestCode;
    use crate::protocol::fields::NoFields;
    use crate::protocol::frame::{self, Head, HeaderKind};

    fn signed(fields: &[(&str, &str)]) -> Frame {
        let mut out = Vec::new();
        let head = Head::request(HeaderKind::Json, RequestCode::GET_ROUTEINFO_BY_TOPIC, 1);
        frame::encode(&mut out, &head, &NoFields, fields, 0).unwrap();
        frame::decode_whole(&out).unwrap()
    }

    #[test]
    fn the_known_signature_passes_and_no_other() {
        let (topic, signature) = (("topic", "TopicTest"), ("Signature", "GeeGoP9mRvDhoVp4PD5omX0prgE="));
        let user = ("AccessKey", "rocketmq2");
        let check = |fields: &[(&str, &str)]| check(&signed(fields), "12345678");
        assert_eq!(check(&[topic, user, signature]), Ok(()));
        for wrong in [vec![topic, user], vec![user, signature], vec![topic, user, ("Signature", "?")]] {
            assert_eq!(check(&wrong), Err(()));
        }
    }
}
