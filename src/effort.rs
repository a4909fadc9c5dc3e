//! How much tests try: less under Miri, which takes hundreds of times as long.

/// How often a test does what it repeats: under Miri a hundredth.
pub(crate) const fn rounds(times: usize) -> usize {
    if cfg!(miri) { times.div_ceil(100) } else { times }
}

/// As [`rounds`], each of which reads a whole answer: under Miri a thousandth.
pub(crate) const fn large_rounds(times: usize) -> usize {
    if cfg!(miri) { times.div_ceil(1_000) } else { times }
}

/// What a test tries one after the other: all of it, under Miri one in 37.
pub(crate) fn sampled<T>(all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    all.step_by(if cfg!(miri) { 37 } else { 1 })
}

/// As [`sampled`], each of which reads a whole answer: under Miri one in 103.
pub(crate) fn large_sampled<T>(all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    all.step_by(if cfg!(miri) { 103 } else { 1 })
}
