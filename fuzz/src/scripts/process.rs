//! What the process has: threads and sockets, as Linux tells.

use std::time::{Duration, Instant};

/// Waits for a condition that other threads, or the kernel, are about to bring about.
#[track_caller]
pub(super) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < until, "not within 5 s: {what}; threads: {:?}", threads());
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
