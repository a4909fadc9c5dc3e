//! The frames that wait to be written to one connection.
//!
//! A queue of frames rather than bytes, so that a frame whose call gave up can be taken out again as long as the kernel
//! has none of it: only then may the call say that nothing was sent.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::byte_queue::ByteQueue;
use super::slot::Slot;

/// Buffers above this size are not kept for reuse.
const KEEP: usize = 1024 * 1024;
/// So many dropped frames are remembered, as many as there can be calls by default. The oldest is forgotten first: a server
/// that answers what it was never sent keeps its caller from asking.
const EXPIRED: usize = 262_144;

/// A frame in the outbox.
#[derive(Debug)]
struct Queued {
    opaque: i32,
    len: usize,
    until: Instant,
    /// Told when the kernel has the whole frame.
    written: Option<Arc<Slot>>,
}

/// Whole frames in the order they were submitted; of the first one, some bytes may be gone already.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    batch: Batch,
    spare: Batch,
    /// Frames dropped because their time was over, until their callers ask.
    expired: BTreeSet<i32>,
}

/// The opaque of a frame that nobody will ask for again: a response to a server's request.
pub(crate) const NOBODY: i32 = i32::MIN;

/// Frames taken out together to be written in one call.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: ByteQueue,
    frames: VecDeque<Queued>,
    /// How much of the first frame the kernel has; these bytes are not in `bytes` any more.
    gone: usize,
}

impl Batch {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// Forgets the first `count` bytes; frames that are complete tell their callers.
    fn advance(&mut self, count: usize) {
        let mut left = self.gone + count;
        while self.frames.front().is_some_and(|first| first.len <= left) {
            if let Some(first) = self.frames.pop_front() {
                left -= first.len;
                if let Some(slot) = first.written {
                    slot.complete_written();
                }
            }
        }
        self.gone = left;
        self.bytes.skip(count);
    }
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.batch.frames.is_empty()
    }

    /// Returns how many frames wait.
    pub(crate) fn count(&self) -> usize {
        self.batch.frames.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.batch.bytes.len()
    }

    pub(crate) fn push(&mut self, opaque: i32, until: Instant, written: Option<Arc<Slot>>, head: &[u8], body: &[u8]) {
        self.batch.bytes.push(head);
        self.batch.bytes.push(body);
        self.batch.frames.push_back(Queued { opaque, len: head.len() + body.len(), until, written });
    }

    /// Takes everything out to be written, but for frames whose time is over: a call that has given up is not to be
    /// carried out later.
    pub(crate) fn take(&mut self) -> Batch {
        self.expire_some();
        std::mem::replace(&mut self.batch, std::mem::take(&mut self.spare))
    }

    /// As [`take`](Outbox::take), only the first frame or what is left of it.
    pub(crate) fn take_first(&mut self) -> Batch {
        self.expire_some();
        let mut first = std::mem::take(&mut self.spare);
        if let Some(frame) = self.batch.frames.pop_front() {
            first.gone = std::mem::take(&mut self.batch.gone);
            let len = frame.len - first.gone;
            first.bytes.push(&self.batch.bytes()[..len]);
            self.batch.bytes.skip(len);
            first.frames.push_back(frame);
        }
        first
    }

    fn expire_some(&mut self) {
        // A frame that is alone was pushed a moment ago, or its caller is about to withdraw it.
        if self.batch.frames.len() > 1 {
            self.expire(Instant::now());
        }
    }

    /// Takes a batch back of which the kernel took `count` bytes: what is left goes before everything newer.
    pub(crate) fn put_back(&mut self, mut batch: Batch, count: usize) {
        batch.advance(count);
        if batch.frames.is_empty() {
            if batch.bytes.capacity() <= KEEP {
                self.spare = batch;
            }
            return;
        }
        batch.frames.append(&mut self.batch.frames);
        if batch.bytes.len() < self.batch.bytes.len() {
            // The first of many: those keep their buffer.
            self.batch.bytes.put_back(batch.bytes());
            batch.bytes.skip(batch.bytes.len());
            std::mem::swap(&mut self.batch.bytes, &mut batch.bytes);
        } else {
            batch.bytes.push(self.batch.bytes());
            self.batch.bytes.skip(self.batch.bytes.len());
        }
        self.spare = std::mem::replace(&mut self.batch, batch);
    }

    /// Takes one frame out, if the kernel has none of it; true as well for one that was dropped in time.
    pub(crate) fn remove(&mut self, opaque: i32) -> bool {
        if self.expired.remove(&opaque) {
            return true;
        }
        let mut start = 0;
        for (index, frame) in self.batch.frames.iter().enumerate() {
            let gone = if index == 0 { self.batch.gone } else { 0 };
            if frame.opaque == opaque {
                if gone > 0 {
                    return false;
                }
                let len = frame.len;
                self.batch.bytes.remove(start..start + len);
                self.batch.frames.remove(index);
                return true;
            }
            start += frame.len - gone;
        }
        false
    }

    /// Drops all frames whose time is over and of which the kernel has nothing.
    pub(crate) fn expire(&mut self, now: Instant) {
        let due = |index: usize, frame: &Queued, gone: usize| frame.until <= now && (index > 0 || gone == 0);
        let batch = &mut self.batch;
        if !batch.frames.iter().enumerate().any(|(index, frame)| due(index, frame, batch.gone)) {
            return;
        }
        let frames = std::mem::take(&mut batch.frames);
        let bytes = std::mem::take(&mut batch.bytes);
        let mut start = 0;
        for (index, frame) in frames.into_iter().enumerate() {
            let len = frame.len - if index == 0 { batch.gone } else { 0 };
            if due(index, &frame, batch.gone) {
                if frame.opaque != NOBODY {
                    self.expired.insert(frame.opaque);
                }
            } else {
                batch.bytes.push(&bytes.as_slice()[start..start + len]);
                batch.frames.push_back(frame);
            }
            start += len;
        }
        while self.expired.len() > EXPIRED {
            self.expired.pop_first();
        }
    }

    /// Gives all frames up; returns the opaques of those of which the kernel has nothing. Callers who wait for theirs to be
    /// written are woken, for nobody else tells them.
    pub(crate) fn abandon(&mut self) -> Vec<i32> {
        let batch = std::mem::take(&mut self.batch);
        let skip = usize::from(batch.gone > 0);
        batch.frames.iter().filter_map(|frame| frame.written.as_ref()).for_each(|slot| slot.wake());
        let mut unsent: Vec<i32> = std::mem::take(&mut self.expired).into_iter().collect();
        unsent.extend(batch.frames.iter().skip(skip).map(|frame| frame.opaque));
        unsent
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn outbox(frames: &[(i32, &str)], until: Instant) -> Outbox {
        let mut outbox = Outbox::default();
        for (opaque, text) in frames {
            outbox.push(*opaque, until, None, text.as_bytes(), b".");
        }
        outbox
    }

    #[test]
    fn what_the_kernel_did_not_take_goes_first_again() {
        let now = Instant::now() + Duration::from_secs(60);
        let mut outbox = outbox(&[(1, "aa"), (2, "bb")], now);
        let batch = outbox.take();
        outbox.push(3, now, None, b"cc", b".");
        outbox.put_back(batch, 4);
        assert_eq!(outbox.take().bytes(), b"b.cc.");
    }

    #[test]
    fn a_frame_is_taken_out_only_while_the_kernel_has_nothing_of_it() {
        let now = Instant::now() + Duration::from_secs(60);
        let mut outbox = outbox(&[(1, "aa"), (2, "bb"), (3, "cc")], now);
        let batch = outbox.take();
        assert!(!outbox.remove(2), "it is in the hands of who writes");
        outbox.put_back(batch, 1);
        assert!(!outbox.remove(1), "its first byte is gone");
        assert!(outbox.remove(2));
        assert!(!outbox.remove(2));
        assert_eq!(outbox.take().bytes(), b"a.cc.");
    }

    #[test]
    fn of_the_first_frame_alone_the_others_stay_where_they_can_be_taken_out() {
        let now = Instant::now() + Duration::from_secs(60);
        let mut outbox = outbox(&[(1, "aa"), (2, "bb"), (3, "cc")], now);
        let batch = outbox.take();
        outbox.put_back(batch, 1);
        for (count, left) in [(0, "a."), (1, "a."), (0, ".")] {
            let first = outbox.take_first();
            outbox.push(9, now, None, b"newer", b"");
            assert!(outbox.remove(9) && !outbox.remove(1));
            outbox.put_back(first, count);
            assert_eq!((outbox.count(), outbox.len()), (3, left.len() - count + 6));
        }
        let first = outbox.take_first();
        assert!(outbox.remove(2));
        outbox.put_back(first, 1);
        assert_eq!(outbox.take_first().bytes(), b"cc.");
        assert!(outbox.is_empty());
        assert!(outbox.take_first().bytes().is_empty());
    }

    #[test]
    fn expired_frames_are_dropped_but_never_one_that_is_partly_written() {
        let now = Instant::now() + Duration::from_secs(60);
        let later = now + Duration::from_secs(1);
        let mut outbox = outbox(&[(1, "aa"), (2, "bb")], now);
        outbox.push(3, later, None, b"cc", b".");
        let batch = outbox.take();
        outbox.put_back(batch, 2);
        outbox.expire(now);
        assert_eq!(outbox.len(), 1 + 3);
        assert!(outbox.remove(2), "it was dropped, so nothing of it was sent");
        assert!(!outbox.remove(2));
        assert_eq!(outbox.abandon(), [3], "the first is partly written");
    }

    #[test]
    fn dropped_frames_that_nobody_asks_for_are_forgotten_the_oldest_first() {
        let (now, mut outbox) = (Instant::now(), Outbox::default());
        let last = i32::try_from(EXPIRED).unwrap() + 1;
        for opaque in 0..=last {
            outbox.push(opaque, now, None, b"a", b"");
        }
        outbox.expire(now);
        assert_eq!([0, 1, 2, last].map(|opaque| outbox.remove(opaque)), [false, false, true, true]);
        assert_eq!(outbox.abandon().len(), EXPIRED - 2);
    }

    #[test]
    fn a_full_write_leaves_nothing() {
        let now = Instant::now() + Duration::from_secs(60);
        let mut outbox = outbox(&[(1, "aa"), (2, "bb")], now);
        let batch = outbox.take();
        let len = batch.bytes().len();
        outbox.put_back(batch, len);
        assert!(outbox.is_empty());
        assert!(outbox.abandon().is_empty());
    }
}
