use std::fmt;
use std::sync::Arc;

use super::{Admin, OnBrokers};
use crate::error::{Error, Result};
use crate::protocol::json;
use crate::protocol::rpc::auth::{AclBody, CreateAcl, DeleteAcl, EntryBody, GetAcl, ListAcls, PolicyBody, UpdateAcl};

/// What a rule is for (Java: `Action`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AclAction {
    /// Each of the others.
    All,
    /// Sending to a topic.
    Pub,
    /// Consuming a topic, as a group.
    Sub,
    /// Creating topics or groups.
    Create,
    /// Changing them.
    Update,
    /// Deleting them.
    Delete,
    /// Looking at them.
    Get,
    /// Listing them.
    List,
    /// One that is newer than this crate, by the wire's word.
    Other(Arc<str>),
}

/// Whether a rule allows or forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AclDecision {
    /// The actions are allowed.
    Allow,
    /// The actions are forbidden.
    Deny,
}

/// When a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum AclPolicy {
    /// Before those by default.
    #[default]
    Custom,
    /// When no custom rule fits.
    Default,
}

/// One rule: what may be done with a resource.
///
/// A resource is `Topic:orders`, `Group:shop-1` or `Cluster:DefaultCluster`, with `*` at the end of a name for all that begin so,
/// `Topic:*` for all topics, `*` for everything. Of several that fit a request the most exact one decides.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AclRule {
    /// What it is about.
    pub resource: String,
    /// What it is for, at least one.
    pub actions: Vec<AclAction>,
    /// Whether it allows or forbids.
    pub decision: AclDecision,
    /// The addresses and networks (`10.0.0.0/8`) for whose clients it is; for all when there is none.
    pub source_ips: Vec<String>,
    /// When it counts.
    pub policy: AclPolicy,
}

/// The rules of a user (ACL 2.0; Java: `AclInfo`).
///
/// ```
/// use rocketmq_blocking::{Acl, AclAction, AclRule};
///
/// let acl = Acl::user("alice")
///     .allow("Topic:orders*", [AclAction::Pub, AclAction::Sub])
///     .rule(AclRule::allow("Group:shop", [AclAction::Sub]).source_ip("10.0.0.0/8"))
///     .deny("Topic:orders-secret", [AclAction::All]);
/// assert_eq!(acl.rules.len(), 3);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acl {
    /// Whose rules they are, such as `User:alice`.
    pub subject: Arc<str>,
    /// The rules.
    pub rules: Vec<AclRule>,
}

impl AclRule {
    /// Begins a rule that allows actions on a resource.
    pub fn allow(resource: impl Into<String>, actions: impl IntoIterator<Item = AclAction>) -> AclRule {
        AclRule {
            resource: resource.into(),
            actions: actions.into_iter().collect(),
            decision: AclDecision::Allow,
            source_ips: Vec::new(),
            policy: AclPolicy::Custom,
        }
    }

    /// Begins a rule that forbids actions on a resource.
    pub fn deny(resource: impl Into<String>, actions: impl IntoIterator<Item = AclAction>) -> AclRule {
        AclRule { decision: AclDecision::Deny, ..AclRule::allow(resource, actions) }
    }

    /// Adds an address or a network for whose clients the rule is.
    #[must_use]
    pub fn source_ip(mut self, network: impl Into<String>) -> AclRule {
        self.source_ips.push(network.into());
        self
    }

    /// Makes it one that counts when no custom rule fits.
    #[must_use]
    pub fn by_default(mut self) -> AclRule {
        self.policy = AclPolicy::Default;
        self
    }

    fn read(body: EntryBody, policy: AclPolicy) -> AclRule {
        let decision = match body.decision.eq_ignore_ascii_case("Deny") {
            true => AclDecision::Deny,
            false => AclDecision::Allow,
        };
        let actions = body.actions.iter().map(|action| AclAction::from(action.as_str())).collect();
        AclRule { resource: body.resource, actions, decision, source_ips: body.source_ips, policy }
    }

    fn body(&self) -> EntryBody {
        EntryBody {
            actions: self.actions.iter().map(ToString::to_string).collect(),
            decision: self.decision.to_string(),
            resource: self.resource.clone(),
            source_ips: self.source_ips.clone(),
        }
    }
}

impl Acl {
    /// Begins the rules of a user.
    pub fn user(name: &str) -> Acl {
        Acl { subject: format!("User:{name}").into(), rules: Vec::new() }
    }

    /// Adds a rule.
    #[must_use]
    pub fn rule(mut self, rule: AclRule) -> Acl {
        self.rules.push(rule);
        self
    }

    /// Allows actions on a resource, see [`AclRule`].
    #[must_use]
    pub fn allow(self, resource: impl Into<String>, actions: impl IntoIterator<Item = AclAction>) -> Acl {
        self.rule(AclRule::allow(resource, actions))
    }

    /// Forbids actions on a resource.
    #[must_use]
    pub fn deny(self, resource: impl Into<String>, actions: impl IntoIterator<Item = AclAction>) -> Acl {
        self.rule(AclRule::deny(resource, actions))
    }

    fn read(body: AclBody) -> Acl {
        let of_kind = |policy: PolicyBody| {
            let by_default = policy.policy_type.is_some_and(|kind| kind.eq_ignore_ascii_case("Default"));
            let kind = if by_default { AclPolicy::Default } else { AclPolicy::Custom };
            policy.entries.into_iter().map(move |entry| AclRule::read(entry, kind))
        };
        let rules = body.policies.into_iter().flat_map(of_kind).collect();
        Acl { subject: body.subject.unwrap_or_default().into(), rules }
    }

    fn body(&self) -> Result<AclBody> {
        check_subject(&self.subject)?;
        for rule in &self.rules {
            check_rule(rule)?;
        }
        let of_kind = |kind| {
            let rules = self.rules.iter().filter(move |rule| rule.policy == kind);
            PolicyBody { entries: rules.map(AclRule::body).collect(), policy_type: Some(kind.to_string()) }
        };
        let policies = [AclPolicy::Custom, AclPolicy::Default].map(of_kind).into_iter();
        let policies: Vec<PolicyBody> = policies.filter(|policy| !policy.entries.is_empty()).collect();
        if policies.is_empty() {
            return Err(Error::invalid(format!("there is no rule for {}", self.subject)));
        }
        Ok(AclBody { policies, subject: Some(self.subject.to_string()) })
    }
}

fn check_subject(subject: &str) -> Result<()> {
    match subject.split_once(':') {
        Some((_, name)) if !name.trim().is_empty() => Ok(()),
        _ => Err(Error::invalid(format!("{subject:?} is no subject: something like User:alice is expected"))),
    }
}

fn check_resource(resource: &str) -> Result<()> {
    let kinds = ["Cluster", "Namespace", "Topic", "Group"];
    let known = resource.split_once(':').is_some_and(|(kind, name)| {
        kinds.iter().any(|known| known.eq_ignore_ascii_case(kind)) && !name.trim().is_empty()
    });
    if known || resource == "*" {
        return Ok(());
    }
    let expected = "something like Topic:orders, Group:shop*, Cluster:DefaultCluster or * is expected";
    Err(Error::invalid(format!("{resource:?} is no resource: {expected}")))
}

/// Brokers store some of what they should refuse.
fn check_rule(rule: &AclRule) -> Result<()> {
    check_resource(&rule.resource)?;
    if rule.actions.is_empty() {
        return Err(Error::invalid(format!("the rule for {} names no action", rule.resource)));
    }
    Ok(())
}

impl From<&str> for AclAction {
    fn from(word: &str) -> AclAction {
        let known = [
            AclAction::All,
            AclAction::Pub,
            AclAction::Sub,
            AclAction::Create,
            AclAction::Update,
            AclAction::Delete,
            AclAction::Get,
            AclAction::List,
        ];
        let found = known.into_iter().find(|known| known.to_string().eq_ignore_ascii_case(word.trim()));
        found.unwrap_or_else(|| AclAction::Other(word.trim().into()))
    }
}

/// The wire's word.
impl fmt::Display for AclAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            AclAction::All => "All",
            AclAction::Pub => "Pub",
            AclAction::Sub => "Sub",
            AclAction::Create => "Create",
            AclAction::Update => "Update",
            AclAction::Delete => "Delete",
            AclAction::Get => "Get",
            AclAction::List => "List",
            AclAction::Other(word) => word,
        })
    }
}

/// The wire's word.
impl fmt::Display for AclDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            AclDecision::Allow => "Allow",
            AclDecision::Deny => "Deny",
        })
    }
}

/// The wire's word.
impl fmt::Display for AclPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            AclPolicy::Custom => "Custom",
            AclPolicy::Default => "Default",
        })
    }
}

/// Rules of ACL 2.0; what is said of [`users`](Admin::users) holds for them as well.
impl Admin {
    /// Returns the rules of all subjects that contain `subject`, for resources that contain `resource`, sorted by subject; empty
    /// texts are in all of them (`mqadmin listAcl`).
    ///
    /// # Errors
    /// A broker that fails is named in [`OnBrokers::failures`]; only when none answered the call fails.
    pub fn acls(&self, subject: &str, resource: &str) -> Result<OnBrokers<Acl>> {
        let text = |filter: &str| (!filter.is_empty()).then(|| filter.to_owned());
        let request = ListAcls { resource_filter: text(resource), subject_filter: text(subject) };
        let found = self.collect_everywhere(&request, |body| {
            let acls: Vec<AclBody> = if body.is_empty() { Vec::new() } else { json::decode("rules", body)? };
            Ok(acls.into_iter().map(Acl::read).collect())
        })?;
        Ok(found.by_key(|acl| acl.subject.clone()))
    }

    /// Returns the rules of a subject, such as `User:alice`, as each broker has them (`mqadmin getAcl`).
    ///
    /// # Errors
    /// As [`acls`](Admin::acls); [`Error::Rejected`] (16) when there is no such user, [`Error::Invalid`] for what is no subject.
    pub fn acl(&self, subject: &str) -> Result<OnBrokers<Acl>> {
        check_subject(subject)?;
        self.collect_everywhere(&GetAcl { subject: subject.to_owned() }, |body| {
            Ok(if body.is_empty() { Vec::new() } else { vec![Acl::read(json::decode("rules", body)?)] })
        })
    }

    /// Gives a subject rules (`mqadmin createAcl`). Those it has stay, but for those of the same resources, which are replaced.
    ///
    /// # Errors
    /// They were given on all brokers or an error is returned. [`Error::Rejected`] (16) when there is no such user,
    /// [`Error::Invalid`] for no rule, or one without actions or for what is no resource.
    pub fn create_acl(&self, acl: &Acl) -> Result<()> {
        let body = acl.body()?;
        self.tell_everywhere(&CreateAcl { subject: acl.subject.to_string() }, &json::encode(&body))
    }

    /// Changes rules of a subject (`mqadmin updateAcl`): as [`create_acl`](Admin::create_acl), which brokers do in the same way.
    ///
    /// # Errors
    /// As there.
    pub fn change_acl(&self, acl: &Acl) -> Result<()> {
        let body = acl.body()?;
        self.tell_everywhere(&UpdateAcl { subject: acl.subject.to_string() }, &json::encode(&body))
    }

    /// Takes the custom rule for a resource away from a subject; all its rules for `None` (`mqadmin deleteAcl`).
    ///
    /// # Errors
    /// It was taken away on all brokers or an error is returned. [`Error::Rejected`] (16) when there is no such user or it has
    /// no rules, [`Error::Invalid`] for what is no subject or no resource.
    pub fn delete_acl(&self, subject: &str, resource: Option<&str>) -> Result<()> {
        check_subject(subject)?;
        // Brokers take what they cannot read for all.
        resource.map_or(Ok(()), check_resource)?;
        let resource = resource.map(str::to_owned);
        self.tell_everywhere(&DeleteAcl { policy_type: None, resource, subject: subject.to_owned() }, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_by_kind_and_read_back() {
        let acl = Acl::user("alice")
            .allow("Topic:a*", [AclAction::Pub, AclAction::Other("Later".into())])
            .rule(AclRule::deny("*", [AclAction::All]).source_ip("10.0.0.0/8").by_default());
        let body = acl.body().unwrap();
        let kinds: Vec<_> = body.policies.iter().map(|policy| policy.policy_type.as_deref()).collect();
        assert_eq!(kinds, [Some("Custom"), Some("Default")]);
        assert_eq!(Acl::read(body), acl);
    }

    #[test]
    fn what_brokers_would_store_wrong_is_refused() {
        for wrong in [
            Acl::user("alice"),
            Acl::user(" ").allow("*", [AclAction::Pub]),
            Acl::user("alice").allow("Topic:a", []),
            Acl::user("alice").allow("Topic:", [AclAction::Pub]),
            Acl::user("alice").allow("Queue:a", [AclAction::Pub]),
        ] {
            assert!(matches!(wrong.body(), Err(Error::Invalid { .. })), "{wrong:?}");
        }
    }
}
