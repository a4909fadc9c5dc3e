//! Ready-made queue selectors, for [`PreparedSend::select`](crate::PreparedSend::select).
//!
//! A selector gets the topic's writable queues, sorted by broker and number as in Java, and the message; it returns an index.

use std::hash::Hash;

use crate::message::{Message, MessageQueue};
use crate::protocol::filter::java_hash;

/// Chooses by a text's hash as Java's `SelectMessageQueueByHash` does, so that producers in both languages agree.
///
/// Messages with the same key go to the same queue as long as the number of queues stays the same.
///
/// ```no_run
/// # fn send(producer: &rocketmq_blocking::Producer) -> rocketmq_blocking::Result<()> {
/// use rocketmq_blocking::{Message, select};
///
/// producer.prepare(Message::new("OrderTopic", "paid")).select(select::by_hash("order-17")).send()?;
/// # Ok(())
/// # }
/// ```
pub fn by_hash(key: impl AsRef<str>) -> impl Fn(&[MessageQueue], &Message) -> usize + Clone + Send + Sync + 'static {
    let hash = java_hash(key.as_ref());
    move |queues, _| {
        // Java takes the remainder first and its absolute value then, so that the smallest number has one too.
        let queues = i32::try_from(queues.len()).unwrap_or(i32::MAX).max(1);
        (hash % queues).unsigned_abs() as usize
    }
}

/// Chooses any queue (Java: `SelectMessageQueueByRandom`).
pub fn random() -> impl Fn(&[MessageQueue], &Message) -> usize + Clone + Send + Sync + 'static {
    |queues, _| fastrand::usize(..queues.len().max(1))
}

/// Chooses the same queue for the same key, of any type that can be hashed. The choice is this crate's own: for one that
/// agrees with Java's producers use [`by_hash`].
pub fn same_queue<K: Hash>(key: K) -> impl Fn(&[MessageQueue], &Message) -> usize + Clone + Send + Sync + 'static {
    use std::hash::Hasher;
    // The standard library's default hasher has fixed keys when it is made this way, so processes agree.
    let mut hasher = std::hash::DefaultHasher::new();
    key.hash(&mut hasher);
    let hash = hasher.finish();
    move |queues, _| (hash % (queues.len().max(1) as u64)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(count: i32) -> Vec<MessageQueue> {
        (0..count).map(|id| MessageQueue::new("T", "b", id)).collect()
    }

    #[test]
    fn hashes_choose_as_java_does_even_for_the_smallest_number() {
        let message = Message::new("T", "x");
        assert_eq!(by_hash("TagA")(&queues(4), &message), 2_598_919 % 4);
        let smallest = "polygenelubricants";
        assert_eq!(by_hash(smallest)(&queues(3), &message), (i32::MIN % 3).unsigned_abs() as usize);
    }

    #[test]
    fn every_selector_stays_within_the_queues() {
        let message = Message::new("T", "x");
        for count in 1..20 {
            let queues = queues(count);
            for key in 0..50 {
                assert!(same_queue(key)(&queues, &message) < queues.len());
                assert!(by_hash(key.to_string())(&queues, &message) < queues.len());
                assert!(random()(&queues, &message) < queues.len());
            }
        }
        assert_eq!(same_queue("a")(&queues(7), &message), same_queue("a")(&queues(7), &message));
    }
}
