//! Committing offsets, one after the other at each broker and topic.
//!
//! Apache's brokers make the table of a group and topic with its first commit, and two first commits at once make two, of
//! which one is lost with its offset. Java hides that by sending every offset again every five seconds.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::shared::Shared;
use crate::client::{Core, commit_request};
use crate::consumer::engine::{Event, Spell};
use crate::error::Result;
use crate::message::MessageQueue;
use crate::remoting::Deadline;

/// Java's time for this.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A broker and a topic.
type Place = (Arc<str>, Arc<str>);

/// The commits of one group.
#[derive(Debug)]
pub(in crate::consumer) struct Commits {
    core: Arc<Core>,
    group: Arc<str>,
    line: Line<Commit>,
}

/// An offset on its way.
struct Commit {
    queue: MessageQueue,
    offset: i64,
    done: Box<dyn FnOnce(Result<()>) + Send>,
}

impl Commits {
    pub(in crate::consumer) fn new(core: &Arc<Core>, group: &Arc<str>) -> Arc<Commits> {
        Arc::new(Commits { core: core.clone(), group: group.clone(), line: Line::default() })
    }

    /// Commits an offset, now or when those before it at the same place are answered. It does not wait; `done`, which must
    /// only forward, gets whether the broker took it.
    pub(in crate::consumer) fn commit(
        self: &Arc<Self>,
        queue: MessageQueue,
        offset: i64,
        done: impl FnOnce(Result<()>) + Send + 'static,
    ) {
        let place = (queue.shared_broker_name().clone(), queue.shared_topic().clone());
        if let Some(commit) = self.line.enter(&place, Commit { queue, offset, done: Box::new(done) }) {
            self.send(place, commit);
        }
    }

    fn send(self: &Arc<Self>, place: Place, commit: Commit) {
        let Commit { queue, offset, done } = commit;
        let request = commit_request(&self.group, &queue, offset);
        let (then, named) = (self.clone(), queue.clone());
        self.core.ask_master_async(&queue, request, Vec::new(), Deadline::after(TIMEOUT), move |answer| {
            if let Err(error) = &answer {
                log::warn!("offset {offset} of {named} is not committed: {error}");
            }
            done(answer.map(drop));
            if let Some(next) = then.line.next(&place) {
                then.send(place, next);
            }
        });
    }
}

/// Keeps the offset of a queue where the consumer keeps its offsets.
pub(in crate::consumer) fn submit(shared: &Arc<Shared>, spell: Spell, offset: i64) {
    let (events, queue) = (shared.events.clone(), spell.queue.clone());
    // Nobody listens any more once the consumer has ended.
    let done = move |result| drop(events.send(Event::Committed { spell, result }));
    match &shared.keeper {
        Some(keeper) => keeper.store(queue, offset, done),
        None => shared.commits.commit(queue, offset, done),
    }
}

/// What waits for the one before it; a place without an entry has none under way.
struct Line<T> {
    waiting: Mutex<HashMap<Place, VecDeque<T>>>,
}

impl<T> Default for Line<T> {
    fn default() -> Line<T> {
        Line { waiting: Mutex::default() }
    }
}

impl<T> Line<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<Place, VecDeque<T>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what may be sent at once; else it waits for its turn.
    fn enter(&self, place: &Place, what: T) -> Option<T> {
        let mut waiting = self.lock();
        match waiting.get_mut(place) {
            Some(line) => {
                line.push_back(what);
                None
            }
            None => {
                waiting.insert(place.clone(), VecDeque::new());
                Some(what)
            }
        }
    }

    /// One is answered: returns the next.
    fn next(&self, place: &Place) -> Option<T> {
        let mut waiting = self.lock();
        let next = waiting.get_mut(place)?.pop_front();
        if next.is_none() {
            waiting.remove(place);
        }
        next
    }
}

impl<T> fmt::Debug for Line<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("places", &self.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_one_place_one_commit_is_under_way_and_the_others_wait_in_their_order() {
        let line = Line::default();
        let place: Place = ("b".into(), "T".into());
        assert_eq!(line.enter(&place, 1), Some(1));
        assert_eq!((line.enter(&place, 2), line.enter(&place, 3)), (None, None));
        assert_eq!(line.enter(&("a".into(), "T".into()), 4), Some(4), "another broker");
        assert_eq!(line.next(&place), Some(2));
        assert_eq!(line.next(&place), Some(3));
        assert_eq!(line.next(&place), None);
        assert_eq!(line.enter(&place, 5), Some(5));
    }
}
