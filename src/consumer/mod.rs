//! Consumers, and what they share.

pub mod allocation;
mod around;
mod engine;
mod filter;
mod hooks;
mod interval;
mod lite_pull;
pub(crate) mod offset_store;
pub(crate) mod pull;
mod push;
mod result;
mod runner;
mod simple;
mod stats;
#[cfg(test)]
mod tests;
mod threads;

pub use engine::MessageModel;
pub use filter::Filter;
pub use hooks::{ConsumeContext, ConsumeHook, Consumption, FilterHook};
pub use lite_pull::{LitePullConsumer, LitePullConsumerBuilder, Messages};
pub use offset_store::{LocalFileOffsetStore, OffsetStore};
pub use pull::{PreparedPull, PullAgain, PullConsumer, PullConsumerBuilder, PullResult, PullSchedule, PullStatus};
pub use push::{OffsetReset, PushConsumer, PushConsumerBuilder, ResetReason};
pub use result::ConsumeResult;
pub use runner::{ConsumeFromWhere, ProcessQueue, Standing};
pub use simple::{SimpleConsumer, SimpleConsumerBuilder};
pub use stats::{ConsumerStats, ThreadStats, TopicConsumption};
pub use threads::Threads;
