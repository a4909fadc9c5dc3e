//! What clients make of an answer to a pop: messages, each with the handle by which it is acknowledged.

mod batch;
mod handle;
mod offsets;
mod popped;
#[cfg(test)]
mod tests;

pub(crate) use batch::batches;
pub(crate) use handle::{Handle, Retry};
#[cfg(feature = "embedded")]
pub(crate) use offsets::{write_message_offsets, write_order_counts, write_start_offsets};
pub(crate) use popped::{Asked, messages, valid_until};
