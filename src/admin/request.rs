use std::fmt;

use bytes::Bytes;

use super::Admin;
use crate::client::is_connection_over;
use crate::code::RequestCode;
use crate::error::{Error, Outcome, Result};
use crate::protocol::rpc::any::{AnyRequest, Fields};

/// What a server answered to [`Admin::request`].
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct AdminResponse {
    /// The fields of its header, in its order.
    pub fields: Vec<(String, String)>,
    /// The server's words, which a success seldom has.
    pub remark: String,
    /// The body as it came. Bodies with text are JSON of Java's fastjson, whose keys may be bare numbers or objects.
    pub body: Bytes,
}

impl AdminResponse {
    /// Returns the value of a field; `None` when there is none of that name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the body as text; what is not UTF-8 is replaced.
    pub fn body_text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

impl fmt::Debug for AdminResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("AdminResponse");
        shown.field("fields", &self.fields).field("remark", &self.remark).field("body", &self.body_text()).finish()
    }
}

impl Admin {
    /// Asks any server, a broker or a name server at `addr` (`host:port`), anything: for the requests of RocketMQ that have no
    /// call of their own here (Java: `RemotingClient.invokeSync`).
    ///
    /// The fields of the header and the body go out as they are, with the client's signature if it has
    /// [credentials](crate::Credentials). In a client with a namespace, fields that hold a topic or a group by their name
    /// (`topic`, `consumerGroup`, `producerGroup`, `group`) are put into it, as in all other requests. Blocks until the answer,
    /// at most for the request timeout (3 s by default). It is not repeated unless no byte of it had left.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a request that the server does not know, [`Error::Rejected`] for every other code that is
    /// not success.
    ///
    /// ```
    /// # use rocketmq_blocking::{Client, RequestCode, embedded::Cluster};
    /// # let cluster = Cluster::start()?;
    /// # let client = Client::connect(cluster.name_server())?;
    /// let broker = &client.admin().cluster()?.brokers[0];
    /// let fields = [("topic", "TBW102"), ("queueId", "0")];
    /// let answer = client.admin().request(&broker.addr, RequestCode::GET_MAX_OFFSET, &fields, b"")?;
    /// assert_eq!(answer.field("offset"), Some("0"));
    /// # Ok::<(), rocketmq_blocking::Error>(())
    /// ```
    pub fn request(
        &self,
        addr: &str,
        code: RequestCode,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Result<AdminResponse> {
        let core = self.core();
        core.check_open()?;
        let deadline = core.request_deadline();
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = AnyRequest { code, fields: Fields(fields) };
        let addr = addr.into();
        let answer = match core.remoting().call(&addr, &request, body, deadline) {
            Err(error) if is_connection_over(&error) && error.outcome() == Outcome::NotSent => {
                core.remoting().call(&addr, &request, body, deadline)
            }
            answer => answer,
        };
        let answer = answer.map_err(|error| error.with_addr(&addr))?;
        let Fields(fields) = answer.header().map_err(|error: Error| error.with_addr(&addr))?;
        let remark = answer.frame.remark().into_owned();
        Ok(AdminResponse { fields, remark, body: answer.frame.body_bytes() })
    }
}
