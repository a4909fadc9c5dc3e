use rocketmq_blocking::MessageView;

use crate::text;

/// Characters of a body that are shown for people.
const SHOWN: usize = 200;

/// Lines of messages for people. Columns only grow, so that lines stay aligned for as long as possible.
#[derive(Debug)]
pub(crate) struct Columns {
    topic: bool,
    queue: usize,
    offset: usize,
}

impl Columns {
    /// Lines of messages of one topic, whose queues have names of at most `queue` characters as far as is known.
    pub(crate) fn new(queue: usize) -> Columns {
        Columns { topic: false, queue, offset: 5 }
    }

    /// Lines that name the topic as well.
    pub(crate) fn with_topic() -> Columns {
        Columns { topic: true, ..Columns::new(0) }
    }

    /// The queue, the offset, the time of storing, tag, keys, how often it was delivered before if it was, and the body.
    pub(crate) fn line(&mut self, message: &MessageView) -> String {
        let mut queue = format!("{}/{}", message.queue().broker_name(), message.queue().queue_id());
        if self.topic {
            queue = format!("{}  {queue}", message.topic());
        }
        let offset = message.queue_offset().to_string();
        self.queue = queue.chars().count().max(self.queue);
        self.offset = offset.len().max(self.offset);
        let (queue_width, offset_width) = (self.queue, self.offset);
        let stored = text::time(message.store_timestamp());
        let mut line = format!("{queue:<queue_width$}  {offset:>offset_width$}  {stored}");
        let mut add = |what: &str, value: &str| line += &format!("  {what}{}", text::line(value.chars()));
        if let Some(tag) = message.tag() {
            add("tag:", tag);
        }
        let keys: Vec<&str> = message.keys().collect();
        if !keys.is_empty() {
            add("keys:", &keys.join(","));
        }
        if message.reconsume_times() > 0 {
            add("again:", &message.reconsume_times().to_string());
        }
        match message.check_body() {
            Ok(()) => line += &format!("  {}", text::body(message.body(), SHOWN)),
            Err(error) => line += &format!("  <{error}>"),
        }
        line
    }
}
