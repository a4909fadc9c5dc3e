//! The queue between those who have callbacks to run and the threads that run them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::timers::Job;

/// How often a thread without work gives the processor to others before it sleeps: answers come in bursts.
const YIELDS: u32 = 4;

/// Jobs in the order they came, for several threads. Waking a thread costs more than most jobs, so one is woken at a time,
/// and it wakes the next when there is work for two.
#[derive(Default)]
pub(super) struct JobQueue {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    sleeping: usize,
    /// Woken threads that have not looked yet.
    waking: usize,
    ended: bool,
}

impl State {
    /// Whether to wake one more thread.
    fn wakes(&mut self) -> bool {
        let wakes = !self.jobs.is_empty() && self.sleeping > self.waking && self.waking == 0;
        self.waking += usize::from(wakes);
        wakes
    }
}

impl JobQueue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job; returns how many wait.
    pub(super) fn push(&self, job: Job) -> usize {
        let mut state = self.lock();
        state.jobs.push_back(job);
        let (waiting, wakes) = (state.jobs.len(), state.wakes());
        drop(state);
        if wakes {
            self.work.notify_one();
        }
        waiting
    }

    /// Waits for a job; `None` once the queue has ended and is empty.
    pub(super) fn next(&self) -> Option<Job> {
        let mut yields = 0;
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                let wakes = state.wakes();
                drop(state);
                if wakes {
                    self.work.notify_one();
                }
                return Some(job);
            }
            if state.ended {
                return None;
            }
            if yields < YIELDS {
                yields += 1;
                drop(state);
                std::thread::yield_now();
                state = self.lock();
                continue;
            }
            state.sleeping += 1;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.sleeping -= 1;
            state.waking = state.waking.saturating_sub(1);
            yields = 0;
        }
    }

    pub(super) fn try_next(&self) -> Option<Job> {
        self.lock().jobs.pop_front()
    }

    /// Lets the threads end once they have run what is queued.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.work.notify_all();
    }

    pub(super) fn len(&self) -> usize {
        self.lock().jobs.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_job_that_blocks_does_not_keep_the_others_from_running() {
        let queue = Arc::new(JobQueue::default());
        let (release, blocked) = crossbeam_channel::bounded::<()>(0);
        let (done, finished) = crossbeam_channel::unbounded();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                std::thread::spawn(move || {
                    while let Some(job) = queue.next() {
                        job()
                    }
                })
            })
            .collect();
        queue.push(Box::new(move || drop(blocked.recv())));
        for number in 0..100 {
            let done = done.clone();
            queue.push(Box::new(move || done.send(number).unwrap()));
        }
        for number in 0..100 {
            assert_eq!(finished.recv_timeout(Duration::from_secs(5)), Ok(number));
        }
        drop(release);
        queue.end();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn what_is_queued_at_the_end_is_still_run() {
        let queue = JobQueue::default();
        queue.push(Box::new(|| ()));
        queue.end();
        assert!(queue.next().is_some());
        assert!(queue.next().is_none());
        assert!(queue.try_next().is_none() && queue.len() == 0);
    }
}
