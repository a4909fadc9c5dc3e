//! The error type, and what a failure says about the message.

use std::io;
use std::sync::Arc;
use std::time::Duration;

mod commit;
mod limit;
mod outcome;
mod refusal;

pub use self::commit::QueueCommit;
pub use self::limit::Limit;
pub use self::outcome::{Outcome, Stage};
pub(crate) use self::refusal::{BATCH_TOO_LARGE, is_access_refusal, is_unknown_requester};
use self::refusal::{advice, outcome_of};
use crate::code::ResponseCode;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One attempt of a call that was tried more than once.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Attempt {
    /// The broker's name.
    pub broker_name: Arc<str>,
    /// The address the attempt went to.
    pub addr: Arc<str>,
    /// How long the attempt took.
    pub elapsed: Duration,
    /// Why it failed.
    pub error: Error,
}

/// Everything that can go wrong, split by what a caller can do about it.
///
/// [`outcome`](Error::outcome) says whether the request may have taken effect, [`is_retryable`](Error::is_retryable)
/// whether trying again can help. Cloning is cheap: causes are shared.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No connection to the server could be made; nothing was sent.
    #[error("cannot connect to {addr}: is the server running there, and is this the address to reach it from here?")]
    Connect {
        /// The server's address.
        addr: Arc<str>,
        /// What the operating system said.
        source: Arc<io::Error>,
    },

    /// The connection was lost while the call was under way; `outcome` says whether its bytes had left.
    #[error("connection to {addr} lost ({reason}); the request {}", sent(*outcome))]
    Disconnected {
        /// The server's address.
        addr: Arc<str>,
        /// `NotSent` or `Unknown`.
        outcome: Outcome,
        /// Why the connection ended.
        reason: Arc<str>,
    },

    /// The call's deadline passed (Java: `RemotingTimeoutException`, and before anything was sent
    /// `RemotingTooMuchRequestException: sendMessage call timeout`).
    #[error("timed out after {after:?} {stage}{}; the request {}", at(addr), sent(*outcome))]
    Timeout {
        /// The wait that used up the time.
        stage: Stage,
        /// The server asked, when one had been chosen.
        addr: Option<Arc<str>>,
        /// How long the call had been running.
        after: Duration,
        /// `NotSent` or `Unknown`.
        outcome: Outcome,
    },

    /// A request was stored, but no reply came in time (Java: `RequestTimeoutException`, code 10006). Whoever was to reply may
    /// still be at work on it, or may not have seen it. Its outcome is [`Outcome::Unknown`].
    #[error("no reply within {after:?} to request {message_id}, which is stored")]
    NoReply {
        /// The unique id of the request.
        message_id: Arc<str>,
        /// How long the request had been waiting in all.
        after: Duration,
    },

    /// The server answered with an error code (Java: `MQBrokerException`). [`Outcome::Unknown`] for code 1 unless the
    /// remark names a known refusal, else [`Outcome::Rejected`].
    #[error("{addr} answered {code}: {remark}{}", advice(*code, remark))]
    Rejected {
        /// The server's address.
        addr: Arc<str>,
        /// The response code.
        code: ResponseCode,
        /// The server's own words.
        remark: Arc<str>,
    },

    /// The message is stored, but less durably than asked for, and `retry_when_not_ok` made the producer try elsewhere.
    #[error("{addr} stored it, but answered {status}")]
    NotDurable {
        /// The server's address.
        addr: Arc<str>,
        /// What it answered: the wire name of the status.
        status: Arc<str>,
    },

    /// No name server knows the topic, and it cannot be created by sending.
    #[error("no route to topic {topic}: {reason}")]
    NoRoute {
        /// The topic.
        topic: Arc<str>,
        /// What the name server said, or what is missing.
        reason: Arc<str>,
    },

    /// The route names no broker that could take the request.
    #[error("no broker for {what}: {reason}")]
    NoBroker {
        /// A broker's name, or the topic.
        what: Arc<str>,
        /// Why none fits.
        reason: Arc<str>,
    },

    /// No name server address is known: none was given, `NAMESRV_ADDR` is unset and discovery found none.
    #[error("no name server address: {reason}")]
    NoNameServer {
        /// What was tried.
        reason: Arc<str>,
    },

    /// A peer sent something that does not follow the protocol.
    #[error("malformed data{}: {what}", from(addr))]
    Malformed {
        /// What was wrong.
        what: Arc<str>,
        /// The peer, when it is known.
        addr: Option<Arc<str>>,
    },

    /// A peer sent more than this client takes of one thing; the whole answer was dropped. It is met only with questions,
    /// which change nothing. [`ClientStats::limits_exceeded`](crate::ClientStats::limits_exceeded) counts it.
    #[error("{what}{}; ClientBuilder::{limit} says how much is taken", from(addr))]
    LimitExceeded {
        /// The limit.
        limit: Limit,
        /// How much there was of what, and how much is taken.
        what: Arc<str>,
        /// The peer, when it is known.
        addr: Option<Arc<str>>,
    },

    /// [`ClientBuilder::allowed_addresses`](crate::ClientBuilder::allowed_addresses) does not allow the server's address; no
    /// connection was made.
    #[error("{addr} is not reached: allowed_addresses refuses {}", if resolved.is_empty() { "its name" } else { resolved })]
    AddressRefused {
        /// The address as a route, the address map, or the user gives it.
        addr: Arc<str>,
        /// The addresses behind its name, which were all refused.
        resolved: Arc<str>,
    },

    /// There are no credentials to sign the request with; nothing was sent. The next call asks
    /// [for them](crate::ClientBuilder::credentials_provider) again.
    #[error("no credentials: {reason}")]
    Credentials {
        /// What the provider said.
        reason: Arc<str>,
    },

    /// An argument is wrong; nothing was sent.
    #[error("{what}")]
    Invalid {
        /// What is wrong and what would be right.
        what: Arc<str>,
    },

    /// A check hook refused the message; nothing was sent.
    #[error("refused by the check hook {hook}: {reason}")]
    Vetoed {
        /// The hook's name.
        hook: Arc<str>,
        /// The hook's words.
        reason: Arc<str>,
    },

    /// Every attempt failed; each is kept with its cause.
    #[error("failed after {} attempt{}{}", attempts.len(), if attempts.len() == 1 { "" } else { "s" }, listed(attempts))]
    Exhausted {
        /// The attempts in the order they were made.
        attempts: Arc<[Attempt]>,
        /// Why no further attempt was made.
        because: Exhaustion,
    },

    /// Offsets of some of a consumer's queues were not committed. Committing again is harmless.
    #[error("{}", commit::listed(queues))]
    NotCommitted {
        /// What became of each queue.
        queues: Arc<[QueueCommit]>,
    },

    /// A local bound is reached; nothing was sent.
    #[error("too much under way: {what}")]
    Busy {
        /// The bound that was reached.
        what: Arc<str>,
    },

    /// The group is already started under this client identity (Java refuses it likewise).
    #[error("group {group} is already started by client {client_id}: use another group, or another instance name")]
    GroupInUse {
        /// The group.
        group: Arc<str>,
        /// The client identity.
        client_id: Arc<str>,
    },

    /// The value was closed, or is closing.
    #[error("closed{}", if *outcome == Outcome::Unknown { "; the request may have been carried out" } else { "" })]
    Closed {
        /// `NotSent`, or `Unknown` for a request that was under way.
        outcome: Outcome,
    },

    /// The encrypted connection could not be established, and nothing was sent; or the client's connections are plain and the
    /// server takes only TLS, so nothing was carried out.
    #[error("TLS with {addr} failed: {reason}")]
    Tls {
        /// The server's address.
        addr: Arc<str>,
        /// What failed.
        reason: Arc<str>,
    },

    /// The server is too old, or the crate was built without the feature.
    #[error("not supported{}: {what}", from(addr))]
    Unsupported {
        /// What is missing, and since when it exists.
        what: Arc<str>,
        /// The server, when it is the server's limit.
        addr: Option<Arc<str>>,
    },

    /// The place where a consumer keeps its offsets cannot be read or written; nothing was sent.
    #[error("the offset store fails: {source}")]
    OffsetStore {
        /// What it said.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },

    /// The operating system refused a thread.
    #[error("cannot start a thread")]
    Thread {
        /// What the operating system said.
        source: Arc<io::Error>,
    },
}

/// Why a call gave up after its last attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exhaustion {
    /// As many attempts as configured were made.
    Attempts,
    /// The deadline passed, or was too near for another attempt.
    Deadline,
    /// No other broker was left to try.
    Brokers,
    /// Another attempt could have duplicated the message, and `retry_unknown(false)` forbids that.
    Duplicates,
}

impl Error {
    /// Returns whether the request may have taken effect.
    pub fn outcome(&self) -> Outcome {
        match self {
            Error::Disconnected { outcome, .. } | Error::Timeout { outcome, .. } | Error::Closed { outcome } => {
                *outcome
            }
            Error::Rejected { code, remark, .. } => outcome_of(*code, remark),
            // An answer that cannot be read was preceded by a request that was carried out.
            Error::Malformed { .. } | Error::NotDurable { .. } | Error::NoReply { .. } => Outcome::Unknown,
            Error::Unsupported { addr: Some(_), .. } => Outcome::Rejected,
            Error::Exhausted { attempts, .. } => worst(attempts.iter().map(|attempt| &attempt.error)),
            Error::NotCommitted { queues } if queues.iter().any(|queue| queue.error.is_none()) => Outcome::Unknown,
            Error::NotCommitted { queues } => worst(queues.iter().filter_map(|queue| queue.error.as_ref())),
            _ => Outcome::NotSent,
        }
    }

    /// Returns whether the same call can succeed later without a change by the caller.
    ///
    /// For an error whose outcome is [`Outcome::Unknown`] a repetition may duplicate the message.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Connect { .. } | Error::Disconnected { .. } | Error::Timeout { .. } | Error::Busy { .. } => true,
            Error::NoRoute { .. } | Error::NoBroker { .. } | Error::NoNameServer { .. } | Error::NoReply { .. } => true,
            Error::Credentials { .. } => true,
            Error::Rejected { code, remark, .. } => !is_access_refusal(*code, remark) && retryable_code(*code),
            Error::Exhausted { attempts, .. } => attempts.last().is_some_and(|last| last.error.is_retryable()),
            Error::NotCommitted { queues } => queues.iter().flat_map(|queue| &queue.error).all(Error::is_retryable),
            _ => false,
        }
    }

    /// Returns whether a deadline passed, for a call of several attempts: in its last one.
    pub fn is_timeout(&self) -> bool {
        match self {
            Error::Timeout { .. } | Error::NoReply { .. } => true,
            Error::Exhausted { attempts, because } => {
                *because == Exhaustion::Deadline || attempts.last().is_some_and(|last| last.error.is_timeout())
            }
            _ => false,
        }
    }

    /// Returns the server's response code, for a call of several attempts: that of the last one.
    pub fn code(&self) -> Option<ResponseCode> {
        match self {
            Error::Rejected { code, .. } => Some(*code),
            Error::Exhausted { attempts, .. } => attempts.last().and_then(|last| last.error.code()),
            _ => None,
        }
    }

    /// Returns whether a server refused the request for lack of a right or of permission, for a call of several attempts: in
    /// its last one. Nothing was carried out, and the same request is refused again until somebody changes something: the
    /// credentials, the user's rights, the permissions of the topic or the broker.
    ///
    /// Brokers say it with code 16 since 5.3, and before that with code 1 and an `AclException`; this knows both.
    pub fn is_refused(&self) -> bool {
        match self {
            Error::Rejected { code, remark, .. } => is_access_refusal(*code, remark),
            Error::Exhausted { attempts, .. } => attempts.last().is_some_and(|last| last.error.is_refused()),
            _ => false,
        }
    }

    pub(crate) fn invalid(what: impl Into<Arc<str>>) -> Error {
        Error::Invalid { what: what.into() }
    }

    pub(crate) fn malformed(what: impl Into<Arc<str>>) -> Error {
        Error::Malformed { what: what.into(), addr: None }
    }

    /// Makes the error of a limit: `found` of `what`, where `most` are taken.
    pub(crate) fn beyond(limit: Limit, found: usize, what: &str, most: usize) -> Error {
        Error::LimitExceeded { limit, what: format!("{found} {what} where {most} are taken").into(), addr: None }
    }

    /// Names the peer in an error that was made where only the bytes were known.
    pub(crate) fn with_addr(self, from: &Arc<str>) -> Error {
        match self {
            Error::Malformed { what, addr: None } => Error::Malformed { what, addr: Some(from.clone()) },
            Error::LimitExceeded { limit, what, addr: None } => {
                Error::LimitExceeded { limit, what, addr: Some(from.clone()) }
            }
            other => other,
        }
    }
}

/// The outcome that says least: of several requests any may have taken effect.
fn worst<'a>(errors: impl Iterator<Item = &'a Error>) -> Outcome {
    let weight = |outcome: &Outcome| match outcome {
        Outcome::NotSent => 0,
        Outcome::Rejected => 1,
        Outcome::Unknown => 2,
    };
    errors.map(Error::outcome).max_by_key(weight).unwrap_or(Outcome::NotSent)
}

fn retryable_code(code: ResponseCode) -> bool {
    matches!(
        code,
        ResponseCode::SYSTEM_ERROR
            | ResponseCode::SYSTEM_BUSY
            | ResponseCode::SERVICE_NOT_AVAILABLE
            | ResponseCode::TOPIC_NOT_EXIST
            | ResponseCode::NO_BUYER_ID
            | ResponseCode::NOT_IN_CURRENT_UNIT
            | ResponseCode::FLOW_CONTROL
            | ResponseCode::NOT_LEADER_FOR_QUEUE
            | ResponseCode::GO_AWAY
    )
}

fn sent(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NotSent => "was not sent",
        Outcome::Rejected => "was rejected",
        Outcome::Unknown => "may have been carried out",
    }
}

fn at(addr: &Option<Arc<str>>) -> String {
    addr.as_ref().map(|addr| format!(" at {addr}")).unwrap_or_default()
}

fn from(addr: &Option<Arc<str>>) -> String {
    addr.as_ref().map(|addr| format!(" from {addr}")).unwrap_or_default()
}

fn listed(attempts: &[Attempt]) -> String {
    let mut text = String::new();
    for (number, attempt) in attempts.iter().enumerate() {
        let Attempt { broker_name, elapsed, error, .. } = attempt;
        text += &format!("; {}. {broker_name} after {elapsed:?}: {error}", number + 1);
    }
    text
}

#[cfg(test)]
mod tests;
