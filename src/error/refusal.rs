//! What servers' refusals mean, and what can be done about them: by code and by remark.

use super::Outcome;
use crate::code::ResponseCode;

/// Remarks with which brokers up to 5.2 wrap a refusal they made before storing anything, although the code is 1; and the
/// one with which all refuse a batch that is too large.
const REFUSAL_REMARKS: [&str; 8] = [
    "AclException",
    "request queueId",
    "the topic",
    "The specified topic",
    "topic[",
    "broker is not writeable",
    BATCH_TOO_LARGE,
    REQUESTER_UNKNOWN,
];

/// In the remark of the code 1 that answers a batch larger than the broker takes.
pub(crate) const BATCH_TOO_LARGE: &str = "message body size exceeded";

/// A broker to which a requester has no connection refuses its replies with this.
const REQUESTER_UNKNOWN: &str = "push reply message fail, channel of";

pub(super) fn outcome_of(code: ResponseCode, remark: &str) -> Outcome {
    if code == ResponseCode::SYSTEM_ERROR && !REFUSAL_REMARKS.iter().any(|known| remark.contains(known)) {
        Outcome::Unknown
    } else {
        Outcome::Rejected
    }
}

/// Whether the server refused for lack of a right: code 16 since 5.3, code 1 with `AclException` before.
pub(crate) fn is_access_refusal(code: ResponseCode, remark: &str) -> bool {
    code == ResponseCode::NO_PERMISSION || (code == ResponseCode::SYSTEM_ERROR && remark.contains("AclException"))
}

/// Whether a broker refused a reply because it does not know the requester: another one may.
pub(crate) fn is_unknown_requester(code: ResponseCode, remark: &str) -> bool {
    code == ResponseCode::SYSTEM_ERROR && remark.contains(REQUESTER_UNKNOWN)
}

/// What a user can do about the codes met on a first day; each follows the server's own words.
pub(super) fn advice(code: ResponseCode, remark: &str) -> &'static str {
    if is_access_refusal(code, remark) {
        return access_advice(remark);
    }
    match code {
        ResponseCode::TOPIC_NOT_EXIST => " (create the topic, or let the broker create topics on first use)",
        ResponseCode::SERVICE_NOT_AVAILABLE => " (the broker is a slave, shutting down, or out of disk space)",
        ResponseCode::SYSTEM_BUSY => " (the broker is overloaded and did not take it)",
        ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST => " (create the consumer group)",
        _ => "",
    }
}

/// The words are those of both generations of Apache's access control.
fn access_advice(remark: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| remark.contains(word));
    if says(&["ignature failed"]) {
        " (the secret key is not the one the broker has for this access key)"
    } else if says(&["is not found", "No acl config for"]) {
        " (the broker has no user of this access key)"
    } else if says(&["username cannot be null", "No accessKey is configured"]) {
        " (the broker wants signed requests: give the client credentials)"
    } else if says(&["has no permission to access", "o default permission", "permission"]) && !says(&["forbidden"]) {
        " (the user lacks a right: producers need PUB on the topic, consumers SUB on the topic and on the group)"
    } else {
        " (check the permissions of the topic and the broker, and the credentials and rights of the user)"
    }
}
