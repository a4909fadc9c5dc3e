//! The values users hold: messages to send, messages received, queues, properties and ids.

mod id;
mod outgoing;
mod properties;
mod queue;
mod view;

pub use id::OffsetMessageId;
pub(crate) use id::UniqueIds;
pub use outgoing::{Message, MessageBuilder};
pub use properties::Properties;
#[cfg(feature = "embedded")]
pub(crate) use properties::find_in_wire;
pub(crate) use properties::{key, wire_pairs, write_property};
pub use queue::MessageQueue;
pub use view::MessageView;
pub(crate) use view::{Stored, sys_flag};
