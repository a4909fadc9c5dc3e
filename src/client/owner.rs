//! What the client does with what its connections report.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::TrySendError;

use super::core::Core;
use super::{checks, heartbeat};
use crate::code::{RequestCode, ResponseCode};
use crate::protocol::fields::NoFields;
use crate::remoting::{Owner, ServerRequest};

impl Owner for Core {
    fn connected(&self, addr: &Arc<str>) {
        self.introductions().forget(addr);
        if let Some(core) = self.me() {
            heartbeat::soon_to(&core, addr);
        }
    }

    fn request(&self, request: ServerRequest) -> Result<(), ServerRequest> {
        if request.frame.request_code() == RequestCode::CHECK_TRANSACTION_STATE {
            checks::hand_over(self, request);
            return Ok(());
        }
        let group = match request.frame.request_code() {
            RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT => {
                self.replies().arrived(request);
                return Ok(());
            }
            RequestCode::NOTIFY_CONSUMER_IDS_CHANGED
            | RequestCode::GET_CONSUMER_RUNNING_INFO
            | RequestCode::CONSUME_MESSAGE_DIRECTLY => request.frame.field("consumerGroup"),
            RequestCode::RESET_CONSUMER_CLIENT_OFFSET | RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT => {
                request.frame.field("group").or_else(|| request.frame.field("consumerGroup"))
            }
            _ => None,
        };
        let Some(mailbox) = group.and_then(|group| self.groups().consumer_mailbox(&self.own_name(&group))) else {
            return Err(request);
        };
        match mailbox.try_send(request) {
            Ok(()) => Ok(()),
            Err(TrySendError::Disconnected(request)) => Err(request),
            Err(TrySendError::Full(request)) => {
                self.remoting().counters().received.dropped_requests.one();
                log::warn!("{}: no room for request {} of a broker", request.addr, request.frame.request_code());
                request.answer(ResponseCode::SYSTEM_BUSY, Some("the client is busy"), &NoFields, &[]);
                Ok(())
            }
        }
    }

    fn wake_at(&self, at: Instant) {
        self.timers().tick_at(at);
    }
}
