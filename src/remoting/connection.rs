//! What the threads of one connection and its callers share.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::liveness::{Signs, is_doubtful};
use super::outbox::{Batch, NOBODY, Outbox};
use super::pending::{Pending, Waiter, Waiting};
use super::reader::Reading;
use super::slot::Slot;
use super::transport::{Transport, is_timeout};
use super::{Deadline, Owner, RemotingOptions, Resolve, ServerRequest};
use crate::code::ResponseCode;
use crate::error::{Error, Outcome, Result, Stage};
use crate::protocol::frame::{Frame, HeaderKind};

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Resolving,
    Connecting,
    Open,
    /// Takes no more frames; the writer ends it when everything is written and answered.
    Draining,
    Gone,
}

/// The writing side, behind one lock.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) outbox: Outbox,
    pub(super) phase: Phase,
    /// Somebody has taken a batch and is writing it.
    pub(super) busy: bool,
    pub(super) writer_sleeps: bool,
    /// Since when the kernel has taken nothing although there is something.
    pub(super) stalled_since: Option<Instant>,
}

/// Counts kept for statistics and for measuring.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) writes: AtomicU64,
    /// Answers nobody waited for: late, duplicate or foreign.
    pub(crate) unmatched: AtomicU64,
}

/// One connection to one address.
///
/// Frames are submitted at any time: those submitted before it is open wait. It is gone for good once it is lost; the
/// pool then makes another.
pub(crate) struct Connection {
    pub(super) addr: Arc<str>,
    pub(super) options: Arc<RemotingOptions>,
    pub(super) owner: Weak<dyn Owner>,
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) counters: Arc<Counters>,
    pub(super) out: Mutex<Out>,
    /// The writer waits on it.
    pub(super) work: Condvar,
    /// Callers wait on it for room in the outbox.
    pub(super) room: Condvar,
    pub(super) pending: Pending,
    pub(super) reading: Reading,
    pub(super) transport: OnceLock<Arc<dyn Transport>>,
    gone: OnceLock<Loss>,
    lost_at: OnceLock<Instant>,
    opaque: AtomicI32,
    created: Instant,
    /// Milliseconds from `created` to the last byte received; 0 when there was none.
    received: AtomicU64,
    /// A call timed out since the last byte was received.
    pub(super) suspect: AtomicBool,
    /// A probe is under way.
    pub(super) probing: AtomicBool,
    /// Calls have come one at a time of late; a caller then writes and reads for itself.
    pub(super) lone: AtomicBool,
    /// The server said it is leaving: new calls take a new connection.
    pub(super) leaving: AtomicBool,
    /// As the phase says; looked at without the lock.
    draining: AtomicBool,
}

/// Why a connection is gone.
#[derive(Debug, Clone)]
pub(super) enum Loss {
    /// It was never there; the error says why.
    NotConnected(Error),
    Lost(Arc<str>),
    Closed,
}

impl Loss {
    fn error(&self, addr: &Arc<str>, outcome: Outcome) -> Error {
        match self {
            Loss::NotConnected(error) => error.clone(),
            Loss::Lost(reason) => Error::Disconnected { addr: addr.clone(), outcome, reason: reason.clone() },
            Loss::Closed => Error::Closed { outcome },
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("addr", &self.addr).field("gone", &self.gone.get()).finish_non_exhaustive()
    }
}

/// Room for what is received together, used again and again.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) frames: Vec<Frame>,
    matched: Vec<(Option<Waiting>, Frame)>,
}

/// A request in its wire form, but for the opaque's registration.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) opaque: i32,
    pub(crate) head: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(super) fn new(
        addr: Arc<str>,
        options: Arc<RemotingOptions>,
        owner: Weak<dyn Owner>,
        resolver: Arc<dyn Resolve>,
        counters: Arc<Counters>,
    ) -> Connection {
        let out = Out {
            outbox: Outbox::default(),
            phase: Phase::Resolving,
            busy: false,
            writer_sleeps: false,
            stalled_since: None,
        };
        Connection {
            addr,
            options,
            owner,
            resolver,
            counters,
            out: Mutex::new(out),
            work: Condvar::new(),
            room: Condvar::new(),
            pending: Pending::default(),
            reading: Reading::default(),
            transport: OnceLock::new(),
            gone: OnceLock::new(),
            lost_at: OnceLock::new(),
            opaque: AtomicI32::new(0),
            created: Instant::now(),
            received: AtomicU64::new(0),
            suspect: AtomicBool::new(false),
            probing: AtomicBool::new(false),
            lone: AtomicBool::new(true),
            leaving: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        }
    }

    pub(super) fn out(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn next_opaque(&self) -> i32 {
        self.opaque.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.get().is_some()
    }

    /// Returns why new calls cannot use it, or `None` when they can.
    pub(super) fn refusal(&self) -> Option<Error> {
        self.gone.get().map(|loss| loss.error(&self.addr, Outcome::NotSent))
    }

    /// When it was lost; now for one that is not.
    pub(super) fn lost_at(&self) -> Instant {
        self.lost_at.get().copied().unwrap_or_else(Instant::now)
    }

    pub(super) fn has_received(&self) -> bool {
        self.received.load(Ordering::Relaxed) > 0
    }

    pub(super) fn note_received(&self) {
        let millis = self.created.elapsed().as_millis() as u64;
        self.received.store(millis.max(1), Ordering::Relaxed);
        if self.suspect.load(Ordering::Relaxed) {
            self.suspect.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn last_received(&self) -> Instant {
        self.created + Duration::from_millis(self.received.load(Ordering::Relaxed))
    }

    /// Registers a call and hands its frame over to be written. Never blocks, except that a `patient` caller waits for
    /// room in a full outbox. On an error nothing was sent and nothing is registered.
    pub(super) fn start(
        &self,
        outgoing: &Outgoing<'_>,
        waiting: Waiting,
        patient: bool,
    ) -> Result<(), (Waiter, Error)> {
        let until = waiting.until;
        let deadline = Deadline::from(waiting.started, until.saturating_duration_since(waiting.started));
        // Only a blocked caller reads for itself.
        let needs_reader = waiting.held || matches!(waiting.waiter, Waiter::Callback(_));
        if let Err(waiting) = self.pending.insert(outgoing.opaque, waiting) {
            let error = self.refusal().unwrap_or(Error::Closed { outcome: Outcome::NotSent });
            return Err((waiting.waiter, error));
        }
        if let Err(error) = self.hand_over(outgoing, deadline, None, patient, true) {
            return match self.pending.remove(outgoing.opaque) {
                Some(waiting) => Err((waiting.waiter, error)),
                // Whoever emptied the map has told the waiter already.
                None => Ok(()),
            };
        }
        if needs_reader {
            self.reading.resume_if_idle();
        }
        Ok(())
    }

    /// Appends a frame to the outbox; one that is `urgent` is written here and now when nobody else would sooner.
    fn hand_over(
        &self,
        outgoing: &Outgoing<'_>,
        deadline: Deadline,
        written: Option<Arc<Slot>>,
        patient: bool,
        urgent: bool,
    ) -> Result<()> {
        let len = outgoing.head.len() + outgoing.body.len();
        // Who waits for its frame to be written has nothing better to do than to write it.
        let urgent = urgent && (written.is_some() || self.lone.load(Ordering::Relaxed));
        let mut out = self.room_for(len, deadline, patient)?;
        out.outbox.push(outgoing.opaque, deadline.at(), written, outgoing.head, outgoing.body);
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        if out.busy || out.phase != Phase::Open {
            return Ok(());
        }
        // Alone: writing it here saves a change of threads. With others under way the writer gathers their frames.
        if urgent && self.pending.in_flight() < 2 {
            out.busy = true;
            let batch = out.outbox.take();
            drop(out);
            self.write(batch);
        } else if out.writer_sleeps {
            out.writer_sleeps = false;
            drop(out);
            self.work.notify_one();
        }
        Ok(())
    }

    fn room_for(&self, len: usize, deadline: Deadline, patient: bool) -> Result<MutexGuard<'_, Out>> {
        let mut out = self.out();
        loop {
            if matches!(out.phase, Phase::Draining | Phase::Gone) {
                drop(out);
                return Err(self.refusal().unwrap_or(Error::Closed { outcome: Outcome::NotSent }));
            }
            if out.outbox.is_empty() || out.outbox.len() + len <= self.options.outbox_limit {
                return Ok(out);
            }
            if !patient {
                let limit = self.options.outbox_limit;
                let what = format!("{limit} bytes already wait to be written to {}", self.addr);
                return Err(Error::Busy { what: what.into() });
            }
            let left = deadline.left(Instant::now());
            if left.is_zero() {
                return Err(deadline.missed(Stage::Write, Some(&self.addr), Outcome::NotSent));
            }
            out = self.room.wait_timeout(out, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes a batch once; what the kernel does not take is left to the writer. The caller has set `busy`.
    pub(super) fn write(&self, batch: Batch) {
        let result = match self.transport.get() {
            Some(transport) => transport.write(batch.bytes()),
            None => Ok(0),
        };
        self.counters.writes.fetch_add(1, Ordering::Relaxed);
        let (count, failure) = match result {
            Ok(count) => (count, None),
            Err(error) if is_timeout(&error) => (0, None),
            Err(error) => (0, Some(error)),
        };
        let mut out = self.out();
        out.outbox.put_back(batch, count);
        if out.phase == Phase::Gone {
            // It was lost meanwhile, without these frames.
            out.outbox.abandon();
        }
        out.busy = false;
        if count > 0 || out.outbox.is_empty() {
            out.stalled_since = None;
        } else if out.stalled_since.is_none() {
            out.stalled_since = Some(Instant::now());
        }
        let wake = out.writer_sleeps && (!out.outbox.is_empty() || out.phase == Phase::Draining);
        if wake {
            out.writer_sleeps = false;
        }
        drop(out);
        if wake {
            self.work.notify_one();
        }
        self.room.notify_all();
        if let Some(error) = failure {
            self.lose(Loss::Lost(format!("writing failed: {error}").into()));
        }
    }

    /// Sends a frame that is not answered, and waits until the kernel has it. `buffered` does not wait.
    pub(super) fn send_oneway(&self, outgoing: &Outgoing<'_>, deadline: Deadline, buffered: bool) -> Result<()> {
        if buffered {
            // Nobody asks what became of it, so nothing is kept for that when its time is over.
            return self.hand_over(&Outgoing { opaque: NOBODY, ..*outgoing }, deadline, None, true, false);
        }
        let slot = Slot::mine();
        self.hand_over(outgoing, deadline, Some(slot.clone()), true, true)?;
        slot.park(|slot| slot.is_written() || self.is_gone(), deadline.at());
        if slot.is_written() {
            return Ok(());
        }
        if let Some(loss) = self.gone.get() {
            // Which of its frames were whole is known only for calls; a oneway one counts as unknown.
            return Err(loss.error(&self.addr, Outcome::Unknown));
        }
        let phase = self.out().phase;
        let outcome = if self.out().outbox.remove(outgoing.opaque) { Outcome::NotSent } else { Outcome::Unknown };
        if slot.is_written() {
            return Ok(());
        }
        Err(deadline.missed(stage_of(phase, outcome), Some(&self.addr), outcome))
    }

    /// Gives a call up; `None` when it ended in the same moment, and the slot has its end.
    pub(super) fn abandon(&self, opaque: i32) -> Option<(Stage, Outcome)> {
        self.pending.remove(opaque)?;
        let end = self.withdraw(opaque);
        self.wake_if_drained();
        Some(end)
    }

    /// Wakes the writer of a connection that ends with its last call.
    fn wake_if_drained(&self) {
        // Looked at after the call was taken out, as the writer looks for calls after the flag was set.
        if self.draining.load(Ordering::SeqCst) && self.pending.in_flight() == 0 {
            drop(self.out());
            self.work.notify_all();
        }
    }

    /// Takes a frame out of the outbox if that is still possible.
    fn withdraw(&self, opaque: i32) -> (Stage, Outcome) {
        let mut out = self.out();
        let outcome = if out.outbox.remove(opaque) { Outcome::NotSent } else { Outcome::Unknown };
        let phase = out.phase;
        drop(out);
        if outcome == Outcome::Unknown {
            self.suspect.store(true, Ordering::Relaxed);
        }
        (stage_of(phase, outcome), outcome)
    }

    /// Ends the calls whose time is over and that do not time themselves; says when the next one's is.
    pub(super) fn expire(&self, now: Instant) -> Option<Instant> {
        let (expired, next) = self.pending.expire(now);
        for (opaque, waiting) in expired {
            let (stage, outcome) = self.withdraw(opaque);
            let deadline = Deadline::from(waiting.started, waiting.until - waiting.started);
            waiting.waiter.complete(Err(deadline.missed(stage, Some(&self.addr), outcome)));
        }
        self.wake_if_drained();
        next
    }

    /// Ends the calls that nobody is blocked on, as closed.
    pub(super) fn end_callbacks(&self) {
        // No deadline is later than a year.
        let (all, _) = self.pending.expire(Instant::now() + Duration::from_secs(2 * 365 * 24 * 3600));
        for (opaque, waiting) in all {
            let (_, outcome) = self.withdraw(opaque);
            waiting.waiter.complete(Err(Error::Closed { outcome }));
        }
        self.wake_if_drained();
    }

    /// Ends the connection for good: fails what waits, each call with its own outcome, and wakes both threads.
    pub(super) fn lose(&self, loss: Loss) {
        if self.gone.set(loss).is_err() {
            return;
        }
        let _ = self.lost_at.set(Instant::now());
        let Some(loss) = self.gone.get() else { return };
        let mut out = self.out();
        let was = out.phase;
        out.phase = Phase::Gone;
        let unsent = out.outbox.abandon();
        drop(out);
        match loss {
            Loss::NotConnected(error) => log::warn!("{error}"),
            Loss::Lost(reason) => log::warn!("connection to {} lost: {reason}", self.addr),
            Loss::Closed => log::debug!("connection to {} closed", self.addr),
        }
        if let Some(transport) = self.transport.get() {
            transport.shutdown();
        }
        self.work.notify_all();
        self.room.notify_all();
        self.reading.wake();
        let never_open = matches!(was, Phase::Resolving | Phase::Connecting);
        for (opaque, waiting) in self.pending.close() {
            let sent = !never_open && !unsent.contains(&opaque);
            let outcome = if sent { Outcome::Unknown } else { Outcome::NotSent };
            waiting.waiter.complete(Err(loss.error(&self.addr, outcome)));
        }
    }

    /// Takes no more frames; the writer ends the connection once everything is written and all calls but held ones have
    /// ended.
    pub(super) fn drain(&self) {
        let mut out = self.out();
        match out.phase {
            Phase::Open => {
                out.phase = Phase::Draining;
                self.draining.store(true, Ordering::SeqCst);
            }
            Phase::Resolving | Phase::Connecting => {
                drop(out);
                return self.lose(Loss::Closed);
            }
            Phase::Draining | Phase::Gone => return,
        }
        drop(out);
        self.work.notify_all();
        self.room.notify_all();
    }

    /// Takes in what was received together; says how many calls of blocked callers it ended.
    pub(super) fn dispatch(self: &Arc<Self>, received: &mut Received) -> usize {
        if received.frames.iter().any(|frame| !frame.is_response()) {
            let (answers, requests) = received.frames.drain(..).partition(Frame::is_response);
            received.frames = answers;
            self.serve(requests);
        }
        self.pending.match_all(received.frames.drain(..), &mut received.matched);
        self.wake_if_drained();
        let mut blocked = 0;
        for (waiting, frame) in received.matched.drain(..) {
            if frame.code == ResponseCode::GO_AWAY.0 {
                self.leaving.store(true, Ordering::Relaxed);
            }
            match waiting {
                Some(waiting) => {
                    blocked += usize::from(!waiting.held && matches!(waiting.waiter, Waiter::Slot(..)));
                    waiting.waiter.complete(Ok(frame));
                }
                None => {
                    self.counters.unmatched.fetch_add(1, Ordering::Relaxed);
                    log::debug!("{} answered {} which nobody waits for", self.addr, frame.opaque);
                }
            }
        }
        blocked
    }

    fn serve(self: &Arc<Self>, requests: Vec<Frame>) {
        for frame in requests {
            let request = ServerRequest { addr: self.addr.clone(), frame, connection: Some(self.clone()) };
            let refused = match self.owner.upgrade() {
                Some(owner) => owner.request(request),
                None => Err(request),
            };
            if let Err(request) = refused {
                request.refuse();
            }
        }
    }

    /// Puts a response to a server's request into the outbox; dropped when the connection is gone or its outbox full.
    pub(super) fn respond(&self, frame: &[u8]) {
        let deadline = Deadline::after(self.options.probe_timeout);
        // The server's opaque is not ours: a frame that nobody will withdraw needs none.
        let outgoing = Outgoing { opaque: NOBODY, head: frame, body: &[] };
        if let Err(error) = self.hand_over(&outgoing, deadline, None, false, false) {
            log::debug!("an answer to {} was dropped: {error}", self.addr);
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.out().phase == Phase::Open
    }

    pub(super) fn is_doubtful(&self, silence: Duration, now: Instant) -> bool {
        let signs = Signs {
            last_received: self.last_received(),
            earliest_expected: self.pending.earliest_expected(),
            suspect: self.suspect.load(Ordering::Relaxed),
        };
        self.is_open() && is_doubtful(signs, silence, now)
    }

    /// Ends a connection whose server did not answer a probe.
    pub(super) fn give_up(&self) {
        let silent = self.last_received().elapsed();
        self.lose(Loss::Lost(format!("the server has been silent for {silent:.1?} and did not answer a probe").into()));
    }

    pub(super) fn header_kind(&self) -> HeaderKind {
        self.options.header_kind
    }

    /// Waits until the slot has an end, or `until`. A lone caller reads for itself meanwhile.
    pub(crate) fn wait(self: &Arc<Self>, slot: &Slot, until: Instant) {
        if slot.is_ready() {
            return;
        }
        match self.pending.in_flight() {
            // Only held requests, whose answers the reader thread awaits.
            0 => self.reading.resume_if_idle(),
            1 => {
                self.read_for(slot, until);
            }
            _ => {
                self.reading.resume_if_idle();
                let backoff = crossbeam_utils::Backoff::new();
                while !slot.is_ready() && !backoff.is_completed() {
                    backoff.snooze();
                }
            }
        }
        slot.park(Slot::is_ready, until);
    }

    pub(super) fn waiting(waiter: Waiter, deadline: Deadline, hold: Option<Duration>) -> Waiting {
        let started = deadline.started();
        // A server answers a long poll late: every so often it looks again instead of being told.
        const HOLD_SLACK: Duration = Duration::from_secs(10);
        let now = Instant::now();
        let expected = hold.map_or(now, |hold| now + hold + HOLD_SLACK);
        Waiting { waiter, started, until: deadline.at(), expected, held: hold.is_some() }
    }
}

fn stage_of(phase: Phase, outcome: Outcome) -> Stage {
    match (phase, outcome) {
        (Phase::Resolving, _) => Stage::Resolve,
        (Phase::Connecting, _) => Stage::Connect,
        (_, Outcome::NotSent) => Stage::Write,
        _ => Stage::Reply,
    }
}
