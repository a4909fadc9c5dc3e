//! The messages of one queue in memory, and how far the queue is finished. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::message::MessageView;

/// What became of a message so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A listener is to get it.
    Waiting,
    /// A listener has it.
    Running { since: Instant },
    /// It failed, and is being handed to the broker for a later delivery.
    Returning,
    /// Only its place is kept, until everything before it is finished.
    Finished,
}

#[derive(Debug)]
struct Entry {
    offset: i64,
    /// `None` once it is finished.
    message: Option<MessageView>,
    state: State,
    /// How often it was given back here, beyond what the broker counted.
    repeats: i32,
}

/// Bounds beyond which a queue is not pulled until some of its messages are finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    /// From the first unfinished offset to the last one that was pulled; `None` for orderly consumption.
    pub(crate) span: Option<i64>,
}

/// Which bound is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    Messages,
    Bytes,
    Span,
}

/// Messages between being pulled and being finished, in the order of their offsets.
#[derive(Debug)]
pub(crate) struct ProcessQueue {
    /// By offset; the first one is unfinished.
    entries: VecDeque<Entry>,
    /// How many of them are unfinished.
    len: usize,
    /// Offsets of the waiting ones, ascending.
    waiting: VecDeque<i64>,
    bytes: usize,
    running: usize,
    /// Where to pull next: everything before was put here, or passed because no filter wants it.
    next_offset: i64,
    /// The last message that was put here, finished or not.
    last: i64,
}

impl ProcessQueue {
    pub(crate) fn new(next_offset: i64) -> ProcessQueue {
        let (entries, waiting) = (VecDeque::new(), VecDeque::new());
        ProcessQueue { entries, len: 0, waiting, bytes: 0, running: 0, next_offset, last: next_offset }
    }

    /// Adds what was pulled, and moves on to `next_offset`. What is here already stays as it is.
    pub(crate) fn put(&mut self, messages: Vec<MessageView>, next_offset: i64) {
        for message in messages {
            let offset = message.queue_offset();
            if offset < self.next_offset {
                continue;
            }
            let at = place(&self.entries, offset, |entry| entry.offset);
            if self.entries.get(at).is_some_and(|entry| entry.offset == offset) {
                continue;
            }
            self.last = self.last.max(offset);
            self.bytes += message.body().len();
            self.len += 1;
            let message = Some(message);
            self.entries.insert(at, Entry { offset, message, state: State::Waiting, repeats: 0 });
            self.await_listener(offset);
        }
        self.next_offset = self.next_offset.max(next_offset);
    }

    /// Where the entry of an unfinished message is.
    fn position(&self, offset: i64) -> Option<usize> {
        let from_first = usize::try_from(offset.checked_sub(self.entries.front()?.offset)?).ok()?;
        // Most queues have no gaps.
        let near = self.entries.get(from_first).is_some_and(|entry| entry.offset == offset);
        let at =
            if near { from_first } else { self.entries.binary_search_by_key(&offset, |entry| entry.offset).ok()? };
        (self.entries[at].state != State::Finished).then_some(at)
    }

    fn entry(&self, offset: i64) -> Option<&Entry> {
        self.entries.get(self.position(offset)?)
    }

    fn entry_mut(&mut self, offset: i64) -> Option<&mut Entry> {
        let at = self.position(offset)?;
        self.entries.get_mut(at)
    }

    fn await_listener(&mut self, offset: i64) {
        let at = place(&self.waiting, offset, |waiting| *waiting);
        self.waiting.insert(at, offset);
    }

    /// Hands out up to `max` waiting messages, those with the lowest offsets. One whose body is damaged comes alone, so that
    /// the others do not fail with it.
    pub(crate) fn take(&mut self, max: usize, now: Instant) -> Vec<MessageView> {
        let is_damaged = |offset: &i64| self.message(*offset).is_some_and(|message| message.check_body().is_err());
        let count = match self.waiting.iter().take(max).position(is_damaged) {
            Some(first) => first.max(1),
            None => max.min(self.waiting.len()),
        };
        let mut taken = Vec::with_capacity(count);
        for _ in 0..count {
            let Some(offset) = self.waiting.pop_front() else { break };
            let Some(entry) = self.entry_mut(offset) else { continue };
            entry.state = State::Running { since: now };
            taken.extend(entry.message.clone());
        }
        self.running += taken.len();
        taken
    }

    /// A message needs nothing more: it was consumed, or the broker has taken it back.
    pub(crate) fn finish(&mut self, offset: i64) {
        let Some(entry) = self.entry_mut(offset) else { return };
        let former = std::mem::replace(&mut entry.state, State::Finished);
        let message = entry.message.take();
        self.bytes -= message.map_or(0, |message| message.body().len());
        self.len -= 1;
        self.leave(offset, former);
        while self.entries.front().is_some_and(|entry| entry.state == State::Finished) {
            self.entries.pop_front();
        }
    }

    /// A listener is to get the message again; returns how often it was given back here.
    pub(crate) fn give_back(&mut self, offset: i64) -> Option<i32> {
        let entry = self.entry_mut(offset)?;
        let former = std::mem::replace(&mut entry.state, State::Waiting);
        entry.repeats += 1;
        let repeats = entry.repeats;
        self.leave(offset, former);
        self.await_listener(offset);
        Some(repeats)
    }

    /// The broker is to get the message back; until it has it, the message is unfinished.
    pub(crate) fn hand_back(&mut self, offset: i64) -> Option<MessageView> {
        let entry = self.entry_mut(offset)?;
        let former = std::mem::replace(&mut entry.state, State::Returning);
        let message = entry.message.clone();
        self.leave(offset, former);
        message
    }

    fn leave(&mut self, offset: i64, state: State) {
        match state {
            State::Running { .. } => self.running -= 1,
            State::Waiting => self.waiting.retain(|waiting| *waiting != offset),
            State::Returning | State::Finished => {}
        }
    }

    /// The messages that listeners have had for longer than `limit`, lowest offset first.
    pub(crate) fn overdue(&self, limit: Duration, now: Instant) -> Vec<i64> {
        let is_overdue = |entry: &Entry| match entry.state {
            State::Running { since } => now.saturating_duration_since(since) >= limit,
            _ => false,
        };
        self.entries.iter().filter(|entry| is_overdue(entry)).map(|entry| entry.offset).collect()
    }

    /// Since when the listener that has been at it longest has had its message.
    pub(crate) fn oldest_running(&self) -> Option<Instant> {
        let since = |entry: &Entry| match entry.state {
            State::Running { since } => Some(since),
            _ => None,
        };
        self.entries.iter().filter_map(since).min()
    }

    /// Since when a listener has had this message.
    pub(crate) fn running_since(&self, offset: i64) -> Option<Instant> {
        match self.entry(offset)?.state {
            State::Running { since } => Some(since),
            _ => None,
        }
    }

    /// Whether a listener still has this message, and nothing was decided about it meanwhile.
    pub(crate) fn is_running(&self, offset: i64) -> bool {
        self.entry(offset).is_some_and(|entry| matches!(entry.state, State::Running { .. }))
    }

    pub(crate) fn message(&self, offset: i64) -> Option<&MessageView> {
        self.entry(offset)?.message.as_ref()
    }

    /// Where the group would go on if this client stopped now: the lowest offset that is not finished.
    pub(crate) fn commit_offset(&self) -> i64 {
        self.entries.front().map_or(self.next_offset, |first| first.offset)
    }

    pub(crate) fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Which bound keeps the queue from being pulled. As in Java a bound is exceeded, not only reached.
    pub(crate) fn full(&self, limits: &Limits) -> Option<Full> {
        if self.len > limits.messages {
            return Some(Full::Messages);
        }
        if self.bytes > limits.bytes {
            return Some(Full::Bytes);
        }
        // Counted to the last one that came, which Java forgets when it is finished: there, one stuck message lets any number
        // run ahead, all of which come again after a crash.
        let span = self.entries.front().map_or(0, |first| self.last - first.offset);
        limits.span.is_some_and(|limit| span > limit).then_some(Full::Span)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many messages listeners have.
    pub(crate) fn running(&self) -> usize {
        self.running
    }
}

/// Where an offset belongs: nearly always at the end, because brokers send messages in order.
fn place<T>(sorted: &VecDeque<T>, offset: i64, offset_of: impl Fn(&T) -> i64) -> usize {
    match sorted.back() {
        Some(last) if offset_of(last) >= offset => sorted.partition_point(|one| offset_of(one) < offset),
        _ => sorted.len(),
    }
}

#[cfg(test)]
mod tests;
