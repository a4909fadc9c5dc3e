//! How calls and connections end before their time: deadlines, losses, closing.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::Deadline;
use super::connection::{Connection, Phase};
use crate::error::{Error, Outcome};

/// Why a connection is gone.
#[derive(Debug, Clone)]
pub(super) enum Loss {
    /// It was never there; the error says why.
    NotConnected(Error),
    Lost(Arc<str>),
    Closed,
}

impl Loss {
    pub(super) fn error(&self, addr: &Arc<str>, outcome: Outcome) -> Error {
        match self {
            Loss::NotConnected(error) => error.clone(),
            Loss::Lost(reason) => Error::Disconnected { addr: addr.clone(), outcome, reason: reason.clone() },
            Loss::Closed => Error::Closed { outcome },
        }
    }
}

impl Connection {
    /// Ends the calls whose time is over and that do not time themselves; says when the next one's is.
    pub(super) fn expire(&self, now: Instant) -> Option<Instant> {
        let (expired, next) = self.pending.expire(now);
        self.counters.received.timeouts.add(expired.len() as u64);
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
        let handshaking = self.handshake.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(socket) = handshaking {
            socket.shutdown();
        }
        self.work.notify_all();
        self.room.notify_all();
        self.reading.wake();
        for (opaque, waiting) in self.pending.close() {
            let sent = !was.is_opening() && !unsent.contains(&opaque);
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
            Phase::Resolving | Phase::Connecting | Phase::Handshaking | Phase::Doubted => {
                drop(out);
                return self.lose(Loss::Closed);
            }
            Phase::Draining | Phase::Gone => return,
        }
        drop(out);
        self.work.notify_all();
        self.room.notify_all();
    }

    /// Wakes the writer of a connection that ends with its last call.
    pub(super) fn wake_if_drained(&self) {
        // Looked at after the call was taken out, as the writer looks for calls after the flag was set.
        if self.draining.load(Ordering::SeqCst) && self.pending.in_flight() == 0 {
            drop(self.out());
            self.work.notify_all();
        }
    }

    /// Ends a connection whose server did not answer a probe.
    pub(super) fn give_up(&self) {
        let silent = self.last_received().elapsed();
        self.lose(Loss::Lost(format!("the server has been silent for {silent:.1?} and did not answer a probe").into()));
    }
}
