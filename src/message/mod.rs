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
pub(crate) use properties::{append_property, key, write_property};
#[cfg(feature = "embedded")]
pub(crate) use properties::{find_in_wire, wire_pairs};
pub use queue::MessageQueue;
pub use view::MessageView;
pub(crate) use view::{Stored, sys_flag};
