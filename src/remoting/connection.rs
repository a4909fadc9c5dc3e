//! What the threads of one connection and its callers share.

use std::fmt;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::door::Door;
use super::ending::Loss;
use super::liveness::{Signs, is_doubtful};
use super::outbox::{Batch, Outbox};
use super::pending::Pending;
use super::quota::Quota;
use super::reader::Reading;
use super::stats::Counters;
use super::sync::{AtomicBool, Condvar, Mutex, MutexGuard, OnceLock};
use super::transport::Transport;
use super::{Owner, RemotingOptions, Resolve};
use crate::error::{Error, Outcome};
use crate::protocol::frame::HeaderKind;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Resolving,
    Connecting,
    /// Connected, but not encrypted yet.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "only TLS shakes hands"))]
    Handshaking,
    Open,
    /// Hung up on; the reader asks why, and frames wait.
    Doubted,
    /// Takes no more frames; the writer ends it when everything is written and answered.
    Draining,
    Gone,
}

impl Phase {
    /// Before anything can be written.
    pub(super) fn is_opening(self) -> bool {
        matches!(self, Phase::Resolving | Phase::Connecting | Phase::Handshaking)
    }
}

/// The writing side, behind one lock.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) outbox: Outbox,
    pub(super) phase: Phase,
    /// Somebody has taken a batch and is writing it.
    pub(super) busy: bool,
    pub(super) writer_sleeps: bool,
    /// A caller waits for room. Waking nobody would be a system call for each write.
    pub(super) room_wanted: bool,
    /// The kernel did not take all of the last write.
    pub(super) full: bool,
    /// Since when the kernel has taken nothing although there is something.
    pub(super) stalled_since: Option<Instant>,
    /// What the transport has taken and the kernel has not, as of the last write.
    pub(super) backlog: usize,
}

impl Out {
    /// Whether the kernel has everything.
    pub(super) fn is_written(&self) -> bool {
        self.outbox.is_empty() && self.backlog == 0
    }

    /// Takes out what is to be written next. To a server that has no room that is little: a write may take long, and what is
    /// in hand meanwhile cannot be taken back.
    pub(super) fn take(&mut self) -> Batch {
        if self.full { self.outbox.take_first() } else { self.outbox.take() }
    }
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
    /// Of requests that the server makes.
    pub(super) quota: Quota,
    pub(super) reading: Reading,
    pub(super) transport: OnceLock<Arc<dyn Transport>>,
    /// The socket during a handshake, or while the server is asked for TLS, which shutting it down ends.
    pub(super) handshake: Mutex<Option<Arc<dyn Transport>>>,
    pub(super) door: Door,
    pub(super) gone: OnceLock<Loss>,
    pub(super) lost_at: OnceLock<Instant>,
    opaque: AtomicI32,
    pub(super) created: Instant,
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
    pub(super) draining: AtomicBool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("addr", &self.addr).field("gone", &self.gone.get()).finish_non_exhaustive()
    }
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
            room_wanted: false,
            full: false,
            stalled_since: None,
            backlog: 0,
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
            quota: Quota::default(),
            reading: Reading::default(),
            transport: OnceLock::new(),
            handshake: Mutex::new(None),
            door: Door::default(),
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

    /// Whether a call was given this number; they are counted up from 0, and wrap around after four thousand million.
    pub(super) fn has_issued(&self, opaque: i32) -> bool {
        let next = self.opaque.load(Ordering::Relaxed);
        (0..next).contains(&opaque) || next < 0 && !(next..0).contains(&opaque)
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

    pub(super) fn is_open(&self) -> bool {
        self.out().phase == Phase::Open
    }

    /// Whether it is being made: what it is given waits until it is open.
    pub(super) fn is_opening(&self) -> bool {
        self.out().phase.is_opening()
    }

    pub(super) fn is_doubtful(&self, silence: Duration, now: Instant) -> bool {
        let signs = Signs {
            last_received: self.last_received(),
            earliest_expected: self.pending.earliest_expected(),
            suspect: self.suspect.load(Ordering::Relaxed),
        };
        self.is_open() && is_doubtful(signs, silence, now)
    }

    pub(super) fn is_encrypted(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.options.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    pub(super) fn header_kind(&self) -> HeaderKind {
        self.options.header_kind
    }
}
