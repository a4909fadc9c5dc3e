//! What producers, consumers and administration share: name servers, routes, heartbeats, the scheduler, and the groups
//! that live under one client identity.

mod address_map;
mod ask;
mod ask_master;
mod ask_masters;
mod builder;
mod callbacks;
mod check_queue;
mod checks;
mod close;
mod core;
mod credentials;
pub(crate) mod discovery;
mod gather;
mod groups;
mod handle;
pub(crate) mod heartbeat;
mod histogram;
pub(crate) mod hooks;
mod identity;
mod introduce;
pub(crate) mod limits;
mod lost_brokers;
pub(crate) mod name_server;
pub(crate) mod names;
pub(crate) mod namespace;
mod new_topic;
mod offsets;
mod options;
mod owner;
#[cfg(test)]
pub(crate) mod peer;
mod pop;
mod queries;
mod renewal;
mod replies;
mod request_mode;
mod resolver;
pub(crate) mod route;
mod route_entry;
mod routes;
mod scheduler;
pub(crate) mod send;
mod stats;
mod timers;
#[cfg(feature = "tls")]
mod tls;
mod topic_route;
mod topics;
mod validation;

#[cfg(test)]
mod tests;

pub use crate::remoting::{ConnectionState, ConnectionStats};
pub(crate) use ask_masters::{AskedMasters, FromMaster};
pub use builder::ClientBuilder;
pub(crate) use check_queue::{Asked, CheckQueue};
pub use close::CloseReport;
pub(crate) use core::Core;
pub use credentials::Credentials;
pub(crate) use gather::Server;
pub(crate) use groups::{GroupKind, Member, Membership};
pub use handle::Client;
pub(crate) use histogram::Histogram;
pub use histogram::Latency;
pub use hooks::{SendContext, SendHook, SendMode};
pub(crate) use introduce::introduce;
pub use new_topic::PreparedTopic;
pub(crate) use new_topic::{attributes_text, put_attribute};
pub(crate) use offsets::{check_offset, check_queue, is_connection_over, may_have_moved, to_millis};
pub(crate) use offsets::{
    committed_of, committed_request, max_request, min_request, search_request, update as commit_request,
};
pub(crate) use owner::not_here;
pub(crate) use pop::{Pop, PopStatus, Popped};
pub use queries::QueryResult;
pub(crate) use replies::Pushed;
pub(crate) use route::Route;
pub(crate) use routes::RouteWatcher;
pub use send::{SendResult, SendStatus};
pub(crate) use stats::TraceCounters;
pub use stats::{ClientStats, TraceStats};
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub use tls::Tls;
pub use topic_route::{BrokerRoute, TopicRoute};
