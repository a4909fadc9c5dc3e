//! Users and rules, as brokers keep them from 5.3 on (ACL 2.0).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::protocol::fields::NoFields;
use crate::protocol::request::{headers, requests};

headers! {
    /// Creates a user; the body is a [`UserBody`].
    pub(crate) struct CreateUser {
        "username" => name: String,
    }

    /// Changes a user; the body is a [`UserBody`] with what is to be changed.
    pub(crate) struct UpdateUser {
        "username" => name: String,
    }

    /// Deletes a user and its rules.
    pub(crate) struct DeleteUser {
        "username" => name: String,
    }

    /// Asks for a user; the answer's body is a [`UserBody`], or nothing.
    pub(crate) struct GetUser {
        "username" => name: String,
    }

    /// Asks for the users whose names contain a text; the answer's body is a list of [`UserBody`], or nothing.
    pub(crate) struct ListUsers {
        "filter" => filter: Option<String>,
    }

    /// Gives a subject rules; the body is an [`AclBody`].
    pub(crate) struct CreateAcl {
        "subject" => subject: String,
    }

    /// Changes rules of a subject, or adds them; the body is an [`AclBody`].
    pub(crate) struct UpdateAcl {
        "subject" => subject: String,
    }

    /// Takes a subject's rule for one resource away, or all its rules.
    pub(crate) struct DeleteAcl {
        "policyType" => policy_type: Option<String>,
        "resource" => resource: Option<String>,
        "subject" => subject: String,
    }

    /// Asks for the rules of a subject; the answer's body is an [`AclBody`], or nothing.
    pub(crate) struct GetAcl {
        "subject" => subject: String,
    }

    /// Asks for rules; the answer's body is a list of [`AclBody`], or nothing.
    pub(crate) struct ListAcls {
        "resourceFilter" => resource_filter: Option<String>,
        "subjectFilter" => subject_filter: Option<String>,
    }
}

requests! {
    CreateUser = AUTH_CREATE_USER -> NoFields;
    UpdateUser = AUTH_UPDATE_USER -> NoFields;
    DeleteUser = AUTH_DELETE_USER -> NoFields;
    GetUser = AUTH_GET_USER -> NoFields;
    ListUsers = AUTH_LIST_USER -> NoFields;
    CreateAcl = AUTH_CREATE_ACL -> NoFields;
    UpdateAcl = AUTH_UPDATE_ACL -> NoFields;
    DeleteAcl = AUTH_DELETE_ACL -> NoFields;
    GetAcl = AUTH_GET_ACL -> NoFields;
    ListAcls = AUTH_LIST_ACL -> NoFields;
}

/// A user. What is absent stays as it is, or gets its default.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct UserBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<String>,
    /// `enable` or `disable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_status: Option<String>,
    /// `Super` or `Normal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_type: Option<String>,
    pub(crate) username: String,
}

/// Without the password.
impl fmt::Debug for UserBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserBody")
            .field("user_status", &self.user_status)
            .field("user_type", &self.user_type)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// The rules of a subject.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AclBody {
    pub(crate) policies: Vec<PolicyBody>,
    /// Such as `User:alice`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
}

/// Rules of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PolicyBody {
    pub(crate) entries: Vec<EntryBody>,
    /// `Custom`, which is meant when it is absent, or `Default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy_type: Option<String>,
}

/// The rule for one resource.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct EntryBody {
    /// Such as `Pub`.
    pub(crate) actions: Vec<String>,
    /// `Allow` or `Deny`.
    pub(crate) decision: String,
    /// Such as `Topic:orders`.
    pub(crate) resource: String,
    /// Addresses and networks; all when there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) source_ips: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json;

    #[test]
    fn bodies_are_javas_and_passwords_do_not_show() {
        let user = UserBody { password: Some("hush".into()), username: "alice".into(), ..UserBody::default() };
        assert_eq!(json::encode(&user), br#"{"password":"hush","username":"alice"}"#);
        assert!(!format!("{user:?}").contains("hush"));
        let acl = br#"{"policies":[{"entries":[{"actions":["Pub","Sub"],"decision":"Allow","resource":"Topic:T"}],"policyType":"Custom"}],"subject":"User:alice"}"#;
        let read: AclBody = json::decode("rules", acl).unwrap();
        assert_eq!(read.policies[0].entries[0].actions, ["Pub", "Sub"]);
        assert_eq!(json::encode(&read), acl);
    }
}
