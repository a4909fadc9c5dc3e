//! What becomes of received frames: answers go to their callers, requests to the owner.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::ServerRequest;
use super::connection::Connection;
use super::pending::{Waiter, Waiting};
use crate::code::ResponseCode;
use crate::protocol::frame::Frame;

/// Room for what is received together, used again and again.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) frames: Vec<Frame>,
    matched: Vec<(Option<Waiting>, Frame)>,
}

impl Connection {
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
                self.counters.received.go_aways.one();
            }
            match waiting {
                Some(waiting) => {
                    blocked += usize::from(!waiting.held && matches!(waiting.waiter, Waiter::Slot(..)));
                    waiting.waiter.complete(Ok(frame));
                }
                None => self.note_unmatched(frame.opaque),
            }
        }
        blocked
    }

    fn serve(self: &Arc<Self>, requests: Vec<Frame>) {
        for frame in requests {
            self.counters.received.server_requests.one();
            let request = ServerRequest { addr: self.addr.clone(), frame, connection: self.clone() };
            let refused = match self.owner.upgrade() {
                Some(owner) => owner.request(request),
                None => Err(request),
            };
            if let Err(request) = refused {
                self.counters.received.refused_requests.one();
                request.refuse();
            }
        }
    }
}
