//! The values users hold: messages to send, messages received, queues, properties and ids.

mod damage;
mod id;
mod outgoing;
mod properties;
mod queue;
mod receipt;
mod reply;
mod topic_type;
mod view;

pub(crate) use damage::Damage;
pub use id::OffsetMessageId;
pub(crate) use id::UniqueIds;
pub use outgoing::{Message, MessageBuilder};
pub use properties::Properties;
pub(crate) use properties::{append_property, find_in_wire, first_in_wire, key, wire_pairs, write_property};
pub use queue::MessageQueue;
pub(crate) use receipt::Receipt;
pub(crate) use reply::{REPLY_TOPIC_SUFFIX, is_reply_type};
pub use topic_type::TopicType;
pub use view::MessageView;
pub(crate) use view::{Stored, View, sys_flag};
