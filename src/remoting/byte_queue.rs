//! Bytes that leave at the front, and of which some may come back there.

use std::ops::Range;

/// Room at the front that is kept however little is behind it.
const KEEP: usize = 64 * 1024;

/// Bytes in one piece. Taking some off the front moves nothing, and putting the same back neither: a server that reads slowly has
/// megabytes wait behind what it takes.
#[derive(Debug, Default)]
pub(super) struct ByteQueue {
    bytes: Vec<u8>,
    /// Where the first byte is; before it is room.
    start: usize,
}

impl ByteQueue {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Of the buffer, with the room at the front.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn push(&mut self, more: &[u8]) {
        self.bytes.extend_from_slice(more);
    }

    /// Forgets the first `count` bytes.
    pub(super) fn skip(&mut self, count: usize) {
        self.start += count;
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        } else if self.start > KEEP.max(self.len()) {
            // As much was skipped before as is moved now.
            drop(self.bytes.drain(..self.start));
            self.start = 0;
        }
    }

    pub(super) fn put_back(&mut self, front: &[u8]) {
        match self.start.checked_sub(front.len()) {
            Some(start) => {
                self.bytes[start..self.start].copy_from_slice(front);
                self.start = start;
            }
            None => {
                self.bytes.splice(..self.start, front.iter().copied());
                self.start = 0;
            }
        }
    }

    pub(super) fn remove(&mut self, range: Range<usize>) {
        drop(self.bytes.drain(self.start + range.start..self.start + range.end));
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    #[test]
    fn it_holds_what_a_plain_vector_would() {
        let mut random = Rng::with_seed(5);
        let (mut queue, mut plain) = (ByteQueue::default(), Vec::new());
        for step in 0..3_000 {
            let len = random.usize(..4 * KEEP / 3);
            match random.u8(..5) {
                0 | 1 => {
                    let more = vec![step as u8; len];
                    queue.push(&more);
                    plain.extend_from_slice(&more);
                }
                2 | 3 => {
                    let taken = plain.drain(..len.min(plain.len())).collect::<Vec<u8>>();
                    queue.skip(taken.len());
                    let back = &taken[random.usize(..=taken.len())..];
                    queue.put_back(back);
                    plain.splice(..0, back.iter().copied());
                }
                _ => {
                    let end = random.usize(..=plain.len());
                    let range = random.usize(..=end)..end;
                    queue.remove(range.clone());
                    plain.drain(range);
                }
            }
            assert!(queue.as_slice() == plain && queue.len() == plain.len());
        }
    }

    #[test]
    fn what_leaves_a_little_at_a_time_is_moved_seldom() {
        let mut queue = ByteQueue::default();
        queue.push(&vec![7; 64 << 20]);
        let (mut moved, mut at) = (0, queue.as_slice().as_ptr());
        while queue.len() > 0 {
            let count = queue.len().min(1000);
            queue.skip(count);
            queue.put_back(&[8; 100][..count.min(100)]);
            queue.skip(count.min(100));
            let now = queue.as_slice().as_ptr();
            moved += if now < at { queue.len() } else { 0 };
            at = now;
        }
        assert!(moved <= 64 << 20, "{moved}");
        queue.push(b"again");
        assert_eq!(queue.as_slice(), b"again");
    }
}
