use std::ops::RangeInclusive;

/// How many listeners of a push consumer run at once: a fixed number such as `8`, or a range such as `4..=16` within which the
/// consumer adjusts it (Java: `consumeThreadMin` and `consumeThreadMax`, between which Java never moves).
///
/// The number grows when messages wait while all listeners are busy, and shrinks when some had nothing to do for a while;
/// [`ConsumerStats::threads`](crate::ConsumerStats::threads) says how often. 1 to 1000 are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Threads {
    min: usize,
    max: usize,
}

impl Threads {
    /// The most that are allowed.
    pub(crate) const LIMIT: usize = 1000;

    /// How many run at least, and at the start.
    pub fn min(&self) -> usize {
        self.min
    }

    /// How many run at most.
    pub fn max(&self) -> usize {
        self.max
    }

    /// What is wrong with the numbers, if something is.
    pub(crate) fn defect(&self) -> Option<String> {
        let Threads { min, max } = self;
        let fits = *min >= 1 && min <= max && *max <= Threads::LIMIT;
        (!fits).then(|| format!("threads is {min}..={max}, 1 to {} are allowed", Threads::LIMIT))
    }
}

impl From<usize> for Threads {
    fn from(count: usize) -> Threads {
        Threads { min: count, max: count }
    }
}

impl From<RangeInclusive<usize>> for Threads {
    fn from(range: RangeInclusive<usize>) -> Threads {
        Threads { min: *range.start(), max: *range.end() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_fixed_and_a_range_must_go_upwards_and_fit() {
        assert_eq!(Threads::from(8), Threads::from(8..=8));
        assert!(
            [Threads::from(1), (4..=16).into(), (1..=1000).into()].iter().all(|threads| threads.defect().is_none())
        );
        #[allow(clippy::reversed_empty_ranges, reason = "a user's mistake")]
        let wrong = [Threads::from(0), (0..=4).into(), (5..=4).into(), (1..=1001).into()];
        assert!(wrong.iter().all(|threads| threads.defect().is_some()));
    }
}
