//! The users of a broker and what they may do.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::rules::{self, Resource};
use crate::protocol::rpc::auth::{AclBody, EntryBody, PolicyBody, UserBody};

pub(super) const SUPER: &str = "Super";
pub(super) const NORMAL: &str = "Normal";
const ENABLED: &str = "enable";
pub(super) const DISABLED: &str = "disable";
const CUSTOM: &str = "Custom";

/// Actions that a rule may name.
const ACTIONS: [&str; 8] = ["All", "Pub", "Sub", "Create", "Update", "Delete", "Get", "List"];

/// The users of a broker, and their rules by `User:name`.
#[derive(Debug, Default)]
pub(in crate::embedded) struct Users {
    table: Mutex<Table>,
}

#[derive(Debug, Clone, Default)]
struct Table {
    users: BTreeMap<String, UserBody>,
    rules: BTreeMap<String, AclBody>,
}

impl Clone for Users {
    fn clone(&self) -> Users {
        Users { table: Mutex::new(self.lock().clone()) }
    }
}

impl Users {
    /// Adds a user, or replaces the one of the same name, rules included.
    pub(in crate::embedded) fn put(&self, user: UserBody, policies: Vec<PolicyBody>) {
        let mut table = self.lock();
        let subject = subject_of(&user.username);
        table.rules.insert(subject.clone(), AclBody { policies, subject: Some(subject) });
        table.users.insert(user.username.clone(), user);
    }

    pub(super) fn find(&self, name: &str) -> Option<UserBody> {
        self.lock().users.get(name).cloned()
    }

    pub(super) fn list(&self, filter: &str) -> Vec<UserBody> {
        self.lock().users.values().filter(|user| user.username.contains(filter)).cloned().collect()
    }

    /// Creates a user; the error is Java's remark.
    pub(super) fn create(&self, user: UserBody) -> Result<(), &'static str> {
        if user.password.as_ref().is_none_or(|password| password.trim().is_empty()) {
            return Err("password can not be blank");
        }
        let mut table = self.lock();
        if table.users.contains_key(&user.username) {
            return Err("The user is existed");
        }
        let user_type = known(user.user_type, [SUPER, NORMAL]).or(Some(NORMAL.into()));
        let user_status = known(user.user_status, [ENABLED, DISABLED]).or(Some(ENABLED.into()));
        table.users.insert(user.username.clone(), UserBody { user_type, user_status, ..user });
        Ok(())
    }

    /// Changes what is not absent.
    pub(super) fn change(&self, change: UserBody) -> Result<(), &'static str> {
        let mut table = self.lock();
        let user = table.users.get_mut(&change.username).ok_or("The user is not exist")?;
        if let Some(password) = change.password.filter(|password| !password.trim().is_empty()) {
            user.password = Some(password);
        }
        if let Some(kind) = known(change.user_type, [SUPER, NORMAL]) {
            user.user_type = Some(kind);
        }
        if let Some(status) = known(change.user_status, [ENABLED, DISABLED]) {
            user.user_status = Some(status);
        }
        Ok(())
    }

    pub(super) fn delete(&self, name: &str) {
        let mut table = self.lock();
        table.users.remove(name);
        table.rules.remove(&subject_of(name));
    }

    pub(super) fn rules(&self, subject: &str) -> Result<Option<AclBody>, String> {
        let table = self.lock();
        table.known(subject).ok_or("The subject is not exist.")?;
        Ok(table.rules.get(subject).cloned())
    }

    pub(super) fn all_rules(&self, subject: &str, resource: &str) -> Vec<AclBody> {
        let table = self.lock();
        let of_resource = |acl: &AclBody| AclBody {
            policies: acl.policies.iter().filter_map(|policy| only(policy, resource)).collect(),
            subject: acl.subject.clone(),
        };
        let found = table.rules.iter().filter(|(name, _)| name.contains(subject)).map(|(_, acl)| of_resource(acl));
        found.filter(|acl| !acl.policies.is_empty()).collect()
    }

    /// Adds rules of a subject; one for the same resource is replaced.
    pub(super) fn put_rules(&self, subject: &str, new: AclBody) -> Result<(), String> {
        check(&new)?;
        let mut table = self.lock();
        table.known(subject).ok_or_else(|| format!("The subject of {subject} is not exist."))?;
        let acl = table.rules.entry(subject.to_owned()).or_default();
        acl.subject = Some(subject.to_owned());
        for policy in new.policies {
            let kind = policy.policy_type.unwrap_or_else(|| CUSTOM.to_owned());
            let at = acl.policies.iter().position(|own| own.policy_type.as_deref() == Some(&kind));
            let at = at.unwrap_or_else(|| {
                acl.policies.push(PolicyBody { entries: Vec::new(), policy_type: Some(kind) });
                acl.policies.len() - 1
            });
            let own = &mut acl.policies[at].entries;
            for entry in policy.entries {
                let resource = Resource::parse(&entry.resource).map(|resource| resource.key()).unwrap_or_default();
                let entry = EntryBody { resource, ..entry };
                match own.iter_mut().find(|own| own.resource == entry.resource) {
                    Some(own) => *own = entry,
                    None => own.push(entry),
                }
            }
        }
        Ok(())
    }

    /// Deletes the rule of a subject for a resource, or all its rules.
    pub(super) fn delete_rules(&self, subject: &str, kind: Option<&str>, resource: Option<&str>) -> Result<(), String> {
        let mut table = self.lock();
        table.known(subject).ok_or("The subject is not exist.")?;
        let acl = table.rules.get_mut(subject).ok_or("The acl is not exist.")?;
        let Some(resource) = resource.and_then(Resource::parse).map(|resource| resource.key()) else {
            table.rules.remove(subject);
            return Ok(());
        };
        let kind = kind.unwrap_or(CUSTOM);
        for policy in acl.policies.iter_mut().filter(|policy| policy.policy_type.as_deref() == Some(kind)) {
            policy.entries.retain(|entry| entry.resource != resource);
        }
        acl.policies.retain(|policy| !policy.entries.is_empty());
        if acl.policies.is_empty() {
            table.rules.remove(subject);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Rules are for users that exist.
    fn known(&self, subject: &str) -> Option<()> {
        self.users.contains_key(subject.strip_prefix("User:")?).then_some(())
    }
}

pub(super) fn subject_of(user: &str) -> String {
    format!("User:{user}")
}

/// A word as Java spells it, or none for one that it does not know.
fn known(word: Option<String>, words: [&str; 2]) -> Option<String> {
    let word = word?;
    words.into_iter().find(|known| known.eq_ignore_ascii_case(&word)).map(str::to_owned)
}

fn only(policy: &PolicyBody, resource: &str) -> Option<PolicyBody> {
    let entries: Vec<_> = policy.entries.iter().filter(|entry| entry.resource.contains(resource)).cloned().collect();
    (!entries.is_empty()).then(|| PolicyBody { entries, policy_type: policy.policy_type.clone() })
}

/// The error is Java's remark.
fn check(acl: &AclBody) -> Result<(), &'static str> {
    for policy in &acl.policies {
        if policy.entries.is_empty() {
            return Err("The policy entries is empty.");
        }
        for entry in &policy.entries {
            Resource::parse(&entry.resource).ok_or("The resource is null.")?;
            if entry.actions.iter().any(|action| action.eq_ignore_ascii_case("Any")) {
                return Err("The actions can not be Any.");
            }
            let known = |action: &String| ACTIONS.iter().any(|known| known.eq_ignore_ascii_case(action));
            if !entry.actions.iter().any(known) {
                return Err("The actions is empty.");
            }
            if entry.source_ips.iter().any(|network| !rules::is_network(network)) {
                return Err("The source ip is invalid.");
            }
            if !["Allow", "Deny"].iter().any(|known| known.eq_ignore_ascii_case(&entry.decision)) {
                return Err("The decision is null or illegal.");
            }
        }
    }
    Ok(())
}
