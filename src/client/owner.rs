//! What the client does with what its connections report.

use std::sync::Arc;
use std::time::Instant;

use super::core::Core;
use super::{checks, heartbeat};
use crate::channel::TrySendError;
use crate::code::{RequestCode, ResponseCode};
use crate::protocol::fields::NoFields;
use crate::remoting::{Owner, ServerRequest};

/// Says that no consumer of the group is here, in the words of Java.
pub(crate) fn not_here(request: ServerRequest, group: &str) {
    let remark = format!("The Consumer Group <{group}> not exist in this consumer");
    request.answer(ResponseCode::SYSTEM_ERROR, Some(&remark), &NoFields, &[]);
}

/// What operators ask of consumers through a broker. A client cannot tell who asked.
fn is_diagnosis(code: RequestCode) -> bool {
    matches!(
        code,
        RequestCode::RESET_CONSUMER_CLIENT_OFFSET
            | RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT
            | RequestCode::GET_CONSUMER_RUNNING_INFO
            | RequestCode::CONSUME_MESSAGE_DIRECTLY
    )
}

impl Core {
    fn may_diagnose(&self, addr: &str) -> bool {
        self.options().answer_diagnosis && self.routes().has_broker(addr)
    }
}

impl Owner for Core {
    fn connected(&self, addr: &Arc<str>) {
        self.introductions().forget(addr);
        self.heartbeats().forget(addr);
        if let Some(core) = self.me() {
            heartbeat::soon_to(&core, addr);
        }
    }

    fn request(&self, request: ServerRequest) -> Result<(), ServerRequest> {
        if request.frame.request_code() == RequestCode::CHECK_TRANSACTION_STATE {
            checks::hand_over(self, request);
            return Ok(());
        }
        if is_diagnosis(request.frame.request_code()) && !self.may_diagnose(&request.addr) {
            self.remoting().counters().received.refused_requests.one();
            log::debug!("{}: request {} is refused", request.addr, request.frame.request_code());
            let remark = "this client does not answer diagnosis, or not this server's";
            request.answer(ResponseCode::NO_PERMISSION, Some(remark), &NoFields, &[]);
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
        let group = group.map(|group| self.own_name(&group).into_owned());
        let Some(mailbox) = group.as_ref().and_then(|group| self.groups().consumer_mailbox(group)) else {
            let Some(group) = group else { return Err(request) };
            self.remoting().counters().received.refused_requests.one();
            not_here(request, &group);
            return Ok(());
        };
        match mailbox.try_send(request) {
            Ok(()) => Ok(()),
            Err(TrySendError::Disconnected(request)) => Err(request),
            Err(TrySendError::Full(request)) => {
                let dropped = &self.remoting().counters().received.dropped_requests;
                dropped.one();
                if checks::worth_telling(dropped.get()) {
                    log::warn!("{}: no room for request {} of a broker", request.addr, request.frame.request_code());
                }
                request.answer(ResponseCode::SYSTEM_BUSY, Some("the client is busy"), &NoFields, &[]);
                Ok(())
            }
        }
    }

    fn wake_at(&self, at: Instant) {
        self.timers().tick_at(at);
    }

    fn keys_wanted(&self) {
        self.renew_keys();
    }
}
