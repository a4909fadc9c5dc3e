use super::PreparedSend;
use crate::message::Message;
use crate::protocol::batch::FIXED;

/// The unique id that each message gets when it is sent: name, separators, and 56 digits with an IPv6 address.
const UNIQUE_ID: usize = 8 + 2 + 56;

/// Splits messages into batches of at most `max_size` bytes each, in order.
///
/// The size is that of the encoded batch: of each message its body and its properties and some 90 bytes more. A message that
/// is larger by itself becomes a batch of its own, which the send refuses. Brokers take 4 MiB by default; smaller batches
/// of about 1 MB go through them faster.
///
/// ```
/// use rocketmq_blocking::{Message, split_batch};
///
/// let messages: Vec<Message> = (0..100).map(|n| Message::new("OrderTopic", format!("order {n}"))).collect();
/// let batches = split_batch(messages, 4096);
/// assert!(batches.len() > 1);
/// assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), 100);
/// ```
pub fn split_batch(messages: impl IntoIterator<Item = Message>, max_size: usize) -> Vec<Vec<Message>> {
    let (mut batches, mut size) = (Vec::<Vec<Message>>::new(), 0);
    for message in messages {
        let len = FIXED + message.body().len() + message.properties().wire_len() + UNIQUE_ID;
        match batches.last_mut() {
            Some(batch) if size + len <= max_size => {
                batch.push(message);
                size += len;
            }
            _ => {
                batches.push(vec![message]);
                size = len;
            }
        }
    }
    batches
}

impl PreparedSend<'_, Vec<Message>> {
    /// Asks the broker to store the batch as one record with all messages inside (brokers 5.0 and later). Off by default.
    ///
    /// Topics made with the [attribute](crate::PreparedTopic::attribute) `queue.type=BatchCQ` do so, which is cheaper for the
    /// broker; consumers still get the messages one by one. Filters by tag see the whole batch: its tag is the one that all
    /// its messages have, else it has none and no filter takes it. Its messages are found by their keys, not by their ids.
    /// Leave it off for other topics: a broker of the 4.x line would give all messages the same id. Java asks for it with
    /// every batch.
    pub fn inner_batch(mut self, inner: bool) -> Self {
        self.inner_batch = inner;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_batch_is_larger_than_asked_for_and_the_order_stays() {
        let messages: Vec<Message> = (0..50).map(|number| Message::new("T", vec![number; 100])).collect();
        let batches = split_batch(messages.clone(), 1000);
        assert!(batches.iter().all(|batch| batch.len() * (FIXED + 100 + UNIQUE_ID) <= 1000));
        assert_eq!(batches.concat(), messages);
    }

    #[test]
    fn a_message_that_is_too_large_stands_alone() {
        let batches =
            split_batch([Message::new("T", "a"), Message::new("T", vec![0; 500]), Message::new("T", "b")], 200);
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
        assert!(split_batch([], 100).is_empty());
    }
}
