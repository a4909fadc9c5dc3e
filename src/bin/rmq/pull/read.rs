use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, at, bounded, never, select};
use rocketmq_blocking::{Error, Filter, PullConsumer, PullResult};

use super::cursor::Cursor;
use super::page::Page;
use crate::failure::{Failure, complain, explain};
use crate::interrupt::Interrupt;

/// Messages of one pull, which brokers do not exceed by default.
const MAX: usize = 32;

/// The longest time a broker is asked to hold a pull; then it is asked again.
const LONGEST_HOLD: Duration = Duration::from_secs(20);

/// The number of a queue, and what its broker said.
type Answer = (usize, Result<PullResult, Error>);

/// Reads all queues at the same time: one asynchronous pull of each is under way.
#[derive(Debug)]
pub(super) struct Read<'a> {
    pub(super) consumer: &'a PullConsumer,
    pub(super) filter: Filter,
    pub(super) wait: Duration,
    pub(super) commit: bool,
    pub(super) interrupt: &'a Interrupt,
}

impl Read<'_> {
    /// Reads until the page is full, nothing came for long enough, or the user interrupts.
    pub(super) fn run(&self, cursors: &mut [Cursor], page: &mut Page<'_>) -> Result<(), Failure> {
        // There is at most one answer for each queue, so callbacks never wait here.
        let (answers, arrived) = bounded(cursors.len().max(1));
        for (index, cursor) in cursors.iter().enumerate() {
            self.ask(index, cursor, page, &answers);
        }
        let mut quiet_since = None;
        while !page.is_full() && !cursors.iter().all(Cursor::has_failed) {
            if !cursors.iter().all(Cursor::at_end) {
                quiet_since = None;
            } else if quiet_since.is_none() {
                quiet_since = Some(Instant::now());
            }
            let ends = quiet_since.map(|since| since + self.wait);
            let Some((index, answer)) = self.next(&arrived, ends, page)? else { break };
            let (cursor, before) = (&mut cursors[index], page.count());
            self.take(cursor, answer, page)?;
            if page.count() > before {
                quiet_since = None;
            }
            let more = !cursor.at_end() || !self.wait.is_zero();
            if more && !page.is_full() && !cursor.has_failed() {
                self.ask(index, cursor, page, &answers);
            }
        }
        page.flush()
    }

    /// Waits for an answer of any queue; `None` when the time is over, or the user interrupts.
    fn next(
        &self,
        arrived: &Receiver<Answer>,
        ends: Option<Instant>,
        page: &mut Page<'_>,
    ) -> Result<Option<Answer>, Failure> {
        if self.interrupt.happened() {
            return Ok(None);
        }
        if let Ok(answer) = arrived.try_recv() {
            return Ok(Some(answer));
        }
        page.flush()?;
        let over = ends.map_or_else(never, at);
        Ok(select! {
            recv(arrived) -> answer => answer.ok(),
            recv(self.interrupt.signal()) -> _ => None,
            recv(over) -> _ => None,
        })
    }

    /// Asks for the next messages of a queue. At its end the broker waits for one.
    fn ask(&self, index: usize, cursor: &Cursor, page: &Page<'_>, answers: &Sender<Answer>) {
        let hold = if cursor.at_end() { self.wait.min(LONGEST_HOLD) } else { Duration::ZERO };
        let pull = self.consumer.prepare_pull(cursor.queue(), cursor.offset());
        let pull = pull.filter(&self.filter).max(page.room(MAX)).wait(hold);
        let answer = answers.clone();
        // Nobody takes an answer that comes after the end.
        let asked = pull.fetch_async(move |result| drop(answer.try_send((index, result))));
        if let Err(error) = asked {
            let _ = answers.try_send((index, Err(error)));
        }
    }

    fn take(&self, cursor: &mut Cursor, answer: Result<PullResult, Error>, page: &mut Page<'_>) -> Result<(), Failure> {
        let result = match answer {
            Ok(result) => result,
            Err(error) => {
                cursor.fail();
                complain(&format!("{}: {}", cursor.queue(), explain(&error)));
                return Ok(());
            }
        };
        for message in result.messages() {
            if page.is_full() {
                return Ok(());
            }
            page.print(message)?;
            cursor.pass(message.queue_offset());
        }
        if !cursor.follow(&result) {
            cursor.fail();
            complain(&format!("{}: the queue has no offset its broker names, {result}", cursor.queue()));
        } else if self.commit && cursor.at_end() {
            page.flush()?;
            cursor.commit(self.consumer)?;
        }
        Ok(())
    }
}
