use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for what must happen soon. Far more than it takes: only a failing test waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Asks again and again until the answer is `Ok`, and panics with the last reason when `limit` is over.
#[track_caller]
pub(crate) fn eventually<T, E: Display>(limit: Duration, mut probe: impl FnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(2);
    loop {
        match probe() {
            Ok(value) => return value,
            Err(reason) if Instant::now() >= end => panic!("not within {limit:?}: {reason}"),
            Err(_) => thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}
