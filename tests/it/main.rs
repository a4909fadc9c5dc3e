//! How the crate behaves towards a cluster: the embedded one, or Apache's own server when the environment names it
//! (`tests/live/run` starts one). The same modules run against both.

mod support;

#[cfg(feature = "acl")]
mod acl;
#[cfg(feature = "acl")]
mod acl_admin;
mod admin_tool;
mod async_send;
mod auto_batch;
mod basic;
mod batch;
mod broadcast;
mod caller_hooks;
mod client;
mod cluster_admin;
mod compression;
mod delay;
mod documents;
mod exceptions;
mod go_away;
mod group_admin;
mod group_settings;
mod groups;
mod headers;
mod hooks;
mod hostile;
mod inner_batch;
mod layers;
mod lite_pull;
mod message_track;
mod namespace;
mod offsets;
mod oneway;
mod order;
mod priority;
mod pull;
mod pull_group;
mod push;
mod push_hooks;
mod push_pop;
mod push_requests;
mod push_stats;
mod query;
mod recall;
mod request_reply;
mod retries;
mod simple;
mod slaves;
mod sql;
mod stats;
mod tags;
#[cfg(feature = "tls")]
mod tls;
mod topic_admin;
mod topics;
mod trace;
mod transactions;
mod upkeep;
mod vip;
mod withdrawn;
