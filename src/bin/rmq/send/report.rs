use std::time::Duration;

use rocketmq_blocking::{MessageQueue, SendResult, SendStatus};
use serde_json::Value;

use super::transaction::End;
use super::work::Event;
use crate::failure::{Failure, complain};
use crate::output::{Output, Sent};
use crate::progress::Progress;
use crate::text;

/// More messages than this are only counted for people; JSON has them all.
pub(crate) const LISTED: u64 = 20;

/// Prints what became of the sends, and counts it.
#[derive(Debug)]
pub(super) struct Report<'a> {
    output: &'a mut Output,
    topic: &'a str,
    queue: Option<&'a MessageQueue>,
    end: Option<End>,
    listed: bool,
    progress: Progress,
    tally: Tally,
}

#[derive(Debug, Default)]
struct Tally {
    stored: u64,
    left: u64,
    less_durable: u64,
    maybe_twice: u64,
    failed: u64,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        output: &'a mut Output,
        topic: &'a str,
        queue: Option<&'a MessageQueue>,
        end: Option<End>,
        count: u64,
    ) -> Report<'a> {
        let listed = output.json() || count <= LISTED;
        let scrolls = listed && output.is_terminal();
        let progress = if scrolls { Progress::none() } else { Progress::new(Some(count), "messages") };
        Report { output, topic, queue, end, listed, progress, tally: Tally::default() }
    }

    /// Takes what became of one send; `None` says that nothing more is known now, so that what was printed shows.
    pub(super) fn take(&mut self, event: Option<Event>) -> Result<(), Failure> {
        let Some(Event { first, count, result }) = event else { return self.output.flush() };
        self.progress.advance(count);
        match result {
            Ok(Some(result)) => self.stored(&result, count),
            Ok(None) => self.left(count),
            Err(error) => {
                self.tally.failed += count;
                self.progress.aside(|| complain(&failed(first, count, &error)));
                Ok(())
            }
        }
    }

    fn stored(&mut self, result: &SendResult, count: u64) -> Result<(), Failure> {
        self.tally.stored += count;
        self.tally.less_durable += if result.status() == SendStatus::Ok { 0 } else { count };
        self.tally.maybe_twice += if result.may_be_duplicated() { count } else { 0 };
        if !self.listed {
            return Ok(());
        }
        let (end, end_for_people) = (self.end.map(End::name), self.end.map(End::people));
        Sent::of(result).try_for_each(|sent| {
            let sent = Sent { transaction: end, ..sent };
            self.output.line(&sent, || {
                let twice = if result.may_be_duplicated() { Some("perhaps twice") } else { None };
                let notes = end_for_people.into_iter().chain(twice);
                notes.fold(sent.people(), |line, note| line + "  " + note)
            })
        })
    }

    /// Says something that is not part of the output, on standard error.
    pub(super) fn aside(&self, what: &str) {
        if !self.output.json() {
            self.progress.aside(|| complain(what));
        }
    }

    fn left(&mut self, count: u64) -> Result<(), Failure> {
        self.tally.left += count;
        if !self.listed {
            return Ok(());
        }
        let sent = Sent::oneway(self.topic, self.queue);
        (0..count).try_for_each(|_| self.output.line(&sent, || sent.people()))
    }

    /// Prints the sum for people, when messages were only counted or something failed.
    pub(super) fn finish(self, elapsed: Duration) -> Result<(), Failure> {
        let Report { output, listed, progress, tally, .. } = self;
        drop(progress);
        if !listed || (!output.json() && tally.failed > 0 && tally.stored + tally.left > 0) {
            output.line(&Value::Null, || tally.people(elapsed))?;
        }
        output.flush()?;
        if tally.failed > 0 { Err(Failure::Reported) } else { Ok(()) }
    }
}

impl Tally {
    fn people(&self, elapsed: Duration) -> String {
        let mut parts = Vec::new();
        let done = self.stored + self.left;
        let rate = (done as f64 / elapsed.as_secs_f64().max(1e-9)) as u64;
        for (number, what) in [
            (self.stored, "stored"),
            (self.left, "sent oneway, unanswered"),
            (self.less_durable, "of them less durably than asked for"),
            (self.maybe_twice, "of them perhaps twice"),
            (self.failed, "failed"),
        ] {
            if number > 0 {
                parts.push(format!("{} {what}", text::count(number)));
            }
        }
        if parts.is_empty() {
            parts.push("nothing sent".to_owned());
        }
        format!("{} in {} ({} a second)", parts.join(", "), text::duration(elapsed), text::count(rate))
    }
}

/// Says which messages failed, and what became of them.
fn failed(first: u64, count: u64, why: &str) -> String {
    match count {
        1 => format!("message {first} {why}"),
        _ => format!("messages {first} to {} {why}", first + count - 1),
    }
}
