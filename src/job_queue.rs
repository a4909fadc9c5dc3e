//! The queue between those who have callbacks or listeners to run and the threads that run them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Jobs in the order they came, for several threads. Waking a thread costs more than most jobs, so one is woken at a time,
/// and it wakes the next when there is work for two.
pub(crate) struct JobQueue<T> {
    state: Mutex<State<T>>,
    work: Condvar,
    yields: u32,
}

struct State<T> {
    jobs: VecDeque<T>,
    sleeping: usize,
    /// Woken threads that have not looked yet.
    waking: usize,
    ended: bool,
}

impl<T> State<T> {
    /// Whether to wake one more thread.
    fn wakes(&mut self) -> bool {
        let wakes = !self.jobs.is_empty() && self.sleeping > self.waking && self.waking == 0;
        self.waking += usize::from(wakes);
        wakes
    }
}

impl<T> JobQueue<T> {
    /// A thread without work gives the processor to others so many times before it sleeps: worth it where jobs are small and
    /// come in bursts.
    pub(crate) fn new(yields: u32) -> JobQueue<T> {
        let state = State { jobs: VecDeque::new(), sleeping: 0, waking: 0, ended: false };
        JobQueue { state: Mutex::new(state), work: Condvar::new(), yields }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job; returns how many wait.
    pub(crate) fn push(&self, job: T) -> usize {
        let mut state = self.lock();
        state.jobs.push_back(job);
        let (waiting, wakes) = (state.jobs.len(), state.wakes());
        drop(state);
        if wakes {
            self.work.notify_one();
        }
        waiting
    }

    /// Adds a job for the calling thread, which asks for its next one when it has returned: nobody is woken.
    pub(crate) fn push_for_this_thread(&self, job: T) {
        self.lock().jobs.push_back(job);
    }

    /// Waits for a job; `None` once the queue has ended and is empty.
    pub(crate) fn next(&self) -> Option<T> {
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
            if yields < self.yields {
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

    pub(crate) fn try_next(&self) -> Option<T> {
        self.lock().jobs.pop_front()
    }

    /// Lets the threads end once they have run what is queued.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.work.notify_all();
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().jobs.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use crossbeam_channel::RecvTimeoutError;

    use super::*;

    type Job = Box<dyn FnOnce() + Send>;

    #[test]
    fn a_job_that_blocks_does_not_keep_the_others_from_running() {
        let queue: Arc<JobQueue<Job>> = Arc::new(JobQueue::new(4));
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
        queue.push(Box::new(move || {
            let _ = blocked.recv();
        }));
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
        let queue = JobQueue::new(0);
        queue.push(1);
        queue.end();
        assert_eq!((queue.next(), queue.next()), (Some(1), None));
        assert!(queue.try_next().is_none() && queue.len() == 0);
    }

    #[test]
    fn a_thread_that_leaves_a_job_to_itself_wakes_nobody_and_takes_it_after_those_before_it() {
        let queue: Arc<JobQueue<u8>> = Arc::new(JobQueue::new(0));
        let (taken, seen) = crossbeam_channel::unbounded();
        let sleeper = std::thread::spawn({
            let queue = queue.clone();
            move || {
                while let Some(job) = queue.next() {
                    taken.send(job).unwrap();
                }
            }
        });
        while queue.lock().sleeping == 0 {
            std::thread::yield_now();
        }
        queue.push_for_this_thread(1);
        queue.push_for_this_thread(2);
        assert_eq!(seen.recv_timeout(Duration::from_millis(50)), Err(RecvTimeoutError::Timeout));
        assert_eq!(queue.next(), Some(1));
        assert_eq!(seen.recv_timeout(Duration::from_secs(5)), Ok(2), "there was work for two");
        queue.end();
        sleeper.join().unwrap();
    }
}
