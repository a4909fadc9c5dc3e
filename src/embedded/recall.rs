//! Recalling timer messages, with the checks of Java's broker in their order.

use std::sync::atomic::Ordering;

use super::broker::Broker;
use super::call::{Call, Handled};
use super::delay::MAX_TIMER_MILLIS;
use super::records::now_millis;
use super::send::Refusal;
use crate::code::ResponseCode;
use crate::protocol::recall::RecallHandle;
use crate::protocol::rpc::recall::{RecallMessage, RecallReply};
use crate::protocol::rpc::topic::perm;

const UNAVAILABLE: &str = "recall failed, broker service not available";

impl Broker {
    pub(super) fn recall(&self, call: &mut Call<'_>) -> Handled {
        let asked: RecallMessage = match call.frame.header() {
            Ok(asked) => asked,
            Err(error) => return call.unreadable(&error),
        };
        match self.check_recall(&asked) {
            Ok(handle) => {
                self.set.recall(&handle.topic, &handle.message_id);
                // Java stores a mark and answers before it looks whether there is such a message.
                call.fields(&RecallReply { message_id: handle.message_id })
            }
            Err(Refusal(code, remark)) => call.error(code, &remark),
        }
    }

    fn check_recall(&self, asked: &RecallMessage) -> Result<RecallHandle, Refusal> {
        let refuse = |code, remark: &str| Err(Refusal(code, remark.to_owned()));
        if !self.set.settings.recall {
            return refuse(ResponseCode::NO_PERMISSION, "recall failed, operation is forbidden");
        }
        if self.is_slave() {
            return refuse(ResponseCode::SLAVE_NOT_AVAILABLE, UNAVAILABLE);
        }
        if self.set.perm.load(Ordering::SeqCst) & perm::WRITE == 0 {
            return refuse(ResponseCode::SERVICE_NOT_AVAILABLE, UNAVAILABLE);
        }
        if self.set.topics.get(&asked.topic).is_none() {
            let remark = format!("recall failed, the topic[{}] not exist", asked.topic);
            return refuse(ResponseCode::TOPIC_NOT_EXIST, &remark);
        }
        let Some(handle) = RecallHandle::decode(&asked.handle) else {
            return refuse(ResponseCode::ILLEGAL_OPERATION, "recall handle is invalid");
        };
        if handle.topic != *asked.topic {
            return refuse(ResponseCode::ILLEGAL_OPERATION, "recall failed, topic not match");
        }
        if handle.broker_name != *self.set.name {
            return refuse(ResponseCode::ILLEGAL_OPERATION, UNAVAILABLE);
        }
        let left = handle.deliver_millis.saturating_sub(now_millis());
        if left <= 0 || left >= MAX_TIMER_MILLIS {
            return refuse(ResponseCode::ILLEGAL_OPERATION, "recall failed, timestamp invalid");
        }
        Ok(handle)
    }
}
