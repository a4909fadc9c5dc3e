//! Models of what the threads of a connection, and those who share one, do to each other: loom runs each in every order it finds.
//!
//! The code under them is what ships, over a transport in memory. A thread that waits for ever is found as a deadlock,
//! because time stands still: nothing here is saved by a timeout. How to run them: `docs/testing.md`.
#![cfg(loom)]

mod closing;
mod correlation;
mod pipe;
mod pooling;
mod reading;
mod writing;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use loom::thread::JoinHandle;

use self::pipe::Pipe;
use super::connection::Connection;
use super::delivery::Received;
use super::pending::Waiter;
use super::submit::Outgoing;
use super::tests::Nobody;
use super::{Deadline, Owner, RemotingOptions, Slot, Ticket};
use crate::code::ResponseCode;
use crate::error::{Error, Outcome, Result};
use crate::protocol::fields::NoFields;
use crate::protocol::frame::{self, Frame, Head, HeaderKind};

/// Bytes of each frame in a model that only writes.
const LEN: usize = 3;

/// A connection in memory, and the peer's end of it. Clones are the same one.
#[derive(Clone)]
struct Line {
    connection: Arc<Connection>,
    pipe: Arc<Pipe>,
    /// The connection itself holds it only weakly.
    _owner: Arc<dyn Owner>,
}

impl Line {
    /// Not open yet. The first write brings as many bytes as said, none counting as a system that has no room; so many
    /// frames find room in the outbox.
    fn closed(bite: Option<usize>, room: usize) -> Line {
        let nobody = Arc::new(Nobody::default());
        let owner: Arc<dyn Owner> = nobody.clone();
        let weak: Weak<dyn Owner> = Arc::downgrade(&owner);
        let options = Arc::new(RemotingOptions { outbox_limit: room * LEN, ..RemotingOptions::default() });
        let connection = Arc::new(Connection::new("model:1".into(), options, weak, nobody, Arc::default()));
        Line { connection, pipe: Arc::new(Pipe::new(bite)), _owner: owner }
    }

    fn open(bite: Option<usize>, room: usize) -> Line {
        let line = Line::closed(bite, room);
        line.establish();
        line
    }

    fn establish(&self) {
        self.connection.open(self.pipe.clone());
    }

    /// Callers leave their frames to the writer, as they do when they are many.
    fn crowded(self) -> Line {
        self.connection.lone.store(false, Ordering::Relaxed);
        self
    }

    fn writer(&self) -> JoinHandle<()> {
        self.beside(|line| line.connection.run_writer())
    }

    fn reader(&self) -> JoinHandle<()> {
        self.beside(|line| line.connection.read_until_gone())
    }

    /// Runs something at the same time.
    fn beside<T: 'static>(&self, run: impl FnOnce(&Line) -> T + 'static) -> JoinHandle<T> {
        let line = self.clone();
        loom::thread::spawn(move || run(&line))
    }

    /// Starts a call whose frame is its number `LEN` times.
    fn start(&self, opaque: u8, waiter: Waiter, deadline: Deadline, held: bool) -> Result<(), (Waiter, Error)> {
        let waiting = Connection::waiting(waiter, deadline, held.then_some(Duration::ZERO.into()));
        let outgoing = Outgoing { opaque: opaque.into(), head: &[opaque; LEN], body: &[] };
        self.connection.start(&outgoing, waiting, true)
    }

    /// Starts a call of a caller that blocks.
    fn ask(&self, opaque: u8, deadline: Deadline) -> Result<(Ticket, Arc<Slot>)> {
        let slot = Slot::mine();
        match self.start(opaque, Waiter::Slot(slot.clone(), 0), deadline, false) {
            Ok(()) => Ok((Ticket { connection: self.connection.clone(), opaque: opaque.into() }, slot)),
            Err((_, error)) => Err(error),
        }
    }

    /// Asks and waits, as a blocked caller does.
    fn call(&self, opaque: u8, deadline: Deadline) -> Result<Frame> {
        let (ticket, slot) = self.ask(opaque, deadline)?;
        ticket.end(&slot, deadline)
    }

    /// Starts a call that is not waited for.
    fn submit(&self, opaque: u8, deadline: Deadline) -> Ends {
        self.submit_as(opaque, deadline, false)
    }

    /// As `submit`, and the server may hold it.
    fn submit_held(&self, opaque: u8) -> Ends {
        self.submit_as(opaque, far(), true)
    }

    fn submit_as(&self, opaque: u8, deadline: Deadline, held: bool) -> Ends {
        let ends = Ends::default();
        let told = ends.clone();
        let waiter = Waiter::Callback(Box::new(move |result| told.note(result)));
        if let Err((waiter, error)) = self.start(opaque, waiter, deadline, held) {
            waiter.complete(Err(error));
        }
        ends
    }

    /// Sends a frame that is not answered, and waits until the system has it.
    fn send(&self, opaque: u8) -> Result<()> {
        self.send_until(opaque, far())
    }

    fn send_until(&self, opaque: u8, deadline: Deadline) -> Result<()> {
        let outgoing = Outgoing { opaque: opaque.into(), head: &[opaque; LEN], body: &[] };
        self.connection.send_oneway(&outgoing, deadline, false)
    }

    /// Delivers the answer to a call, as the reader does.
    fn deliver(&self, opaque: u8) {
        let mut received = Received::default();
        received.frames.push(frame::decode_whole(&reply(opaque)).unwrap());
        self.connection.dispatch(&mut received);
    }

    /// Waits for the connection's threads, and looks whether anything is left.
    fn assert_ended(&self, threads: impl IntoIterator<Item = JoinHandle<()>>) {
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(self.connection.is_gone(), "its threads have ended");
        assert_eq!(self.connection.pending.len(), 0);
        assert_eq!(self.connection.pending.in_flight(), 0);
    }
}

/// How a call ended, and how often.
#[derive(Clone, Default)]
struct Ends(Arc<Mutex<Vec<Result<Frame>>>>);

impl Ends {
    fn note(&self, result: Result<Frame>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(result);
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The one end.
    fn only(&self) -> Result<Frame> {
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(ends.len(), 1, "a call ends exactly once");
        ends.remove(0)
    }
}

/// The answer to a call.
fn reply(opaque: u8) -> Vec<u8> {
    let head = Head::response(HeaderKind::Json, ResponseCode::SUCCESS, opaque.into(), None);
    let mut bytes = Vec::new();
    frame::encode_response(&mut bytes, &head, &NoFields, &[]).unwrap();
    bytes
}

/// A deadline that does not come.
fn far() -> Deadline {
    Deadline::after(Duration::from_secs(24 * 3600))
}

/// A deadline that has come.
fn over() -> Deadline {
    Deadline::after(Duration::ZERO)
}

fn outcome<T>(result: &Result<T>) -> Option<Outcome> {
    result.as_ref().err().map(Error::outcome)
}

/// Runs a model in every order with at most as many preemptions as `LOOM_MAX_PREEMPTIONS` says, or two.
fn check(what: &str, model: impl Fn() + Send + Sync + 'static) {
    let orders = Arc::new(AtomicUsize::new(0));
    let counted = orders.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.max_branches = 10_000;
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("{what}: {} orders", orders.load(Ordering::Relaxed));
}
