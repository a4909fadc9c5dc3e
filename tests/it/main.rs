//! How the crate behaves towards a cluster: the embedded one, or Apache's own server when the environment names it
//! (`tests/live/run` starts one). The same modules run against both.

mod support;

mod async_send;
mod basic;
mod batch;
mod client;
mod delay;
mod exceptions;
mod groups;
mod headers;
mod hooks;
mod offsets;
mod oneway;
mod order;
mod pull;
mod query;
mod sql;
mod tags;
mod topics;
