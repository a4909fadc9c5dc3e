//! Locks of queues that are consumed in order. A broker keeps them in memory, so a restart forgets them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::broker::Broker;
use super::call::{Call, Handled};
use crate::protocol::json;
use crate::protocol::rpc::lock::{LockBody, LockedBody, QueueBody};

/// How long a lock lives without being renewed, as in Java.
const LIFE: Duration = Duration::from_secs(60);

/// Who holds which queue of a group, and since when.
#[derive(Debug, Default)]
pub(super) struct Locks {
    groups: Mutex<HashMap<Arc<str>, HashMap<QueueBody, Held>>>,
}

#[derive(Debug)]
struct Held {
    client_id: Arc<str>,
    renewed: Instant,
}

impl Held {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.renewed) > LIFE
    }
}

impl Locks {
    /// Gives the queues that nobody else holds.
    fn lock(&self, asked: LockBody, now: Instant) -> Vec<QueueBody> {
        let mut groups = self.groups();
        let held = groups.entry(asked.consumer_group).or_default();
        let mut locked = Vec::new();
        for queue in asked.mq_set {
            let free = held.get(&queue).is_none_or(|held| held.client_id == asked.client_id || held.is_over(now));
            if free {
                held.insert(queue.clone(), Held { client_id: asked.client_id.clone(), renewed: now });
                locked.push(queue);
            }
        }
        locked
    }

    fn unlock(&self, asked: &LockBody) {
        if let Some(held) = self.groups().get_mut(&asked.consumer_group) {
            for queue in &asked.mq_set {
                if held.get(queue).is_some_and(|held| held.client_id == asked.client_id) {
                    held.remove(queue);
                }
            }
        }
    }

    /// Whether a group consumes in order: then what it gives back becomes a dead letter at once, as in Java.
    pub(super) fn has(&self, group: &str) -> bool {
        let now = Instant::now();
        self.groups().get(group).is_some_and(|held| held.values().any(|held| !held.is_over(now)))
    }

    pub(super) fn clear(&self) {
        self.groups().clear();
    }

    fn groups(&self) -> MutexGuard<'_, HashMap<Arc<str>, HashMap<QueueBody, Held>>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker {
    pub(super) fn lock_queues(&self, call: &mut Call<'_>) -> Handled {
        match json::decode::<LockBody>("request for locks", call.frame.body()) {
            Ok(asked) => {
                let locked = self.locks.lock(asked, Instant::now());
                call.body(&json::encode(&LockedBody { locked }))
            }
            Err(error) => call.unreadable(&error),
        }
    }

    pub(super) fn unlock_queues(&self, call: &mut Call<'_>) -> Handled {
        match json::decode::<LockBody>("request to unlock", call.frame.body()) {
            Ok(asked) => {
                self.locks.unlock(&asked);
                call.done()
            }
            Err(error) => call.unreadable(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(client_id: &str, ids: &[i32]) -> LockBody {
        let queue = |id: &i32| QueueBody { broker_name: "b".into(), queue_id: *id, topic: "T".into() };
        let mq_set = ids.iter().map(queue).collect();
        LockBody { client_id: client_id.into(), consumer_group: "g".into(), mq_set, only_this_broker: false }
    }

    fn ids(locked: &[QueueBody]) -> Vec<i32> {
        locked.iter().map(|queue| queue.queue_id).collect()
    }

    #[test]
    fn a_queue_is_locked_for_one_client_until_it_is_given_back_or_a_minute_has_passed() {
        let (locks, start) = (Locks::default(), Instant::now());
        assert_eq!(ids(&locks.lock(asked("one", &[0, 1]), start)), [0, 1]);
        assert_eq!(ids(&locks.lock(asked("two", &[1, 2]), start)), [2]);
        assert_eq!(ids(&locks.lock(asked("one", &[1]), start + Duration::from_secs(50))), [1], "renewed");
        locks.unlock(&asked("two", &[0]));
        assert_eq!(ids(&locks.lock(asked("two", &[0]), start)), [0; 0], "it was not its own");
        let later = start + Duration::from_secs(61);
        assert_eq!(ids(&locks.lock(asked("two", &[0, 1]), later)), [0], "the other one was renewed");
        locks.unlock(&asked("one", &[1]));
        assert_eq!(ids(&locks.lock(asked("two", &[1]), later)), [1]);
        assert!(locks.has("g") && !locks.has("other"));
    }
}
