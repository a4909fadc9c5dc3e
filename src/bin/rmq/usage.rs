//! What this process has used so far, from /proc; `None` where there is none.

use std::fs;
use std::time::Duration;

/// The kernel counts processor time for programs in hundredths of a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of all threads, those that ended included.
pub(crate) fn cpu_time() -> Option<Duration> {
    cpu_of(&fs::read_to_string("/proc/self/stat").ok()?)
}

/// The largest part of memory that was resident at a time, in MiB.
pub(crate) fn peak_rss_mib() -> Option<f64> {
    rss_of(&fs::read_to_string("/proc/self/status").ok()?)
}

/// User and system time are fields 14 and 15; the name before may contain anything but is the last thing in brackets.
fn cpu_of(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    TICK.checked_mul(ticks()?.checked_add(ticks()?)?)
}

fn rss_of(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_the_sum_of_user_and_system() {
        let stat = "17 (a) b) S 1 17 17 0 -1 4194560 1 2 3 4 150 25 7 8 20 0 1 0 99";
        assert_eq!(cpu_of(stat), Some(Duration::from_millis(1750)));
        assert_eq!(cpu_of("17 (rmq) S 1 2"), None);
    }

    #[test]
    fn the_peak_is_read_in_mib() {
        assert_eq!(rss_of("VmPeak:\t  999 kB\nVmHWM:\t   2560 kB\nVmRSS:\t 1 kB\n"), Some(2.5));
        assert_eq!(rss_of("VmPeak:\t  999 kB\n"), None);
    }
}
