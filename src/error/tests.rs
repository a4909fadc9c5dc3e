use super::*;

fn rejected(code: i32, remark: &str) -> Error {
    Error::Rejected { addr: "a:1".into(), code: ResponseCode(code), remark: remark.into() }
}

#[test]
fn code_1_may_have_been_stored_unless_the_remark_names_a_refusal() {
    assert_eq!(rejected(1, "in-sync replicas not enough").outcome(), Outcome::Unknown);
    assert_eq!(rejected(1, "org.apache.rocketmq.acl.common.AclException: no").outcome(), Outcome::Rejected);
    assert_eq!(rejected(2, "[OVERLOAD]").outcome(), Outcome::Rejected);
    let unknown = "push reply message fail, channel of <10.0.0.1@x> not found.";
    assert_eq!(rejected(1, unknown).outcome(), Outcome::Rejected);
    assert_eq!(rejected(1, "push reply message to 10.0.0.1@xfail.").outcome(), Outcome::Unknown);
}

#[test]
fn a_refusal_for_lack_of_a_right_is_never_retryable() {
    assert!(!rejected(16, "no permission").is_retryable());
    assert!(!rejected(1, "AclException: no").is_retryable());
    assert!(rejected(1, "anything else").is_retryable());
    assert!(!rejected(13, "too big").is_retryable());
}

#[test]
fn several_attempts_have_the_worst_outcome_of_them() {
    let attempt = |error| Attempt { broker_name: "b".into(), addr: "a:1".into(), elapsed: Duration::ZERO, error };
    let lost = Error::Disconnected { addr: "a:1".into(), outcome: Outcome::Unknown, reason: "reset".into() };
    let all = |attempts: Vec<Attempt>| Error::Exhausted { attempts: attempts.into(), because: Exhaustion::Attempts };
    assert_eq!(all(vec![attempt(lost), attempt(rejected(2, ""))]).outcome(), Outcome::Unknown);
    assert_eq!(all(vec![attempt(rejected(2, ""))]).outcome(), Outcome::Rejected);
    assert_eq!(all(vec![attempt(rejected(2, "busy"))]).code(), Some(ResponseCode::SYSTEM_BUSY));
}
