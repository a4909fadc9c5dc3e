//! What users can hang into sending.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::send::SendResult;
use crate::error::{Error, Result};
use crate::message::{Message, MessageQueue};

/// How a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SendMode {
    /// The caller waits for the result.
    Sync,
    /// A callback, or a [`PendingSend`](crate::PendingSend), gets the result.
    Async,
    /// There is no result.
    Oneway,
}

/// What a hook is told about a send.
#[derive(Debug)]
#[non_exhaustive]
pub struct SendContext<'a> {
    /// The producer group.
    pub group: &'a str,
    /// How it is sent.
    pub mode: SendMode,
    /// The messages: one, or those of a batch.
    pub messages: &'a [Message],
    /// The queue the caller asked for, if it did.
    pub queue: Option<&'a MessageQueue>,
}

/// Is called before and after each send, once for all its attempts together.
///
/// `before` runs on the thread that sends; `after` there too, and on a callback thread for asynchronous sends. Both may
/// block only as long as the sender may. A panic is contained and logged (Java: `SendMessageHook`).
pub trait SendHook: Send + Sync {
    /// Is called when the message passed all checks, before anything is sent.
    fn before(&self, context: &SendContext<'_>) {
        let _ = context;
    }

    /// Is called with the end of the send, be it a failure; `None` stands for a oneway send that left.
    fn after(&self, context: &SendContext<'_>, result: Result<Option<&SendResult>, &Error>) {
        let _ = (context, result);
    }
}

/// Looks at a send and may refuse it by an error text (Java: `CheckForbiddenHook`).
pub(crate) type Check = Arc<dyn Fn(&SendContext<'_>) -> Result<(), String> + Send + Sync>;

/// The hooks of one producer.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) checks: Vec<(Arc<str>, Check)>,
    pub(crate) sends: Vec<Arc<dyn SendHook>>,
}

impl Hooks {
    /// Asks the check hooks, then tells the send hooks.
    pub(crate) fn before(&self, context: &SendContext<'_>) -> Result<()> {
        for (hook, check) in &self.checks {
            let checked = catch_unwind(AssertUnwindSafe(|| check(context)));
            // A check that panics has not allowed anything.
            let verdict = checked.unwrap_or_else(|_| Err("the hook panicked".to_owned()));
            verdict.map_err(|reason| Error::Vetoed { hook: hook.clone(), reason: reason.into() })?;
        }
        for hook in &self.sends {
            contained(|| hook.before(context));
        }
        Ok(())
    }

    pub(crate) fn after(&self, context: &SendContext<'_>, result: Result<Option<&SendResult>, &Error>) {
        for hook in &self.sends {
            contained(|| hook.after(context, result));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.checks.is_empty() && self.sends.is_empty()
    }
}

fn contained(hook: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(hook)).is_err() {
        log::error!("a send hook panicked; the send goes on");
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checks: Vec<_> = self.checks.iter().map(|(name, _)| name).collect();
        f.debug_struct("Hooks").field("checks", &checks).field("sends", &self.sends.len()).finish()
    }
}
