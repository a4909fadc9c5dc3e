//! What a pull consumer has beyond its pulls: offsets it keeps, queues it shares, turns it takes. And their end.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::positions::Positions;
use super::share::Share;
use super::shared::Shared;
use super::tasks::Tasks;
use crate::channel;
use crate::client::CloseReport;
use crate::consumer::runner::Running;
use crate::error::{Error, Result};
use crate::message::MessageQueue;
use crate::remoting::Deadline;
use crate::thread::{self, Thread};

/// What storing the last offsets may take beyond the grace period.
const AFTER_GRACE: Duration = Duration::from_secs(2);

pub(super) struct Upkeep {
    pub(super) shared: Arc<Shared>,
    pub(super) positions: Arc<Positions>,
    pub(super) share: Option<Arc<Share>>,
    pub(super) tasks: Option<Arc<Tasks>>,
    pub(super) parts: Mutex<Parts>,
}

/// What is ended once.
#[derive(Default)]
pub(super) struct Parts {
    /// Divides the queues; `None` when no topic is registered.
    pub(super) running: Option<Running>,
    pub(super) pulling: Vec<Thread>,
    pub(super) keeping: Option<Thread>,
}

impl Upkeep {
    pub(super) fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The offset that is kept, else the one that is stored.
    pub(super) fn offset(&self, queue: &MessageQueue) -> Result<Option<i64>> {
        if let Some(offset) = self.positions.of(queue) {
            return Ok(Some(offset));
        }
        self.stored_offset(queue)
    }

    pub(super) fn stored_offset(&self, queue: &MessageQueue) -> Result<Option<i64>> {
        let core = self.shared.core();
        let deadline = core.request_deadline();
        let Some(keeper) = &self.positions.keeper else {
            return core.committed_offset(self.shared.group(), queue, deadline);
        };
        let (told, loaded) = channel::bounded(1);
        keeper.load(queue.clone(), move |offset| {
            // Whoever asked may not wait any more.
            let _ = told.try_send(offset);
        });
        loaded.recv_deadline(deadline.at()).unwrap_or_else(|_| {
            let source = "it does not answer".to_owned();
            Err(Error::OffsetStore { source: Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(source)) })
        })
    }

    /// Ends everything in its order: turns and pulls, offsets, membership.
    pub(super) fn close(&self, deadline: Deadline) -> CloseReport {
        let busy = self.tasks.as_ref().map_or(0, |tasks| tasks.close());
        let mut report = self.shared.stop(deadline);
        let Parts { running, pulling, keeping } = std::mem::take(&mut *self.parts());
        let until = if thread::is_own() { Instant::now() } else { deadline.at() };
        let (ended, mut left): (Vec<_>, Vec<_>) = pulling.into_iter().partition(|thread| thread.wait_until(until));
        ended.into_iter().for_each(Thread::join);
        let still = self.tasks.as_ref().map_or(0, |tasks| tasks.running());
        report.finished += busy.saturating_sub(still);
        report.abandoned += still;
        report.persisted += self.positions.close(deadline.at().max(Instant::now()) + AFTER_GRACE);
        if let Some(running) = running {
            running.close(Duration::ZERO);
        }
        self.shared.leave();
        if let (Some(keeper), Some(thread)) = (&self.positions.keeper, keeping) {
            keeper.end();
            if thread.wait_until(Instant::now() + AFTER_GRACE) { thread.join() } else { left.push(thread) }
        }
        report.complete &= left.is_empty();
        self.shared.core().inherit(left);
        report
    }
}

impl fmt::Debug for Upkeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upkeep").field("shared", &self.shared).finish_non_exhaustive()
    }
}
