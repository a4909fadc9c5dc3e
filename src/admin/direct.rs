use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Admin, track};
use crate::client::names;
use crate::error::Result;
use crate::message::{MessageView, OffsetMessageId};
use crate::protocol::json;
use crate::protocol::rpc::diagnosis::{ConsumeDirectly, DirectBody};
use crate::protocol::rpc::producers::ResumeCheck;
use crate::remoting::Deadline;

/// Brokers wait 10 s for a member, and then say so.
const BROKERS_WAIT: Duration = Duration::from_secs(12);

/// What a member's listener made of a message (Java: `CMResult`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirectOutcome {
    /// It was consumed.
    Success,
    /// It is to come again later.
    Later,
    /// An orderly listener wants it rolled back.
    Rollback,
    /// An orderly listener wants it committed.
    Commit,
    /// The listener panicked, or threw.
    Threw,
    /// A listener written in Java returned nothing.
    ReturnedNull,
    /// One that is newer than this crate, by the wire's word.
    Other(String),
}

/// How consuming a message for an operator went (Java: `ConsumeMessageDirectlyResult`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirectConsumption {
    /// What the listener made of it. Nothing follows from that: the message is not given out again, nor an offset moved.
    pub outcome: DirectOutcome,
    /// What the member says about it, such as what was thrown.
    pub remark: Option<String>,
    /// How long the listener took, to the millisecond.
    pub took: Duration,
    /// Whether the listener is one that consumes in order.
    pub orderly: bool,
}

impl DirectOutcome {
    fn read(word: String) -> DirectOutcome {
        match word.as_str() {
            "CR_SUCCESS" => DirectOutcome::Success,
            "CR_LATER" => DirectOutcome::Later,
            "CR_ROLLBACK" => DirectOutcome::Rollback,
            "CR_COMMIT" => DirectOutcome::Commit,
            "CR_THROW_EXCEPTION" => DirectOutcome::Threw,
            "CR_RETURN_NULL" => DirectOutcome::ReturnedNull,
            _ => DirectOutcome::Other(word),
        }
    }
}

/// The wire's word.
impl fmt::Display for DirectOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            DirectOutcome::Success => "CR_SUCCESS",
            DirectOutcome::Later => "CR_LATER",
            DirectOutcome::Rollback => "CR_ROLLBACK",
            DirectOutcome::Commit => "CR_COMMIT",
            DirectOutcome::Threw => "CR_THROW_EXCEPTION",
            DirectOutcome::ReturnedNull => "CR_RETURN_NULL",
            DirectOutcome::Other(word) => word,
        })
    }
}

impl Admin {
    /// Has a member of a group consume a stored message now, out of turn, and returns what its listener made of it
    /// (`mqadmin queryMsgById -g -d`; Java: `consumeMessageDirectly`).
    ///
    /// Blocks until the listener is done; brokers wait 10 s for it, so at most a little longer.
    ///
    /// # Errors
    /// [`Error::Rejected`](crate::Error::Rejected) (1) when the member is not connected to the broker that holds the message, (207) when it does not
    /// answer within 10 s, and what the member refuses with. [`Error::NoBroker`](crate::Error::NoBroker) when that broker is not known.
    pub fn consume_message(&self, message: &MessageView, group: &str, client_id: &str) -> Result<DirectConsumption> {
        names::check_group(group)?;
        let core = self.core();
        core.check_open()?;
        let (_, addr) = track::holder(core, message, core.request_deadline())?;
        let request = ConsumeDirectly {
            broker_name: None,
            client_id: Some(client_id.into()),
            consumer_group: group.into(),
            message_id: Some(message.offset_message_id().to_string()),
            topic: Some(message.topic().into()),
        };
        let deadline = Deadline::after(core.options().request_timeout.max(BROKERS_WAIT));
        // Not asked twice: it may have been consumed.
        let answer = core.remoting().call(&addr, &request, &[], deadline)?;
        let body: DirectBody = json::decode("result of consuming", answer.frame.body())?;
        Ok(DirectConsumption {
            outcome: DirectOutcome::read(body.consume_result),
            remark: body.remark.filter(|remark| !remark.is_empty()),
            took: Duration::from_millis(body.spent_time_mills),
            orderly: body.order,
        })
    }

    /// Has a broker ask again what became of the transaction of a half message, one that it has asked about too often
    /// (Java: `resumeCheckHalfMessage`). The id is the offset message id of the half message, or of its copy in
    /// `TRANS_CHECK_MAX_TIME_TOPIC`.
    ///
    /// Blocks at most for the request timeout (3 s by default).
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for what is no offset message id; [`Error::Rejected`](crate::Error::Rejected) (1) when there is no message.
    pub fn resume_check(&self, offset_message_id: &str) -> Result<()> {
        let id: OffsetMessageId = offset_message_id.trim().parse()?;
        let core = self.core();
        core.check_open()?;
        let advertised = id.store_host.to_string();
        let map = core.options().address_map.as_ref();
        let addr: Arc<str> = map.map_or_else(|| advertised.as_str().into(), |map| map.apply(&advertised));
        let topic = Some(Arc::from("RMQ_SYS_TRANS_HALF_TOPIC"));
        let request = ResumeCheck { message_id: id.to_string(), topic };
        core.remoting().call(&addr, &request, &[], core.request_deadline())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_read_as_they_are_written() {
        for word in [
            "CR_SUCCESS",
            "CR_LATER",
            "CR_ROLLBACK",
            "CR_COMMIT",
            "CR_THROW_EXCEPTION",
            "CR_RETURN_NULL",
            "CR_SOMETHING_ELSE",
        ] {
            assert_eq!(DirectOutcome::read(word.to_owned()).to_string(), word);
        }
        assert_eq!(DirectOutcome::read("CR_LATER".into()), DirectOutcome::Later);
    }
}
