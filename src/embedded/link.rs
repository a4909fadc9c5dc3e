//! One connection, seen from the server: its socket and what waits to be written to it.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::wire::Wire;
use crate::thread::Thread;

/// Above this the connection's own thread stops reading until the peer has read some of its answers.
const PAUSE_ABOVE: usize = 8 << 20;
/// Above this a connection whose peer does not read is closed: other threads cannot wait for it.
const CLOSE_ABOVE: usize = 64 << 20;
/// A buffer larger than this is not kept for the next answer.
const KEEP_BELOW: usize = 1 << 20;

/// A connection. Its own thread reads and answers; other threads leave what they have, and a writer thread, made when
/// it is first needed, takes it from there. So nobody ever waits for a peer that is not its own.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: u64,
    pub(super) peer: SocketAddr,
    /// Its requests are answered with `GO_AWAY`.
    pub(super) leaving: AtomicBool,
    label: Arc<str>,
    wire: Wire,
    outbox: Mutex<Outbox>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Outbox {
    bytes: Vec<u8>,
    /// Someone is writing, and will write what is added meanwhile.
    busy: bool,
    closed: bool,
    close_when_written: bool,
    /// One byte a write.
    slow: bool,
    writer: Option<Thread>,
}

impl Link {
    pub(super) fn new(id: u64, label: Arc<str>, stream: TcpStream, peer: SocketAddr) -> Link {
        let (leaving, outbox, changed) = (AtomicBool::new(false), Mutex::default(), Condvar::new());
        Link { id, peer, leaving, label, wire: Wire::new(stream), outbox, changed }
    }

    /// One that keeps what is pushed until it is [taken](Link::taken), and has no thread.
    #[cfg(any(fuzzing, test))]
    pub(super) fn kept(id: u64, stream: TcpStream, peer: SocketAddr) -> Link {
        let link = Link::new(id, "kept".into(), stream, peer);
        link.lock().busy = true;
        link
    }

    #[cfg(any(fuzzing, test))]
    pub(super) fn taken(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().bytes)
    }

    /// The socket, for the thread that reads.
    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    pub(super) fn is_open(&self) -> bool {
        !self.lock().closed
    }

    /// Writes `bytes` on the connection's own thread and leaves the vector empty.
    pub(super) fn answer(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let mut outbox = self.lock();
        while outbox.busy && outbox.bytes.len() > PAUSE_ABOVE && !outbox.closed {
            outbox = self.changed.wait(outbox).unwrap_or_else(PoisonError::into_inner);
        }
        if !outbox.closed {
            if outbox.bytes.is_empty() {
                std::mem::swap(&mut outbox.bytes, bytes);
            } else {
                outbox.bytes.extend_from_slice(bytes);
            }
            if !outbox.busy {
                self.drain(outbox);
            }
        }
        bytes.clear();
    }

    /// Adds `bytes` from another thread; never waits.
    pub(super) fn push(self: &Arc<Link>, bytes: &[u8]) {
        let mut outbox = self.lock();
        if outbox.closed {
            return;
        }
        if outbox.bytes.len() + bytes.len() > CLOSE_ABOVE {
            drop(outbox);
            log::warn!("{}: {} does not read; closing its connection", self.label, self.peer);
            return self.close();
        }
        outbox.bytes.extend_from_slice(bytes);
        if outbox.busy {
            return;
        }
        if outbox.writer.is_none() {
            let link = self.clone();
            match Thread::spawn(format!("mq-write {} {}", self.label, self.id), move || link.write_for_others()) {
                Ok(writer) => outbox.writer = Some(writer),
                Err(error) => {
                    drop(outbox);
                    log::warn!("{}: {error}", self.label);
                    return self.close();
                }
            }
        }
        drop(outbox);
        self.changed.notify_all();
    }

    /// Makes what waits leave one byte a write.
    pub(super) fn slow_down(&self) {
        self.lock().slow = true;
    }

    /// Closes the connection once everything handed over so far has been written.
    pub(super) fn close_when_written(&self) {
        let mut outbox = self.lock();
        outbox.close_when_written = true;
        let idle = !outbox.busy && outbox.bytes.is_empty();
        drop(outbox);
        if idle {
            self.close();
        }
    }

    /// Closes the connection at once; both threads notice.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wire.shutdown();
        self.changed.notify_all();
    }

    /// Closes the connection and joins its writer; called by the connection's own thread as the last thing.
    pub(super) fn finish(&self) {
        self.close();
        let writer = self.lock().writer.take();
        if let Some(writer) = writer {
            writer.join();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_for_others(&self) {
        loop {
            let mut outbox = self.lock();
            while !outbox.closed && (outbox.busy || outbox.bytes.is_empty()) {
                outbox = self.changed.wait(outbox).unwrap_or_else(PoisonError::into_inner);
            }
            if outbox.closed {
                return;
            }
            self.drain(outbox);
        }
    }

    /// Writes until nothing is left. The lock is free during each write, and what is added meanwhile is written too.
    fn drain<'a>(&'a self, mut outbox: MutexGuard<'a, Outbox>) {
        outbox.busy = true;
        let mut bytes = Vec::new();
        while !outbox.bytes.is_empty() && !outbox.closed {
            bytes.clear();
            std::mem::swap(&mut bytes, &mut outbox.bytes);
            let slow = std::mem::take(&mut outbox.slow);
            drop(outbox);
            let written = write(&self.wire, &bytes, slow);
            outbox = self.lock();
            outbox.closed |= written.is_err();
        }
        outbox.busy = false;
        if outbox.bytes.capacity() == 0 && bytes.capacity() <= KEEP_BELOW {
            bytes.clear();
            outbox.bytes = bytes;
        }
        let close = outbox.closed || outbox.close_when_written;
        drop(outbox);
        if close {
            self.close();
        }
        self.changed.notify_all();
    }
}

fn write(wire: &Wire, bytes: &[u8], slow: bool) -> std::io::Result<()> {
    if slow {
        return bytes.chunks(1).try_for_each(|byte| wire.write(byte));
    }
    wire.write(bytes)
}
