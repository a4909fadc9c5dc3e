//! How much of each thing a client takes from servers, whatever they send.

use super::builder::ClientBuilder;
use super::core::Core;
use crate::error::{Error, Limit, Result};
use crate::message::MessageView;
use crate::protocol::bounds::Bounds;

/// The limits of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Queues of one topic.
    pub(crate) route: usize,
    /// Brokers of one topic, and addresses of one broker.
    pub(crate) brokers: usize,
    pub(crate) members: usize,
    /// Bytes of one name or address.
    pub(crate) text: usize,
    pub(crate) messages: Bounds,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { route: 65_536, brokers: 1024, members: 65_536, text: 4096, messages: Bounds::default() }
    }
}

impl Limits {
    pub(crate) fn check_text(&self, what: &str, text: &str) -> Result<()> {
        within(Limit::Text, text.len(), what, self.text)
    }

    pub(crate) fn check_members(&self, members: &[String]) -> Result<()> {
        within(Limit::Members, members.len(), "members of a group", self.members)?;
        members.iter().try_for_each(|member| self.check_text("bytes in the name of a member", member))
    }

    /// The names and values of all limits.
    pub(super) fn all(&self) -> [(&'static str, usize); 8] {
        let Bounds { body, answer, messages, properties } = self.messages;
        [
            ("body_limit", body),
            ("answer_limit", answer),
            ("message_limit", messages),
            ("property_limit", properties),
            ("route_limit", self.route),
            ("broker_limit", self.brokers),
            ("member_limit", self.members),
            ("text_limit", self.text),
        ]
    }
}

/// Fails when there is more than is taken.
pub(crate) fn within(limit: Limit, found: usize, what: &str, most: usize) -> Result<()> {
    if found > most { Err(Error::beyond(limit, found, what, most)) } else { Ok(()) }
}

impl Core {
    /// Counts the error of a limit.
    pub(crate) fn note_limit(&self, error: &Error) {
        if matches!(error, Error::LimitExceeded { .. }) {
            self.remoting().counters().received.limits_exceeded.one();
        }
    }
}

impl Core {
    /// Counts what is wrong with the messages of an answer.
    pub(crate) fn note_messages(&self, messages: &[MessageView], cut: Option<&Error>) {
        cut.into_iter().for_each(|error| self.note_limit(error));
        let damaged = messages.iter().filter(|message| message.is_damaged()).count();
        if damaged > 0 {
            self.remoting().counters().received.damaged_messages.add(damaged as u64);
        }
    }
}

/// What servers may do to this client. Every limit has a default that no sound cluster reaches; what goes beyond one is
/// dropped, is an error with a type, and is counted in [`ClientStats`](crate::ClientStats).
impl ClientBuilder {
    /// Sets the largest size a received message's body may have once it is inflated, in bytes. 64 MiB by default; brokers
    /// take bodies up to 4 MiB unless configured otherwise. A larger one is [`LimitExceeded`](crate::Error::LimitExceeded) where it is
    /// [checked](crate::MessageView::check_body).
    pub fn body_limit(mut self, bytes: usize) -> ClientBuilder {
        self.limits.messages.body = bytes;
        self
    }

    /// Sets how many bytes the inflated bodies of one answer may have together. 256 MiB by default. An answer with more ends
    /// before the message that would be too much, and the next pull begins there.
    pub fn answer_limit(mut self, bytes: usize) -> ClientBuilder {
        self.limits.messages.answer = bytes;
        self
    }

    /// Sets how many messages one answer may have. 65 536 by default. An answer with more ends there, and the next pull begins
    /// there; the messages of an inner batch are taken together.
    pub fn message_limit(mut self, messages: usize) -> ClientBuilder {
        self.limits.messages.messages = messages;
        self
    }

    /// Sets how many properties a message may have. 4 096 by default. A message with more has only the first
    /// of them and no body, and is [`LimitExceeded`](crate::Error::LimitExceeded) where it is
    /// [checked](crate::MessageView::check_body).
    pub fn property_limit(mut self, properties: usize) -> ClientBuilder {
        self.limits.messages.properties = properties;
        self
    }

    /// Sets how many queues the route of a topic may have on all brokers together. 65 536 by default, and at most 262 144. A
    /// route with more fails with [`Error::LimitExceeded`](crate::Error::LimitExceeded); the last good one stays in use.
    pub fn route_limit(mut self, queues: usize) -> ClientBuilder {
        self.limits.route = queues;
        self
    }

    /// Sets how many brokers the route of a topic may have, and how many addresses one of them. 1 024 by default, and at most
    /// 262 144: the client connects to all of them. A route with more fails as with [`route_limit`](Self::route_limit).
    pub fn broker_limit(mut self, brokers: usize) -> ClientBuilder {
        self.limits.brokers = brokers;
        self
    }

    /// Sets how many connections the client has at most, those that are being replaced not counted. 2 048 by default; each has
    /// two threads. A call that needs one more fails with [`Error::Busy`](crate::Error::Busy).
    pub fn connection_limit(mut self, connections: usize) -> ClientBuilder {
        self.remoting.connection_limit = connections;
        self
    }

    /// Sets how many members of a group a broker may name. 65 536 by default, and at most 262 144. A longer list counts as not
    /// answered: consumers keep the queues they have.
    pub fn member_limit(mut self, members: usize) -> ClientBuilder {
        self.limits.members = members;
        self
    }

    /// Sets how many bytes a name or an address in a route or a list of members may have. 4 096 by default.
    pub fn text_limit(mut self, bytes: usize) -> ClientBuilder {
        self.limits.text = bytes;
        self
    }

    /// Sets the largest frame that is accepted, in bytes. 16 777 212 by default, which is the protocol's own limit and the
    /// most that can be set. A larger one closes the connection: [`Error::Disconnected`](crate::Error::Disconnected).
    pub fn frame_limit(mut self, bytes: usize) -> ClientBuilder {
        self.remoting.frame_limit = bytes;
        self
    }

    /// Sets how many bytes may wait to be written to one server. 64 MiB by default. Beyond that blocking calls wait until
    /// their deadline, others fail with [`Error::Busy`](crate::Error::Busy).
    pub fn outbox_limit(mut self, bytes: usize) -> ClientBuilder {
        self.remoting.outbox_limit = bytes;
        self
    }

    /// Sets how many calls may wait for an answer of one server, long polls included. 262 144 by default. One more fails with
    /// [`Error::Busy`](crate::Error::Busy).
    pub fn pending_limit(mut self, calls: usize) -> ClientBuilder {
        self.remoting.pending_limit = calls;
        self
    }

    /// Sets how many requests of one server are looked at in a second: questions about transactions, changes of groups, and
    /// diagnosis. 10 000 by default. The rest of that second's are answered with code 2 or dropped. Replies to requests do
    /// not count: those are bounded by the requests that wait.
    pub fn server_request_limit(mut self, a_second: usize) -> ClientBuilder {
        self.remoting.server_request_limit = a_second;
        self
    }

    /// Sets whether consumers do what operators ask for through a broker: reset their offsets (request 220), tell how they are
    /// (221, 307), consume a message (309). On by default, as in Java; brokers prove nothing about who asked.
    ///
    /// Whatever this says, only brokers of a known route are served. What is refused is answered with code 16 and counted.
    pub fn answer_diagnosis(mut self, on: bool) -> ClientBuilder {
        self.answer_diagnosis = on;
        self
    }

    /// Makes the client connect only where this closure allows: a route, discovery, or the id of a message may name any address.
    /// Every address is allowed by default.
    ///
    /// It is asked before each connection, to name servers too, with the address as it is known here (host and port, after
    /// [`address_map`](ClientBuilder::address_map)), and with each address behind that name: only those it allows are
    /// tried. When it allows none, the call fails with [`Error::AddressRefused`](crate::Error::AddressRefused) without any
    /// connection having been made; a producer goes on to another broker. It runs on a thread of the client that connects, must
    /// not block, and a panic refuses.
    ///
    /// ```
    /// # use rocketmq_blocking::Client;
    /// let client = Client::builder()
    ///     .name_servers("10.0.0.1:9876")
    ///     .allowed_addresses(|_name, addr| addr.is_ipv4() && addr.ip().to_string().starts_with("10."))
    ///     .build()?;
    /// # Ok::<(), rocketmq_blocking::Error>(())
    /// ```
    pub fn allowed_addresses(
        mut self,
        allows: impl Fn(&str, std::net::SocketAddr) -> bool + Send + Sync + 'static,
    ) -> ClientBuilder {
        self.remoting.allowed = crate::remoting::Allowed::new(allows);
        self
    }
}
