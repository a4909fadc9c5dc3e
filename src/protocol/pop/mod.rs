//! What clients make of an answer to a pop: messages, each with the handle by which it is acknowledged.

mod batch;
mod handle;
mod offsets;
mod popped;
#[cfg(test)]
mod tests;

#[allow(unused_imports, reason = "simple consumers are on their way")]
pub(crate) use batch::batches;
pub(crate) use handle::{Handle, Retry};
#[cfg(feature = "embedded")]
#[allow(unused_imports, reason = "embedded brokers that hand out are on their way")]
pub(crate) use offsets::{write_message_offsets, write_order_counts, write_start_offsets};
pub(crate) use popped::{Asked, messages, valid_until};
