//! A synchronous, blocking client for Apache RocketMQ.
#![cfg_attr(docsrs, feature(doc_auto_cfg))]
#![forbid(unsafe_code)]

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod client;
mod code;
mod consumer;
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
mod message;
mod producer;
mod protocol;
mod remoting;
mod thread;

pub use client::{
    Client, ClientBuilder, CloseReport, Credentials, QueryResult, SendContext, SendHook, SendMode, SendResult,
    SendStatus,
};
pub use code::{RequestCode, ResponseCode};
pub use consumer::{Filter, PreparedPull, PullConsumer, PullConsumerBuilder, PullResult, PullStatus};
pub use error::{Attempt, Error, Exhaustion, Outcome, Result, Stage};
pub use message::{Message, MessageBuilder, MessageQueue, MessageView, OffsetMessageId, Properties};
pub use producer::{
    PendingError, PendingSend, PreparedSend, Producer, ProducerBuilder, SendError, Sendable, select, split_batch,
};
