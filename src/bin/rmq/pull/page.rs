use rocketmq_blocking::MessageView;

use super::read::Sink;
use crate::columns::Columns;
use crate::failure::Failure;
use crate::output::{Output, Received};
use crate::progress::Progress;

/// Prints messages, a line each, up to a limit.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    output: &'a mut Output,
    progress: Progress,
    limit: Option<u64>,
    count: u64,
    columns: Columns,
}

impl<'a> Page<'a> {
    /// A page whose queues have names of at most `queue_width` characters.
    pub(crate) fn new(output: &'a mut Output, limit: Option<u64>, queue_width: usize) -> Page<'a> {
        // On a terminal the messages themselves show how it goes.
        let progress = if output.is_terminal() { Progress::none() } else { Progress::new(limit, "messages") };
        Page { output, progress, limit, count: 0, columns: Columns::new(queue_width) }
    }
}

impl Sink for Page<'_> {
    fn take(&mut self, message: &MessageView) -> Result<(), Failure> {
        let columns = &mut self.columns;
        self.output.line(&Received::of(message), || columns.line(message))?;
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
