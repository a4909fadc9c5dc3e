use std::fmt;

use super::{Admin, OnBroker, OnBrokers};
use crate::client::AskedMasters;
use crate::error::{Error, Result};
use crate::protocol::json;
use crate::protocol::rpc::plain_acl::{
    AccountBody, AccountsBody, DeleteAccount, GetAccounts, GetAccountsVersion, PutAccount, PutWhiteAddresses, Secret,
};

/// The shortest access key and secret key that brokers take.
const SHORTEST: usize = 7;

/// An account of brokers 4.x (ACL 1.0; Java: `PlainAccessConfig`).
///
/// Permissions are `DENY`, `PUB`, `SUB` or `PUB|SUB`. The secret key is only ever sent, never read back, and does not appear in
/// `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlainAccount {
    /// The access key.
    pub access_key: String,
    /// Whether it may do what operators do.
    pub admin: bool,
    /// Addresses from which it needs no signature, such as `10.0.0.*`; none when absent.
    pub white_address: Option<String>,
    /// What it may do with topics that are not listed.
    pub default_topic_perm: Option<String>,
    /// What it may do as groups that are not listed.
    pub default_group_perm: Option<String>,
    /// What it may do with topics, each as `topic=PUB|SUB`.
    pub topic_perms: Vec<String>,
    /// What it may do as groups, each as `group=SUB`.
    pub group_perms: Vec<String>,
    secret_key: Option<String>,
}

/// The accounts of a broker 4.x.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlainAccounts {
    /// The accounts.
    pub accounts: Vec<PlainAccount>,
    /// Addresses from which nothing is checked.
    pub white_addresses: Vec<String>,
}

impl PlainAccount {
    /// Begins an account; its access key has at least 7 characters.
    pub fn new(access_key: impl Into<String>) -> PlainAccount {
        PlainAccount { access_key: access_key.into(), ..PlainAccount::default() }
    }

    /// Sets the secret key, at least 7 characters. Brokers want it with every change.
    #[must_use]
    pub fn secret_key(mut self, secret_key: impl Into<String>) -> PlainAccount {
        self.secret_key = Some(secret_key.into());
        self
    }

    fn read(body: AccountBody) -> PlainAccount {
        PlainAccount {
            access_key: body.access_key,
            admin: body.admin,
            white_address: body.white_remote_address.filter(|addr| !addr.is_empty()),
            default_topic_perm: body.default_topic_perm,
            default_group_perm: body.default_group_perm,
            topic_perms: body.topic_perms.unwrap_or_default(),
            group_perms: body.group_perms.unwrap_or_default(),
            secret_key: None,
        }
    }
}

impl fmt::Debug for PlainAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainAccount")
            .field("access_key", &self.access_key)
            .field("admin", &self.admin)
            .field("white_address", &self.white_address)
            .field("default_topic_perm", &self.default_topic_perm)
            .field("default_group_perm", &self.default_group_perm)
            .field("topic_perms", &self.topic_perms)
            .field("group_perms", &self.group_perms)
            .finish_non_exhaustive()
    }
}

/// Accounts are for brokers 4.4 to 4.9 with ACL 1.0, which keep them in a file each; later ones have users
/// ([`Admin::users`]) and answer [`Error::Unsupported`]. The calls ask the masters of all brokers, and block until they have
/// answered, at most for the request timeout (3 s by default).
impl Admin {
    /// Returns the accounts of each broker (`mqadmin getAclConfig`).
    ///
    /// # Errors
    /// A broker that fails is named in [`OnBrokers::failures`]; only when none answered the call fails. Brokers 4.x without
    /// `aclEnable=true` do not answer at all: [`Error::Timeout`].
    pub fn accounts(&self) -> Result<OnBrokers<PlainAccounts>> {
        self.collect_everywhere(&GetAccounts, |body| {
            let body: AccountsBody = json::decode("accounts", body)?;
            let accounts = body.plain_access_configs.into_iter().map(PlainAccount::read).collect();
            Ok(vec![PlainAccounts { accounts, white_addresses: body.global_white_addrs }])
        })
    }

    /// Returns the version of each broker's accounts, as it writes it: JSON with a counter and a time
    /// (`mqadmin clusterAclConfigVersion`).
    ///
    /// # Errors
    /// As [`accounts`](Admin::accounts).
    pub fn accounts_version(&self) -> Result<OnBrokers<String>> {
        let AskedMasters { answers, failures } = self.ask_everywhere(&GetAccountsVersion, &[])?.some()?;
        let mut found = Vec::new();
        for from in answers {
            let value = from.answer.header()?.version.unwrap_or_default();
            found.push(OnBroker { broker_name: from.broker_name, value });
        }
        Ok(OnBrokers::new(found, failures))
    }

    /// Creates an account on all brokers, or changes it (`mqadmin updateAclConfig`): what is absent or empty stays as it was then,
    /// but for `admin`.
    ///
    /// # Errors
    /// It was done on all brokers or an error is returned; calling again is harmless. [`Error::Invalid`] for an access key or a
    /// secret key of less than 7 characters, no secret key, or a permission with a comma; [`Error::Rejected`] (209) for what a broker refuses.
    pub fn create_account(&self, account: &PlainAccount) -> Result<()> {
        check_key(&account.access_key)?;
        // Brokers answer with the secret key itself when one of them is too short.
        let short = |key: &str| key.chars().count() < SHORTEST;
        if short(&account.access_key) || account.secret_key.as_deref().is_none_or(short) {
            let rule = format!("an account has an access key and a secret key of at least {SHORTEST} characters each");
            return Err(Error::invalid(rule));
        }
        let listed = |perms: &[String]| (!perms.is_empty()).then(|| perms.join(","));
        if let Some(wrong) = account.topic_perms.iter().chain(&account.group_perms).find(|perm| perm.contains(',')) {
            return Err(Error::invalid(format!("{wrong:?} is not one permission: something like orders=PUB is")));
        }
        let request = PutAccount {
            access_key: account.access_key.clone(),
            admin: account.admin,
            default_group_perm: account.default_group_perm.clone(),
            default_topic_perm: account.default_topic_perm.clone(),
            group_perms: listed(&account.group_perms),
            secret_key: account.secret_key.clone().map(Secret),
            topic_perms: listed(&account.topic_perms),
            white_remote_address: account.white_address.clone(),
        };
        self.tell_everywhere(&request, &[])
    }

    /// Deletes an account on all brokers (`mqadmin deleteAclConfig`).
    ///
    /// # Errors
    /// It was deleted on all brokers or an error is returned. [`Error::Rejected`] (210) for one that does not exist.
    pub fn delete_account(&self, access_key: &str) -> Result<()> {
        check_key(access_key)?;
        self.tell_everywhere(&DeleteAccount { access_key: access_key.to_owned() }, &[])
    }

    /// Replaces the addresses from which brokers check nothing, such as `10.0.0.*` (`mqadmin updateGlobalWhiteAddr`).
    ///
    /// # Errors
    /// It was done on all brokers or an error is returned. [`Error::Rejected`] (211) for what a broker refuses.
    pub fn change_white_addresses(&self, addresses: &[&str]) -> Result<()> {
        self.tell_everywhere(&PutWhiteAddresses { addresses: addresses.join(",") }, &[])
    }
}

fn check_key(access_key: &str) -> Result<()> {
    if access_key.trim().is_empty() { Err(Error::invalid("the access key is blank")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_keys_do_not_show() {
        let account = PlainAccount::new("who").secret_key("hush-hush");
        assert!(!format!("{account:?} {:?}", Secret("hush-hush".into())).contains("hush"));
    }
}
