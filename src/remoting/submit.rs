//! How callers hand frames to a connection, wait for their ends, and give up.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::Deadline;
use super::connection::{Connection, Out, Phase};
use super::cork;
use super::ending::Loss;
use super::hold::{Asker, Hold};
use super::outbox::{Batch, NOBODY};
use super::pending::{Refused, Waiter, Waiting};
use super::slot::Slot;
use super::sync::{self, MutexGuard, thread};
use super::transport::is_timeout;
use crate::error::{Error, Outcome, Result, Stage};

/// How often one of several callers gives the processor to others before it parks. Measured at 8 and 64 threads on two
/// cores: yielding alone beats spinning first by half at 64, and not yielding by as much at 8.
const YIELDS: u32 = sync::yields(10);

/// A request in its wire form, but for the opaque's registration.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) opaque: i32,
    pub(crate) head: &'a [u8],
    pub(crate) body: &'a [u8],
}

/// How soon a frame is to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Haste {
    /// Somebody waits for it.
    Waits,
    /// Its answer comes to somebody who does other things meanwhile.
    Asks,
    /// With whatever is written next.
    None,
}

impl Connection {
    /// Registers a call and hands its frame over to be written. Never blocks, except that a `patient` caller waits for
    /// room in a full outbox. On an error nothing was sent and nothing is registered.
    pub(super) fn start(
        self: &Arc<Self>,
        outgoing: &Outgoing<'_>,
        waiting: Waiting,
        patient: bool,
    ) -> Result<(), (Waiter, Error)> {
        let until = waiting.until;
        let deadline = Deadline::from(waiting.started, until.saturating_duration_since(waiting.started));
        // Only a blocked caller reads for itself, and needs the frame to leave at once.
        let blocks = matches!(waiting.waiter, Waiter::Slot(..));
        let needs_reader = waiting.held || !blocks;
        match self.pending.insert(outgoing.opaque, waiting, self.options.pending_limit) {
            Ok(()) => {}
            Err(Refused::Gone(waiting)) => {
                let error = self.refusal().unwrap_or(Error::Closed { outcome: Outcome::NotSent });
                return Err((waiting.waiter, error));
            }
            Err(Refused::Full(waiting)) => return Err((waiting.waiter, self.too_many_calls())),
        }
        let haste = if blocks { Haste::Waits } else { Haste::Asks };
        if let Err(error) = self.hand_over(outgoing, deadline, None, patient, haste) {
            let removed = self.pending.remove(outgoing.opaque);
            // The writer may have taken it for the last call it has to wait for.
            self.wake_if_drained();
            return match removed {
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

    #[cold]
    fn too_many_calls(&self) -> Error {
        self.counters.received.calls_refused.one();
        let limit = self.options.pending_limit;
        Error::Busy { what: format!("{limit} calls already wait for answers of {}", self.addr).into() }
    }

    /// Appends a frame to the outbox, and writes it here and now when nobody else would sooner.
    fn hand_over(
        self: &Arc<Self>,
        outgoing: &Outgoing<'_>,
        deadline: Deadline,
        written: Option<Arc<Slot>>,
        patient: bool,
        haste: Haste,
    ) -> Result<()> {
        let len = outgoing.head.len() + outgoing.body.len();
        // Who waits for its frame to be written has nothing better to do than to write it.
        let urgent = haste != Haste::None && (written.is_some() || self.lone.load(Ordering::Relaxed));
        let mut out = self.room_for(len, deadline, patient)?;
        out.outbox.push(outgoing.opaque, deadline.at(), written, outgoing.head, outgoing.body);
        self.counters.requests.one();
        if out.busy || out.phase != Phase::Open {
            return Ok(());
        }
        if haste == Haste::Asks && cork::hold(self) {
            return Ok(());
        }
        self.have_written(out, urgent);
        Ok(())
    }

    /// Writes what is in the outbox, if it may be done here and the caller is alone, which saves a change of threads. With
    /// others under way the writer gathers their frames.
    fn have_written(&self, mut out: MutexGuard<'_, Out>, here: bool) {
        if here && self.pending.in_flight() < 2 {
            out.busy = true;
            let batch = out.take();
            drop(out);
            self.write(batch);
        } else if out.writer_sleeps {
            out.writer_sleeps = false;
            drop(out);
            self.work.notify_one();
        }
    }

    /// Has what is in the outbox written: here and now, unless others are about to ask too.
    pub(super) fn flush(&self) {
        let out = self.out();
        if !out.busy && out.phase == Phase::Open && !out.outbox.is_empty() {
            self.have_written(out, true);
        }
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
                self.counters.received.calls_refused.one();
                let what = format!("{limit} bytes already wait to be written to {}", self.addr);
                return Err(Error::Busy { what: what.into() });
            }
            let left = deadline.left(Instant::now());
            if left.is_zero() {
                return Err(deadline.missed(Stage::Write, Some(&self.addr), Outcome::NotSent));
            }
            out.room_wanted = true;
            out = self.room.wait_timeout(out, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes a batch once; what the kernel does not take is left to the writer. The caller has set `busy`.
    pub(super) fn write(&self, batch: Batch) {
        let result = match self.transport.get() {
            Some(transport) => transport.write(batch.bytes()),
            None => Ok(0),
        };
        let (count, failure) = match result {
            Ok(count) => (count, None),
            Err(error) if is_timeout(&error) => (0, None),
            Err(error) => (0, Some(error)),
        };
        let backlog = self.transport.get().map_or(0, |transport| transport.backlog());
        self.counters.writes.one();
        self.counters.bytes_written.add(count as u64);
        let mut out = self.out();
        out.full = count < batch.bytes().len() || backlog > 0;
        out.outbox.put_back(batch, count);
        if out.phase == Phase::Gone {
            // It was lost meanwhile, without these frames.
            out.outbox.abandon();
        }
        out.busy = false;
        let went_on = count > 0 || backlog < out.backlog;
        out.backlog = backlog;
        if went_on || out.is_written() {
            out.stalled_since = None;
        } else if out.stalled_since.is_none() {
            out.stalled_since = Some(Instant::now());
        }
        let wake = out.writer_sleeps && (!out.is_written() || out.phase == Phase::Draining);
        if wake {
            out.writer_sleeps = false;
        }
        let room = std::mem::take(&mut out.room_wanted);
        let doubted = failure.is_some() && self.doubt(&mut out);
        drop(out);
        if wake {
            self.work.notify_one();
        }
        if room {
            self.room.notify_all();
        }
        if doubted {
            // The reader, who judges it, has to see the end as well.
            if let Some(transport) = self.transport.get() {
                transport.shutdown();
            }
        } else if let Some(error) = failure {
            self.lose(Loss::Lost(format!("writing failed: {error}").into()));
        }
    }

    /// Sends a frame that is not answered, and waits until the kernel has it. `buffered` does not wait.
    pub(super) fn send_oneway(
        self: &Arc<Self>,
        outgoing: &Outgoing<'_>,
        deadline: Deadline,
        buffered: bool,
    ) -> Result<()> {
        if buffered {
            // Nobody asks what became of it, so nothing is kept for that when its time is over.
            return self.hand_over(&Outgoing { opaque: NOBODY, ..*outgoing }, deadline, None, true, Haste::None);
        }
        let slot = Slot::mine();
        self.hand_over(outgoing, deadline, Some(slot.clone()), true, Haste::Waits)?;
        slot.park(|slot| slot.is_written() || self.is_gone(), deadline.at());
        if slot.is_written() {
            return Ok(());
        }
        if let Some(loss) = self.gone.get() {
            // Which of its frames were whole is known only for calls; a oneway one counts as unknown.
            return Err(loss.error(&self.addr, Outcome::Unknown));
        }
        let (phase, outcome) = self.take_back(outgoing.opaque);
        if slot.is_written() {
            return Ok(());
        }
        self.counters.received.timeouts.one();
        Err(deadline.missed(stage_of(phase, outcome), Some(&self.addr), outcome))
    }

    /// Gives a call up; `None` when it ended in the same moment, and the slot has its end.
    pub(super) fn abandon(&self, opaque: i32) -> Option<(Stage, Outcome)> {
        let waiting = self.pending.give_up(opaque)?;
        // A caller that needs the answer no more has time left.
        if waiting.until <= Instant::now() {
            self.counters.received.timeouts.one();
        }
        let end = self.withdraw(opaque);
        self.wake_if_drained();
        Some(end)
    }

    /// Takes a frame out of the outbox if that is still possible.
    pub(super) fn withdraw(&self, opaque: i32) -> (Stage, Outcome) {
        let (phase, outcome) = self.take_back(opaque);
        if outcome == Outcome::Unknown {
            self.suspect.store(true, Ordering::Relaxed);
        }
        (stage_of(phase, outcome), outcome)
    }

    /// Ends what the server holds for one asker; a frame that has not left does not leave.
    pub(super) fn withdraw_held(&self, asker: Asker) {
        for (opaque, waiting) in self.pending.give_up_all(asker) {
            let (_, outcome) = self.take_back(opaque);
            waiting.waiter.complete(Err(Error::Closed { outcome }));
        }
        self.wake_if_drained();
    }

    fn take_back(&self, opaque: i32) -> (Phase, Outcome) {
        let mut out = self.out();
        // Over a connection that was never open nothing has left, also when its end has emptied the outbox.
        if !out.outbox.remove(opaque) && self.transport.get().is_some() {
            return (out.phase, Outcome::Unknown);
        }
        self.tell_of_room(&mut out);
        (out.phase, Outcome::NotSent)
    }

    /// Wakes callers that wait for room, after frames have left the outbox without being written.
    pub(super) fn tell_of_room(&self, out: &mut Out) {
        if std::mem::take(&mut out.room_wanted) {
            self.room.notify_all();
        }
    }

    /// Puts a response to a server's request into the outbox; dropped when the connection is gone or its outbox full.
    pub(super) fn respond(self: &Arc<Self>, frame: &[u8]) {
        let deadline = Deadline::after(self.options.probe_timeout);
        // The server's opaque is not ours: a frame that nobody will withdraw needs none.
        let outgoing = Outgoing { opaque: NOBODY, head: frame, body: &[] };
        if let Err(error) = self.hand_over(&outgoing, deadline, None, false, Haste::None) {
            log::debug!("an answer to {} was dropped: {error}", self.addr);
        }
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
                let mut yields = 0;
                while !slot.is_ready() && yields < YIELDS {
                    yields += 1;
                    thread::yield_now();
                }
            }
        }
        slot.park(Slot::is_ready, until);
    }

    pub(super) fn waiting(waiter: Waiter, deadline: Deadline, hold: Option<Hold>) -> Waiting {
        let started = deadline.started();
        // A server answers a long poll late: every so often it looks again instead of being told.
        const HOLD_SLACK: Duration = Duration::from_secs(10);
        let now = Instant::now();
        let expected = hold.map_or(now, |hold| now + hold.time + HOLD_SLACK);
        let asker = hold.and_then(|hold| hold.asker);
        Waiting { waiter, started, until: deadline.at(), expected, held: hold.is_some(), asker }
    }
}

fn stage_of(phase: Phase, outcome: Outcome) -> Stage {
    match (phase, outcome) {
        (Phase::Resolving, _) => Stage::Resolve,
        (Phase::Connecting, _) => Stage::Connect,
        (Phase::Handshaking, _) => Stage::Handshake,
        (_, Outcome::NotSent) => Stage::Write,
        _ => Stage::Reply,
    }
}
