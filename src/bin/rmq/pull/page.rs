use rocketmq_blocking::MessageView;

use super::read::Sink;
use crate::failure::Failure;
use crate::output::{Output, Received};
use crate::progress::Progress;
use crate::text;

/// Characters of a body that are shown for people.
const SHOWN: usize = 200;

/// Prints messages, a line each, up to a limit.
#[derive(Debug)]
pub(super) struct Page<'a> {
    output: &'a mut Output,
    progress: Progress,
    limit: Option<u64>,
    count: u64,
    queue_width: usize,
    offset_width: usize,
}

impl<'a> Page<'a> {
    /// A page whose queues have names of at most `queue_width` characters.
    pub(super) fn new(output: &'a mut Output, limit: Option<u64>, queue_width: usize) -> Page<'a> {
        // On a terminal the messages themselves show how it goes.
        let progress = if output.is_terminal() { Progress::none() } else { Progress::new(limit, "messages") };
        Page { output, progress, limit, count: 0, queue_width, offset_width: 5 }
    }
}

impl Sink for Page<'_> {
    fn take(&mut self, message: &MessageView) -> Result<(), Failure> {
        let (queue_width, offset_width) = (self.queue_width, &mut self.offset_width);
        self.output.line(&Received::of(message), || people(message, queue_width, offset_width))?;
        self.count += 1;
        self.progress.advance(1);
        Ok(())
    }

    fn count(&self) -> u64 {
        self.count
    }

    fn limit(&self) -> Option<u64> {
        self.limit
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.output.flush()
    }
}

fn people(message: &MessageView, queue_width: usize, offset_width: &mut usize) -> String {
    let queue = format!("{}/{}", message.queue().broker_name(), message.queue().queue_id());
    let offset = message.queue_offset().to_string();
    // Columns only grow, so that lines stay aligned for as long as possible.
    *offset_width = offset.len().max(*offset_width);
    let width = *offset_width;
    let stored = text::time(message.store_timestamp());
    let mut line = format!("{queue:<queue_width$}  {offset:>width$}  {stored}");
    let mut add = |what: &str, value: &str| line += &format!("  {what}{}", text::line(value.chars()));
    if let Some(tag) = message.tag() {
        add("tag:", tag);
    }
    let keys: Vec<&str> = message.keys().collect();
    if !keys.is_empty() {
        add("keys:", &keys.join(","));
    }
    match message.check_body() {
        Ok(()) => line += &format!("  {}", text::body(message.body(), SHOWN)),
        Err(error) => line += &format!("  <{error}>"),
    }
    line
}
