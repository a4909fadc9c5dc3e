use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many requests a server may make in a second. Only readers of one connection look at it, and only when one came.
#[derive(Debug, Default)]
pub(super) struct Quota {
    window: Mutex<Option<(Instant, usize)>>,
}

impl Quota {
    /// Counts one more at `now`; the error is how many there are in this second by now.
    pub(super) fn take(&self, most: usize, now: Instant) -> Result<(), usize> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match *window {
            Some((since, count)) if now.saturating_duration_since(since) < Duration::from_secs(1) => {
                *window = Some((since, count + 1));
                count + 1
            }
            _ => {
                *window = Some((now, 1));
                1
            }
        };
        if count > most { Err(count) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_pass_in_a_second_and_as_many_in_the_next() {
        let (quota, start) = (Quota::default(), Instant::now());
        let passed = |at: Duration| (0..5).filter(|_| quota.take(3, start + at).is_ok()).count();
        assert_eq!(passed(Duration::ZERO), 3);
        assert_eq!(passed(Duration::from_millis(999)), 0);
        assert_eq!(passed(Duration::from_secs(1)), 3);
    }
}
