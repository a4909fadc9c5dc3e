//! What operators ask about producers, and having a transaction's end asked for again.

use super::broker::Broker;
use super::call::{Call, Handled};
use crate::code::{RequestCode, ResponseCode};
use crate::message::OffsetMessageId;
use crate::protocol::json;
use crate::protocol::rpc::producers::{ProducerConnections, ProducersBody, ResumeCheck};

impl Broker {
    /// What concerns producers; `None` for other requests.
    pub(super) fn producer_request(&self, call: &mut Call<'_>) -> Option<Handled> {
        Some(match call.frame.request_code() {
            RequestCode::GET_PRODUCER_CONNECTION_LIST => self.producer_connections(call),
            RequestCode::GET_ALL_PRODUCER_INFO => call.body(&json::encode(&self.groups.all_producers())),
            RequestCode::RESUME_CHECK_HALF_MESSAGE => self.resume_check(call),
            _ => return None,
        })
    }

    fn producer_connections(&self, call: &mut Call<'_>) -> Handled {
        let asked: ProducerConnections = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        match self.groups.producer_connections(&asked.producer_group) {
            Some(connection_set) => call.body(&json::encode(&ProducersBody { connection_set })),
            None => {
                let remark = format!("the producer group[{}] not exist", asked.producer_group);
                call.error(ResponseCode::SYSTEM_ERROR, &remark)
            }
        }
    }

    fn resume_check(&self, call: &mut Call<'_>) -> Handled {
        let asked: ResumeCheck = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        let offset = asked.message_id.parse::<OffsetMessageId>().ok().map(|id| id.commit_log_offset);
        if offset.is_some_and(|offset| self.set.resume_half_message(offset)) {
            return call.done();
        }
        let remark = "Exception was thrown when putting message back to RMQ_SYS_TRANS_HALF_TOPIC.";
        call.error(ResponseCode::SYSTEM_ERROR, remark)
    }
}
