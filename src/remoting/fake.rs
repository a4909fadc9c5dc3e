//! A transport without a socket: one state for both directions, as an encrypted one has, locked for memory operations only.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::pending::Waiter;
use super::submit::Outgoing;
use super::tests::{Nobody, answer};
use super::transport::Transport;
use super::{Deadline, Owner, RemotingOptions, Slot};
use crate::code::RequestCode;
use crate::protocol::frame::{self, FrameReader, Head, HeaderKind};
use crate::protocol::rpc::offset::{MaxOffset, OffsetReply};

/// Answers each question with the number of the queue, takes little at a time and gives little at a time.
#[derive(Debug)]
struct Fake {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    written: FrameReader,
    to_read: Vec<u8>,
    timeout: Option<Duration>,
    shut: bool,
}

const BITE: usize = 97;

impl Transport for Fake {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let until = state.timeout.map(|timeout| Instant::now() + timeout);
        while state.to_read.is_empty() && !state.shut {
            let left = until.map_or(Duration::from_secs(60), |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let count = state.to_read.len().min(BITE).min(buffer.len());
        buffer[..count].copy_from_slice(&state.to_read[..count]);
        state.to_read.drain(..count);
        Ok(count)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.shut {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let space = state.written.space();
        let count = bytes.len().min(BITE).min(space.len());
        space[..count].copy_from_slice(&bytes[..count]);
        state.written.filled(count);
        while let Ok(Some(request)) = state.written.next() {
            let asked: MaxOffset = request.header().map_err(io::Error::other)?;
            state.to_read.extend(answer(&request, i64::from(asked.queue_id)));
        }
        drop(state);
        self.changed.notify_all();
        Ok(count)
    }

    fn read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).timeout = timeout;
        Ok(())
    }

    fn shutdown(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).shut = true;
        self.changed.notify_all();
    }
}

fn ask(connection: &Arc<Connection>, queue_id: i32) -> i64 {
    let deadline = Deadline::after(Duration::from_secs(10));
    let (slot, opaque) = (Slot::mine(), connection.next_opaque());
    let request = MaxOffset { topic: "T".into(), queue_id, broker_name: None };
    let mut head = Vec::new();
    frame::encode(&mut head, &Head::request(HeaderKind::Json, RequestCode::GET_MAX_OFFSET, opaque), &request, &[], 0)
        .unwrap();
    let waiting = Connection::waiting(Waiter::Slot(slot.clone(), 0), deadline, None);
    connection.start(&Outgoing { opaque, head: &head, body: &[] }, waiting, true).map_err(|(_, error)| error).unwrap();
    connection.wait(&slot, deadline.at());
    let (_, answered) = slot.take().expect("an answer within the deadline");
    answered.unwrap().header::<OffsetReply>().unwrap().offset
}

#[test]
fn reader_and_writer_work_over_a_transport_with_one_state_for_both_directions() {
    let owner = Arc::new(Nobody::default());
    let as_owner: Arc<dyn Owner> = owner.clone();
    let weak: Weak<dyn Owner> = Arc::downgrade(&as_owner);
    let options = Arc::new(RemotingOptions::default());
    let connection = Arc::new(Connection::new("fake:1".into(), options, weak, owner.clone(), Arc::default()));
    let state = State { written: FrameReader::new(frame::MAX_FRAME), to_read: Vec::new(), timeout: None, shut: false };
    std::thread::scope(|scope| {
        connection.open(Arc::new(Fake { state: Mutex::new(state), changed: Condvar::new() }));
        scope.spawn(|| connection.read_until_gone());
        scope.spawn(|| connection.run_writer());
        for number in 0..200 {
            assert_eq!(ask(&connection, number), i64::from(number));
        }
        let askers: Vec<_> = (1..5)
            .map(|thread| {
                let connection = &connection;
                scope.spawn(move || {
                    (0..100).all(|round| ask(connection, thread * 1000 + round) == i64::from(thread * 1000 + round))
                })
            })
            .collect();
        assert!(askers.into_iter().all(|asker| asker.join().unwrap()));
        assert_eq!(owner.connected.load(Ordering::SeqCst), 1);
        connection.drain();
    });
    assert!(connection.is_gone() && connection.pending.len() == 0);
}
