//! The far end of a connection, in memory.

use std::io;
use std::sync::PoisonError;
use std::time::Duration;

use super::super::sync::thread::yield_now;
use super::super::sync::{Condvar, Mutex, MutexGuard};
use super::super::transport::Transport;
use super::{LEN, reply};

/// Takes what is written, bit by bit at first, and gives what the model wants to be read.
#[derive(Debug)]
pub(super) struct Pipe {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// How many bytes the next write may bring; later ones bring all they have.
    bite: Option<usize>,
    arrived: Vec<u8>,
    answers: Vec<u8>,
    /// How many of the frames that come next are answered at once.
    prompt: usize,
    /// Whoever reads does so for a while only.
    timed: bool,
    shut: bool,
}

impl Pipe {
    pub(super) fn new(bite: Option<usize>) -> Pipe {
        let state = State { bite, arrived: Vec::new(), answers: Vec::new(), prompt: 0, timed: false, shut: false };
        Pipe { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the whole frame of this number has arrived: for ever, when somebody forgot it.
    pub(super) fn await_frame(&self, number: u8) {
        let mut state = self.state();
        while state.arrived.iter().filter(|byte| **byte == number).count() < LEN {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn arrived(&self) -> Vec<u8> {
        self.state().arrived.clone()
    }

    /// Lets the reading side find these bytes.
    pub(super) fn answer(&self, bytes: &[u8]) {
        self.state().answers.extend_from_slice(bytes);
        self.changed.notify_all();
    }

    /// Answers so many frames as soon as they arrive, which they must do alone.
    pub(super) fn answer_at_once(&self, count: usize) {
        self.state().prompt = count;
    }

    pub(super) fn is_shut(&self) -> bool {
        self.state().shut
    }
}

impl Transport for Pipe {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        while state.answers.is_empty() && !state.shut {
            if state.timed {
                // A moment passes in which anything may happen, or nothing.
                drop(state);
                yield_now();
                state = self.state();
                if state.answers.is_empty() && !state.shut {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                break;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let count = state.answers.len().min(buffer.len());
        buffer[..count].copy_from_slice(&state.answers[..count]);
        state.answers.drain(..count);
        Ok(count)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        if state.shut {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = state.bite.take().map_or(bytes.len(), |bite| bite.min(bytes.len()));
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.arrived.extend_from_slice(&bytes[..count]);
        for frame in bytes.chunks(LEN).filter(|_| count == bytes.len()) {
            if state.prompt > 0 {
                state.prompt -= 1;
                state.answers.extend(reply(frame[0]));
            }
        }
        drop(state);
        self.changed.notify_all();
        Ok(count)
    }

    fn read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.state().timed = timeout.is_some();
        Ok(())
    }

    fn shutdown(&self) {
        self.state().shut = true;
        self.changed.notify_all();
    }
}
