//! The writer thread: gathers the frames of all callers and writes them together.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::connection::{Connection, Out, Phase};
use super::ending::Loss;
use super::outbox::Batch;
use super::sync::{self, thread};

/// How often the writer gives others the processor before it sleeps: callers that were just answered ask again at once.
const YIELDS: u32 = sync::yields(4);
/// With fewer frames than this the writer waits a moment for more.
const FEW: usize = 4;

impl Out {
    /// Moves on, unless the connection has ended meanwhile.
    pub(super) fn phase_to(&mut self, phase: Phase) {
        if self.phase != Phase::Gone {
            self.phase = phase;
        }
    }
}

impl Connection {
    /// The writer thread.
    pub(super) fn run_writer(&self) {
        while let Some(batch) = self.next_batch() {
            self.write(batch);
        }
    }

    /// Waits for frames and takes them; `None` when the connection is gone or drained.
    fn next_batch(&self) -> Option<Batch> {
        let (mut yields, mut gathered) = (0, false);
        let mut out = self.out();
        loop {
            // The phase says so later, and what cannot be written would be tried again and again until then.
            if self.is_gone() {
                return None;
            }
            match out.phase {
                Phase::Open | Phase::Draining if !out.busy => {
                    if let Some(since) = out.stalled_since {
                        let now = Instant::now();
                        out.outbox.expire(now);
                        self.tell_of_room(&mut out);
                        let stalled = now.saturating_duration_since(since) >= self.options.stall_limit;
                        if stalled && !out.is_written() {
                            drop(out);
                            let limit = self.options.stall_limit;
                            self.lose(Loss::Lost(format!("the server has read nothing for {limit:?}").into()));
                            return None;
                        }
                    }
                    if !out.outbox.is_empty() && !gathered && out.outbox.count() < FEW && self.is_crowded() {
                        // Callers that were answered together ask again together: let them all get their frames in.
                        gathered = true;
                        drop(out);
                        thread::yield_now();
                        out = self.out();
                        continue;
                    }
                    if !out.is_written() {
                        let batch = out.take();
                        // All of it may have been given up meanwhile.
                        if !batch.bytes().is_empty() || out.backlog > 0 {
                            out.busy = true;
                            return Some(batch);
                        }
                        out.outbox.put_back(batch, 0);
                        self.tell_of_room(&mut out);
                    }
                    if out.phase == Phase::Draining && self.pending.in_flight() == 0 {
                        drop(out);
                        self.lose(Loss::Closed);
                        return None;
                    }
                }
                _ => {}
            }
            if yields < YIELDS {
                yields += 1;
                drop(out);
                thread::yield_now();
                out = self.out();
                continue;
            }
            out.writer_sleeps = true;
            out = self.work.wait(out).unwrap_or_else(PoisonError::into_inner);
            out.writer_sleeps = false;
            yields = 0;
        }
    }

    fn is_crowded(&self) -> bool {
        !self.lone.load(Ordering::Relaxed)
    }
}
