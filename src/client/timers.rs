//! One-shot jobs by time: a pure heap, and the shared half of it that the scheduler's thread waits on.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering as Memory};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Jobs in the order of their times; those of one instant in the order they were added.
#[derive(Debug)]
pub(super) struct TimerHeap<J> {
    heap: BinaryHeap<Timer<J>>,
    added: u64,
}

#[derive(Debug)]
struct Timer<J> {
    at: Instant,
    number: u64,
    job: J,
}

impl<J> Ord for Timer<J> {
    /// The earliest is the greatest, because the heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<J> PartialOrd for Timer<J> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<J> PartialEq for Timer<J> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<J> Eq for Timer<J> {}

impl<J> TimerHeap<J> {
    pub(super) fn new() -> TimerHeap<J> {
        TimerHeap { heap: BinaryHeap::new(), added: 0 }
    }

    pub(super) fn push(&mut self, at: Instant, job: J) {
        self.heap.push(Timer { at, number: self.added, job });
        self.added += 1;
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|timer| timer.at)
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<J> {
        if self.next_at()? > now {
            return None;
        }
        self.heap.pop().map(|timer| timer.job)
    }

    pub(super) fn pop(&mut self) -> Option<J> {
        self.heap.pop().map(|timer| timer.job)
    }
}

/// What the scheduler's thread does next.
pub(super) enum Step {
    Run(Job),
    /// The connections want to be looked after.
    Tick,
    Wait(Instant),
    Stop,
}

/// Jobs for the scheduler's thread. Adding one never blocks.
pub(crate) struct Timers {
    state: Mutex<State>,
    wake: Sender<()>,
    woken: Receiver<()>,
    created: Instant,
    /// `tick_at` in nanoseconds from `created`, to be looked at without the lock: every asynchronous call asks for a tick
    /// at its deadline, and nearly always one is due sooner anyway.
    tick_nanos: AtomicU64,
}

struct State {
    jobs: TimerHeap<Job>,
    tick_at: Instant,
    stopped: bool,
}

impl Timers {
    pub(super) fn new(first_tick: Instant) -> Timers {
        // One pending wake-up is enough: whoever is woken looks at everything.
        let (wake, woken) = crossbeam_channel::bounded(1);
        let state = State { jobs: TimerHeap::new(), tick_at: first_tick, stopped: false };
        let created = Instant::now();
        let timers = Timers { state: Mutex::new(state), wake, woken, created, tick_nanos: AtomicU64::new(0) };
        timers.tick_nanos.store(timers.nanos(first_tick), Memory::Release);
        timers
    }

    /// Runs `job` on the scheduler's thread at `when`. The job must not block: it submits or forwards.
    ///
    /// When the client closes, jobs whose time has not come run at once, so that what they would have completed is
    /// completed; a job added after that is dropped.
    pub(crate) fn at(&self, when: Instant, job: impl FnOnce() + Send + 'static) {
        self.add(when, Box::new(job));
    }

    fn add(&self, when: Instant, job: Job) {
        let mut state = self.lock();
        if state.stopped {
            drop(state);
            // Dropped outside the lock: it may own anything.
            drop(job);
            return;
        }
        let earliest = state.jobs.next_at().is_none_or(|next| when < next);
        state.jobs.push(when, job);
        drop(state);
        if earliest {
            self.wake();
        }
    }

    /// Asks for a tick at `at`, when none is due sooner.
    pub(super) fn tick_at(&self, at: Instant) {
        if self.nanos(at) >= self.tick_nanos.load(Memory::Acquire) {
            return;
        }
        let mut state = self.lock();
        let sooner = at < state.tick_at;
        if sooner {
            self.set_tick(&mut state, at);
        }
        drop(state);
        if sooner {
            self.wake();
        }
    }

    /// Decides what to do at `now`. A tick that is handed out is due again at `next_tick` at the latest.
    pub(super) fn step(&self, now: Instant, next_tick: Instant) -> Step {
        let mut state = self.lock();
        if state.stopped {
            return Step::Stop;
        }
        if state.tick_at <= now {
            self.set_tick(&mut state, next_tick);
            return Step::Tick;
        }
        match state.jobs.pop_due(now) {
            Some(job) => Step::Run(job),
            None => Step::Wait(state.jobs.next_at().map_or(state.tick_at, |next| next.min(state.tick_at))),
        }
    }

    /// Waits until `until`, or until something changed.
    pub(super) fn wait(&self, until: Instant) {
        // Both ends of the channel live in `self`, so the only error is that the time has come.
        let _ = self.woken.recv_deadline(until);
    }

    /// Ends the scheduler's loop; jobs added from now on are dropped.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.wake();
    }

    /// Takes the next of the jobs that are left after [`stop`](Timers::stop).
    pub(super) fn take_left(&self) -> Option<Job> {
        self.lock().jobs.pop()
    }

    fn set_tick(&self, state: &mut State, at: Instant) {
        state.tick_at = at;
        self.tick_nanos.store(self.nanos(at), Memory::Release);
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.created).as_nanos()).unwrap_or(u64::MAX)
    }

    fn wake(&self) {
        // Full means a wake-up is pending already.
        let _ = self.wake.try_send(());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers").field("next_at", &self.lock().jobs.next_at()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn jobs_come_out_by_time_and_then_in_the_order_they_were_added() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut heap = TimerHeap::new();
        for (millis, job) in [(30, "d"), (10, "a"), (20, "b"), (20, "c"), (40, "e")] {
            heap.push(at(millis), job);
        }
        assert_eq!(heap.next_at(), Some(at(10)));
        assert_eq!(heap.pop_due(at(9)), None);
        let due: Vec<_> = std::iter::from_fn(|| heap.pop_due(at(30))).collect();
        assert_eq!(due, ["a", "b", "c", "d"]);
        assert_eq!(heap.next_at(), Some(at(40)));
        assert_eq!(heap.pop(), Some("e"));
        assert_eq!(heap.pop(), None);
    }

    #[test]
    fn a_tick_that_was_asked_for_sooner_is_due_sooner_and_only_once() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let timers = Timers::new(at(1000));
        assert!(matches!(timers.step(start, at(1000)), Step::Wait(until) if until == at(1000)));
        timers.tick_at(at(50));
        timers.tick_at(at(500));
        assert!(matches!(timers.step(start, at(1000)), Step::Wait(until) if until == at(50)));
        assert!(matches!(timers.step(at(50), at(1050)), Step::Tick));
        assert!(matches!(timers.step(at(50), at(1050)), Step::Wait(until) if until == at(1050)));
    }

    #[test]
    fn a_job_added_after_the_stop_is_dropped_and_one_before_is_left_to_be_run() {
        let timers = Timers::new(Instant::now() + Duration::from_secs(1));
        timers.at(Instant::now() + Duration::from_secs(60), || ());
        timers.stop();
        let (owned, gone) = crossbeam_channel::bounded::<()>(0);
        timers.at(Instant::now(), move || drop(owned));
        assert_eq!(gone.try_recv(), Err(crossbeam_channel::TryRecvError::Disconnected));
        assert!(matches!(timers.step(Instant::now(), Instant::now()), Step::Stop));
        assert!(timers.take_left().is_some());
        assert!(timers.take_left().is_none());
    }

    #[test]
    fn a_waiting_scheduler_is_woken_by_an_earlier_job() {
        let timers = Timers::new(Instant::now() + Duration::from_secs(60));
        let started = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| timers.wait(started + Duration::from_secs(30)));
            timers.at(Instant::now(), || ());
        });
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}
