//! Consumers, and what they share.

pub mod allocation;
mod engine;
mod filter;
mod lite_pull;
pub(crate) mod offset_store;
pub(crate) mod pull;
mod push;
mod runner;
#[cfg(test)]
mod tests;

pub use engine::MessageModel;
pub use filter::Filter;
pub use lite_pull::{LitePullConsumer, LitePullConsumerBuilder, Messages};
pub use offset_store::OffsetStore;
pub use pull::{PreparedPull, PullConsumer, PullConsumerBuilder, PullResult, PullStatus};
pub use push::{ConsumeResult, PushConsumer, PushConsumerBuilder};
pub use runner::{ConsumeFromWhere, ProcessQueue, Standing};
