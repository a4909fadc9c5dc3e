//! Why a question got no good answer, sorted by what can be done. Pure.

use rocketmq_blocking::{Error, ResponseCode};

use crate::failure::explain;

/// Why a server did not answer what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The keys of the request, or their lack.
    Access(Access, String),
    /// The server is too old, or of another kind.
    Unsupported(String),
    /// It answered with another code.
    Rejected(ResponseCode, String),
    /// There was no answer.
    Unanswered(String),
}

/// What is wrong with the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    NoKeys,
    UnknownUser,
    WrongSecret,
    /// The user is known, and may not do it.
    NoRight,
}

/// The keys that requests are signed with; the secret is not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signer {
    pub(super) access_key: String,
    pub(super) from: String,
}

impl Trouble {
    pub(super) fn of(error: &Error) -> Trouble {
        match error {
            Error::Rejected { code, remark, .. } => match access(*code, remark) {
                Some(access) => Trouble::Access(access, first_line(remark)),
                None => Trouble::Rejected(*code, first_line(remark)),
            },
            Error::Unsupported { what, addr: Some(_), .. } => Trouble::Unsupported(what.to_string()),
            Error::Exhausted { attempts, .. } => match attempts.last() {
                Some(last) => Trouble::of(&last.error),
                None => Trouble::Unanswered(explain(error)),
            },
            error => Trouble::Unanswered(explain(error)),
        }
    }

    /// What came back, in the server's words where it has some.
    pub(super) fn words(&self) -> String {
        match self {
            Trouble::Access(_, remark) => format!("refused: {remark}"),
            Trouble::Unsupported(what) => format!("not known there: {what}"),
            Trouble::Rejected(code, remark) => format!("answered {code}: {remark}"),
            Trouble::Unanswered(what) => what.clone(),
        }
    }
}

/// Java's remarks go on with a pointer to its FAQ, or with a stack.
fn first_line(remark: &str) -> String {
    let line = remark.lines().next().unwrap_or_default().trim();
    let line = line.split(" BROKER:").next().unwrap_or_default();
    // 4.x says where in its code it refused.
    let line = line.split(", org.apache.rocketmq.").next().unwrap_or_default();
    let line = line.strip_prefix("org.apache.rocketmq.acl.common.AclException: ").unwrap_or(line);
    if line.is_empty() { "without a word".to_owned() } else { line.to_owned() }
}

/// What a refusal is about; `None` when it is no matter of keys. Brokers since 5.3 answer 16, those before code 1 with an
/// `AclException`. Permissions of topics and brokers are code 16 as well, in words of their own.
fn access(code: ResponseCode, remark: &str) -> Option<Access> {
    let old = code == ResponseCode::SYSTEM_ERROR && remark.contains("AclException");
    if !old && code != ResponseCode::NO_PERMISSION {
        return None;
    }
    let remark = remark.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| remark.contains(word));
    if says(&["username cannot be null", "no accesskey is configured", "accesskey is null", "no signature"]) {
        Some(Access::NoKeys)
    } else if says(&["is not found", "no acl config for"]) {
        Some(Access::UnknownUser)
    } else if says(&["signature"]) {
        Some(Access::WrongSecret)
    } else if old || says(&["no permission to access", "user:", "accesskey", "has no permission"]) {
        Some(Access::NoRight)
    } else {
        None
    }
}

/// What to do about a refusal, for whoever may change the users of the cluster and whoever may not.
pub(super) fn advice(access: Access, signer: Option<&Signer>) -> String {
    let who = match signer {
        Some(Signer { access_key, from }) => format!("the access key {access_key} (from {from})"),
        None => "no keys".to_owned(),
    };
    match access {
        Access::NoKeys => format!(
            "requests were signed with {who} and this cluster demands them: give --credentials-file FILE, or --access-key and \
             --secret-key; in a program ClientBuilder::credentials"
        ),
        Access::UnknownUser => format!(
            "requests were signed with {who}, which this cluster does not know: use other keys, or create that user \
             (rmq acl user create; 4.x: rmq acl account create)"
        ),
        Access::WrongSecret => format!(
            "requests were signed with {who}, and the secret key that came with it is not the one the cluster has: use the right \
             one, or set another (rmq acl user change; 4.x: rmq acl account change)"
        ),
        Access::NoRight => format!(
            "requests were signed with {who}, which lacks this right: grant it (rmq acl rule create; 4.x: \
             rmq acl account change), and wait some seconds until it is known"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i32, remark: &str) -> Trouble {
        Trouble::of(&Error::Rejected { addr: "a:1".into(), code: ResponseCode(code), remark: remark.into() })
    }

    #[test]
    fn refusals_of_both_generations_are_told_apart() {
        let old = "org.apache.rocketmq.acl.common.AclException: ";
        let cases = [
            (16, "username cannot be null.".to_owned(), Access::NoKeys),
            (16, "User:who is not found.".to_owned(), Access::UnknownUser),
            (16, "check signature failed.".to_owned(), Access::WrongSecret),
            (
                16,
                "User:who has no permission to access Topic:T from 127.0.0.1, no matched policies.".to_owned(),
                Access::NoRight,
            ),
            (
                1,
                format!("{old}No accessKey is configured, org.apache.rocketmq.acl.plain.X(X.java:663)"),
                Access::NoKeys,
            ),
            (1, format!("{old}No acl config for who, x"), Access::UnknownUser),
            (1, format!("{old}Check signature failed for accessKey=who, x"), Access::WrongSecret),
            (1, format!("{old}No default permission for topic"), Access::NoRight),
            (1, format!("{old}Need admin permission for request code=26, but accessKey=who is not"), Access::NoRight),
        ];
        for (code, remark, expected) in cases {
            let Trouble::Access(access, words) = of(code, &remark) else { panic!("{remark} is no refusal") };
            assert_eq!(access, expected, "{remark}");
            assert!(!words.contains("AclException") && !words.contains("java"), "{words}");
        }
    }

    #[test]
    fn permissions_and_other_codes_are_no_matter_of_keys() {
        for (code, remark) in [
            (16, "the broker[127.0.0.1] sending message is forbidden"),
            (16, "the topic[T] pulling message is forbidden"),
            (1, "request queueId[9] is illegal"),
            (17, "topic[T] not exist\nSee https://rocketmq.apache.org/docs/"),
        ] {
            let Trouble::Rejected(_, words) = of(code, remark) else { panic!("{remark} is a refusal") };
            assert!(!words.contains("See"), "{words}");
        }
    }

    #[test]
    fn advice_names_the_access_key_and_where_it_came_from() {
        let signer = Signer { access_key: "who".into(), from: "the file k".into() };
        for access in [Access::UnknownUser, Access::WrongSecret, Access::NoRight] {
            assert!(advice(access, Some(&signer)).contains("the access key who (from the file k)"), "{access:?}");
        }
        assert!(advice(Access::NoKeys, None).contains("no keys"));
    }
}
