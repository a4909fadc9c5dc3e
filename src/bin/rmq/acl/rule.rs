use clap::{Args, Subcommand};
use rocketmq_blocking::{Acl, AclAction, AclRule, OnBrokers};
use serde::Serialize;

use crate::cluster::Cluster;
use crate::confirm::Confirm;
use crate::failure::{Failure, complain, told};
use crate::output::Output;
use crate::text;

/// Show and change rules: which users may do what, and from where.
#[derive(Debug, Subcommand)]
pub(crate) enum Rule {
    List(List),
    Show(Show),
    Create(Put),
    Change(Put),
    Delete(Delete),
}

/// List rules.
///
/// A line has whose it is, what it is about, what it is for, whether it allows or denies that, the networks for which it does, and
/// the brokers that have it.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only rules for what contains this, such as Topic:orders.
    #[arg(long, default_value = "")]
    resource: String,

    /// Only rules of users whose names contain this.
    #[arg(long, default_value = "")]
    user: String,

    #[command(flatten)]
    cluster: Cluster,
}

/// Show the rules of a user.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// User.
    user: String,

    #[command(flatten)]
    cluster: Cluster,
}

/// Give a user rules. One that they have for the same resource is replaced.
#[derive(Debug, Args)]
pub(crate) struct Put {
    /// User.
    user: String,

    /// What the rule is about: Topic:orders, Group:shop*, Cluster:DefaultCluster, or * for everything. May be repeated.
    #[arg(long, value_name = "RESOURCE", required = true)]
    resource: Vec<String>,

    /// What it is for: All, Pub, Sub, Create, Update, Delete, Get, List; several are separated by commas.
    #[arg(long, value_name = "ACTION", required = true, value_delimiter = ',')]
    action: Vec<String>,

    /// Forbid it, instead of allowing it.
    #[arg(long)]
    deny: bool,

    /// Only for clients at this address or in this network: 10.0.0.0/8. May be repeated.
    #[arg(long, value_name = "NETWORK")]
    from: Vec<String>,

    #[command(flatten)]
    cluster: Cluster,
}

/// Take the rule for a resource away from a user, or all their rules.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// User.
    user: String,

    /// Only the rule for this. [default: all]
    #[arg(long, value_name = "RESOURCE")]
    resource: Option<String>,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    subject: &'a str,
    policy: String,
    resource: &'a str,
    actions: Vec<String>,
    decision: String,
    source_ips: &'a [String],
    brokers: Vec<&'a str>,
}

impl Rule {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        match self {
            Rule::List(list) => {
                let client = list.cluster.connect()?;
                let found = client.admin().acls(&list.user, &list.resource)?;
                client.close()?;
                show(&found, output)
            }
            Rule::Show(asked) => {
                let client = asked.cluster.connect()?;
                let found = client.admin().acl(&subject(&asked.user))?;
                client.close()?;
                show(&found, output)
            }
            Rule::Create(put) => put.run(false),
            Rule::Change(put) => put.run(true),
            Rule::Delete(delete) => delete.run(),
        }
    }
}

impl Put {
    fn run(&self, change: bool) -> Result<(), Failure> {
        let actions: Vec<AclAction> = self.action.iter().map(|word| AclAction::from(word.as_str())).collect();
        if let Some(AclAction::Other(word)) = actions.iter().find(|action| matches!(action, AclAction::Other(_))) {
            return Err(Failure::Usage(format!(
                "{word} is no action: All, Pub, Sub, Create, Update, Delete, Get and List are"
            )));
        }
        let mut acl = Acl::user(&self.user);
        for resource in &self.resource {
            let (resource, actions) = (resource.clone(), actions.clone());
            let rule = if self.deny { AclRule::deny(resource, actions) } else { AclRule::allow(resource, actions) };
            acl = acl.rule(self.from.iter().fold(rule, |rule, network| rule.source_ip(network)));
        }
        let client = self.cluster.connect()?;
        let admin = client.admin();
        if change {
            admin.change_acl(&acl)?
        } else {
            admin.create_acl(&acl)?
        }
        client.close()?;
        complain(&format!("user {}: {} set", self.user, text::counted(acl.rules.len() as u64, "rule")));
        Ok(())
    }
}

impl Delete {
    fn run(&self) -> Result<(), Failure> {
        let what = match &self.resource {
            Some(resource) => format!("Delete the rule of user {} for {resource}?", self.user),
            None => format!("Delete all rules of user {}?", self.user),
        };
        self.confirm.ask(&what, "Their clients may be refused, or no longer be")?;
        let client = self.cluster.connect()?;
        client.admin().delete_acl(&subject(&self.user), self.resource.as_deref())?;
        client.close()?;
        complain("deleted");
        Ok(())
    }
}

fn subject(user: &str) -> String {
    format!("User:{user}")
}

fn show(found: &OnBrokers<Acl>, output: &mut Output) -> Result<(), Failure> {
    let of_broker = |(acl, brokers): (_, Vec<_>)| rules(acl, &brokers);
    let shown: Vec<Shown<'_>> = found.distinct().into_iter().flat_map(of_broker).collect();
    let names = ["SUBJECT", "POLICY", "RESOURCE", "ACTIONS", "DECISION", "FROM", "BROKERS"];
    output.list(names, &shown, |rule| rule, row)?;
    output.flush()?;
    told(&found.failures)
}

fn rules<'a>(acl: &'a Acl, brokers: &[&'a str]) -> Vec<Shown<'a>> {
    let shown = |rule: &'a AclRule| Shown {
        subject: &acl.subject,
        policy: rule.policy.to_string(),
        resource: &rule.resource,
        actions: rule.actions.iter().map(ToString::to_string).collect(),
        decision: rule.decision.to_string(),
        source_ips: &rule.source_ips,
        brokers: brokers.to_vec(),
    };
    acl.rules.iter().map(shown).collect()
}

fn row(rule: &Shown<'_>) -> [String; 7] {
    let from = if rule.source_ips.is_empty() { "everywhere".to_owned() } else { rule.source_ips.join(",") };
    [
        text::line(rule.subject.chars()),
        rule.policy.clone(),
        text::line(rule.resource.chars()),
        rule.actions.join(","),
        rule.decision.clone(),
        from,
        rule.brokers.join(","),
    ]
}
