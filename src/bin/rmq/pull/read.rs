use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, at, never, select, tick, unbounded};
use rocketmq_blocking::{Error, Filter, MessageView, PullConsumer, PullResult};

use super::cursor::Cursor;
use crate::failure::{Failure, complain, explain};
use crate::interrupt::Interrupt;

/// Where messages go.
pub(crate) trait Sink {
    fn take(&mut self, message: &MessageView) -> Result<(), Failure>;

    /// How many it has counted so far.
    fn count(&self) -> u64;

    /// How many it shall count; `None` when there is no end.
    fn limit(&self) -> Option<u64>;

    /// Shows what was printed so far, because nothing more comes at the moment.
    fn flush(&mut self) -> Result<(), Failure>;

    fn is_full(&self) -> bool {
        self.limit().is_some_and(|limit| self.count() >= limit)
    }

    /// How many more messages it wants, 1 to `most`.
    fn room(&self, most: usize) -> usize {
        let left = self.limit().map_or(u64::MAX, |limit| limit.saturating_sub(self.count()));
        usize::try_from(left).unwrap_or(most).clamp(1, most)
    }
}

/// Messages of one pull, which brokers do not exceed by default.
const MAX: usize = 32;

/// The longest time a broker is asked to hold a pull; then it is asked again.
const LONGEST_HOLD: Duration = Duration::from_secs(20);

/// How often a topic that is followed is looked at: for new queues, and for those that failed.
const LOOK: Duration = Duration::from_secs(3);

/// The number of a queue, and what its broker said.
type Answer = (usize, Result<PullResult, Error>);

/// What happens next.
enum Next {
    Answer(Answer),
    Look,
    End,
}

/// Reads all queues at the same time: one asynchronous pull of each is under way.
#[derive(Debug)]
pub(crate) struct Read<'a> {
    pub(crate) consumer: &'a PullConsumer,
    pub(crate) filter: Filter,
    pub(crate) wait: Duration,
    pub(crate) commit: bool,
    pub(crate) interrupt: &'a Interrupt,
    /// The topic to follow: its new queues are read as well, and a queue that fails is tried again.
    pub(crate) follow: Option<&'a str>,
}

impl Read<'_> {
    /// Reads until the sink is full, nothing came for long enough, or the user interrupts.
    pub(crate) fn run(&self, cursors: &mut Vec<Cursor>, sink: &mut impl Sink) -> Result<(), Failure> {
        // There is at most one answer for each queue.
        let (answers, arrived) = unbounded();
        let looks = if self.follow.is_some() { tick(LOOK) } else { never() };
        for (index, cursor) in cursors.iter().enumerate() {
            self.ask(index, cursor, sink, &answers);
        }
        let mut quiet_since = None;
        while !sink.is_full() && (self.follow.is_some() || !cursors.iter().all(Cursor::has_failed)) {
            if !cursors.iter().all(Cursor::at_end) {
                quiet_since = None;
            } else if quiet_since.is_none() {
                quiet_since = Some(Instant::now());
            }
            let ends = quiet_since.map(|since| since + self.wait);
            let (index, answer) = match self.next(&arrived, &looks, ends, sink)? {
                Next::Answer(answer) => answer,
                Next::Look => {
                    self.look(cursors).into_iter().for_each(|index| self.ask(index, &cursors[index], sink, &answers));
                    continue;
                }
                Next::End => break,
            };
            let (cursor, before) = (&mut cursors[index], sink.count());
            self.take(cursor, answer, sink)?;
            if sink.count() > before {
                quiet_since = None;
            }
            let more = !cursor.at_end() || !self.wait.is_zero();
            if more && !sink.is_full() && !cursor.has_failed() {
                self.ask(index, cursor, sink, &answers);
            }
        }
        sink.flush()
    }

    /// Waits for an answer of any queue, the time to look again, the end of the time, or the user's interrupt.
    fn next(
        &self,
        arrived: &Receiver<Answer>,
        looks: &Receiver<Instant>,
        ends: Option<Instant>,
        sink: &mut impl Sink,
    ) -> Result<Next, Failure> {
        if self.interrupt.happened() {
            return Ok(Next::End);
        }
        if looks.try_recv().is_ok() {
            return Ok(Next::Look);
        }
        if let Ok(answer) = arrived.try_recv() {
            return Ok(Next::Answer(answer));
        }
        sink.flush()?;
        let over = ends.map_or_else(never, at);
        Ok(select! {
            recv(arrived) -> answer => answer.map_or(Next::End, Next::Answer),
            recv(looks) -> _ => Next::Look,
            recv(self.interrupt.signal()) -> _ => Next::End,
            recv(over) -> _ => Next::End,
        })
    }

    /// Returns the queues that are to be asked: those that are new, read from their first message on, and those that failed.
    fn look(&self, cursors: &mut Vec<Cursor>) -> Vec<usize> {
        let failed = |(index, cursor): (usize, &mut Cursor)| cursor.try_again().then_some(index);
        let mut asked: Vec<usize> = cursors.iter_mut().enumerate().filter_map(failed).collect();
        // What cannot be told now will be told by the next look.
        let queues = self.follow.and_then(|topic| self.consumer.fetch_queues(topic).ok()).unwrap_or_default();
        for queue in queues {
            if cursors.iter().any(|cursor| *cursor.queue() == queue) {
                continue;
            }
            if let Ok(first) = self.consumer.min_offset(&queue) {
                asked.push(cursors.len());
                cursors.push(Cursor::new(queue, first));
            }
        }
        asked
    }

    /// Asks for the next messages of a queue. At its end the broker waits for one.
    fn ask(&self, index: usize, cursor: &Cursor, sink: &impl Sink, answers: &Sender<Answer>) {
        let hold = if cursor.at_end() { self.wait.min(LONGEST_HOLD) } else { Duration::ZERO };
        let pull = self.consumer.prepare_pull(cursor.queue(), cursor.offset());
        let pull = pull.filter(&self.filter).max(sink.room(MAX)).wait(hold);
        let answer = answers.clone();
        // Nobody takes an answer that comes after the end.
        let asked = pull.fetch_async(move |result| drop(answer.try_send((index, result))));
        if let Err(error) = asked {
            let _ = answers.try_send((index, Err(error)));
        }
    }

    fn take(
        &self,
        cursor: &mut Cursor,
        answer: Result<PullResult, Error>,
        sink: &mut impl Sink,
    ) -> Result<(), Failure> {
        let result = match answer {
            Ok(result) => result,
            Err(error) => {
                if cursor.fail() {
                    complain(&format!("{}: {}", cursor.queue(), explain(&error)));
                }
                return Ok(());
            }
        };
        for message in result.messages() {
            if sink.is_full() {
                return Ok(());
            }
            sink.take(message)?;
            cursor.pass(message.queue_offset());
        }
        if !cursor.follow(&result) {
            if cursor.fail() {
                complain(&format!("{}: the queue has no offset its broker names, {result}", cursor.queue()));
            }
        } else if self.commit && cursor.at_end() {
            sink.flush()?;
            cursor.commit(self.consumer)?;
        }
        Ok(())
    }
}
