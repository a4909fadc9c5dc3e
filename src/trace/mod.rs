//! Message trace: records of what happened to messages, gathered and sent in the background as messages of a trace topic.
//!
//! Who traces makes a small record once a result is known, and hands it over. Everything else (the wire form, packing,
//! sending) happens on the client's scheduler, and waiting answers hold nothing up.

mod consumption;
mod dispatcher;
mod parcel;
mod queue;
#[allow(dead_code, reason = "for tests, and for what shows traces to users")]
pub(crate) mod read;
pub(crate) mod record;
mod settings;
mod tracer;

#[cfg(test)]
mod tests;

pub(crate) use consumption::Consuming;
pub(crate) use dispatcher::Side;
pub(crate) use record::TransactionState;
pub use settings::Trace;
pub(crate) use tracer::{Ending, Tracer};
