//! The reading side: the connection's own thread, and the lone caller that reads for itself.
//!
//! The thread resolves, connects and then reads. What separates a blocking call from a bare ping-pong is the change of
//! threads between reader and caller. So when a caller is alone, the reader thread leaves the read half lying for a
//! moment after it has delivered: if the caller asks again at once, it takes the half and reads its own answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::Deadline;
use super::connection::{Connection, Phase};
use super::delivery::Received;
use super::door::is_tls;
use super::ending::Loss;
use super::slot::Slot;
use super::sync::thread::{self, Thread};
use super::sync::{self, AtomicBool, Mutex, OnceLock};
use super::transport::{Plain, Transport, is_timeout};
use crate::error::Error;
use crate::protocol::frame::FrameReader;

/// How long the reader thread leaves the half lying. Longer than a hot caller thinks, short for whoever else waits.
const LINGER: Duration = Duration::from_millis(1);
/// How long a caller reads for itself before it gives the half back and parks. A caller with less time left does not start.
const READ_SLICE: Duration = Duration::from_millis(250);
/// The first try to connect ends early, so that closing need not wait long: the kernel repeats a lost SYN after a second
/// as well.
const FIRST_CONNECT: Duration = Duration::from_secs(1);

/// The state of reading; whoever holds it reads.
#[derive(Debug)]
pub(super) struct ReadHalf {
    frames: FrameReader,
    timeout: Option<Duration>,
    received: Received,
    /// How many calls of blocked callers the last read ended.
    answered: usize,
    /// How many reads in a row ended the only call there was.
    lone: u32,
}

/// From how many such reads on the caller is taken for a lone one. With several callers the half would go to and fro.
const LONE: u32 = sync::in_a_row(3);

/// Hands the read half between the reader thread and lone callers.
#[derive(Debug, Default)]
pub(super) struct Reading {
    half: Mutex<Option<Box<ReadHalf>>>,
    /// The half lies in the cell: changed under its lock, or one who came too late would hide a half that was put back since.
    /// Ordered with the number of calls in flight: either a new caller sees it, or whoever put
    /// it there sees the caller.
    idle: AtomicBool,
    /// How often callers took the half.
    taken: AtomicU64,
    /// The reader thread is to take it back.
    wanted: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Reading {
    fn put(&self, half: Box<ReadHalf>) {
        let mut cell = self.half.lock().unwrap_or_else(PoisonError::into_inner);
        *cell = Some(half);
        self.idle.store(true, Ordering::SeqCst);
    }

    fn take(&self) -> Option<Box<ReadHalf>> {
        if !self.idle.load(Ordering::SeqCst) {
            return None;
        }
        let mut cell = self.half.lock().unwrap_or_else(PoisonError::into_inner);
        let half = cell.take();
        self.idle.store(false, Ordering::SeqCst);
        half
    }

    /// Sends the reader thread back to work if the half lies idle.
    pub(super) fn resume_if_idle(&self) {
        if self.idle.load(Ordering::SeqCst) {
            self.wanted.store(true, Ordering::SeqCst);
            self.wake();
        }
    }

    pub(super) fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

impl Connection {
    /// The reader thread.
    pub(super) fn run_reader(self: &Arc<Self>, not_before: Instant) {
        let _ = self.reading.thread.set(thread::current());
        while !self.is_gone() {
            let left = not_before.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            thread::park_timeout(left);
        }
        if self.is_gone() {
            return;
        }
        if self.door.takes_only_tls() {
            return self.lose(self.refused_as_plain());
        }
        match self.connect() {
            Ok(transport) => self.open(transport),
            Err(error) => return self.lose(Loss::NotConnected(error)),
        }
        self.read_until_gone();
    }

    pub(super) fn read_until_gone(self: &Arc<Self>) {
        let _ = self.reading.thread.set(thread::current());
        let frames = FrameReader::new(self.options.frame_limit);
        let mut half =
            Box::new(ReadHalf { frames, timeout: None, received: Received::default(), answered: 0, lone: 0 });
        while !self.is_gone() {
            if self.read_once(&mut half, None).is_none() {
                return;
            }
            if half.answered > 0 {
                let alone = half.answered == 1 && self.pending.in_flight() == 0;
                half.lone = if alone { half.lone.saturating_add(1) } else { 0 };
                self.note_lone(half.lone >= LONE);
            }
            if half.answered > 0 && half.lone >= LONE {
                self.reading.put(half);
                match self.linger() {
                    Some(back) => half = back,
                    None => return,
                }
            }
        }
    }

    fn note_lone(&self, lone: bool) {
        if self.lone.load(Ordering::Relaxed) != lone {
            self.lone.store(lone, Ordering::Relaxed);
        }
    }

    /// Leaves the half to lone callers until they stop using it; `None` when the connection is gone.
    fn linger(&self) -> Option<Box<ReadHalf>> {
        let reading = &self.reading;
        if self.pending.in_flight() > 0 {
            // Somebody asked before the half was there to be seen.
            if let Some(half) = reading.take() {
                return Some(half);
            }
        }
        let mut seen = reading.taken.load(Ordering::Relaxed);
        loop {
            // While a caller has it there is nothing to do; one that has it for long wakes us when it is done.
            let idle = reading.idle.load(Ordering::SeqCst);
            thread::park_timeout(if idle { LINGER } else { LINGER * 2 });
            if self.is_gone() {
                return None;
            }
            let taken = reading.taken.load(Ordering::Relaxed);
            let wanted = reading.wanted.swap(false, Ordering::SeqCst);
            if taken == seen || wanted {
                if let Some(half) = reading.take() {
                    return Some(half);
                }
            }
            seen = taken;
        }
    }

    /// Reads as a lone caller until the slot has an end; gives up after a while, or when others need the reader.
    pub(super) fn read_for(self: &Arc<Self>, slot: &Slot, until: Instant) {
        let started = Instant::now();
        if until.saturating_duration_since(started) < READ_SLICE {
            return self.reading.resume_if_idle();
        }
        let Some(mut half) = self.reading.take() else { return };
        self.reading.taken.fetch_add(1, Ordering::Relaxed);
        while !slot.is_ready() {
            match self.read_once(&mut half, Some(READ_SLICE)) {
                None => return,
                // Answers for others must not keep it beyond its deadline.
                Some(true) if until.saturating_duration_since(Instant::now()) >= READ_SLICE => {}
                _ => break,
            }
        }
        if self.pending.in_flight() > 0 {
            half.lone = 0;
            self.note_lone(false);
        }
        self.reading.put(half);
        if self.pending.in_flight() > 0 || sync::elapsed(started) > LINGER {
            self.reading.resume_if_idle();
        }
    }

    /// Reads once and delivers. Says whether anything came within `timeout`; `None` when the connection is gone.
    fn read_once(self: &Arc<Self>, half: &mut ReadHalf, timeout: Option<Duration>) -> Option<bool> {
        let transport = self.transport.get()?;
        half.answered = 0;
        if half.timeout != timeout {
            if let Err(error) = transport.read_timeout(timeout) {
                self.lose(Loss::Lost(format!("setting the read timeout failed: {error}").into()));
                return None;
            }
            half.timeout = timeout;
        }
        let space = half.frames.space();
        match transport.read(space) {
            Ok(0) => {
                self.lose(self.cut_off("closed by the server".to_owned()));
                None
            }
            Ok(count) if !self.has_received() && !self.is_encrypted() && is_tls(&space[..count]) => {
                self.lose(self.refused_as_plain());
                None
            }
            Ok(count) => {
                half.frames.filled(count);
                self.note_received();
                self.counters.received.bytes.add(count as u64);
                self.deliver(half)
            }
            Err(error) if is_timeout(&error) => Some(false),
            Err(error) => {
                #[cfg(feature = "tls")]
                if let Some(refusal) = self.refused(&error) {
                    self.lose(Loss::NotConnected(refusal));
                    return None;
                }
                self.lose(self.cut_off(format!("reading failed: {error}")));
                None
            }
        }
    }

    /// How it ended, with the cause when the server never said anything: one that wants TLS, or a certificate, and does not
    /// get it, just hangs up.
    fn cut_off(&self, how: String) -> Loss {
        let likely = if self.has_received() {
            ""
        } else if self.is_encrypted() {
            " before it answered anything; does it demand a client certificate?"
        } else if self.asks_for_tls() {
            return self.refused_as_plain();
        } else {
            " before it answered anything"
        };
        Loss::Lost((how + likely).into())
    }

    fn deliver(self: &Arc<Self>, half: &mut ReadHalf) -> Option<bool> {
        let failure = loop {
            match half.frames.next() {
                Ok(Some(frame)) => half.received.frames.push(frame),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        if !half.received.frames.is_empty() {
            half.answered = self.dispatch(&mut half.received);
        }
        match failure {
            None => Some(true),
            Some(error) => {
                self.counters.received.malformed_frames.one();
                self.lose(Loss::Lost(error.to_string().into()));
                None
            }
        }
    }

    /// Makes the connection usable and sends what waited for it.
    pub(super) fn open(&self, transport: Arc<dyn Transport>) {
        let shut = transport.clone();
        let _ = self.transport.set(transport);
        let mut out = self.out();
        if matches!(out.phase, Phase::Gone) {
            drop(out);
            return shut.shutdown();
        }
        out.phase = Phase::Open;
        drop(out);
        self.counters.received.connected.one();
        // Frames whose time is over are dropped by the writer before it writes.
        self.work.notify_all();
        log::debug!("connected to {}", self.addr);
        if let Some(owner) = self.owner.upgrade() {
            owner.connected(&self.addr);
        }
    }

    fn connect(&self) -> Result<Arc<dyn Transport>, Error> {
        let deadline = Deadline::after(self.options.connect_timeout);
        let failed = |source: std::io::Error| Error::Connect { addr: self.addr.clone(), source: Arc::new(source) };
        let addrs = self.resolve(deadline).map_err(failed)?;
        let addrs = self.options.allowed.filter(&self.addr, addrs).inspect_err(|_| {
            self.counters.received.addresses_refused.one();
        })?;
        let mut last = failed(std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address"));
        let share = self.options.connect_timeout / u32::try_from(addrs.len().max(1)).unwrap_or(1);
        for addr in addrs {
            let until = Deadline::from(Instant::now(), share).sooner(deadline.at());
            self.out().phase_to(Phase::Connecting);
            match self.connect_to(addr, until).map_err(failed).and_then(|socket| self.secure(socket, until)) {
                Ok(transport) => {
                    self.entered(addr);
                    return Ok(transport);
                }
                Err(error) => last = error,
            }
            if self.is_gone() {
                break;
            }
        }
        Err(last)
    }

    #[cfg(not(feature = "tls"))]
    fn secure(&self, socket: Plain, _deadline: Deadline) -> Result<Arc<dyn Transport>, Error> {
        Ok(Arc::new(socket))
    }

    fn connect_to(&self, addr: SocketAddr, deadline: Deadline) -> std::io::Result<Plain> {
        loop {
            let left = deadline.left(Instant::now());
            if left.is_zero() || self.is_gone() {
                return Err(std::io::ErrorKind::TimedOut.into());
            }
            match Plain::connect(addr, left.min(FIRST_CONNECT)) {
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {}
                result => return result,
            }
        }
    }

    fn resolve(&self, deadline: Deadline) -> std::io::Result<Vec<SocketAddr>> {
        let invalid = || std::io::Error::new(std::io::ErrorKind::InvalidInput, "not of the form host:port");
        let (host, port) = self.addr.rsplit_once(':').ok_or_else(invalid)?;
        let port = port.parse().map_err(|_| invalid())?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>() {
            Ok(ip) => Ok(vec![SocketAddr::new(ip, port)]),
            Err(_) => self.resolver.resolve(host, port, deadline),
        }
    }
}
