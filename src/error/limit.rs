use std::fmt;

/// Something of which a client takes only so much from a server; each has a method of
/// [`ClientBuilder`](crate::ClientBuilder) that sets how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// [`route_limit`](crate::ClientBuilder::route_limit): queues in the route of a topic.
    Route,
    /// [`broker_limit`](crate::ClientBuilder::broker_limit): brokers in the route of a topic, and addresses of one broker.
    Brokers,
    /// [`member_limit`](crate::ClientBuilder::member_limit): members of a group.
    Members,
    /// [`message_limit`](crate::ClientBuilder::message_limit): messages in one answer.
    Messages,
    /// [`answer_limit`](crate::ClientBuilder::answer_limit): bytes of the messages of one answer, once they are inflated.
    Answer,
    /// [`body_limit`](crate::ClientBuilder::body_limit): bytes of one message's body, once it is inflated.
    Body,
    /// [`property_limit`](crate::ClientBuilder::property_limit): properties of one message.
    Properties,
    /// [`text_limit`](crate::ClientBuilder::text_limit): bytes of one name or address.
    Text,
}

impl Limit {
    /// Returns the name of the method that sets it.
    pub fn setting(self) -> &'static str {
        match self {
            Limit::Route => "route_limit",
            Limit::Brokers => "broker_limit",
            Limit::Members => "member_limit",
            Limit::Messages => "message_limit",
            Limit::Answer => "answer_limit",
            Limit::Body => "body_limit",
            Limit::Properties => "property_limit",
            Limit::Text => "text_limit",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.setting())
    }
}
