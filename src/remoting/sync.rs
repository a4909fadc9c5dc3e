//! What the threads of a connection meet at: the standard library's, or in a model loom's, which tries every order.
//!
//! A model is a test built with `--cfg loom`; see `models` and `docs/testing.md`.

#[cfg(not(all(loom, test)))]
pub(super) use self::real::*;

#[cfg(all(loom, test))]
pub(super) use self::modelled::*;

#[cfg(not(all(loom, test)))]
mod real {
    pub(in crate::remoting) use std::sync::atomic::{AtomicBool, AtomicUsize, fence};
    pub(in crate::remoting) use std::sync::{Condvar, Mutex, MutexGuard, OnceLock};
    pub(in crate::remoting) use std::{thread, thread_local};

    /// How often to yield while waiting.
    pub(in crate::remoting) const fn yields(times: u32) -> u32 {
        times
    }
}

#[cfg(all(loom, test))]
mod modelled {
    use std::sync::atomic::Ordering;

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

    pub(in crate::remoting) mod thread {
        use std::time::Duration;

        pub(in crate::remoting) use loom::thread::{Thread, current, yield_now};

        /// Time stands still in a model, so whoever relies on a timeout is found as a deadlock. Only moments may pass.
        pub(in crate::remoting) fn park_timeout(timeout: Duration) {
            if timeout < Duration::from_secs(1) { yield_now() } else { loom::thread::park() }
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
