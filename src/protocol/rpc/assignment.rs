//! Brokers that share queues out among the members of a group, and in which mode members read them. Since 5.0.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::protocol::fields::{FieldSink, FieldSource, Header, NoFields};
use crate::protocol::request::requests;
use crate::protocol::rpc::lock::QueueBody;

/// Asks for a member's queues of a topic; the body is an [`AssignmentBody`], the answer's an [`AssignedBody`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct QueryAssignment;

/// Sets how a group reads a topic; the body is a [`RequestModeBody`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SetMessageRequestMode;

impl Header for QueryAssignment {
    fn put<S: FieldSink>(&self, _sink: &mut S) {}

    fn take(_fields: FieldSource<'_>) -> crate::error::Result<QueryAssignment> {
        Ok(QueryAssignment)
    }
}

impl Header for SetMessageRequestMode {
    fn put<S: FieldSink>(&self, _sink: &mut S) {}

    fn take(_fields: FieldSource<'_>) -> crate::error::Result<SetMessageRequestMode> {
        Ok(SetMessageRequestMode)
    }
}

requests! {
    QueryAssignment = QUERY_ASSIGNMENT -> NoFields;
    SetMessageRequestMode = SET_MESSAGE_REQUEST_MODE -> NoFields;
}

/// How the members of a group read a topic (Java: `MessageRequestMode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum MessageRequestMode {
    /// Each queue belongs to one member, which pulls it and commits offsets.
    #[default]
    Pull,
    /// Queues are shared: brokers hand messages out one by one, and each is acknowledged.
    Pop,
}

impl fmt::Display for MessageRequestMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MessageRequestMode::Pull => "PULL",
            MessageRequestMode::Pop => "POP",
        })
    }
}

/// Who asks for which topic's queues.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AssignmentBody {
    pub(crate) client_id: Arc<str>,
    pub(crate) consumer_group: Arc<str>,
    pub(crate) message_model: String,
    /// `AVG` or `AVG_BY_CIRCLE`.
    pub(crate) strategy_name: String,
    pub(crate) topic: Arc<str>,
}

/// A member's queues. Without the list the member keeps those it has; an empty one takes them away.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AssignedBody {
    #[serde(default)]
    pub(crate) message_queue_assignments: Option<Vec<Assigned>>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Assigned {
    /// In pop mode queue -1 stands for all queues of the broker.
    pub(crate) message_queue: QueueBody,
    #[serde(default)]
    pub(crate) mode: MessageRequestMode,
}

/// How a group is to read a topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RequestModeBody {
    pub(crate) consumer_group: Arc<str>,
    pub(crate) mode: MessageRequestMode,
    /// In pop mode, how many further members each queue is shared with; 0 or less for all.
    #[serde(default)]
    pub(crate) pop_share_queue_num: i32,
    pub(crate) topic: Arc<str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json;

    #[test]
    fn bodies_are_javas() {
        let ask = AssignmentBody {
            client_id: "10.0.0.1@DEFAULT".into(),
            consumer_group: "CG".into(),
            message_model: "CLUSTERING".into(),
            strategy_name: "AVG".into(),
            topic: "TopicTest".into(),
        };
        let expected = r#"{"clientId":"10.0.0.1@DEFAULT","consumerGroup":"CG","messageModel":"CLUSTERING","strategyName":"AVG","topic":"TopicTest"}"#;
        assert_eq!(json::encode(&ask), expected.as_bytes());
        let mode = RequestModeBody {
            consumer_group: "CG".into(),
            mode: MessageRequestMode::Pop,
            pop_share_queue_num: 2,
            topic: "TopicTest".into(),
        };
        let expected = r#"{"consumerGroup":"CG","mode":"POP","popShareQueueNum":2,"topic":"TopicTest"}"#;
        assert_eq!(json::encode(&mode), expected.as_bytes());
    }

    #[test]
    fn no_list_is_not_an_empty_list() {
        let read = |text: &str| json::decode::<AssignedBody>("assignment", text.as_bytes()).unwrap();
        assert_eq!(read("{}").message_queue_assignments, None);
        assert_eq!(read(r#"{"messageQueueAssignments":null}"#).message_queue_assignments, None);
        assert_eq!(read(r#"{"messageQueueAssignments":[]}"#).message_queue_assignments, Some(Vec::new()));
        let one = read(
            r#"{"messageQueueAssignments":[{"attachments":{},"messageQueue":{"brokerName":"broker-a","queueId":-1,"topic":"TopicTest"},"mode":"POP"}]}"#,
        );
        let one = &one.message_queue_assignments.unwrap()[0];
        assert_eq!((one.message_queue.queue_id, one.mode), (-1, MessageRequestMode::Pop));
    }
}
