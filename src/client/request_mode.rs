//! How a group reads a topic: by pulling, or by popping.

use std::sync::Arc;

use super::gather::gather;
use super::{Client, Core, names};
use crate::error::{Error, Exhaustion, Result};
use crate::protocol::json;
use crate::protocol::rpc::assignment::{MessageRequestMode, RequestModeBody, SetMessageRequestMode};
use crate::remoting::Deadline;

impl Client {
    /// Sets how the members of a group that let brokers share out the queues
    /// ([`PushConsumerBuilder::allocation_by_broker`](crate::PushConsumerBuilder::allocation_by_broker)) read a topic
    /// (Java: `DefaultMQAdminExt.setMessageRequestMode`).
    ///
    /// In pop mode each queue is shared with `share_queues` further members, and with all for 0 or less; otherwise the number
    /// means nothing. Brokers store it; members learn of it when they next ask, which they do every 20 s. It does not
    /// concern consumers that share queues out among themselves, nor a [`SimpleConsumer`](crate::SimpleConsumer).
    ///
    /// Blocks until all masters on which the topic lies have answered, at most for the request timeout (3 s by default).
    ///
    /// # Errors
    /// It was set everywhere or an error is returned; with several brokers it is [`Error::Exhausted`], which lists those that
    /// failed. [`Error::Invalid`] for a name that is not allowed, or a retry topic; [`Error::NoRoute`] for a topic that does
    /// not exist; [`Error::Unsupported`] from brokers before 5.0; [`Error::Rejected`] for a group the brokers do not know
    /// (26).
    pub fn set_message_request_mode(
        &self,
        topic: &str,
        group: &str,
        mode: MessageRequestMode,
        share_queues: i32,
    ) -> Result<()> {
        names::check_topic(topic)?;
        names::check_group(group)?;
        if topic.starts_with("%RETRY%") {
            return Err(Error::invalid(format!(
                "topic {topic}: brokers decide by themselves how retry topics are read"
            )));
        }
        let core = self.core();
        core.check_open()?;
        let body = RequestModeBody {
            consumer_group: core.wire_name(&group.into()),
            mode,
            pop_share_queue_num: share_queues,
            topic: core.wire_name(&topic.into()),
        };
        core.set_message_request_mode(&topic.into(), &body, core.request_deadline())
    }
}

impl Core {
    fn set_message_request_mode(
        self: &Arc<Self>,
        topic: &Arc<str>,
        body: &RequestModeBody,
        deadline: Deadline,
    ) -> Result<()> {
        let masters = self.masters(topic, "masters keep how it is read", deadline)?;
        let body = json::encode(body);
        let asked = gather(self, &masters, &SetMessageRequestMode, &body, deadline);
        let mut failures: Vec<_> = asked.into_iter().filter_map(|asked| asked.split().err()).collect();
        match failures.pop() {
            None => Ok(()),
            Some(only) if masters.len() == 1 => Err(only.error),
            Some(last) => {
                failures.push(last);
                Err(Error::Exhausted { attempts: failures.into(), because: Exhaustion::Brokers })
            }
        }
    }
}
