//! Users of brokers that check requests: their secrets and rights, which can change while the cluster runs.

use std::sync::{PoisonError, RwLock};

#[cfg(feature = "acl")]
use super::auth;
#[cfg(feature = "acl")]
use crate::code::RequestCode;
use crate::code::ResponseCode;
use crate::protocol::frame::Frame;

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

/// All users; while there is none, nothing is checked.
#[derive(Debug, Default)]
pub(super) struct Users {
    known: RwLock<Vec<User>>,
    /// Refuses as brokers before 5.3 do: with code 1 and an `AclException`.
    pub(super) old: bool,
}

/// Clusters of the same settings have users of their own.
impl Clone for Users {
    fn clone(&self) -> Users {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        Users { known: RwLock::new(known), old: self.old }
    }
}

impl Users {
    pub(super) fn is_empty(&self) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Adds a user, or replaces the one of the same access key.
    pub(super) fn put(&self, user: User) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|other| other.access_key != user.access_key);
        known.push(user);
    }

    /// Says how a request is refused, if it is.
    #[cfg(feature = "acl")]
    pub(super) fn refusal(&self, frame: &Frame) -> Option<(ResponseCode, String)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            return None;
        }
        let remark = check(frame, &known, self.old).err()?;
        Some(match self.old {
            true => (ResponseCode::SYSTEM_ERROR, format!("org.apache.rocketmq.acl.common.AclException: {remark}")),
            false => (ResponseCode::NO_PERMISSION, remark),
        })
    }

    /// Without the feature nobody can be asked to sign.
    #[cfg(not(feature = "acl"))]
    pub(super) fn refusal(&self, _frame: &Frame) -> Option<(ResponseCode, String)> {
        None
    }
}

/// The error is the remark of Apache's brokers.
#[cfg(feature = "acl")]
fn check(frame: &Frame, known: &[User], old: bool) -> Result<(), String> {
    let name = frame.field("AccessKey").unwrap_or_default();
    if name.is_empty() {
        return Err(if old { "No accessKey is configured" } else { "username cannot be null." }.into());
    }
    let user = known.iter().find(|user| *user.access_key == *name).ok_or_else(|| match old {
        true => format!("No acl config for {name}"),
        false => format!("User:{name} is not found."),
    })?;
    auth::check(frame, &user.secret_key).map_err(|()| match old {
        true => format!("Check signature failed for accessKey={name}"),
        false => "check signature failed.".into(),
    })?;
    match missing(user, frame) {
        None => Ok(()),
        Some(Missing::Topic) if old => Err("No default permission for topic".into()),
        Some(Missing::Group) if old => Err("No default permission for subscription group".into()),
        Some(missing) => {
            let resource = if missing == Missing::Group { "Group" } else { "Topic" };
            Err(format!("User:{name} has no permission to access {resource}:* from 127.0.0.1, the decision is deny."))
        }
    }
}

#[cfg(feature = "acl")]
#[derive(Debug, PartialEq)]
enum Missing {
    Topic,
    Group,
}

#[cfg(feature = "acl")]
fn missing(user: &User, frame: &Frame) -> Option<Missing> {
    let lacks = |right: bool, what: Missing| (!right).then_some(what);
    if user.administers {
        return None;
    }
    match frame.request_code() {
        RequestCode::SEND_MESSAGE
        | RequestCode::SEND_MESSAGE_V2
        | RequestCode::SEND_BATCH_MESSAGE
        | RequestCode::SEND_REPLY_MESSAGE
        | RequestCode::SEND_REPLY_MESSAGE_V2
        | RequestCode::RECALL_MESSAGE
        | RequestCode::END_TRANSACTION => lacks(user.sends, Missing::Topic),
        RequestCode::PULL_MESSAGE
        | RequestCode::LITE_PULL_MESSAGE
        | RequestCode::POP_MESSAGE
        | RequestCode::QUERY_CONSUMER_OFFSET
        | RequestCode::UPDATE_CONSUMER_OFFSET => {
            lacks(user.receives, Missing::Topic).or(lacks(user.uses_groups, Missing::Group))
        }
        RequestCode::CONSUMER_SEND_MSG_BACK
        | RequestCode::GET_CONSUMER_LIST_BY_GROUP
        | RequestCode::LOCK_BATCH_MQ
        | RequestCode::UNLOCK_BATCH_MQ
        | RequestCode::ACK_MESSAGE
        | RequestCode::BATCH_ACK_MESSAGE
        | RequestCode::CHANGE_MESSAGE_INVISIBLETIME => lacks(user.uses_groups, Missing::Group),
        RequestCode::HEART_BEAT => {
            let consumes = !frame.body().windows(17).all(|bytes| bytes != b"\"consumeFromWhere");
            lacks(!consumes || user.uses_groups, Missing::Group)
        }
        RequestCode::UNREGISTER_CLIENT => None,
        RequestCode::GET_MAX_OFFSET
        | RequestCode::GET_MIN_OFFSET
        | RequestCode::SEARCH_OFFSET_BY_TIMESTAMP
        | RequestCode::GET_EARLIEST_MSG_STORETIME
        | RequestCode::QUERY_MESSAGE
        | RequestCode::VIEW_MESSAGE_BY_ID
        | RequestCode::CHECK_CLIENT_CONFIG
        | RequestCode::NOTIFICATION
        | RequestCode::POLLING_INFO
        | RequestCode::QUERY_ASSIGNMENT => lacks(user.sends || user.receives, Missing::Topic),
        _ => Some(Missing::Topic),
    }
}
