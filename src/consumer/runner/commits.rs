//! Committing offsets, one after the other at each broker and topic.
//!
//! Apache's brokers make the table of a group and topic with its first commit, and two first commits at once make two, of
//! which one is lost with its offset. Java hides that by sending every offset again every five seconds.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::shared::Shared;
use crate::client::commit_request;
use crate::consumer::engine::{Event, Spell};
use crate::remoting::Deadline;

/// Java's time for this.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A broker and a topic.
type Place = (Arc<str>, Arc<str>);

/// What waits for the commit before it; a place without an entry has none under way.
#[derive(Debug, Default)]
pub(in crate::consumer) struct Commits {
    waiting: Mutex<HashMap<Place, VecDeque<(Spell, i64)>>>,
}

impl Commits {
    fn lock(&self) -> MutexGuard<'_, HashMap<Place, VecDeque<(Spell, i64)>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether to send at once; else it waits for its turn.
    fn enter(&self, place: &Place, spell: &Spell, offset: i64) -> bool {
        let mut waiting = self.lock();
        match waiting.get_mut(place) {
            Some(queue) => {
                queue.push_back((spell.clone(), offset));
                false
            }
            None => {
                waiting.insert(place.clone(), VecDeque::new());
                true
            }
        }
    }

    /// One is answered: returns the next.
    fn next(&self, place: &Place) -> Option<(Spell, i64)> {
        let mut waiting = self.lock();
        let next = waiting.get_mut(place)?.pop_front();
        if next.is_none() {
            waiting.remove(place);
        }
        next
    }
}

/// Commits an offset, now or when those before it at the same place are answered. It does not wait.
pub(in crate::consumer) fn submit(shared: &Arc<Shared>, spell: Spell, offset: i64) {
    if let Some(keeper) = &shared.keeper {
        let events = shared.events.clone();
        return keeper.store(spell.queue.clone(), offset, move |done| {
            let _ = events.send(Event::Committed { spell, done });
        });
    }
    let place = (spell.queue.shared_broker_name().clone(), spell.queue.shared_topic().clone());
    if shared.commits.enter(&place, &spell, offset) {
        send(shared, place, spell, offset);
    }
}

fn send(shared: &Arc<Shared>, place: Place, spell: Spell, offset: i64) {
    let request = commit_request(&shared.group, &spell.queue, offset);
    let (then, queue) = (shared.clone(), spell.queue.clone());
    shared.core.ask_master_async(&queue, request, Vec::new(), Deadline::after(TIMEOUT), move |answer| {
        if let Err(error) = &answer {
            log::warn!("offset {offset} of {} is not committed: {error}", spell.queue);
        }
        // Nobody listens any more once the consumer has ended.
        let _ = then.events.send(Event::Committed { spell, done: answer.is_ok() });
        if let Some((spell, offset)) = then.commits.next(&place) {
            send(&then, place, spell, offset);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MessageQueue;

    #[test]
    fn at_one_place_one_commit_is_under_way_and_the_others_wait_in_their_order() {
        let commits = Commits::default();
        let place: Place = ("b".into(), "T".into());
        let spell = |id| Spell { queue: MessageQueue::new("T", "b", id), epoch: 1 };
        assert!(commits.enter(&place, &spell(0), 1));
        assert!(!commits.enter(&place, &spell(1), 2) && !commits.enter(&place, &spell(2), 3));
        assert!(commits.enter(&("a".into(), "T".into()), &spell(3), 4), "another broker");
        assert_eq!(commits.next(&place), Some((spell(1), 2)));
        assert_eq!(commits.next(&place), Some((spell(2), 3)));
        assert_eq!(commits.next(&place), None);
        assert!(commits.enter(&place, &spell(0), 5));
    }
}
