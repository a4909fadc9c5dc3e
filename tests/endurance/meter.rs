//! What the process takes, and whether it grows.

use std::fs;

use crate::heap;

/// Memory in bytes, threads and sockets, and bytes allocated, at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) seconds: f64,
    pub(crate) values: [f64; VALUES],
}

pub(crate) const VALUES: usize = 4;
pub(crate) const NAMES: [&str; VALUES] = ["memory of the process", "threads", "sockets", "memory allocated"];

impl Sample {
    pub(crate) fn now(seconds: f64) -> Sample {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        let links = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
        let links = links.filter_map(|entry| fs::read_link(entry.path()).ok());
        let sockets = links.filter(|link| link.to_string_lossy().starts_with("socket:")).count();
        let memory = field("VmRSS:").unwrap_or(0.0) * 1024.0;
        Sample { seconds, values: [memory, field("Threads:").unwrap_or(0.0), sockets as f64, heap::used() as f64] }
    }
}

/// A straight line through samples: its values at the first and the last of them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Line {
    pub(crate) begin: f64,
    pub(crate) end: f64,
}

impl Line {
    /// The line nearest to the samples of one value, by least squares.
    pub(crate) fn through(samples: &[Sample], value: usize) -> Line {
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return Line::default() };
        let count = samples.len() as f64;
        let mean = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(&|sample| sample.seconds), mean(&|sample| sample.values[value]));
        let spread: f64 = samples.iter().map(|sample| (sample.seconds - x).powi(2)).sum();
        let both: f64 = samples.iter().map(|sample| (sample.seconds - x) * (sample.values[value] - y)).sum();
        let slope = if spread > 0.0 { both / spread } else { 0.0 };
        Line { begin: y + slope * (first.seconds - x), end: y + slope * (last.seconds - x) }
    }

    /// Whether it ends at most this share, or this much, above where it begins.
    pub(crate) fn is_flat(self, share: f64, much: f64) -> bool {
        self.end - self.begin <= (self.begin * share).max(much)
    }
}
