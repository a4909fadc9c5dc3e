use rocketmq_blocking::MessageView;

use crate::columns::Columns;
use crate::failure::Failure;
use crate::output::{Output, Received};
use crate::progress::Progress;

/// Where messages are consumed: they are printed, and counted.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    output: &'a mut Output,
    columns: Columns,
    progress: Progress,
    limit: Option<u64>,
    consumed: u64,
    to_fail: u64,
}

impl<'a> Desk<'a> {
    pub(super) fn new(output: &'a mut Output, limit: Option<u64>, to_fail: u64, with_topic: bool) -> Desk<'a> {
        // On a terminal the messages themselves show how it goes.
        let progress = if output.is_terminal() { Progress::none() } else { Progress::new(limit, "messages") };
        let columns = if with_topic { Columns::with_topic() } else { Columns::new(0) };
        Desk { output, columns, progress, limit, consumed: 0, to_fail }
    }

    /// Consumes messages, and returns how many of them; the one behind those has failed. All of it has been handed to
    /// whoever reads it when this returns, so what was printed may be committed.
    pub(super) fn take(&mut self, messages: &[MessageView]) -> Result<usize, Failure> {
        let mut taken = 0;
        for message in messages {
            let whole = self.print(message)?;
            if !whole {
                break;
            }
            taken += 1;
            self.consumed += 1;
            self.progress.advance(1);
        }
        self.output.flush()?;
        Ok(taken)
    }

    /// Prints a message, and returns whether it was consumed by that.
    fn print(&mut self, message: &MessageView) -> Result<bool, Failure> {
        let columns = &mut self.columns;
        if self.to_fail > 0 {
            self.to_fail -= 1;
            self.output.line(&Received::failed(message), || columns.line(message) + "  refused")?;
            return Ok(false);
        }
        self.output.line(&Received::of(message), || columns.line(message))?;
        Ok(message.check_body().is_ok())
    }

    pub(super) fn consumed(&self) -> u64 {
        self.consumed
    }

    /// How many more messages it wants, 1 to `most`.
    pub(super) fn room(&self, most: usize) -> usize {
        let left = self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.consumed));
        usize::try_from(left).unwrap_or(most).clamp(1, most)
    }

    pub(super) fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.consumed >= limit)
    }
}
