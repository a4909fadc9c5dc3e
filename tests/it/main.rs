//! How the crate behaves towards a cluster: the embedded one, or Apache's own server when the environment names it
//! (`tests/live/run` starts one). The same modules run against both.

mod support;

#[cfg(feature = "acl")]
mod acl;
mod async_send;
mod auto_batch;
mod basic;
mod batch;
mod client;
mod delay;
mod documents;
mod exceptions;
mod groups;
mod headers;
mod hooks;
mod layers;
mod offsets;
mod oneway;
mod order;
mod pull;
mod query;
mod retries;
mod slaves;
mod sql;
mod tags;
mod topics;
mod upkeep;
