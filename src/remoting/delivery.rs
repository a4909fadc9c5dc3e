//! What becomes of received frames: answers go to their callers, requests to the owner.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::ServerRequest;
use super::connection::Connection;
use super::cork::together;
use super::pending::{Waiter, Waiting};
use crate::code::{RequestCode, ResponseCode};
use crate::error::is_access_refusal;
use crate::protocol::fields::NoFields;
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
        // What the answers make their receivers ask next leaves in one write.
        together(|| received.matched.drain(..).map(|(waiting, frame)| self.complete(waiting, frame)).sum())
    }

    /// Gives an answer to whom it belongs; says how many blocked callers that are.
    fn complete(&self, waiting: Option<Waiting>, frame: Frame) -> usize {
        if frame.code != ResponseCode::SUCCESS.0 {
            self.note_code(&frame);
        }
        let Some(waiting) = waiting else {
            self.note_unmatched(frame.opaque);
            return 0;
        };
        let blocked = !waiting.held && matches!(waiting.waiter, Waiter::Slot(..));
        waiting.waiter.complete(Ok(frame));
        usize::from(blocked)
    }

    /// What a server's refusal means beyond its call.
    fn note_code(&self, frame: &Frame) {
        if frame.code == ResponseCode::GO_AWAY.0 {
            self.leaving.store(true, Ordering::Relaxed);
            self.counters.received.go_aways.one();
        } else if matches!(frame.response_code(), ResponseCode::NO_PERMISSION | ResponseCode::SYSTEM_ERROR)
            && is_access_refusal(frame.response_code(), &frame.remark())
        {
            self.counters.received.refusals.one();
            #[cfg(feature = "acl")]
            if let (Some(_), Some(owner)) = (self.options.signing.keys(), self.owner.upgrade()) {
                owner.keys_wanted();
            }
        }
    }

    /// Whether the server asks more than it may in a second. Replies are bounded by the requests that wait for them.
    fn is_flood(&self, request: &ServerRequest) -> bool {
        let (code, most) = (request.frame.request_code(), self.options.server_request_limit);
        if code == RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT {
            return false;
        }
        let Err(count) = self.quota.take(most, Instant::now()) else { return false };
        self.counters.received.dropped_requests.one();
        if count == most + 1 {
            log::warn!("{} makes more than {most} requests a second, now {code}; the rest is dropped", self.addr);
        }
        true
    }

    fn serve(self: &Arc<Self>, requests: Vec<Frame>) {
        for frame in requests {
            self.counters.received.server_requests.one();
            let request = ServerRequest { addr: self.addr.clone(), frame, connection: self.clone() };
            if self.is_flood(&request) {
                request.answer(ResponseCode::SYSTEM_BUSY, Some("the client is busy"), &NoFields, &[]);
                continue;
            }
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
