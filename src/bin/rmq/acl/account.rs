use clap::{Args, Subcommand, ValueEnum};
use rocketmq_blocking::{Error, OnBrokers, PlainAccount, PlainAccounts};
use serde::Serialize;

use super::password::Password;
use crate::cluster::Cluster;
use crate::confirm::Confirm;
use crate::failure::{Failure, complain, explain, told};
use crate::output::Output;
use crate::text;

/// Show and change the accounts of brokers 4.x (ACL 1.0), which later ones have users and rules for.
#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    List(List),
    Show(Show),
    Create(Put),
    Change(Put),
    Delete(Delete),
    Unchecked(Unchecked),
}

/// List accounts.
///
/// A line has the access key, whether it may do what operators do, the addresses from which it needs no signature, what it may do
/// with topics and as groups that are not listed, what it may do with those that are, and the brokers that know it so. Secret keys
/// are never shown.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only accounts whose access keys contain this.
    #[arg(default_value = "")]
    filter: String,

    #[command(flatten)]
    cluster: Cluster,
}

/// Show an account.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The account's access key.
    key: String,

    #[command(flatten)]
    cluster: Cluster,
}

/// Create an account on all brokers, or change it.
///
/// Its access key and its secret key have at least 7 characters; brokers want the secret key for every change. A change leaves what is
/// not given, but for --admin, and is known within some seconds.
#[derive(Debug, Args)]
pub(crate) struct Put {
    /// The account's access key.
    key: String,

    /// It may do what operators do.
    #[arg(long)]
    admin: bool,

    /// What it may do with topics that are not listed. [default for a new one: deny]
    #[arg(long, value_enum, value_name = "PERMISSION")]
    topics: Option<Permission>,

    /// What it may do as groups that are not listed. [default for a new one: deny]
    #[arg(long, value_enum, value_name = "PERMISSION")]
    groups: Option<Permission>,

    /// What it may do with one topic. May be repeated.
    #[arg(long, value_name = "TOPIC=PERMISSION", value_parser = listed)]
    topic: Vec<String>,

    /// What it may do as one group. May be repeated.
    #[arg(long, value_name = "GROUP=PERMISSION", value_parser = listed)]
    group: Vec<String>,

    /// Addresses from which it needs no signature: 10.0.0.*.
    #[arg(long, value_name = "ADDRESS")]
    unchecked: Option<String>,

    #[command(flatten)]
    password: Password,

    #[command(flatten)]
    cluster: Cluster,
}

/// Delete an account on all brokers.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The account's access key.
    key: String,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    cluster: Cluster,
}

/// Show the addresses from which brokers check nothing, or replace them. It asks before.
#[derive(Debug, Args)]
pub(crate) struct Unchecked {
    /// The addresses from now on: 10.0.0.*. May be repeated. [default: show them]
    #[arg(long = "set", value_name = "ADDRESS")]
    addresses: Vec<String>,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Permission {
    Deny,
    Pub,
    Sub,
    PubSub,
}

impl Permission {
    fn wire(self) -> &'static str {
        match self {
            Permission::Deny => "DENY",
            Permission::Pub => "PUB",
            Permission::Sub => "SUB",
            Permission::PubSub => "PUB|SUB",
        }
    }
}

/// `orders=pub-sub` as brokers read it.
fn listed(text: &str) -> Result<String, String> {
    let wrong = || "NAME=deny, NAME=pub, NAME=sub or NAME=pub-sub is expected".to_owned();
    let (name, permission) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
    let permission = Permission::from_str(permission, true).map_err(|_| wrong())?;
    Ok(format!("{name}={}", permission.wire()))
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    access_key: &'a str,
    admin: bool,
    unchecked_address: Option<&'a str>,
    topics: Option<&'a str>,
    groups: Option<&'a str>,
    topic_permissions: &'a [String],
    group_permissions: &'a [String],
    brokers: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownAddresses<'a> {
    broker_name: &'a str,
    addresses: &'a [String],
}

impl Account {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        match self {
            Account::List(list) => {
                let found = accounts(&list.cluster)?;
                show(&found, |account| account.access_key.contains(&list.filter), output)
            }
            Account::Show(asked) => {
                let found = accounts(&asked.cluster)?;
                let wanted = |account: &PlainAccount| account.access_key == asked.key;
                let mut all = found.found.iter().flat_map(|on| &on.value.accounts);
                if !all.any(wanted) && found.failures.is_empty() {
                    return Err(Failure::Failed(format!("there is no account {}", asked.key)));
                }
                show(&found, wanted, output)
            }
            Account::Create(create) => create.run(true),
            Account::Change(change) => change.run(false),
            Account::Delete(delete) => delete.run(),
            Account::Unchecked(unchecked) => unchecked.run(output),
        }
    }
}

impl Put {
    fn run(&self, new: bool) -> Result<(), Failure> {
        let mut account = PlainAccount::new(self.key.as_str());
        account = account.secret_key(self.password.demand()?.reveal());
        let usual = new.then_some(Permission::Deny);
        let wire = |permission: Option<Permission>| permission.or(usual).map(|permission| permission.wire().to_owned());
        account.admin = self.admin;
        (account.default_topic_perm, account.default_group_perm) = (wire(self.topics), wire(self.groups));
        (account.topic_perms, account.group_perms) = (self.topic.clone(), self.group.clone());
        account.white_address.clone_from(&self.unchecked);
        let client = self.cluster.connect()?;
        client.admin().create_account(&account)?;
        client.close()?;
        complain(&format!("account {} is {}", self.key, if new { "created" } else { "changed" }));
        Ok(())
    }
}

impl Delete {
    fn run(&self) -> Result<(), Failure> {
        self.confirm.ask(&format!("Delete account {}?", self.key), "Whoever signs with it is refused")?;
        let client = self.cluster.connect()?;
        client.admin().delete_account(&self.key)?;
        client.close()?;
        complain(&format!("account {} is deleted", self.key));
        Ok(())
    }
}

impl Unchecked {
    fn run(&self, output: &mut Output) -> Result<(), Failure> {
        if !self.addresses.is_empty() {
            let what = format!("Check nothing that comes from {}?", self.addresses.join(" "));
            self.confirm.ask(&what, "Whoever connects from there may do everything")?;
            let client = self.cluster.connect()?;
            let addresses: Vec<&str> = self.addresses.iter().map(String::as_str).collect();
            client.admin().change_white_addresses(&addresses)?;
            return Ok(client.close()?);
        }
        let found = accounts(&self.cluster)?;
        output.list(
            ["BROKER", "ADDRESSES"],
            &found.found,
            |on| ShownAddresses { broker_name: &on.broker_name, addresses: &on.value.white_addresses },
            |on| [on.broker_name.to_string(), text::line(on.value.white_addresses.join(" ").chars())],
        )?;
        output.flush()?;
        told(&found.failures)
    }
}

fn accounts(cluster: &Cluster) -> Result<OnBrokers<PlainAccounts>, Failure> {
    let client = cluster.connect()?;
    let found = client.admin().accounts().map_err(|error| unanswered(&error))?;
    client.close()?;
    Ok(found)
}

/// What a broker 4.x without ACL has no answer for, it does not answer.
fn unanswered(error: &Error) -> Failure {
    let why = if error.is_timeout() { "; brokers 4.x without aclEnable=true do not answer this at all" } else { "" };
    Failure::Failed(format!("{}{why}", explain(error)))
}

fn show(
    found: &OnBrokers<PlainAccounts>,
    wanted: impl Fn(&PlainAccount) -> bool,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut shown: Vec<(&PlainAccount, Vec<&str>)> = Vec::new();
    for on in &found.found {
        for account in on.value.accounts.iter().filter(|account| wanted(account)) {
            match shown.iter_mut().find(|(known, _)| *known == account) {
                Some((_, brokers)) => brokers.push(&on.broker_name),
                None => shown.push((account, vec![&on.broker_name])),
            }
        }
    }
    let names = ["ACCESS KEY", "ADMIN", "UNCHECKED FROM", "TOPICS", "GROUPS", "LISTED", "BROKERS"];
    output.list(
        names,
        &shown,
        |(account, brokers)| view(account, brokers),
        |(account, brokers)| row(account, brokers),
    )?;
    output.flush()?;
    told(&found.failures)
}

fn view<'a>(account: &'a PlainAccount, brokers: &[&'a str]) -> Shown<'a> {
    Shown {
        access_key: &account.access_key,
        admin: account.admin,
        unchecked_address: account.white_address.as_deref(),
        topics: account.default_topic_perm.as_deref(),
        groups: account.default_group_perm.as_deref(),
        topic_permissions: &account.topic_perms,
        group_permissions: &account.group_perms,
        brokers: brokers.to_vec(),
    }
}

fn row(account: &PlainAccount, brokers: &[&str]) -> [String; 7] {
    let or_dash = |text: &Option<String>| text::line(text.as_deref().unwrap_or("-").chars());
    let listed: Vec<&str> = account.topic_perms.iter().chain(&account.group_perms).map(String::as_str).collect();
    [
        text::line(account.access_key.chars()),
        if account.admin { "yes" } else { "no" }.to_owned(),
        or_dash(&account.white_address),
        or_dash(&account.default_topic_perm),
        or_dash(&account.default_group_perm),
        text::line(listed.join(" ").chars()),
        brokers.join(","),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rocketmq_blocking::{Outcome, Stage};

    use super::*;

    #[test]
    fn a_broker_that_does_not_answer_may_have_no_acl() {
        let (after, outcome) = (Duration::from_secs(3), Outcome::Unknown);
        let late = Error::Timeout { stage: Stage::Reply, addr: Some("10.0.0.1:10911".into()), after, outcome };
        let said = |error: &Error| match unanswered(error) {
            Failure::Failed(text) => text,
            other => panic!("{other:?}"),
        };
        assert!(said(&late).ends_with("without aclEnable=true do not answer this at all"));
        assert!(!said(&Error::Closed { outcome: Outcome::NotSent }).contains("aclEnable"));
    }

    #[test]
    fn permissions_are_written_as_brokers_read_them() {
        let cases = [("orders=pub-sub", "orders=PUB|SUB"), ("%RETRY%g=SUB", "%RETRY%g=SUB"), ("a=deny", "a=DENY")];
        for (text, wire) in cases {
            assert_eq!(listed(text).as_deref(), Ok(wire));
        }
        for wrong in ["orders", "=pub", "orders=all", "orders=PUB|SUB,x=PUB"] {
            assert!(listed(wrong).is_err(), "{wrong}");
        }
    }
}
