//! Consumers, and what they share.

mod filter;
pub(crate) mod pull;
#[cfg(test)]
mod tests;

pub use filter::Filter;
pub use pull::{PreparedPull, PullConsumer, PullConsumerBuilder, PullResult, PullStatus};
