//! What users can hang into consumption.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::ConsumeResult;
use crate::message::{MessageQueue, MessageView};
use crate::trace::Trace;

/// What a hook is told about messages that a listener, or a caller, gets.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConsumeContext<'a> {
    /// The consumer group.
    pub group: &'a str,
    /// The queue the messages came from; that of the retry topic for those that are delivered again.
    pub queue: &'a MessageQueue,
    /// The messages.
    pub messages: &'a [MessageView],
}

/// How a call of the listener ended, or what became of messages that a caller got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Consumption {
    /// What the listener said; [`ConsumeResult::Retry`] when it panicked. For callers see [`ConsumeHook`].
    pub result: ConsumeResult,
    /// How long it took, or for how long the caller had them.
    pub took: Duration,
    /// Whether it panicked, or a loop over the messages of a lite pull consumer did.
    pub panicked: bool,
}

/// Is called before and after messages are consumed (Java: `ConsumeMessageHook`).
///
/// * A push consumer calls it around each call of its listener, on the listener's thread.
/// * A lite pull consumer calls `before` when a thread gets messages, once for each queue, and `after` when the same thread asks
///   for more or commits: [`ConsumeResult::Success`]. What a thread had that panicked or ended, or that was left when the
///   consumer closed, ends as [`ConsumeResult::Retry`], on another thread if need be.
/// * A simple consumer calls `before` when messages are received, once for each queue, and `after` for each message by itself:
///   [`ConsumeResult::Success`] when a broker took its acknowledgement, [`ConsumeResult::Retry`] when it took it back because it
///   was made visible at once. What is neither has no `after`: it comes again when its time is up.
///
/// Both hold up the messages for as long as they take. A panic is contained and logged, and changes nothing.
pub trait ConsumeHook: Send + Sync {
    /// Is called when a listener, or a caller, is about to get messages.
    fn before(&self, context: &ConsumeContext<'_>) {
        let _ = context;
    }

    /// Is called when the listener has returned, or panicked, or when it is known what became of what a caller got.
    fn after(&self, context: &ConsumeContext<'_>, end: &Consumption) {
        let _ = (context, end);
    }
}

/// Looks at each message before the listener, or a caller, gets it, and may drop it (Java: `FilterMessageHook`). A closure will
/// do.
///
/// What is dropped counts as finished: it is committed, or acknowledged, and nobody ever gets it. In a lite pull consumer it is
/// finished together with what the thread got besides. It runs on the thread that gets the others. A panic is contained and
/// logged, and drops nothing.
pub trait FilterHook: Send + Sync {
    /// Returns whether anybody is to get the message.
    fn wants(&self, message: &MessageView) -> bool;
}

impl<F: Fn(&MessageView) -> bool + Send + Sync> FilterHook for F {
    fn wants(&self, message: &MessageView) -> bool {
        self(message)
    }
}

/// What is hung into one consumer.
#[derive(Clone, Default)]
pub(super) struct Hooks {
    pub(super) around: Vec<Arc<dyn ConsumeHook>>,
    pub(super) filters: Vec<Arc<dyn FilterHook>>,
    pub(super) trace: Option<Trace>,
}

impl Hooks {
    pub(super) fn before(&self, context: &ConsumeContext<'_>) {
        self.around.iter().for_each(|hook| contained(|| hook.before(context)));
    }

    pub(super) fn after(&self, context: &ConsumeContext<'_>, end: &Consumption) {
        self.around.iter().for_each(|hook| contained(|| hook.after(context, end)));
    }

    /// Takes out what a filter drops, and returns that.
    pub(super) fn filter<T>(&self, messages: &mut Vec<T>, message_of: impl Fn(&T) -> &MessageView) -> Vec<T> {
        if self.filters.is_empty() {
            return Vec::new();
        }
        let is_wanted = |one: &T| self.filters.iter().all(|filter| wants(&**filter, message_of(one)));
        let (wanted, dropped) = std::mem::take(messages).into_iter().partition(is_wanted);
        *messages = wanted;
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
        f.debug_struct("Hooks")
            .field("around", &self.around.len())
            .field("filters", &self.filters.len())
            .finish_non_exhaustive()
    }
}
