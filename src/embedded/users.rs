//! Users of brokers that check requests: their secrets and rights, which can change while the cluster runs.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "acl")]
use super::auth::{self, Refused};
use crate::code::ResponseCode;
use crate::protocol::frame::Frame;
#[cfg(feature = "acl")]
use crate::protocol::rpc::auth::{EntryBody, PolicyBody, UserBody};

/// A user that a [`Cluster`](super::Cluster)'s brokers know, and what it may do. Without more it may do nothing.
///
/// Rights hold for all topics and groups; an administrator may do everything.
#[derive(Clone, PartialEq, Eq)]
#[must_use = "a cluster has to be given it"]
pub struct User {
    access_key: String,
    secret_key: String,
    administers: bool,
    sends: bool,
    receives: bool,
    uses_groups: bool,
}

impl User {
    /// A user of this access key and secret key who may do nothing.
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> User {
        User {
            access_key: access_key.into(),
            secret_key: secret_key.into(),
            administers: false,
            sends: false,
            receives: false,
            uses_groups: false,
        }
    }

    /// Allows everything.
    pub fn administrator(mut self) -> User {
        self.administers = true;
        self
    }

    /// Allows to send to topics (`Topic:* PUB`).
    pub fn sends(mut self) -> User {
        self.sends = true;
        self
    }

    /// Allows to receive from topics (`Topic:* SUB`).
    pub fn receives(mut self) -> User {
        self.receives = true;
        self
    }

    /// Allows to consume in groups (`Group:* SUB`).
    pub fn uses_groups(mut self) -> User {
        self.uses_groups = true;
        self
    }
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// All users; while there never was one, nothing is checked.
#[derive(Debug, Default)]
pub(super) struct Users {
    are_checked: AtomicBool,
    #[cfg(feature = "acl")]
    pub(super) kept: auth::Users,
    /// Refuses as brokers before 5.3 do: with code 1 and an `AclException`.
    pub(super) old: bool,
}

/// Clusters of the same settings have users of their own.
impl Clone for Users {
    fn clone(&self) -> Users {
        Users {
            are_checked: AtomicBool::new(!self.is_empty()),
            #[cfg(feature = "acl")]
            kept: self.kept.clone(),
            old: self.old,
        }
    }
}

impl Users {
    pub(super) fn is_empty(&self) -> bool {
        !self.are_checked.load(Ordering::SeqCst)
    }

    /// Adds a user, or replaces the one of the same access key.
    pub(super) fn put(&self, user: User) {
        #[cfg(feature = "acl")]
        self.kept.put(user.body(), user.policies());
        #[cfg(not(feature = "acl"))]
        drop(user);
        self.are_checked.store(true, Ordering::SeqCst);
    }

    /// Says how a request is refused, if it is.
    #[cfg(feature = "acl")]
    pub(super) fn refusal(&self, frame: &Frame, cluster: &str, from: IpAddr) -> Option<(ResponseCode, String)> {
        if self.is_empty() {
            return None;
        }
        let refused = auth::check(frame, &self.kept, cluster, from).err()?;
        Some(match self.old {
            true => {
                let remark = format!("org.apache.rocketmq.acl.common.AclException: {}", old_remark(&refused));
                (ResponseCode::SYSTEM_ERROR, remark)
            }
            false => (ResponseCode::NO_PERMISSION, refused.to_string()),
        })
    }

    /// Without the feature nobody can be asked to sign.
    #[cfg(not(feature = "acl"))]
    pub(super) fn refusal(&self, _frame: &Frame, _cluster: &str, _from: IpAddr) -> Option<(ResponseCode, String)> {
        None
    }
}

/// What brokers before 5.3 say.
#[cfg(feature = "acl")]
fn old_remark(refused: &Refused) -> String {
    match refused {
        Refused::Nameless => "No accessKey is configured".to_owned(),
        Refused::Unknown(name) | Refused::Disabled(name) => format!("No acl config for {name}"),
        Refused::Signature(name) => format!("Check signature failed for accessKey={name}"),
        Refused::Rule { resource, .. } if resource.starts_with("Group") => {
            "No default permission for subscription group".to_owned()
        }
        Refused::Rule { .. } => "No default permission for topic".to_owned(),
    }
}

#[cfg(feature = "acl")]
impl User {
    fn body(&self) -> UserBody {
        UserBody {
            password: Some(self.secret_key.clone()),
            user_status: Some("enable".into()),
            user_type: Some(if self.administers { "Super" } else { "Normal" }.into()),
            username: self.access_key.clone(),
        }
    }

    /// What is not allowed is denied, as after a move from the rules of older brokers. None for who may do everything.
    fn policies(&self) -> Vec<PolicyBody> {
        if self.administers {
            // Such a user is not asked for rules.
            return Vec::new();
        }
        let entry = |resource: &str, actions: &[&str], decision: &str| EntryBody {
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            decision: decision.to_owned(),
            resource: resource.to_owned(),
            source_ips: Vec::new(),
        };
        let policy = |kind: &str, entries| PolicyBody { entries, policy_type: Some(kind.to_owned()) };
        let mut topics = Vec::new();
        topics.extend(self.sends.then_some("Pub"));
        topics.extend(self.receives.then_some("Sub"));
        let mut allowed = Vec::new();
        if !topics.is_empty() {
            topics.push("Get");
            allowed.push(entry("Topic:*", &topics, "Allow"));
        }
        if self.uses_groups {
            allowed.push(entry("Group:*", &["Sub", "Get"], "Allow"));
        }
        let denied = ["Topic:*", "Group:*"].map(|resource| entry(resource, &["All"], "Deny"));
        let all = [policy("Custom", allowed), policy("Default", denied.into())];
        all.into_iter().filter(|policy| !policy.entries.is_empty()).collect()
    }
}
