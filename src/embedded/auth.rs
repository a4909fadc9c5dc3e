//! Checking who sent a request and whether they may, as brokers with ACL 2.0 do.

mod access;
mod requests;
mod rules;
mod users;

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;

pub(super) use self::users::Users;
use crate::protocol::frame::Frame;
use crate::protocol::rpc::auth::UserBody;
use crate::protocol::rpc::query::UNSIGNED_QUERY_FIELD;

/// Up to this version (`V4_9_3`) clients leave one field of a query out of what they sign.
const LAST_WITHOUT_QUERY_FIELD: i32 = 399;

/// Why a request is refused; its `Display` is Java's remark.
#[derive(Debug, PartialEq)]
pub(super) enum Refused {
    Nameless,
    Unknown(String),
    Disabled(String),
    Signature(String),
    Rule { user: String, resource: String, from: IpAddr, why: &'static str },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Nameless => f.write_str("username cannot be null."),
            Refused::Unknown(name) => write!(f, "User:{name} is not found."),
            Refused::Disabled(name) => write!(f, "User:{name} is disabled."),
            Refused::Signature(_) => f.write_str("check signature failed."),
            Refused::Rule { user, resource, from, why } => {
                write!(f, "User:{user} has no permission to access {resource} from {from}, {why}")
            }
        }
    }
}

/// Checks a request.
pub(super) fn check(frame: &Frame, users: &Users, cluster: &str, from: IpAddr) -> Result<(), Refused> {
    let user = check_signature(frame, users)?;
    if user.user_type.as_deref() == Some(users::SUPER) {
        return Ok(());
    }
    let acl = users.rules(&users::subject_of(&user.username)).unwrap_or_default();
    for (resource, actions) in access::needs(frame, cluster) {
        rules::check(acl.as_ref(), &resource, actions, from).map_err(|why| {
            let (user, resource) = (user.username.clone(), resource.key());
            Refused::Rule { user, resource, from, why }
        })?;
    }
    Ok(())
}

/// Returns the user who signed the request.
fn check_signature(frame: &Frame, users: &Users) -> Result<UserBody, Refused> {
    let mut fields: Vec<(Cow<'_, str>, Cow<'_, str>)> = frame.fields().filter_map(Result::ok).collect();
    let find = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.to_string());
    let name = find("AccessKey").filter(|name| !name.is_empty()).ok_or(Refused::Nameless)?;
    let signature = find("Signature");
    let user = users.find(&name).ok_or_else(|| Refused::Unknown(name.clone()))?;
    if user.user_status.as_deref() == Some(users::DISABLED) {
        return Err(Refused::Disabled(name));
    }
    let secret_key = user.password.as_deref().unwrap_or_default();
    fields.retain(|(name, _)| {
        name != "Signature" && !(name == UNSIGNED_QUERY_FIELD && frame.version <= LAST_WITHOUT_QUERY_FIELD)
    });
    fields.sort();
    let failed = || Refused::Signature(name.clone());
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
        let (user, users) = (("AccessKey", "rocketmq2"), Users::default());
        let known = UserBody {
            password: Some("12345678".into()),
            user_type: Some(users::SUPER.into()),
            username: "rocketmq2".into(),
            ..UserBody::default()
        };
        users.put(known, Vec::new());
        let check = |fields: &[(&str, &str)]| check(&signed(fields), &users, "c", [127, 0, 0, 1].into());
        assert_eq!(check(&[topic, user, signature]), Ok(()));
        assert_eq!(check(&[topic]).unwrap_err().to_string(), "username cannot be null.");
        let other = check(&[topic, ("AccessKey", "other"), signature]).unwrap_err();
        assert_eq!(other.to_string(), "User:other is not found.");
        for wrong in [vec![topic, user], vec![user, signature], vec![topic, user, ("Signature", "?")]] {
            assert_eq!(check(&wrong).unwrap_err().to_string(), "check signature failed.");
        }
    }
}
