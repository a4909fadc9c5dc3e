use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Steps to each doubling: values are kept to within 1/64, 1.6 %.
const STEPS: u64 = 64;
/// Nanoseconds up to 2^63, far beyond any deadline.
const BUCKETS: usize = 58 * STEPS as usize;

/// Counts durations by size; any number of threads may record at the same time.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: Vec<AtomicU64>,
}

impl Histogram {
    pub(crate) fn new() -> Histogram {
        Histogram { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }

    pub(crate) fn record(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanos).min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the duration, in microseconds, which the given part of all do not exceed; 0 when there are none.
    pub(crate) fn quantile_us(&self, part: f64) -> f64 {
        let counts: Vec<u64> = self.buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let rank = (total as f64 * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return value(index) as f64 / 1e3;
            }
        }
        0.0
    }
}

/// The first values have a bucket each; from then on each doubling is cut into equal steps.
fn bucket(nanos: u64) -> usize {
    let doubling = u64::from((nanos / STEPS).checked_ilog2().map_or(0, |log| log + 1));
    let step = if doubling == 0 { nanos } else { (nanos >> (doubling - 1)) - STEPS };
    usize::try_from(doubling * STEPS + step).unwrap_or(usize::MAX)
}

/// The middle of a bucket.
fn value(bucket: usize) -> u64 {
    let (doubling, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
    if doubling == 0 {
        return step;
    }
    let width = 1u64 << (doubling - 1);
    (STEPS + step).saturating_mul(width).saturating_add(width / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_stands_for_its_values_to_within_two_percent() {
        for nanos in (0..63).flat_map(|bit| [1u64 << bit, (1 << bit) + (1 << bit) / 3, (2 << bit) - 1]) {
            let kept = value(bucket(nanos));
            assert!(kept.abs_diff(nanos) as f64 <= nanos as f64 * 0.016, "{nanos} is kept as {kept}");
            assert!(bucket(nanos) < BUCKETS, "{nanos}");
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let histogram = Histogram::new();
        assert_eq!(histogram.quantile_us(0.5), 0.0);
        (1..=1000).for_each(|micros| histogram.record(Duration::from_micros(micros)));
        for (part, micros) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0), (0.0, 1.0)] {
            let found = histogram.quantile_us(part);
            assert!((found - micros).abs() <= micros * 0.016, "{part} is {found}");
        }
    }
}
