//! A RocketMQ cluster in this process's memory, for examples, tests and fault injection.
//!
//! [`Cluster::start`] starts a name server and a broker on loopback in a few milliseconds. They speak the remoting
//! protocol to any client, of any language, and answer as Apache's servers 5.5.0 do. So a program under test needs nothing
//! but an address:
//!
//! ```
//! use rocketmq_blocking::embedded::Cluster;
//!
//! let cluster = Cluster::start()?;
//! let address = cluster.name_server(); // what a client is given, also through NAMESRV_ADDR
//! assert!(address.starts_with("127.0.0.1:"));
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! Brokers take [transactional messages](crate::TransactionProducer) and ask about those that were not ended, sooner than
//! Apache's do ([`ClusterBuilder::transaction_timeout`], [`ClusterBuilder::transaction_check_interval`]).
//!
//! A test can make each server fail in many ways ([`Fault`], [`Broker`], [`NameServer`]), see what was asked
//! ([`Cluster::requests`]) and what has been stored ([`Cluster::stored`]).
//!
//! **It is for development and tests.** It keeps everything in memory and nothing beyond its own life; its slaves read the
//! memory of their master. It is bounded: in connections, in frames, in the bytes of messages it keeps (the oldest are
//! dropped first), in recorded requests; see [`ClusterBuilder`].

mod accept;
mod ailing;
mod assignment;
mod attributes;
#[cfg(feature = "acl")]
mod auth;
#[cfg(any(fuzzing, test))]
pub(crate) mod bare;
mod broker;
mod builder;
mod call;
mod clock;
mod cluster;
mod configs;
mod delay;
mod faults;
mod figures;
mod filter;
mod group_requests;
mod groups;
mod handles;
mod hold;
mod index;
mod inner_batch;
mod inspect;
mod late;
mod link;
mod listen;
mod locks;
mod misbehave;
mod name_server;
mod offsets;
mod pop;
mod priority;
mod producer_requests;
mod pull;
mod queries;
mod questions;
mod recall;
mod recorder;
mod records;
mod registered;
mod registry;
mod reply;
mod reset;
mod runtime;
mod send;
mod send_back;
mod server;
pub(crate) mod sql;
mod store;
#[cfg(feature = "tls")]
mod tls;
mod topic_requests;
mod topics;
mod transaction;
mod users;
mod vip;
mod wire;

#[cfg(test)]
mod tests;

pub use builder::ClusterBuilder;
pub use cluster::Cluster;
pub use faults::{Fault, Injected};
pub use handles::{Broker, NameServer};
pub use recorder::Recorded;
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub use tls::ServerTls;
pub use users::User;
