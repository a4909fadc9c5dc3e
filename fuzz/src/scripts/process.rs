//! What the process has: threads and sockets, as Linux tells, and time.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How often the thread wants to run that notices when the machine has none of its time for this process.
const PERIOD: Duration = Duration::from_millis(10);

/// A watch that stands still while the process gets no time: fuzzing runs when the machine has nothing better to do, and may be
/// stopped for a while.
pub(super) struct Watch {
    began: Instant,
    missed: Duration,
}

impl Watch {
    pub(super) fn start() -> Watch {
        Watch { began: Instant::now(), missed: missed() }
    }

    /// How long it has been. What one thread has missed another may have missed as well, one after the other.
    pub(super) fn passed(&self) -> Duration {
        let missed = missed().saturating_sub(self.missed);
        self.began.elapsed().saturating_sub(missed * 2)
    }
}

struct Missed {
    due: Instant,
    so_far: Duration,
}

/// How late a thread was in all that wants to run every few milliseconds.
fn missed() -> Duration {
    static MISSED: OnceLock<&'static Mutex<Missed>> = OnceLock::new();
    let lock = |missed: &'static Mutex<Missed>| missed.lock().unwrap_or_else(PoisonError::into_inner);
    let missed = MISSED.get_or_init(|| {
        let start = Missed { due: Instant::now() + PERIOD, so_far: Duration::ZERO };
        let missed: &'static Mutex<Missed> = Box::leak(Box::new(Mutex::new(start)));
        let count = move || loop {
            std::thread::park_timeout(PERIOD);
            let (mut missed, now) = (lock(missed), Instant::now());
            let late = now.saturating_duration_since(missed.due);
            missed.so_far += late;
            missed.due = now + PERIOD;
        };
        std::thread::Builder::new().name("watch".to_owned()).spawn(count).expect("a thread");
        missed
    });
    let missed = lock(missed);
    missed.so_far + Instant::now().saturating_duration_since(missed.due)
}

/// Waits for a condition that other threads, or the kernel, are about to bring about.
#[track_caller]
pub(super) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let watch = Watch::start();
    while !condition() {
        assert!(watch.passed() < Duration::from_secs(5), "not within 5 s: {what}; threads: {:?}", threads());
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// Names of the crate's threads.
pub(super) fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("a Linux /proc").flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).filter(|name| name.starts_with("mq-")).collect()
}

/// Whether a thread is a client's: the cluster's have other names, or are named for its servers and not for addresses.
#[allow(clippy::ptr_arg, reason = "it is given to iterators of names")]
pub(super) fn is_clients(name: &String) -> bool {
    let (what, of) = name.split_once(' ').unwrap_or((name, ""));
    let of_cluster = ["mq-accept", "mq-serve", "mq-clock"].contains(&what);
    !of_cluster && (what != "mq-write" || of.starts_with(|first: char| first.is_ascii_digit()))
}

pub(super) fn sockets() -> usize {
    let links = std::fs::read_dir("/proc/self/fd").expect("a Linux /proc").flatten();
    let is_socket = |target: std::path::PathBuf| target.to_string_lossy().starts_with("socket:");
    links.filter(|link| std::fs::read_link(link.path()).is_ok_and(is_socket)).count()
}
