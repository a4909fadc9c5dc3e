//! Checking who sent a request and whether they may, as brokers with ACL 2.0 do.

mod access;
mod requests;
mod rules;
mod users;

use std::borrow::Cow;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;

pub(super) use self::users::Users;
use crate::protocol::frame::Frame;
use crate::protocol::rpc::query::UNSIGNED_QUERY_FIELD;

/// Up to this version (`V4_9_3`) clients leave one field of a query out of what they sign.
const LAST_WITHOUT_QUERY_FIELD: i32 = 399;

/// Checks a request; the error is Java's remark.
pub(super) fn check(frame: &Frame, users: &Users, cluster: &str, from: IpAddr) -> Result<(), String> {
    let name = check_signature(frame, users)?;
    let is_super = users.find(&name).is_some_and(|user| user.user_type.as_deref() == Some(users::SUPER));
    if is_super {
        return Ok(());
    }
    let subject = users::subject_of(&name);
    let acl = users.rules(&subject)?;
    for (resource, actions) in access::needs(frame, cluster) {
        rules::check(acl.as_ref(), &resource, actions, from).map_err(|why| {
            let from = if from.is_ipv6() { format!("[{from}]") } else { from.to_string() };
            format!("{subject} has no permission to access {} from {from}, {why}", resource.key())
        })?;
    }
    Ok(())
}

/// Returns the name of the user who signed the request.
fn check_signature(frame: &Frame, users: &Users) -> Result<String, String> {
    let mut fields: Vec<(Cow<'_, str>, Cow<'_, str>)> = frame.fields().filter_map(Result::ok).collect();
    let find = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.to_string());
    let user = find("AccessKey").filter(|user| !user.is_empty()).ok_or("username cannot be null.")?;
    let signature = find("Signature");
    let known = users.find(&user).ok_or_else(|| format!("User:{user} is not found."))?;
    if known.user_status.as_deref() == Some(users::DISABLED) {
        return Err(format!("User:{user} is disabled."));
    }
    let secret_key = known.password.unwrap_or_default();
    fields.retain(|(name, _)| {
        name != "Signature" && !(name == UNSIGNED_QUERY_FIELD && frame.version <= LAST_WITHOUT_QUERY_FIELD)
    });
    fields.sort();
    let failed = || "check signature failed.".to_owned();
    let mut mac = Hmac::<Sha1>::new_from_slice(secret_key.as_bytes()).map_err(|_| failed())?;
    for (_, value) in &fields {
        mac.update(value.as_bytes());
    }
    mac.update(frame.body());
    let given = signature.and_then(|text| STANDARD.decode(text).ok()).ok_or_else(failed)?;
    mac.verify_slice(&given).map_err(|_| failed())?;
    Ok(user)
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
    fn the_known_signature_passes_and_others_are_told_why_not() {
        let (topic, signature) = (("topic", "TopicTest"), ("Signature", "GeeGoP9mRvDhoVp4PD5omX0prgE="));
        let user = ("AccessKey", "rocketmq2");
        let users = Users::new(Some(&("rocketmq2".to_owned(), "12345678".to_owned())));
        let check = |fields: &[(&str, &str)]| check(&signed(fields), &users, "c", [127, 0, 0, 1].into());
        assert_eq!(check(&[topic, user, signature]), Ok(()));
        assert_eq!(check(&[topic]), Err("username cannot be null.".into()));
        assert_eq!(check(&[topic, ("AccessKey", "other"), signature]), Err("User:other is not found.".into()));
        for wrong in [vec![topic, user], vec![user, signature], vec![topic, user, ("Signature", "?")]] {
            assert_eq!(check(&wrong), Err("check signature failed.".into()));
        }
    }
}
