//! Taking back timer messages.

use std::sync::Arc;

use super::Producer;
use super::shared::Shared;
use crate::client::{Route, names};
use crate::code::ResponseCode;
use crate::error::{Error, Result};
use crate::protocol::recall::RecallHandle;
use crate::protocol::rpc::recall::RecallMessage;
use crate::remoting::Deadline;

/// What a broker says whose setting forbids recalling; it uses code 16 for other refusals as well.
const SWITCHED_OFF: &str = "operation is forbidden";

impl Producer {
    /// Takes back a message that is to be delivered [after a time](crate::MessageBuilder::deliver_after) or [at a
    /// time](crate::MessageBuilder::deliver_at), and returns its unique id. `handle` is the send's
    /// [`SendResult::recall_handle`](crate::SendResult::recall_handle), which any producer may use.
    ///
    /// Brokers 5.3.2 and later can do it, when `recallMessageEnable` is on, which it is not by default; then they give handles for timer
    /// messages, not for delay levels. Success means that the broker has taken note: a message that becomes due in the
    /// same moment may still be delivered, and recalling one that was recalled before succeeds again.
    ///
    /// Blocks for the producer's timeout at most. It is not tried again by itself; doing so is safe.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a handle that is none or belongs to another topic, and for retry and dead-letter topics;
    /// [`Error::Unsupported`] from an older broker; [`Error::Rejected`] with code 16 when recalling is off at the
    /// broker, 604 when the message's time has come, 17 when the topic is gone; [`Error::NoBroker`] when the broker that keeps the
    /// message is not there.
    pub fn recall(&self, topic: &str, handle: &str) -> Result<String> {
        self.shared.recall(topic, handle)
    }
}

impl Shared {
    fn recall(&self, topic: &str, handle: &str) -> Result<String> {
        self.check_open()?;
        let (topic, deadline): (Arc<str>, _) = (topic.into(), Deadline::after(self.settings.timeout));
        let recalled = check(&topic, &self.core.wire_name(&topic), handle)?;
        let broker_name: Arc<str> = recalled.broker_name.into();
        let addr = self.master(&topic, &broker_name, deadline)?;
        let request = RecallMessage {
            broker_name: Some(broker_name),
            producer_group: Some(self.settings.send.group.clone()),
            handle: handle.to_owned(),
            topic,
        };
        let answered = self.core.remoting().call(&addr, &request, &[], deadline).map_err(explain);
        if let Some(trace) = &self.trace {
            trace.recalled(&request.topic, &recalled.message_id, answered.as_ref().map(|answer| &answer.frame));
        }
        let answer = answered?;
        Ok(answer.header().map_err(|error| error.with_addr(&addr))?.message_id)
    }

    /// The master of a broker, by a newer route when the one that is known does not name it.
    fn master(&self, topic: &Arc<str>, broker_name: &Arc<str>, deadline: Deadline) -> Result<Arc<str>> {
        let routes = self.core.routes();
        // At the advertised address also with `vip_channel`, as in Java.
        let of = |route: &Route| {
            let (_, addrs) = route.brokers().find(|(name, _)| *name == broker_name)?;
            addrs.get(&0).cloned()
        };
        let known = of(&*routes.get(&self.core, topic, deadline)?);
        let found = match known {
            Some(addr) => Some(addr),
            None => of(&*routes.refresh(&self.core, topic, deadline)?),
        };
        found.ok_or_else(|| Error::NoBroker {
            what: broker_name.clone(),
            reason: format!("it keeps the message, and the route of {topic} names no master of this name").into(),
        })
    }
}

/// `wire_topic` is the topic as the broker knows it, which stands in the handle.
fn check(topic: &str, wire_topic: &str, handle: &str) -> Result<RecallHandle> {
    names::check_topic(topic)?;
    if topic.starts_with("%RETRY%") || topic.starts_with("%DLQ%") {
        return Err(Error::invalid(format!("messages of topic {topic} cannot be recalled")));
    }
    let Some(read) = RecallHandle::decode(handle) else {
        return Err(Error::invalid(format!(
            "{handle:?} is not a recall handle: it comes from SendResult::recall_handle"
        )));
    };
    if read.topic != wire_topic {
        return Err(Error::invalid(format!("the recall handle belongs to topic {}, not {topic}", read.topic)));
    }
    Ok(read)
}

fn explain(error: Error) -> Error {
    match error {
        Error::Unsupported { addr, .. } => {
            Error::Unsupported { what: "recalling messages came with brokers 5.3.2".into(), addr }
        }
        Error::Rejected { addr, code: code @ ResponseCode::NO_PERMISSION, remark } if remark.contains(SWITCHED_OFF) => {
            let remark = format!("{remark}: it is off at this broker, recallMessageEnable=true turns it on").into();
            Error::Rejected { addr, code, remark }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_handles_are_refused_before_anything_is_asked() {
        let handle = RecallHandle {
            topic: "T".into(),
            broker_name: "broker-a".into(),
            deliver_millis: 1,
            message_id: "AC11".into(),
        };
        assert_eq!(check("T", "T", &handle.encode()).unwrap(), handle);
        let refused = |topic: &str, text: &str| check(topic, topic, text).unwrap_err().to_string();
        assert!(refused("T", "").contains("not a recall handle"));
        assert!(refused("T", "a handle").contains("not a recall handle"));
        assert!(refused("U", &handle.encode()).contains("belongs to topic T"));
        assert!(refused("%RETRY%g", &handle.encode()).contains("cannot be recalled"));
        assert!(refused("%DLQ%g", &handle.encode()).contains("cannot be recalled"));
        assert!(refused("a b", &handle.encode()).contains("topic"));
    }

    #[test]
    fn errors_say_what_the_broker_lacks() {
        let addr: Arc<str> = "a:1".into();
        let old = Error::Unsupported { what: " request type 370 not supported".into(), addr: Some(addr.clone()) };
        assert!(explain(old).to_string().contains("5.3.2"));
        let refused = |remark: &str| {
            let error =
                Error::Rejected { addr: addr.clone(), code: ResponseCode::NO_PERMISSION, remark: remark.into() };
            explain(error)
        };
        let off = refused("recall failed, operation is forbidden");
        assert!(off.to_string().contains("recallMessageEnable"), "{off}");
        assert_eq!(off.code(), Some(ResponseCode::NO_PERMISSION));
        assert!(!refused("no permission for topic T").to_string().contains("recallMessageEnable"));
    }
}
