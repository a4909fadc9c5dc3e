//! A synchronous, blocking client for Apache RocketMQ.
#![cfg_attr(docsrs, feature(doc_auto_cfg))]

mod code;
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
mod message;
mod protocol;
mod remoting;
mod thread;

pub use code::{RequestCode, ResponseCode};
pub use error::{Attempt, Error, Exhaustion, Outcome, Result, Stage};
pub use message::{Message, MessageBuilder, MessageQueue, MessageView, OffsetMessageId, Properties};
