//! Consumers, and what they share.

#[allow(dead_code, unreachable_pub, reason = "until the push consumer uses it")]
mod allocation;
#[allow(dead_code, reason = "until the push consumer uses it")]
mod engine;
mod filter;
pub(crate) mod pull;
#[cfg(test)]
mod tests;

pub use filter::Filter;
pub use pull::{PreparedPull, PullConsumer, PullConsumerBuilder, PullResult, PullStatus};
