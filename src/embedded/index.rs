//! Messages by key: chains of log numbers under the hash of topic and key, as Java's index files have them.

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// The end of a chain.
const NONE: u64 = u64::MAX;

#[derive(Debug, Default)]
pub(super) struct Index {
    /// The newest link of each chain.
    heads: HashMap<u64, u64, BuildHasherDefault<Hashed>>,
    /// The number of the first link of `links`.
    first: u64,
    links: VecDeque<Link>,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    hash: u64,
    sequence: u64,
    previous: u64,
}

impl Index {
    pub(super) fn add(&mut self, topic: &str, key: &str, sequence: u64) {
        let hash = hash(topic, key);
        let number = self.first + self.links.len() as u64;
        let previous = self.heads.insert(hash, number).unwrap_or(NONE);
        self.links.push_back(Link { hash, sequence, previous });
    }

    /// Drops what points before a number of the log.
    pub(super) fn forget_before(&mut self, sequence: u64) {
        while let Some(link) = self.links.front().copied().filter(|link| link.sequence < sequence) {
            if let Entry::Occupied(head) = self.heads.entry(link.hash) {
                if *head.get() == self.first {
                    head.remove();
                }
            }
            self.links.pop_front();
            self.first += 1;
        }
    }

    pub(super) fn newest_first(&self, topic: &str, key: &str) -> impl Iterator<Item = u64> {
        let mut at = self.heads.get(&hash(topic, key)).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let link = self.links.get(usize::try_from(at.checked_sub(self.first)?).ok()?)?;
            at = link.previous;
            Some(link.sequence)
        })
    }
}

fn hash(topic: &str, key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (topic, key).hash(&mut hasher);
    hasher.finish()
}

/// Passes on what is a hash already.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
