//! What the threads of a connection meet at: the standard library's, or in a model loom's, which tries every order.
//!
//! A model is a test built with `--cfg loom`; see `models` and `docs/testing.md`.

#[cfg(not(all(loom, test)))]
pub(super) use self::real::*;

#[cfg(all(loom, test))]
pub(super) use self::modelled::*;

#[cfg(not(all(loom, test)))]
mod real {
    use std::time::{Duration, Instant};

    pub(in crate::remoting) use std::sync::atomic::{AtomicBool, AtomicUsize, fence};
    pub(in crate::remoting) use std::sync::{Condvar, Mutex, MutexGuard, OnceLock};
    pub(in crate::remoting) use std::{thread, thread_local};

    pub(in crate::remoting) use crate::thread::Thread as Spawned;

    /// How often to yield while waiting.
    pub(in crate::remoting) const fn yields(times: u32) -> u32 {
        times
    }

    /// How often something has to happen before it counts as usual.
    pub(in crate::remoting) const fn in_a_row(times: u32) -> u32 {
        times
    }

    pub(in crate::remoting) fn elapsed(since: Instant) -> Duration {
        since.elapsed()
    }
}

#[cfg(all(loom, test))]
mod modelled {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    use loom::sync::atomic as of_loom;
    pub(in crate::remoting) use loom::sync::atomic::fence;
    pub(in crate::remoting) use loom::sync::{Condvar, Mutex, MutexGuard};

    /// Loom's takes no constant for the beginning.
    macro_rules! thread_locals {
        ($(#[$attribute:meta])* static $name:ident: $of:ty = const { $init:expr };) => {
            loom::thread_local! { $(#[$attribute])* static $name: $of = $init; }
        };
    }
    pub(in crate::remoting) use thread_locals as thread_local;

    /// A model tries all switches of threads anyway.
    pub(in crate::remoting) const fn yields(_times: u32) -> u32 {
        0
    }

    /// A model has no time for habits.
    pub(in crate::remoting) const fn in_a_row(_times: u32) -> u32 {
        1
    }

    /// Time stands still in a model: what it does must not depend on how fast it runs.
    pub(in crate::remoting) fn elapsed(_since: Instant) -> Duration {
        Duration::ZERO
    }

    /// As [`crate::thread::Thread`], of a model, in which every one has to be joined.
    #[derive(Debug)]
    pub(in crate::remoting) struct Spawned {
        handle: Option<loom::thread::JoinHandle<()>>,
        ended: Arc<AtomicBool>,
    }

    impl Spawned {
        pub(in crate::remoting) fn spawn(_name: String, run: impl FnOnce() + 'static) -> crate::Result<Spawned> {
            let ended = Arc::new(AtomicBool::new(false));
            let end = ended.clone();
            let handle = loom::thread::spawn(move || {
                run();
                end.store(true, Ordering::SeqCst);
            });
            Ok(Spawned { handle: Some(handle), ended })
        }

        pub(in crate::remoting) fn join(mut self) {
            if let Some(handle) = self.handle.take() {
                let _ = handle.join();
            }
        }

        pub(in crate::remoting) fn has_ended(&self) -> bool {
            self.ended.load(Ordering::SeqCst)
        }

        /// Whoever waits finds the time over.
        pub(in crate::remoting) fn wait_until(&self, _deadline: Instant) -> bool {
            self.has_ended()
        }
    }

    impl Drop for Spawned {
        fn drop(&mut self) {
            assert!(self.handle.is_none() || std::thread::panicking(), "a thread that nobody joins");
        }
    }

    pub(in crate::remoting) mod thread {
        use std::sync::{Arc, PoisonError};
        use std::time::Duration;

        pub(in crate::remoting) use loom::thread::yield_now;

        use super::{Condvar, Mutex, MutexGuard};

        /// Loom has parking too, but wakes who is unparked while it waits for a lock, as if it had got the lock.
        #[derive(Debug, Clone, Default)]
        pub(in crate::remoting) struct Thread(Arc<Parking>);

        #[derive(Debug, Default)]
        struct Parking {
            token: Mutex<bool>,
            given: Condvar,
        }

        loom::thread_local! { static OWN: Thread = Thread::default(); }

        pub(in crate::remoting) fn current() -> Thread {
            OWN.with(Thread::clone)
        }

        impl Thread {
            fn token(&self) -> MutexGuard<'_, bool> {
                self.0.token.lock().unwrap_or_else(PoisonError::into_inner)
            }

            pub(in crate::remoting) fn unpark(&self) {
                *self.token() = true;
                self.0.given.notify_one();
            }
        }

        /// Time stands still in a model, so whoever relies on a timeout is found as a deadlock. Only moments may pass.
        pub(in crate::remoting) fn park_timeout(timeout: Duration) {
            let own = current();
            let mut token = own.token();
            if timeout < Duration::from_secs(1) {
                if !std::mem::take(&mut *token) {
                    drop(token);
                    yield_now();
                }
                return;
            }
            while !std::mem::take(&mut *token) {
                token = own.0.given.wait(token).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Loom takes sequentially consistent accesses for weaker ones, but knows such fences.
    fn ordered<T>(order: Ordering, access: impl FnOnce() -> T) -> T {
        let fenced = || {
            if order == Ordering::SeqCst {
                fence(Ordering::SeqCst);
            }
        };
        fenced();
        let result = access();
        fenced();
        result
    }

    macro_rules! atomics {
        ($($name:ident of $value:ty),*) => {$(
            #[derive(Debug, Default)]
            pub(in crate::remoting) struct $name(of_loom::$name);

            impl $name {
                pub(in crate::remoting) fn new(value: $value) -> Self {
                    Self(of_loom::$name::new(value))
                }

                pub(in crate::remoting) fn load(&self, order: Ordering) -> $value {
                    ordered(order, || self.0.load(order))
                }

                pub(in crate::remoting) fn store(&self, value: $value, order: Ordering) {
                    ordered(order, || self.0.store(value, order));
                }
            }
        )*};
    }

    atomics!(AtomicBool of bool, AtomicUsize of usize);

    impl AtomicBool {
        pub(in crate::remoting) fn swap(&self, value: bool, order: Ordering) -> bool {
            ordered(order, || self.0.swap(value, order))
        }
    }

    impl AtomicUsize {
        pub(in crate::remoting) fn fetch_add(&self, count: usize, order: Ordering) -> usize {
            ordered(order, || self.0.fetch_add(count, order))
        }

        pub(in crate::remoting) fn fetch_sub(&self, count: usize, order: Ordering) -> usize {
            ordered(order, || self.0.fetch_sub(count, order))
        }
    }

    /// A value that is set once. Loom has none: the value is the standard library's, when it is seen is loom's.
    #[derive(Debug)]
    pub(in crate::remoting) struct OnceLock<T> {
        value: std::sync::OnceLock<T>,
        setting: Mutex<()>,
        is_set: of_loom::AtomicBool,
    }

    impl<T> Default for OnceLock<T> {
        fn default() -> Self {
            Self::new()
        }
    }

    impl<T> OnceLock<T> {
        pub(in crate::remoting) fn new() -> Self {
            OnceLock { value: std::sync::OnceLock::new(), setting: Mutex::new(()), is_set: Default::default() }
        }

        pub(in crate::remoting) fn get(&self) -> Option<&T> {
            if self.is_set.load(Ordering::Acquire) { self.value.get() } else { None }
        }

        pub(in crate::remoting) fn set(&self, value: T) -> Result<(), T> {
            let _setting = self.setting.lock();
            let result = self.value.set(value);
            self.is_set.store(true, Ordering::Release);
            result
        }
    }
}
