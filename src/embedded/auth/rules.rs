//! Which rule of a user decides about a request, as Apache's broker finds it. Pure.

use std::net::IpAddr;

use crate::protocol::rpc::auth::{AclBody, EntryBody};

const DENY: &str = "Deny";
const DEFAULT: &str = "Default";

/// What a request touches, or what a rule is about: `Topic:orders`, `Group:shop*`, `Cluster:*` or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resource {
    /// Empty for any.
    kind: &'static str,
    name: Name,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Any,
    Prefix(String),
    Whole(String),
}

const KINDS: [&str; 4] = ["Cluster", "Namespace", "Topic", "Group"];

impl Resource {
    pub(super) fn topic(name: &str) -> Resource {
        Resource { kind: "Topic", name: Name::Whole(name.to_owned()) }
    }

    pub(super) fn group(name: &str) -> Resource {
        Resource { kind: "Group", name: Name::Whole(name.to_owned()) }
    }

    pub(super) fn cluster(name: &str) -> Resource {
        Resource { kind: "Cluster", name: Name::Whole(name.to_owned()) }
    }

    /// Reads what a rule is about.
    pub(super) fn parse(text: &str) -> Option<Resource> {
        if text == "*" {
            return Some(Resource { kind: "", name: Name::Any });
        }
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        let kind = KINDS.into_iter().find(|known| known.eq_ignore_ascii_case(kind))?;
        let name = match name.strip_suffix('*') {
            Some("") => Name::Any,
            Some(prefix) => Name::Prefix(prefix.to_owned()),
            None => Name::Whole(name.to_owned()),
        };
        Some(Resource { kind, name })
    }

    pub(super) fn key(&self) -> String {
        match &self.name {
            _ if self.kind.is_empty() => "*".to_owned(),
            Name::Any => format!("{}:*", self.kind),
            Name::Prefix(prefix) => format!("{}:{prefix}*", self.kind),
            Name::Whole(name) => format!("{}:{name}", self.kind),
        }
    }

    fn covers(&self, other: &Resource) -> bool {
        self.kind.is_empty()
            || self.kind == other.kind
                && match (&self.name, &other.name) {
                    (Name::Any, _) => true,
                    (Name::Prefix(prefix), Name::Whole(name)) => name.starts_with(prefix),
                    (own, other) => own == other,
                }
    }

    /// The larger, the more this rule counts.
    fn weight(&self) -> (bool, usize) {
        let exact = match &self.name {
            Name::Any => 0,
            Name::Prefix(prefix) => 1 + prefix.len(),
            Name::Whole(_) => usize::MAX,
        };
        (!self.kind.is_empty(), exact)
    }
}

/// Says why the rules do not permit one of the actions on a resource.
pub(super) fn check(
    acl: Option<&AclBody>,
    resource: &Resource,
    actions: &[&str],
    from: IpAddr,
) -> Result<(), &'static str> {
    let matching = |default: bool| {
        let of_kind = move |kind: &Option<String>| (kind.as_deref() == Some(DEFAULT)) == default;
        let policies = acl.into_iter().flat_map(|acl| &acl.policies).filter(move |one| of_kind(&one.policy_type));
        let entries = policies.flat_map(|policy| &policy.entries);
        entries.filter(|entry| matches(entry, resource, actions, from)).max_by_key(|entry| weight(entry))
    };
    match matching(false).or_else(|| matching(true)) {
        None => Err("no matched policies."),
        Some(entry) if entry.decision.eq_ignore_ascii_case(DENY) => Err("the decision is deny."),
        Some(_) => Ok(()),
    }
}

fn weight(entry: &EntryBody) -> (bool, usize) {
    Resource::parse(&entry.resource).map_or((false, 0), |resource| resource.weight())
}

fn matches(entry: &EntryBody, resource: &Resource, actions: &[&str], from: IpAddr) -> bool {
    let allowed = |action: &&str| {
        entry.actions.iter().any(|own| own.eq_ignore_ascii_case(action) || own.eq_ignore_ascii_case("All"))
    };
    Resource::parse(&entry.resource).is_some_and(|own| own.covers(resource))
        && actions.iter().any(allowed)
        && (entry.source_ips.is_empty() || entry.source_ips.iter().any(|network| contains(network, from)))
}

/// Whether a network, or a single address, contains an address.
pub(super) fn contains(network: &str, addr: IpAddr) -> bool {
    let (base, bits) = match network.split_once('/') {
        Some((base, bits)) => (base, bits.parse().ok()),
        None => (network, Some(128)),
    };
    let common = |a: u128, b: u128, width: u32, bits: u32| {
        let bits = bits.min(width);
        bits == 0 || (a ^ b) >> (width - bits) == 0
    };
    match (base.trim().parse(), addr, bits) {
        (Ok(IpAddr::V4(base)), IpAddr::V4(addr), Some(bits)) => {
            common(u128::from(u32::from(base)), u128::from(u32::from(addr)), 32, bits)
        }
        (Ok(IpAddr::V6(base)), IpAddr::V6(addr), Some(bits)) => common(base.into(), addr.into(), 128, bits),
        _ => false,
    }
}

/// Whether a text names an address or a network.
pub(super) fn is_network(text: &str) -> bool {
    let (base, bits) = text.split_once('/').unwrap_or((text, "0"));
    let widest = |base: IpAddr| if base.is_ipv4() { 32 } else { 128 };
    base.parse::<IpAddr>().is_ok_and(|base| bits.parse::<u32>().is_ok_and(|bits| bits <= widest(base)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rpc::auth::PolicyBody;

    fn entry(resource: &str, actions: &[&str], decision: &str) -> EntryBody {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        EntryBody { actions, decision: decision.into(), resource: resource.into(), source_ips: Vec::new() }
    }

    fn acl(custom: Vec<EntryBody>, default: Vec<EntryBody>) -> AclBody {
        let policy = |kind: &str, entries| PolicyBody { entries, policy_type: Some(kind.into()) };
        AclBody { policies: vec![policy("Custom", custom), policy("Default", default)], subject: None }
    }

    #[test]
    fn the_most_exact_rule_decides_and_those_by_default_only_when_no_other_fits() {
        let rules = acl(
            vec![
                entry("*", &["All"], "Deny"),
                entry("Topic:*", &["Sub"], "Allow"),
                entry("Topic:or*", &["Sub"], "Deny"),
                entry("Topic:orders*", &["Sub", "Pub"], "Allow"),
                entry("Topic:orders-secret", &["Sub"], "Deny"),
            ],
            vec![entry("Group:g", &["Sub"], "Allow")],
        );
        let from = IpAddr::from([127, 0, 0, 1]);
        let check = |resource: Resource, action| check(Some(&rules), &resource, &[action], from).is_ok();
        for (topic, action, allowed) in [
            ("orders", "Sub", true),
            ("orders-1", "Pub", true),
            ("orders-secret", "Sub", false),
            ("order", "Sub", false),
            ("other", "Sub", true),
            ("other", "Pub", false),
        ] {
            assert_eq!(check(Resource::topic(topic), action), allowed, "{topic} {action}");
        }
        assert!(!check(Resource::group("g"), "Sub"), "a rule for everything stands before the defaults");
        let rules = acl(vec![entry("Group:h", &["Sub"], "Deny")], vec![entry("Group:*", &["All"], "Allow")]);
        let check = |group| super::check(Some(&rules), &Resource::group(group), &["Sub"], from);
        assert_eq!((check("g"), check("h")), (Ok(()), Err("the decision is deny.")));
        assert_eq!(super::check(None, &Resource::group("g"), &["Sub"], from), Err("no matched policies."));
    }

    #[test]
    fn rules_hold_for_the_networks_they_name() {
        for (network, addr, within) in [
            ("10.0.0.0/8", "10.9.9.9", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "10.0.0.1", false),
            ("nonsense", "10.0.0.1", false),
        ] {
            assert_eq!(contains(network, addr.parse().unwrap()), within, "{network} {addr}");
        }
        for (text, right) in [("10.0.0.0/8", true), ("::1", true), ("10.0.0.0/33", false), ("x", false)] {
            assert_eq!(is_network(text), right, "{text}");
        }
    }

    #[test]
    fn resources_are_written_as_they_were_read() {
        for text in ["*", "Topic:*", "Topic:a*", "Group:a", "Cluster:c"] {
            assert_eq!(Resource::parse(text).unwrap().key(), text);
        }
        assert_eq!(Resource::parse("topic:a").unwrap().key(), "Topic:a");
        assert_eq!(Resource::parse("Queue:a"), None);
    }
}
