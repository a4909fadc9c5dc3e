//! Accounts of brokers 4.x, which keep them in files (ACL 1.0).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::protocol::fields::NoFields;
use crate::protocol::request::{headers, requests, without_fields};

headers! {
    /// Creates an account, or changes it.
    pub(crate) struct PutAccount {
        "accessKey" => access_key: String,
        "admin" => admin: bool,
        "defaultGroupPerm" => default_group_perm: Option<String>,
        "defaultTopicPerm" => default_topic_perm: Option<String>,
        /// `group=SUB`, separated by commas.
        "groupPerms" => group_perms: Option<String>,
        "secretKey" => secret_key: Option<Secret>,
        /// `topic=PUB|SUB`, separated by commas.
        "topicPerms" => topic_perms: Option<String>,
        "whiteRemoteAddress" => white_remote_address: Option<String>,
    }

    /// Deletes an account.
    pub(crate) struct DeleteAccount {
        "accessKey" => access_key: String,
    }

    /// Sets from which addresses nothing is checked.
    pub(crate) struct PutWhiteAddresses {
        "globalWhiteAddrs" => addresses: String,
    }

    /// When the files have changed.
    pub(crate) struct AccountsVersion {
        /// JSON: `{"counter":1,"stateVersion":0,"timestamp":1700000000000}`.
        "version" => version: Option<String>,
    }
}

without_fields! {
    /// Asks for the accounts; the answer's body is an [`AccountsBody`].
    pub(crate) struct GetAccounts;

    /// Asks for the versions of the files; the answer is an [`AccountsVersion`].
    pub(crate) struct GetAccountsVersion;
}

requests! {
    PutAccount = UPDATE_AND_CREATE_ACL_CONFIG -> NoFields;
    DeleteAccount = DELETE_ACL_CONFIG -> NoFields;
    PutWhiteAddresses = UPDATE_GLOBAL_WHITE_ADDRS_CONFIG -> NoFields;
    GetAccounts = GET_BROKER_CLUSTER_ACL_CONFIG -> NoFields;
    GetAccountsVersion = GET_BROKER_CLUSTER_ACL_INFO -> AccountsVersion;
}

/// A text that does not appear in `Debug`.
#[derive(Clone, PartialEq)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl crate::protocol::fields::Field for Secret {
    fn put<S: crate::protocol::fields::FieldSink>(&self, name: &'static str, sink: &mut S) {
        sink.text(name, &self.0);
    }

    fn take(name: &'static str, found: Option<std::borrow::Cow<'_, str>>) -> crate::error::Result<Secret> {
        String::take(name, found).map(Secret)
    }
}

/// The accounts of a broker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AccountsBody {
    pub(crate) global_white_addrs: Vec<String>,
    pub(crate) plain_access_configs: Vec<AccountBody>,
}

/// An account; the secret key, which brokers send as well, is not read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AccountBody {
    pub(crate) access_key: String,
    pub(crate) admin: bool,
    pub(crate) default_group_perm: Option<String>,
    pub(crate) default_topic_perm: Option<String>,
    pub(crate) group_perms: Option<Vec<String>>,
    pub(crate) topic_perms: Option<Vec<String>>,
    pub(crate) white_remote_address: Option<String>,
}
