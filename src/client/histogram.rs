//! How long sends, pulls and listeners took: a histogram that any number of threads record into without a lock.
//!
//! Durations are cut to whole microseconds. The first 64 have a bucket each; from then on each doubling is cut into 32 equal
//! ones, so that a percentile is within 1/64 (1.6 %) of a duration that was recorded, or within a microsecond.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets to each doubling, as a power of two.
const STEP_BITS: u32 = 5;
const STEPS: usize = 1 << STEP_BITS;
/// Values above take the last bucket: 2^37 microseconds are 38 hours, beyond any deadline.
const LARGEST_BITS: u32 = 37;
const BUCKETS: usize = (LARGEST_BITS - STEP_BITS + 1) as usize * STEPS;

/// How long something took: a percentile `p99` says that 99 % took at most so long.
///
/// The mean and the percentiles are exact to within 1/64 (1.6 %) or a microsecond, whichever is more; durations above 38 hours count as 38
/// hours. All are zero as long as nothing was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// The mean.
    pub mean: Duration,
    /// The median.
    pub p50: Duration,
    /// The 90th percentile.
    pub p90: Duration,
    /// The 99th percentile.
    pub p99: Duration,
    /// The 99.9th percentile.
    pub p999: Duration,
    /// The longest of all.
    pub max: Duration,
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency { count, mean, p50, p90, p99, p999, max } = self;
        write!(f, "{count} times, mean {mean:.1?}, p50 {p50:.1?}, p90 {p90:.1?}, p99 {p99:.1?}, p99.9 {p999:.1?}")?;
        write!(f, ", max {max:.1?}")
    }
}

#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: Box<[AtomicU64]>,
    /// In microseconds. Rarely written, so that reading it is cheap.
    max: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        let buckets = std::iter::repeat_with(AtomicU64::default).take(BUCKETS).collect();
        Histogram { buckets, max: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Counts one that took so long: one addition, and another access when it took longer than any before.
    pub(crate) fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).min(1 << LARGEST_BITS);
        if let Some(bucket) = self.buckets.get(bucket_of(micros)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        if micros > self.max.load(Ordering::Relaxed) {
            self.max.fetch_max(micros, Ordering::Relaxed);
        }
    }

    /// What was recorded so far. What is recorded meanwhile may be missing in parts.
    pub(crate) fn latency(&self) -> Latency {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let count: u64 = counts.iter().sum();
        let max = self.max.load(Ordering::Relaxed);
        // A sum of its own would be one more line that all threads write.
        let sum: u128 =
            counts.iter().zip(0..).map(|(count, bucket)| u128::from(*count) * u128::from(middle_of(bucket))).sum();
        let mean = u64::try_from(sum / u128::from(count.max(1))).unwrap_or(u64::MAX);
        let percentile = |part: f64| {
            let rank = ((count as f64 * part).ceil() as u64).max(1);
            let mut seen = 0;
            let found = counts.iter().position(|bucket| {
                seen += bucket;
                seen >= rank
            });
            let nanos = found.map_or(0, middle_of).min(max.saturating_mul(1000));
            Duration::from_nanos(nanos)
        };
        Latency {
            count,
            mean: Duration::from_nanos(mean),
            p50: percentile(0.5),
            p90: percentile(0.9),
            p99: percentile(0.99),
            p999: percentile(0.999),
            max: Duration::from_micros(max),
        }
    }
}

fn bucket_of(micros: u64) -> usize {
    // In the first doubling, and below, the value is its own bucket.
    let shift = micros.max(1).ilog2().saturating_sub(STEP_BITS);
    let bucket = (shift as usize) * STEPS + (micros >> shift) as usize;
    bucket.min(BUCKETS - 1)
}

/// The middle of a bucket in nanoseconds; a whole microsecond for the buckets that are one wide.
fn middle_of(bucket: usize) -> u64 {
    let doubling = (bucket / STEPS).saturating_sub(1) as u32;
    let step = (bucket - doubling as usize * STEPS) as u64;
    (step << doubling) * 1000 + ((1 << doubling) - 1) * 500
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(count: u64) -> Duration {
        Duration::from_micros(count)
    }

    #[test]
    fn a_bucket_stands_for_its_values_to_within_a_sixty_fourth_or_half_a_microsecond() {
        let mut state = 7u64;
        let random = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 24) >> (state % 40)
        });
        let edges = (0..LARGEST_BITS).flat_map(|bit| [1u64 << bit, (1 << bit) + 1, (2 << bit) - 1]);
        for value in edges.chain(random.take(20_000)).chain([0]).filter(|value| *value < 1 << LARGEST_BITS) {
            let kept = middle_of(bucket_of(value));
            let bound = (value as f64 * 1000.0 / 64.0).max(500.0);
            assert!(kept.abs_diff(value * 1000) as f64 <= bound, "{value} µs are kept as {kept} ns");
        }
    }

    #[test]
    fn buckets_follow_each_other_without_gaps() {
        let mut last = bucket_of(0);
        for value in 1..1 << 16 {
            let bucket = bucket_of(value);
            assert!(bucket == last || bucket == last + 1, "{value}");
            last = bucket;
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let histogram = Histogram::default();
        assert_eq!(histogram.latency(), Latency::default());
        (1..=10_000).for_each(|value| histogram.record(micros(value)));
        let latency = histogram.latency();
        assert_eq!((latency.count, latency.max), (10_000, micros(10_000)));
        let Latency { mean, p50, p90, p99, p999, .. } = latency;
        for (found, exact) in [(mean, 5000.0), (p50, 5000.0), (p90, 9000.0), (p99, 9900.0), (p999, 9990.0)] {
            let found = found.as_secs_f64() * 1e6;
            assert!((found - exact).abs() <= exact / 64.0 + 1.0, "{found} for {exact}");
        }
    }

    #[test]
    fn one_value_is_all_percentiles_and_none_exceeds_the_longest() {
        let histogram = Histogram::default();
        histogram.record(micros(1025));
        let Latency { mean, p50, p999, max, .. } = histogram.latency();
        assert_eq!((max, mean), (micros(1025), p50.max(mean)));
        assert!(p50 == p999 && p50 <= max, "{p50:?} {max:?}");
    }

    #[test]
    fn what_is_longer_than_any_deadline_counts_as_the_longest() {
        let histogram = Histogram::default();
        histogram.record(Duration::MAX);
        histogram.record(Duration::ZERO);
        let latency = histogram.latency();
        assert_eq!((latency.count, latency.max), (2, micros(1 << LARGEST_BITS)));
        assert_eq!(latency.p50, Duration::ZERO);
        assert!(latency.p99 >= micros((1 << LARGEST_BITS) - (1 << (LARGEST_BITS - 6))), "{:?}", latency.p99);
    }

    #[test]
    fn nothing_is_lost_when_many_threads_record() {
        let histogram = Histogram::default();
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let histogram = &histogram;
                scope.spawn(move || (1..=5000).for_each(|value| histogram.record(micros(value + thread))));
            }
        });
        let latency = histogram.latency();
        assert_eq!((latency.count, latency.max), (40_000, micros(5007)));
    }
}
