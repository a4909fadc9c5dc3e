//! What name servers say of a broker's topics where that differs from what the broker has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::topics::{Topic, Topics};
use crate::protocol::rpc::topic::perm;

/// A name server keeps a deleted topic until it is told as well, and permissions it was told to change until the broker tells of
/// the topic again.
#[derive(Debug, Default)]
pub(super) struct Registered {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    deleted: HashMap<Arc<str>, Arc<Topic>>,
    permissions: HashMap<Arc<str>, i32>,
    /// The permissions the broker takes away from all its topics.
    withheld: i32,
}

impl Registered {
    /// The broker tells of all its topics anew.
    pub(super) fn renew(&self) {
        let mut state = self.lock();
        state.deleted.clear();
        state.permissions.clear();
    }

    /// The broker tells of a topic.
    pub(super) fn tell(&self, name: &str) {
        let mut state = self.lock();
        state.deleted.remove(name);
        state.permissions.remove(name);
    }

    /// The broker does not have a topic any more.
    pub(super) fn keep(&self, topic: Arc<Topic>) {
        self.lock().deleted.insert(topic.name.clone(), topic);
    }

    /// The name server is told that a topic does not exist any more.
    pub(super) fn forget(&self, name: &str) {
        self.lock().deleted.remove(name);
    }

    /// The broker allows only `permissions` of what its topics do.
    pub(super) fn allow_only(&self, permissions: i32) {
        self.lock().withheld = (perm::READ | perm::WRITE) & !permissions;
    }

    /// Changes the permissions of all topics; returns of how many.
    fn change(&self, all: &[Arc<Topic>], permissions: impl Fn(i32) -> i32) -> usize {
        let mut state = self.lock();
        for topic in all {
            let now = state.permissions.get(&topic.name).copied().unwrap_or(topic.perm);
            state.permissions.insert(topic.name.clone(), permissions(now));
        }
        all.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Topics {
    /// A topic as name servers have it.
    pub(super) fn registered(&self, name: &str) -> Option<Topic> {
        let own = self.get(name);
        let state = self.registered.lock();
        let topic = own.or_else(|| state.deleted.get(name).cloned())?;
        let permissions = state.permissions.get(name).copied().unwrap_or(topic.perm) & !state.withheld;
        Some(Topic { perm: permissions, ..(*topic).clone() })
    }

    /// The names of all topics as name servers have them.
    pub(super) fn registered_names(&self) -> Vec<Arc<str>> {
        let mut names = self.names();
        names.extend(self.registered.lock().deleted.keys().cloned());
        names
    }

    /// Makes name servers say that no topic can be written to; returns of how many.
    pub(super) fn wipe_write_permission(&self) -> usize {
        self.registered.change(&self.registered_all(), |now| now & !perm::WRITE)
    }

    /// Makes name servers say that all topics can be read and written; returns of how many.
    pub(super) fn add_write_permission(&self) -> usize {
        self.registered.change(&self.registered_all(), |_| perm::READ | perm::WRITE)
    }

    fn registered_all(&self) -> Vec<Arc<Topic>> {
        self.registered_names().iter().filter_map(|name| self.registered(name)).map(Arc::new).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_keep_what_they_were_told_until_they_are_told_anew() {
        let topics = Topics::new("DefaultCluster", "broker-a", true, &[Topic::new("T", 2), Topic::new("Other", 1)]);
        let seen = |name: &str| topics.registered(name).map(|topic| topic.perm);
        let count = topics.wipe_write_permission();
        assert_eq!((count, seen("T"), topics.get("T").unwrap().perm), (topics.names().len(), Some(4), 6));
        topics.put(Topic::new("T", 4));
        assert_eq!((seen("T"), seen("Other")), (Some(6), Some(4)));
        topics.add_write_permission();
        assert_eq!(seen("Other"), Some(6));
        topics.delete("T");
        assert!(seen("T").is_some() && topics.get("T").is_none());
        topics.registered.forget("T");
        assert_eq!((seen("T"), topics.registered_names().len()), (None, topics.names().len()));
        topics.registered.allow_only(4);
        assert_eq!(seen("Other"), Some(4));
        assert!(topics.remove("Other") && seen("Other").is_none());
    }
}
