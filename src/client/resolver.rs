//! The one thread that may be kept waiting by things that cannot be cancelled: name resolution and discovery.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::timers::Job;
use crate::channel::{self, Receiver, Sender, TrySendError};
use crate::error::{Error, Outcome, Result};
use crate::remoting::{Deadline, Resolve};
use crate::thread::Thread;

/// Names that may wait while one is resolved; each connection waits for one at most.
const QUEUE: usize = 1024;
/// How long closing waits for a resolution that hangs.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

type Lookup = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Finds addresses of host names, on a thread that is started at first use.
pub(super) struct Resolver {
    thread: &'static str,
    /// What is logged when closing leaves the thread behind.
    hangs: &'static str,
    state: Mutex<State>,
    lookup: Arc<Lookup>,
    /// Disconnects when the resolver closes, which releases whoever waits for a name.
    closed: crossbeam_channel::Receiver<()>,
}

enum State {
    Idle { close: crossbeam_channel::Sender<()> },
    Running { close: crossbeam_channel::Sender<()>, jobs: Sender<Job>, thread: Thread },
    Closed,
}

impl Resolver {
    pub(super) fn new() -> Resolver {
        Resolver::with(|host, port| Ok((host, port).to_socket_addrs()?.collect()))
    }

    /// The same for other jobs that cannot be cancelled, on another thread.
    #[cfg(feature = "acl")]
    pub(super) fn named(thread: &'static str, hangs: &'static str) -> Resolver {
        Resolver { thread, hangs, ..Resolver::new() }
    }

    fn with(lookup: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Resolver {
        let (close, closed) = crossbeam_channel::bounded(0);
        let hangs = "a name is still being resolved";
        Resolver {
            thread: "mq-resolve",
            hangs,
            state: Mutex::new(State::Idle { close }),
            lookup: Arc::new(lookup),
            closed,
        }
    }

    /// Runs a job that may take long. A job is dropped without being run when the resolver closes first.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) -> Result<()> {
        self.jobs()?.try_send(Box::new(job)).map_err(|error| match error {
            TrySendError::Full(_) => Error::Busy { what: "names to resolve".into() },
            TrySendError::Disconnected(_) => Error::Closed { outcome: Outcome::NotSent },
        })
    }

    /// Stops. A resolution that hangs is waited for at most a second, then left to end by itself. Returns whether the
    /// thread ended.
    pub(super) fn close(&self) -> bool {
        let state = std::mem::replace(&mut *self.lock(), State::Closed);
        let State::Running { close, jobs, thread } = state else { return true };
        drop((close, jobs));
        let ended = thread.join_by(Instant::now() + CLOSE_WAIT);
        if !ended {
            log::warn!("{}; its thread ends by itself when that does", self.hangs);
        }
        ended
    }

    fn jobs(&self) -> Result<Sender<Job>> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Closed) {
            State::Closed => Err(Error::Closed { outcome: Outcome::NotSent }),
            State::Running { close, jobs, thread } => {
                *state = State::Running { close, jobs: jobs.clone(), thread };
                Ok(jobs)
            }
            State::Idle { close } => {
                let (jobs, todo) = channel::bounded(QUEUE);
                let closed = self.closed.clone();
                match Thread::spawn(self.thread.into(), move || work(&todo, &closed)) {
                    Ok(thread) => {
                        *state = State::Running { close, jobs: jobs.clone(), thread };
                        Ok(jobs)
                    }
                    Err(error) => {
                        *state = State::Idle { close };
                        Err(error)
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn work(todo: &Receiver<Job>, closed: &crossbeam_channel::Receiver<()>) {
    while let Ok(job) = todo.recv() {
        // Nothing is ever sent on it, so anything but "empty" means closed.
        if closed.try_recv() == Err(crossbeam_channel::TryRecvError::Disconnected) {
            return;
        }
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            log::error!("resolving panicked; this is a bug in rocketmq-blocking");
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, host: &str, port: u16, deadline: Deadline) -> io::Result<Vec<SocketAddr>> {
        let (reply, answer) = channel::bounded(1);
        let (lookup, name) = (self.lookup.clone(), host.to_owned());
        let job = move || {
            if !deadline.is_over(Instant::now()) {
                // Nobody may be waiting any more.
                let _ = reply.try_send(lookup(&name, port));
            }
        };
        self.run(job).map_err(io::Error::other)?;
        let in_vain = || io::Error::new(io::ErrorKind::TimedOut, format!("{host} was not resolved in time"));
        crossbeam_channel::select! {
            recv(answer.news()) -> _ => answer.take().unwrap_or_else(|| Err(in_vain())),
            recv(self.closed) -> _ => Err(io::Error::other("closed")),
            default(deadline.left(Instant::now())) => Err(in_vain()),
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(5))
    }

    #[test]
    fn a_name_is_resolved_and_the_thread_ends_with_the_resolver() {
        let resolver = Resolver::new();
        let found = resolver.resolve("localhost", 9876, soon()).unwrap();
        assert!(found.iter().all(|addr| addr.ip().is_loopback() && addr.port() == 9876) && !found.is_empty());
        assert!(resolver.close());
        assert!(resolver.close(), "a second time there is nothing to do");
        assert!(resolver.resolve("localhost", 9876, soon()).is_err());
    }

    #[test]
    fn what_the_system_says_about_a_name_is_passed_on() {
        let resolver = Resolver::with(|_, _| Err(io::Error::new(io::ErrorKind::NotFound, "no such name")));
        assert_eq!(resolver.resolve("nowhere", 1, soon()).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_resolution_that_hangs_ends_at_the_deadline_and_does_not_hold_up_closing() {
        let (release, hang) = crossbeam_channel::bounded::<()>(0);
        let resolver = Resolver::with(move |_, _| {
            let _ = hang.recv();
            Ok(Vec::new())
        });
        let started = Instant::now();
        let error = resolver.resolve("slow", 1, Deadline::after(Duration::from_millis(50))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(4));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| resolver.resolve("slow", 2, soon()));
            // The second one waits behind the first; closing releases it long before its own deadline.
            let started = Instant::now();
            assert!(!resolver.close(), "the thread hangs");
            assert!(waiting.join().unwrap().is_err());
            assert!(started.elapsed() < Duration::from_secs(4));
        });
        drop(release);
    }

    #[test]
    fn a_panic_while_resolving_is_contained() {
        let resolver = Resolver::with(|host, _| match host {
            "bad" => panic!("expected by this test"),
            _ => Ok(Vec::new()),
        });
        assert!(resolver.resolve("bad", 1, soon()).is_err());
        assert!(resolver.resolve("good", 1, soon()).is_ok());
    }
}
