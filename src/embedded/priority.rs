//! Priorities of messages: since 5.4 the queue is chosen by them.

use std::borrow::Cow;

use super::records::Known;
use super::topics::Topic;
use crate::message::{key, wire_pairs, write_property};

/// Returns the queue a message goes to, in place of the one it was sent to. What counts as another kind of message loses
/// its priority.
pub(super) fn settle(properties: &mut Cow<'_, str>, topic: &Topic, queue_id: i32) -> i32 {
    let known = Known::new(properties);
    let Some(priority) = known.priority.and_then(|text| text.parse::<i32>().ok()).filter(|priority| *priority >= 0)
    else {
        return queue_id;
    };
    let other_kind = known.prepared.is_some_and(|flag| flag.eq_ignore_ascii_case("true"))
        || known.delay.is_some()
        || known.timer_seconds.or(known.timer_millis).or(known.timer_time).is_some()
        || known.sharding_key.is_some();
    if !other_kind {
        return priority.min(topic.write_queues - 1);
    }
    let mut kept = String::with_capacity(properties.len());
    for (name, value) in wire_pairs(properties).filter(|(name, _)| *name != key::PRIORITY) {
        write_property(&mut kept, name, value);
    }
    *properties = kept.into();
    queue_id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_is_the_number_of_a_queue_unless_the_message_is_of_another_kind() {
        let topic = Topic::new("T", 4);
        let cases = [
            ("", 2, true),
            ("_SYS_MSG_PRIORITY_\u{1}0\u{2}", 0, true),
            ("_SYS_MSG_PRIORITY_\u{1}3\u{2}TAGS\u{1}a\u{2}", 3, true),
            ("_SYS_MSG_PRIORITY_\u{1}99\u{2}", 3, true),
            ("_SYS_MSG_PRIORITY_\u{1}x\u{2}", 2, true),
            ("_SYS_MSG_PRIORITY_\u{1}1\u{2}DELAY\u{1}3\u{2}", 2, false),
            ("_SYS_MSG_PRIORITY_\u{1}1\u{2}__SHARDINGKEY\u{1}k\u{2}", 2, false),
            ("TIMER_DELAY_MS\u{1}10\u{2}_SYS_MSG_PRIORITY_\u{1}1\u{2}", 2, false),
        ];
        for (text, queue, kept) in cases {
            let mut properties = Cow::Borrowed(text);
            assert_eq!(settle(&mut properties, &topic, 2), queue, "{text:?}");
            assert_eq!(properties == text, kept, "{text:?}");
            assert!(kept || !properties.contains("PRIORITY"), "{text:?}");
        }
    }
}
