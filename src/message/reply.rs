//! Answering a message whose sender waits for it.

use std::time::Duration;

use bytes::Bytes;

use super::properties::key;
use super::{Message, MessageView};
use crate::error::{Error, Result};

/// What the name of every topic for replies ends with, behind that of its cluster.
pub(crate) const REPLY_TOPIC_SUFFIX: &str = "_REPLY_TOPIC";

/// The value of the property `MSG_TYPE` that makes a message a reply.
const REPLY: &str = "reply";

pub(crate) fn is_reply_type(message_type: Option<&str>) -> bool {
    message_type == Some(REPLY)
}

impl MessageView {
    /// Returns whether the sender waits for a reply: it was sent by [`Producer::request`](crate::Producer::request), or by
    /// another client's request.
    pub fn expects_reply(&self) -> bool {
        self.property(key::CORRELATION_ID).is_some() && self.property(key::REPLY_TO_CLIENT).is_some()
    }

    /// Makes the reply to this message: sent by any producer, it ends the [`request`](crate::Producer::request) that waits.
    ///
    /// The reply goes to the topic `<cluster>_REPLY_TOPIC` of the message's own cluster, so the producer has to belong to that
    /// cluster. It can be compressed as any message, but not be part of a batch. The send ends well when the
    /// requester has taken the reply; a broker that does not know the requester refuses it, and the send tries another one. A reply
    /// that comes after the requester's timeout is sent as well as any other, and dropped there.
    ///
    /// ```no_run
    /// # fn serve(producer: &rocketmq_blocking::Producer, message: &rocketmq_blocking::MessageView) -> rocketmq_blocking::Result<()> {
    /// if message.expects_reply() {
    ///     producer.send(message.reply("done")?)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] when the message expects no reply, or names no cluster (brokers add its name when they store a
    /// message).
    pub fn reply(&self, body: impl Into<Bytes>) -> Result<Message> {
        let (Some(id), Some(client)) = (self.property(key::CORRELATION_ID), self.property(key::REPLY_TO_CLIENT)) else {
            let what = "the message expects no reply: it has no property CORRELATION_ID or REPLY_TO_CLIENT";
            return Err(Error::invalid(what));
        };
        let Some(cluster) = self.property(key::CLUSTER) else {
            return Err(Error::invalid("the message cannot be replied to: no broker has added its property CLUSTER"));
        };
        let mut reply = Message::new(format!("{cluster}{REPLY_TOPIC_SUFFIX}"), body);
        reply.set_system_property(key::MESSAGE_TYPE, REPLY);
        reply.set_system_property(key::CORRELATION_ID, id);
        reply.set_system_property(key::REPLY_TO_CLIENT, client);
        if let Some(ttl) = self.property(key::TTL) {
            reply.set_system_property(key::TTL, ttl);
        }
        Ok(reply)
    }
}

impl Message {
    /// Returns whether it was made by [`MessageView::reply`].
    pub(crate) fn is_reply(&self) -> bool {
        is_reply_type(self.property(key::MESSAGE_TYPE))
    }

    /// Asks for a reply to it.
    pub(crate) fn expect_reply(&mut self, correlation_id: &str, client_id: &str, timeout: Duration) {
        self.set_system_property(key::CORRELATION_ID, correlation_id);
        self.set_system_property(key::REPLY_TO_CLIENT, client_id);
        self.set_system_property(key::TTL, timeout.as_millis().to_string());
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::message::{Properties, Stored};

    fn received(properties: &[(&'static str, &str)]) -> MessageView {
        let mut text = String::new();
        let mut all = Properties::default();
        for (name, value) in properties {
            all.set(*name, *value);
        }
        all.write_wire(&mut text);
        let host = SocketAddr::from(([127, 0, 0, 1], 1));
        let stored = Stored {
            queue_id: 0,
            flag: 0,
            queue_offset: 0,
            commit_log_offset: 0,
            sys_flag: 0,
            body_crc: 0,
            born_timestamp: 0,
            born_host: host,
            store_timestamp: 0,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: Bytes::new(),
            topic: "T".into(),
            properties: text.into(),
        };
        MessageView::new(stored, "b".into(), Ok(Bytes::new()))
    }

    #[test]
    fn a_reply_carries_what_brings_it_back() {
        let mut request = Message::new("T", "ask");
        request.expect_reply("c-1", "10.0.0.1@x", Duration::from_millis(1500));
        let properties: Vec<_> = request.properties().iter().collect();
        assert_eq!(properties, [("CORRELATION_ID", "c-1"), ("REPLY_TO_CLIENT", "10.0.0.1@x"), ("TTL", "1500")]);

        let stored = [(key::CORRELATION_ID, "c-1"), (key::REPLY_TO_CLIENT, "10.0.0.1@x"), (key::TTL, "1500")];
        let view = received(&[&stored[..], &[(key::CLUSTER, "North"), (key::TAGS, "t")]].concat());
        assert!(view.expects_reply());
        let reply = view.reply("answer").unwrap();
        assert_eq!((reply.topic(), reply.body_text(), reply.is_reply()), ("North_REPLY_TOPIC", Some("answer"), true));
        let properties: Vec<_> = reply.properties().iter().collect();
        assert_eq!(properties[0], ("MSG_TYPE", "reply"));
        assert_eq!(properties[1..], stored);
    }

    #[test]
    fn a_message_nobody_asked_with_cannot_be_replied_to() {
        let cluster = (key::CLUSTER, "North");
        let refused = |properties: &[(&'static str, &str)]| {
            let view = received(properties);
            (view.expects_reply(), view.reply("x").unwrap_err().to_string())
        };
        let (expects, why) = refused(&[cluster]);
        assert!(!expects && why.contains("expects no reply"), "{why}");
        let (expects, why) = refused(&[cluster, (key::CORRELATION_ID, "c")]);
        assert!(!expects && why.contains("expects no reply"), "{why}");
        let (expects, why) = refused(&[(key::CORRELATION_ID, "c"), (key::REPLY_TO_CLIENT, "x")]);
        assert!(expects && why.contains("CLUSTER"), "{why}");
    }
}
