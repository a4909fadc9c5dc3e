//! How the crate behaves towards a cluster: the embedded one, or Apache's own server when the environment names it
//! (`tests/live/run` starts one). The same modules run against both.

mod support;

mod basic;
mod batch;
mod order;
mod pull;
