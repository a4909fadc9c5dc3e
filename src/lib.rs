//! A synchronous, blocking client for Apache RocketMQ.
#![cfg_attr(docsrs, feature(doc_auto_cfg))]
#![forbid(unsafe_code)]

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod client;
mod code;
mod consumer;
mod error;
mod message;
mod protocol;
mod remoting;
mod thread;

pub use client::{Client, ClientBuilder, CloseReport, Credentials, QueryResult};
pub use code::{RequestCode, ResponseCode};
pub use consumer::{Filter, PreparedPull, PullConsumer, PullConsumerBuilder, PullResult, PullStatus};
pub use error::{Attempt, Error, Exhaustion, Outcome, Result, Stage};
pub use message::{Message, MessageBuilder, MessageQueue, MessageView, OffsetMessageId, Properties};
