//! Closing a client: once, in order, from any thread.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::core::Core;
use super::heartbeat;
use crate::remoting::Deadline;
use crate::thread::{self, Thread};

/// The grace period of `close` and of dropping the last handle.
pub(super) const DEFAULT_GRACE: Duration = Duration::from_secs(5);
/// How long brokers may take to take note that the groups left.
const UNREGISTER_TIMEOUT: Duration = Duration::from_secs(1);
/// What the client's own threads have to end after the grace period is used up.
const THREADS_GRACE: Duration = Duration::from_secs(1);

/// What closing achieved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CloseReport {
    /// Everything ended: no thread and no connection is left. `false` when the grace period was too short for something,
    /// or when closing goes on because it was asked for by one of the client's own threads.
    pub complete: bool,
    /// Pieces of work (calls, listeners, callbacks) that were under way and finished in time.
    pub finished: usize,
    /// Pieces of work that were given up.
    pub abandoned: usize,
    /// Consumer offsets that were written.
    pub persisted: usize,
}

impl CloseReport {
    /// The report of closing something that has calls under way and no threads of its own.
    pub(crate) fn of_calls(finished: usize, abandoned: usize, complete: bool) -> CloseReport {
        CloseReport { complete, finished, abandoned, persisted: 0 }
    }

    /// Adds what a member finished and gave up. Whether the client is completely closed is seen at its end.
    pub(crate) fn add(&mut self, member: &CloseReport) {
        self.finished += member.finished;
        self.abandoned += member.abandoned;
        self.persisted += member.persisted;
    }
}

impl fmt::Display for CloseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CloseReport { complete, finished, abandoned, persisted } = self;
        let end = if *complete { "closed" } else { "not completely closed" };
        write!(f, "{end}: {finished} finished, {abandoned} abandoned, {persisted} offsets persisted")
    }
}

/// Where a client is between open and closed.
pub(super) struct Lifecycle {
    closing: AtomicBool,
    state: Mutex<State>,
    /// Disconnects when closing is over.
    over: Receiver<()>,
}

struct State {
    deadline: Option<Deadline>,
    scheduler: Option<Thread>,
    /// Does the closing that one of the client's own threads asked for.
    closer: Option<Thread>,
    /// Threads of members that were dropped on one of them, where nobody could wait for them.
    left_behind: Vec<Thread>,
    report: CloseReport,
    end: Option<Sender<()>>,
}

impl Default for Lifecycle {
    fn default() -> Lifecycle {
        let (end, over) = crossbeam_channel::bounded(0);
        let report = CloseReport::default();
        let state =
            State { deadline: None, scheduler: None, closer: None, left_behind: Vec::new(), report, end: Some(end) };
        Lifecycle { closing: AtomicBool::new(false), state: Mutex::new(state), over }
    }
}

impl Lifecycle {
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        self.lock().deadline
    }

    pub(super) fn runs_on(&self, scheduler: Thread) {
        self.lock().scheduler = Some(scheduler);
    }

    /// Leaves threads that are about to end to be joined when the client closes.
    pub(super) fn inherit(&self, threads: Vec<Thread>) {
        self.lock().left_behind.extend(threads);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes, or waits for the closing that is under way, until `grace` and about a second more have passed.
///
/// On a thread of this crate, which the closing may have to wait for, another thread does it and this returns at once.
pub(super) fn close(core: &Arc<Core>, grace: Duration) -> CloseReport {
    let lifecycle = core.lifecycle();
    let deadline = Deadline::after(grace);
    if !lifecycle.closing.swap(true, Ordering::SeqCst) {
        lifecycle.lock().deadline = Some(deadline);
        if !thread::is_own() {
            return run(core, deadline);
        }
        let closing = core.clone();
        let name = format!("mq-close {}", core.client_id());
        match Thread::spawn(name, move || {
            run(&closing, deadline);
        }) {
            Ok(closer) => lifecycle.lock().closer = Some(closer),
            Err(error) => {
                log::warn!("{error}; closing on the calling thread");
                return run(core, deadline);
            }
        }
    }
    if !thread::is_own() {
        // Nothing is ever sent: it disconnects when closing is over.
        let until = deadline.at() + THREADS_GRACE;
        let _ = lifecycle.over.recv_deadline(until);
        let closer = lifecycle.lock().closer.take();
        if let Some(closer) = closer {
            closer.join_by(until);
        }
    }
    lifecycle.lock().report.clone()
}

/// The order: members, brokers, helper threads, connections, and last the callbacks, which deliver what those failed.
fn run(core: &Arc<Core>, deadline: Deadline) -> CloseReport {
    let mut report = CloseReport::default();
    for close in core.groups().closers() {
        match catch_unwind(AssertUnwindSafe(|| close())) {
            Ok(member) => report.add(&member),
            Err(_) => log::error!("closing a group panicked; this is a bug in rocketmq-blocking"),
        }
    }
    // Members report the callbacks they waited for; those of what they gave up run later and are no work of their own.
    let finished_before = core.started_callbacks().map_or(0, |callbacks| callbacks.finished());
    let left = core.groups().take_all(core.client_id());
    if !left.is_empty() {
        heartbeat::unregister(core, &left, Deadline::after(UNREGISTER_TIMEOUT));
    }
    let threads_end = |deadline: Deadline| deadline.at().max(Instant::now() + THREADS_GRACE);
    core.timers().stop();
    let scheduler = core.lifecycle().lock().scheduler.take();
    let mut complete = scheduler.is_none_or(|scheduler| scheduler.join_by(threads_end(deadline)));
    let left_behind = std::mem::take(&mut core.lifecycle().lock().left_behind);
    // Together: twenty listeners that hang must not take twenty times as long as one.
    let until = threads_end(deadline);
    for thread in left_behind {
        complete &= thread.join_by(until);
    }
    complete &= core.resolver().close();
    complete &= core.end_renewal();
    core.remoting().close(deadline.at());
    if let Some(callbacks) = core.end_callbacks() {
        let stopped = callbacks.stop(threads_end(deadline));
        complete &= stopped.ended;
        report.finished += (stopped.finished - finished_before).saturating_sub(report.abandoned);
        report.abandoned = report.abandoned.max(stopped.left);
    }
    report.complete = complete;
    if complete {
        log::debug!("client {} {report}", core.client_id());
    } else {
        log::warn!("client {} {report}", core.client_id());
    }
    let mut state = core.lifecycle().lock();
    state.report = report.clone();
    state.end = None;
    report
}
