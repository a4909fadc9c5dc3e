//! What callers of a lite pull consumer want of an engine.

use std::sync::Arc;
use std::time::Instant;

use super::{Action, Answer, Engine, Event};
use crate::message::MessageQueue;
use crate::sorted::{SortedMap, SortedSet};

impl Engine {
    pub(super) fn called(&mut self, event: Event, now: Instant, actions: &mut Vec<Action>) {
        match event {
            Event::Taken { spell, offsets, held } => {
                if let Some(queue) = self.queues.of(&spell) {
                    queue.taken(&offsets, held, now);
                }
            }
            Event::Recalled { spell, held } => {
                if let Some(queue) = self.queues.of(&spell) {
                    queue.recalled(held);
                }
            }
            Event::Seek { queue, offset, ask } => match self.queues.get_mut(&queue).filter(|queue| !queue.is_leaving())
            {
                Some(queue) => queue.seek(offset, ask),
                None => actions.push(Action::Answer { ask, answer: Answer::NotHere }),
            },
            Event::Commit { queue, offset, ask } => {
                match self.queues.get_mut(&queue).filter(|queue| !queue.is_leaving()) {
                    Some(queue) => queue.commit_asked(offset, ask),
                    None => actions.push(Action::Answer { ask, answer: Answer::NotHere }),
                }
            }
            Event::Paused { queues, paused } => {
                for queue in queues {
                    if let Some(queue) = self.queues.get_mut(&queue) {
                        queue.pause(paused);
                    }
                }
            }
            Event::Assign(queues) => {
                self.given = Some(queues);
                self.assign_given(now, actions);
            }
            _ => {}
        }
    }

    /// Has the queues that were given, and no others.
    pub(super) fn assign_given(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Some(given) = self.given.clone() else { return };
        let mut by_topic: SortedMap<Arc<str>, Vec<MessageQueue>> = SortedMap::new();
        let has = self.queues.iter().map(|queue| queue.spell().queue.shared_topic().clone());
        let topics: SortedSet<Arc<str>> = has.collect();
        by_topic.extend(topics.into_iter().map(|topic| (topic, Vec::new())));
        for queue in given {
            by_topic.get_or_insert_with(queue.shared_topic().clone(), Vec::new).push(queue);
        }
        for (topic, queues) in by_topic {
            self.assign(&topic, queues, now, now, actions);
        }
    }
}

#[cfg(test)]
mod tests;
