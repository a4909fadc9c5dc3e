//! What users can hang into consumption.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::ConsumeResult;
use crate::message::{MessageQueue, MessageView};

/// What a hook is told about a call of the listener.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConsumeContext<'a> {
    /// The consumer group.
    pub group: &'a str,
    /// The queue the messages came from; that of the retry topic for those that are delivered again.
    pub queue: &'a MessageQueue,
    /// The messages that the listener gets.
    pub messages: &'a [MessageView],
}

/// How a call of the listener ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Consumption {
    /// What the listener said; [`ConsumeResult::Retry`] when it panicked.
    pub result: ConsumeResult,
    /// How long it took.
    pub took: Duration,
    /// Whether it panicked.
    pub panicked: bool,
}

/// Is called before and after each call of a push consumer's listener (Java: `ConsumeMessageHook`).
///
/// Both run on the listener's thread, so they hold up its messages for as long as they take. A panic is contained and logged,
/// and changes nothing.
pub trait ConsumeHook: Send + Sync {
    /// Is called when a listener is about to get messages.
    fn before(&self, context: &ConsumeContext<'_>) {
        let _ = context;
    }

    /// Is called when the listener has returned, or panicked.
    fn after(&self, context: &ConsumeContext<'_>, end: &Consumption) {
        let _ = (context, end);
    }
}

/// Looks at each message before the listener gets it, and may drop it (Java: `FilterMessageHook`). A closure will do.
///
/// What is dropped counts as finished: it is committed, and no listener ever gets it. It runs on the listener's thread. A panic is
/// contained and logged, and drops nothing.
pub trait FilterHook: Send + Sync {
    /// Returns whether the listener is to get the message.
    fn wants(&self, message: &MessageView) -> bool;
}

impl<F: Fn(&MessageView) -> bool + Send + Sync> FilterHook for F {
    fn wants(&self, message: &MessageView) -> bool {
        self(message)
    }
}

/// The hooks of one consumer.
#[derive(Clone, Default)]
pub(super) struct Hooks {
    pub(super) around: Vec<Arc<dyn ConsumeHook>>,
    pub(super) filters: Vec<Arc<dyn FilterHook>>,
}

impl Hooks {
    pub(super) fn before(&self, context: &ConsumeContext<'_>) {
        self.around.iter().for_each(|hook| contained(|| hook.before(context)));
    }

    pub(super) fn after(&self, context: &ConsumeContext<'_>, end: &Consumption) {
        self.around.iter().for_each(|hook| contained(|| hook.after(context, end)));
    }

    /// Takes out what a filter drops, and returns the offsets of that.
    pub(super) fn filter(&self, messages: &mut Vec<MessageView>) -> Vec<i64> {
        let mut dropped = Vec::new();
        if self.filters.is_empty() {
            return dropped;
        }
        messages.retain(|message| {
            let wanted = self.filters.iter().all(|filter| wants(&**filter, message));
            if !wanted {
                dropped.push(message.queue_offset());
            }
            wanted
        });
        dropped
    }
}

fn wants(filter: &dyn FilterHook, message: &MessageView) -> bool {
    catch_unwind(AssertUnwindSafe(|| filter.wants(message))).unwrap_or_else(|_| {
        log::error!("a filter hook panicked over {}; the message is kept", message.queue());
        true
    })
}

fn contained(hook: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(hook)).is_err() {
        log::error!("a consume hook panicked; consumption goes on");
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("around", &self.around.len()).field("filters", &self.filters.len()).finish()
    }
}
