use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// What kind of messages a topic takes (Java: `TopicMessageType`), its attribute `message.type`.
///
/// A broker stores it and tells it on; what a topic is sent over this protocol is not held against it. The proxies of
/// RocketMQ 5 and their clients do, and pop consumers read a topic of priorities in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TopicType {
    /// Ordinary messages. What a topic without a type has.
    Normal,
    /// Messages in order.
    Fifo,
    /// Delayed messages.
    Delay,
    /// Transactional messages.
    Transaction,
    /// All of them. Brokers refuse it unless they are configured with `enableMixedMessageType=true`.
    Mixed,
    /// Messages with a [priority](crate::MessageBuilder::priority) (5.4 and later).
    Priority,
    /// Many light-weight topics in one (5.5 and later).
    Lite,
}

impl TopicType {
    pub(crate) const ALL: [TopicType; 7] = [
        TopicType::Normal,
        TopicType::Fifo,
        TopicType::Delay,
        TopicType::Transaction,
        TopicType::Mixed,
        TopicType::Priority,
        TopicType::Lite,
    ];

    /// Returns the value of the attribute `message.type`.
    pub fn name(self) -> &'static str {
        match self {
            TopicType::Normal => "NORMAL",
            TopicType::Fifo => "FIFO",
            TopicType::Delay => "DELAY",
            TopicType::Transaction => "TRANSACTION",
            TopicType::Mixed => "MIXED",
            TopicType::Priority => "PRIORITY",
            TopicType::Lite => "LITE",
        }
    }
}

impl fmt::Display for TopicType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Takes the names in letters of either case.
impl FromStr for TopicType {
    type Err = Error;

    fn from_str(text: &str) -> Result<TopicType> {
        let named = TopicType::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(text));
        named.ok_or_else(|| {
            Error::invalid(format!(
                "{text:?} is no type of topic: {} are",
                TopicType::ALL.map(TopicType::name).join(", ")
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_read_as_it_is_written() {
        for kind in TopicType::ALL {
            assert_eq!(kind.to_string().parse::<TopicType>().unwrap(), kind);
            assert_eq!(kind.to_string().to_lowercase().parse::<TopicType>().unwrap(), kind);
        }
        assert!("ordinary".parse::<TopicType>().unwrap_err().to_string().contains("NORMAL, FIFO"));
    }
}
