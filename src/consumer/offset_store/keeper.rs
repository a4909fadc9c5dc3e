//! The thread on which an offset store is called, so that nothing else waits for it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::OffsetStore;
use crate::channel::{self, Receiver, Sender};
use crate::error::{Error, Result};
use crate::message::MessageQueue;
use crate::thread::Thread;

/// Offsets that are stored together at most.
const TOGETHER: usize = 1024;

/// Gets what is stored. It must only forward.
type Loaded = Box<dyn FnOnce(Result<Option<i64>>) + Send>;
/// Gets whether an offset is stored. It must only forward.
type Stored = Box<dyn FnOnce(Result<()>) + Send>;

enum Job {
    Load(MessageQueue, Loaded),
    Store(MessageQueue, i64, Stored),
    Remove(MessageQueue),
    End,
}

/// The way to an offset store; what is asked for is done in its order.
pub(in crate::consumer) struct Keeper {
    jobs: Sender<Job>,
}

impl Keeper {
    /// Starts the thread, which [`end`](Keeper::end) ends.
    pub(in crate::consumer) fn start(group: &Arc<str>, store: Arc<dyn OffsetStore>) -> Result<(Keeper, Thread)> {
        // Its length is bounded by the number of queues: each has one request under way.
        let (jobs, work) = channel::unbounded();
        let keeping = Keeping { group: group.clone(), store, failing: false };
        let thread = Thread::spawn(format!("mq-offsets {group}"), move || keeping.run(&work))?;
        Ok((Keeper { jobs }, thread))
    }

    /// Asks for the offset of a queue.
    pub(in crate::consumer) fn load(
        &self,
        queue: MessageQueue,
        done: impl FnOnce(Result<Option<i64>>) + Send + 'static,
    ) {
        self.tell(Job::Load(queue, Box::new(done)));
    }

    /// Stores an offset.
    pub(in crate::consumer) fn store(
        &self,
        queue: MessageQueue,
        offset: i64,
        done: impl FnOnce(Result<()>) + Send + 'static,
    ) {
        self.tell(Job::Store(queue, offset, Box::new(done)));
    }

    pub(in crate::consumer) fn remove(&self, queue: MessageQueue) {
        self.tell(Job::Remove(queue));
    }

    /// Ends the thread once everything before is done.
    pub(in crate::consumer) fn end(&self) {
        self.tell(Job::End);
    }

    fn tell(&self, job: Job) {
        // The thread ends after its consumer's engine, for which nobody waits any more then.
        let _ = self.jobs.try_send(job);
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

struct Keeping {
    group: Arc<str>,
    store: Arc<dyn OffsetStore>,
    /// So that trouble is logged when it begins and when it ends.
    failing: bool,
}

impl Keeping {
    fn run(mut self, work: &Receiver<Job>) {
        let mut next = None;
        while let Some(job) = next.take().or_else(|| work.recv().ok()) {
            match job {
                Job::Load(queue, done) => {
                    let loaded = self.call(|store| store.load(&queue));
                    done(loaded);
                }
                Job::Store(queue, offset, done) => {
                    let (mut offsets, mut waiting) = (vec![(queue, offset)], vec![done]);
                    for job in work.try_iter().take(TOGETHER) {
                        match job {
                            Job::Store(queue, offset, done) if !offsets.iter().any(|(other, _)| *other == queue) => {
                                offsets.push((queue, offset));
                                waiting.push(done);
                            }
                            other => {
                                next = Some(other);
                                break;
                            }
                        }
                    }
                    let stored = self.call(|store| store.store(&offsets));
                    waiting.into_iter().for_each(|done| done(stored.clone()));
                }
                Job::Remove(queue) => {
                    // It is logged.
                    let _ = self.call(|store| store.remove(&queue));
                }
                Job::End => return,
            }
        }
    }

    fn call<T>(
        &mut self,
        what: impl FnOnce(&dyn OffsetStore) -> Result<T, Box<dyn std::error::Error + Send + Sync>>,
    ) -> Result<T> {
        let result =
            catch_unwind(AssertUnwindSafe(|| what(&*self.store))).unwrap_or_else(|_| Err("it panicked".into()));
        let group = &self.group;
        match (&result, self.failing) {
            (Err(error), false) => log::warn!("consumer {group}: its offset store fails, and is tried again: {error}"),
            (Ok(_), true) => log::info!("consumer {group}: its offset store works again"),
            _ => {}
        }
        self.failing = result.is_err();
        result.map_err(|source| Error::OffsetStore { source: source.into() })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    #[derive(Default)]
    struct Flaky {
        calls: Mutex<Vec<Vec<i64>>>,
        broken: AtomicBool,
        release: Mutex<Option<crossbeam_channel::Receiver<()>>>,
    }

    impl OffsetStore for Flaky {
        fn load(&self, _: &MessageQueue) -> Result<Option<i64>, Box<dyn std::error::Error + Send + Sync>> {
            // Holds up the thread, so that what comes meanwhile is there together.
            if let Some(release) = self.release.lock().unwrap().take() {
                let _ = release.recv();
            }
            if self.broken.load(Ordering::SeqCst) { std::panic::resume_unwind(Box::new(())) } else { Ok(Some(7)) }
        }

        fn store(&self, offsets: &[(MessageQueue, i64)]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            self.calls.lock().unwrap().push(offsets.iter().map(|(_, offset)| *offset).collect());
            if self.broken.load(Ordering::SeqCst) { Err("no disk".into()) } else { Ok(()) }
        }
    }

    fn queue(id: i32) -> MessageQueue {
        MessageQueue::new("T", "b", id)
    }

    #[test]
    fn what_waits_is_stored_together_but_no_queue_twice_and_errors_and_panics_are_told() {
        let store = Arc::new(Flaky::default());
        let (hold, release) = crossbeam_channel::bounded(0);
        *store.release.lock().unwrap() = Some(release);
        let (keeper, thread) = Keeper::start(&"g".into(), store.clone()).unwrap();
        let (told, results) = crossbeam_channel::unbounded();
        let tell = |text: &'static str| {
            let told = told.clone();
            move |stored: Result<()>| told.send(format!("{text} {}", stored.is_ok())).unwrap()
        };
        keeper.load(queue(0), {
            let told = told.clone();
            move |loaded| told.send(format!("{:?}", loaded.unwrap())).unwrap()
        });
        keeper.store(queue(0), 10, tell("a"));
        keeper.store(queue(1), 11, tell("b"));
        keeper.store(queue(0), 12, tell("c"));
        drop(hold);
        let next = || results.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!([next(), next(), next(), next()], ["Some(7)", "a true", "b true", "c true"]);
        assert_eq!(*store.calls.lock().unwrap(), [vec![10, 11], vec![12]]);
        store.broken.store(true, Ordering::SeqCst);
        keeper.store(queue(0), 13, tell("d"));
        let told = told.clone();
        keeper.load(queue(0), move |loaded| told.send(loaded.unwrap_err().to_string()).unwrap());
        assert_eq!(next(), "d false");
        assert!(next().contains("offset store"));
        keeper.end();
        thread.join();
    }
}
