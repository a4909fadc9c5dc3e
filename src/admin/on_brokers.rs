//! What each broker keeps by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Admin, cluster};
use crate::client::AskedMasters;
use crate::error::{Attempt, Result};
use crate::protocol::request::Request;

/// What the brokers of a cluster keep of something, each for itself: settings of groups, users, rules. They should agree, and
/// nothing but their operators sees to that.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OnBrokers<T> {
    /// What each broker that was asked has, sorted by broker name.
    pub found: Vec<OnBroker<T>>,
    /// The brokers that could not be asked. What they keep is missing.
    pub failures: Vec<Attempt>,
}

/// What one broker keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnBroker<T> {
    /// The broker's name.
    pub broker_name: Arc<str>,
    /// What it keeps.
    pub value: T,
}

impl<T> OnBrokers<T> {
    /// Returns what the first of the brokers has that have it.
    pub fn first(&self) -> Option<&T> {
        self.found.first().map(|found| &found.value)
    }

    /// Returns what one broker has.
    pub fn on(&self, broker_name: &str) -> Option<&T> {
        self.found.iter().find(|found| *found.broker_name == *broker_name).map(|found| &found.value)
    }
}

impl<T: PartialEq> OnBrokers<T> {
    /// Returns whether all brokers that have it have the same.
    pub fn agree(&self) -> bool {
        self.found.windows(2).all(|pair| pair[0].value == pair[1].value)
    }

    /// Returns what is different, in the order of the brokers, each with the names of those that have it.
    pub fn distinct(&self) -> Vec<(&T, Vec<&str>)> {
        let mut distinct: Vec<(&T, Vec<&str>)> = Vec::new();
        for OnBroker { broker_name, value } in &self.found {
            match distinct.iter_mut().find(|(known, _)| *known == value) {
                Some((_, names)) => names.push(broker_name),
                None => distinct.push((value, vec![broker_name])),
            }
        }
        distinct
    }
}

impl<T> OnBrokers<T> {
    pub(super) fn new(mut found: Vec<OnBroker<T>>, failures: Vec<Attempt>) -> OnBrokers<T> {
        found.sort_by(|one, other| one.broker_name.cmp(&other.broker_name));
        OnBrokers { found, failures }
    }

    /// By key, in the order of the keys.
    pub(super) fn by_key<K: Ord>(mut self, key: impl Fn(&T) -> K) -> OnBrokers<T> {
        self.found.sort_by_cached_key(|found| (key(&found.value), found.broker_name.clone()));
        self
    }
}

impl Admin {
    /// Asks all masters of all clusters.
    pub(super) fn ask_everywhere<R: Request + Send + 'static>(
        &self,
        request: &R,
        body: &[u8],
    ) -> Result<AskedMasters<R>> {
        let core = self.core();
        core.check_open()?;
        let deadline = core.request_deadline();
        let masters = cluster::masters(core, deadline)?;
        Ok(core.ask_servers(&masters, request, body, deadline))
    }

    /// Has all masters do something; all of them have, or it is an error.
    pub(super) fn tell_everywhere<R: Request + Send + 'static>(&self, request: &R, body: &[u8]) -> Result<()> {
        self.ask_everywhere(request, body)?.all().map(drop)
    }

    /// What all masters answer, each answer made into any number of values.
    pub(super) fn collect_everywhere<R: Request + Send + 'static, T>(
        &self,
        request: &R,
        read: impl Fn(&[u8]) -> Result<Vec<T>>,
    ) -> Result<OnBrokers<T>> {
        let AskedMasters { answers, failures } = self.ask_everywhere(request, &[])?.some()?;
        let mut found = Vec::new();
        for from in answers {
            for value in read(from.answer.frame.body())? {
                found.push(OnBroker { broker_name: from.broker_name.clone(), value });
            }
        }
        Ok(OnBrokers::new(found, failures))
    }
}

/// Sorts and puts together what several brokers named.
pub(super) fn union<T: Ord>(lists: impl Iterator<Item = T>) -> Vec<T> {
    let all: BTreeMap<T, ()> = lists.map(|one| (one, ())).collect();
    all.into_keys().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_brokers_disagree_about_is_told_with_their_names() {
        let on = |broker_name: &str, value| OnBroker { broker_name: broker_name.into(), value };
        let found = OnBrokers::new(vec![on("c", 1), on("a", 1), on("b", 2)], Vec::new());
        assert_eq!((found.first(), found.on("b"), found.on("d")), (Some(&1), Some(&2), None));
        assert_eq!(found.distinct(), [(&1, vec!["a", "c"]), (&2, vec!["b"])]);
        assert!(!found.agree() && OnBrokers::new(vec![on("a", 1), on("b", 1)], Vec::new()).agree());
        assert_eq!(union(["b", "a", "b"].into_iter()), ["a", "b"]);
    }
}
