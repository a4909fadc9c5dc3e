//! What each thread has got and not gone beyond, for hooks, traces and counts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::hands::Caller;
use super::inbox::Taken;
use crate::consumer::around::Around;
use crate::consumer::runner::Shared;
use crate::consumer::{ConsumeResult, Consumption};
use crate::message::{MessageQueue, MessageView};
use crate::trace::Consuming;

/// Hooks run on the thread that gets messages, and never under the lock.
pub(super) struct Rounds {
    shared: Arc<Shared>,
    around: Around,
    /// Bounded: one round for each thread that lives, and those of the dead end with the next new one.
    open: Mutex<Vec<Round>>,
}

/// What a thread got with one call.
struct Round {
    caller: Caller,
    began: Instant,
    parts: Vec<Part>,
}

/// Messages of one queue.
struct Part {
    queue: MessageQueue,
    messages: Vec<MessageView>,
    consuming: Option<Consuming>,
}

const SUCCESS: (ConsumeResult, bool) = (ConsumeResult::Success, false);
const LEFT: (ConsumeResult, bool) = (ConsumeResult::Retry, false);
const PANICKED: (ConsumeResult, bool) = (ConsumeResult::Retry, true);

impl Rounds {
    pub(super) fn new(shared: &Arc<Shared>, around: Around) -> Rounds {
        Rounds { shared: shared.clone(), around, open: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Round>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The calling thread asks for more, or commits: what it had is consumed.
    pub(super) fn finish(&self) {
        self.end(|round| round.caller.is_current(), SUCCESS);
    }

    /// The calling thread panicked over what it had.
    pub(super) fn fail(&self) {
        self.end(|round| round.caller.is_current(), PANICKED);
    }

    /// Nobody will go beyond anything any more.
    pub(super) fn close(&self) {
        self.end(|_| true, LEFT);
        self.around.close();
    }

    /// The calling thread gets messages; those that a filter drops are taken out.
    pub(super) fn begin(&self, taken: &mut Vec<Taken>) {
        self.around.filter(&self.shared.counters, taken, |(_, message)| message);
        self.end(|round| round.caller.has_ended(), LEFT);
        if taken.is_empty() {
            return;
        }
        let mut parts: Vec<Part> = Vec::new();
        for (spell, message) in &*taken {
            match parts.iter_mut().find(|part| part.queue == spell.queue) {
                Some(part) => part.messages.push(message.clone()),
                None => {
                    let (queue, messages) = (spell.queue.clone(), vec![message.clone()]);
                    parts.push(Part { queue, messages, consuming: None });
                }
            }
        }
        for part in &mut parts {
            part.consuming = self.around.before(&part.queue, &part.messages);
        }
        self.lock().push(Round { caller: Caller::current(), began: Instant::now(), parts });
    }

    fn end(&self, is_over: impl Fn(&Round) -> bool, (result, panicked): (ConsumeResult, bool)) {
        let mut over = Vec::new();
        let mut open = self.lock();
        let mut at = 0;
        while let Some(round) = open.get(at) {
            if is_over(round) {
                over.push(open.swap_remove(at));
            } else {
                at += 1;
            }
        }
        drop(open);
        for Round { began, parts, .. } in over {
            let end = Consumption { result, took: began.elapsed(), panicked };
            for Part { queue, messages, consuming } in parts {
                self.around.after(&self.shared.counters, &queue, &messages, consuming, &end);
            }
        }
    }
}
