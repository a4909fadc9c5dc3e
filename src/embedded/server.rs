//! One listening server: its socket, its connections and their threads. What it answers is its [`Service`]'s matter.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use super::call::{Call, Handled};
use super::clock::{Clock, earlier};
use super::faults::{Faults, GO_AWAY_REMARK, Kind};
use super::late::LateAnswers;
use super::link::Link;
use super::listen;
use super::recorder::Recorder;
use crate::code::ResponseCode;
use crate::error::{Error, Outcome, Result};
use crate::protocol::frame::{Frame, FrameReader};
use crate::thread::Thread;

/// Answers are collected up to this size before they are written, however much was read at once.
const WRITE_ABOVE: usize = 256 << 10;

/// What a server answers.
pub(super) trait Service: Send + Sync {
    fn serve(&self, call: &mut Call<'_>) -> Handled;

    /// A client answered what this server had asked it.
    fn answered(&self, _link: &Arc<Link>, _frame: &Frame) {}

    /// A connection has ended.
    fn left(&self, link: &Arc<Link>);

    /// The server is up and can be reached, or no longer.
    fn up(&self, up: bool);

    /// Does what is due and says when the next thing is.
    fn tick(&self, now: Instant) -> Option<Instant>;
}

/// Bounds of one server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) frame: usize,
    pub(super) connections: usize,
}

/// A name server or a broker, up or down. It keeps its address over restarts.
pub(super) struct Server {
    pub(super) label: Arc<str>,
    pub(super) addr: SocketAddr,
    pub(super) faults: Faults,
    pub(super) service: Arc<dyn Service>,
    recorder: Arc<Recorder>,
    pub(super) clock: Arc<Clock>,
    pub(super) limits: Limits,
    #[cfg(feature = "tls")]
    tls: OnceLock<super::tls::Ready>,
    state: Mutex<State>,
    paused: Mutex<bool>,
    resumed: Condvar,
    pub(super) late: LateAnswers,
    /// Goes up and down with this one.
    companion: OnceLock<Arc<Server>>,
}

#[derive(Default)]
pub(super) struct State {
    /// A listener that nobody accepts from, and the connections that fill its backlog.
    pub(super) silent: Option<(TcpListener, Vec<TcpStream>)>,
    pub(super) acceptor: Option<(Thread, Arc<AtomicBool>)>,
    pub(super) links: HashMap<u64, (Arc<Link>, Option<Thread>)>,
    /// Those of `links` whose thread has nothing more to do than to end.
    pub(super) ended: Vec<u64>,
    pub(super) next_id: u64,
    pub(super) closed: bool,
}

impl Server {
    pub(super) fn new(
        label: Arc<str>,
        addr: SocketAddr,
        service: Arc<dyn Service>,
        recorder: Arc<Recorder>,
        clock: Arc<Clock>,
        limits: Limits,
    ) -> Arc<Server> {
        Arc::new(Server {
            label,
            addr,
            faults: Faults::default(),
            service,
            recorder,
            clock,
            limits,
            #[cfg(feature = "tls")]
            tls: OnceLock::new(),
            state: Mutex::default(),
            paused: Mutex::default(),
            resumed: Condvar::new(),
            late: LateAnswers::default(),
            companion: OnceLock::new(),
        })
    }

    /// Encrypts the connections that come.
    #[cfg(feature = "tls")]
    pub(super) fn encrypt(&self, tls: &super::tls::Ready) {
        let _ = self.tls.set(tls.clone());
    }

    /// Makes `second` go up and down with this server.
    pub(super) fn joins(&self, second: &Arc<Server>) {
        // Its connections are told from this one's, whose service is the same.
        second.state().next_id = 1 << 32;
        let _ = self.companion.set(second.clone());
    }

    /// Binds the address again and accepts; nothing to do when it accepts already.
    pub(super) fn start(self: &Arc<Server>) -> Result<()> {
        if let Some(second) = self.companion.get() {
            second.start()?;
        }
        let mut state = self.state();
        if state.closed {
            return Err(Error::Closed { outcome: Outcome::NotSent });
        }
        if state.acceptor.is_some() {
            return Ok(());
        }
        let silent = state.silent.take();
        drop(state);
        let listener = match silent {
            Some((listener, _filling)) => listener,
            None => listen::again(self.addr)?,
        };
        self.accept_on(listener)
    }

    /// Closes the listener: connecting is refused, connections go on.
    pub(super) fn refuse(&self) {
        self.state().silent = None;
        self.stop_accepting();
    }

    /// Listens without accepting; with `full` also connecting hangs, because the backlog is filled.
    pub(super) fn silence(&self, full: bool) -> Result<()> {
        if self.state().closed {
            return Err(Error::Closed { outcome: Outcome::NotSent });
        }
        self.refuse();
        let listener = listen::again(self.addr)?;
        let filling = if full { listen::fill_backlog(self.addr) } else { Vec::new() };
        self.state().silent = Some((listener, filling));
        Ok(())
    }

    /// Goes down: no listener, no connection, no thread. A server that is down stays so until [`start`](Server::start).
    pub(super) fn stop(&self) {
        if let Some(second) = self.companion.get() {
            second.stop();
        }
        self.refuse();
        self.service.up(false);
        self.disconnect();
        self.late.clear();
    }

    /// Closes all connections and joins their threads.
    pub(super) fn disconnect(&self) {
        let mut state = self.state();
        state.ended.clear();
        let links = std::mem::take(&mut state.links);
        drop(state);
        for (link, _) in links.values() {
            link.close();
        }
        // Under the lock, so that nobody falls asleep between looking and waiting.
        drop(self.paused.lock());
        self.resumed.notify_all();
        for (_, (_, thread)) in links {
            if let Some(thread) = thread {
                thread.join();
            }
        }
    }

    /// Answers what still arrives over the connections of now with `GO_AWAY`.
    pub(super) fn go_away(&self) {
        for (link, _) in self.state().links.values() {
            link.leaving.store(true, Ordering::SeqCst);
        }
    }

    /// Goes down for ever.
    pub(super) fn close(&self) {
        if let Some(second) = self.companion.get() {
            second.close();
            listen::release(second.addr.port());
        }
        self.state().closed = true;
        self.stop();
    }

    pub(super) fn is_up(&self) -> bool {
        self.state().acceptor.is_some()
    }

    pub(super) fn connections(&self) -> usize {
        let state = self.state();
        state.links.len() - state.ended.len()
    }

    /// Another connection than this one.
    pub(super) fn other_link(&self, link: &Link) -> Option<Arc<Link>> {
        let state = self.state();
        state.links.values().map(|(other, _)| other).find(|other| other.id != link.id && other.is_open()).cloned()
    }

    /// Stops or resumes to process what arrives; what is not processed stays in the sockets' buffers.
    pub(super) fn pause(&self, paused: bool) {
        *self.paused.lock().unwrap_or_else(PoisonError::into_inner) = paused;
        self.resumed.notify_all();
    }

    /// Sends the delayed answers that are due and lets the service do its part.
    pub(super) fn tick(&self, now: Instant) -> Option<Instant> {
        earlier(self.late.send_due(now), self.service.tick(now))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of a connection.
    pub(super) fn run(self: &Arc<Server>, link: &Arc<Link>) {
        if let Err(error) = self.read(link) {
            log::debug!("{}: connection from {}: {error}", self.label, link.peer);
        }
        link.finish();
        self.service.left(link);
        let mut state = self.state();
        if state.links.contains_key(&link.id) {
            state.ended.push(link.id);
        }
    }

    fn read(&self, link: &Arc<Link>) -> Result<()> {
        let mut reader = FrameReader::new(self.limits.frame);
        let mut out = Vec::new();
        #[cfg(feature = "tls")]
        if let Some(tls) = self.tls.get() {
            match link.wire().begin(tls) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => {
                    log::debug!("{}: no TLS with {}: {error}", self.label, link.peer);
                    return Ok(());
                }
            }
        }
        while link.is_open() {
            match link.wire().read(reader.space()) {
                Ok(0) => break,
                Ok(count) => reader.filled(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // The peer is gone, or this server has closed the socket.
                Err(_) => break,
            }
            self.wait_while_paused(link);
            while let Some(frame) = reader.next()? {
                self.serve(link, &frame, &mut out);
                if out.len() > WRITE_ABOVE {
                    link.answer(&mut out);
                }
            }
            link.answer(&mut out);
        }
        Ok(())
    }

    fn wait_while_paused(&self, link: &Link) {
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        while *paused && link.is_open() {
            paused = self.resumed.wait(paused).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn serve(&self, link: &Arc<Link>, frame: &Frame, out: &mut Vec<u8>) {
        if frame.is_response() {
            return self.service.answered(link, frame);
        }
        if !link.is_open() {
            return;
        }
        self.recorder.add(&self.label, link.peer, frame);
        if link.leaving.load(Ordering::Relaxed) {
            return self.fail(Kind::Error(ResponseCode::GO_AWAY, GO_AWAY_REMARK.into()), link, frame, out);
        }
        let fault = self.faults.pick(frame.request_code(), |name, value| frame.field(name).is_some_and(|f| f == value));
        let start = out.len();
        match fault {
            None => {
                self.service.serve(&mut Call { frame, link, out, may_hold: true });
                if frame.is_oneway() {
                    out.truncate(start);
                }
            }
            Some(kind) => self.fail(kind, link, frame, out),
        }
    }
}
