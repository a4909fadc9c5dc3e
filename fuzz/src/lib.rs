//! What all fuzz targets share: memory is counted, and a target that takes much more than its input is worth fails.

pub mod scripts;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

#[doc(hidden)]
pub use {libfuzzer_sys, rocketmq_blocking};

/// What a target may take whatever its input is: the buffer of a reader, tables, a text in an error.
const BASE: usize = 4 << 20;
/// How many bytes of memory a byte of the input may cost. Largest are sets of bits: a place takes eight bytes, a character
/// of base64 has six.
const EACH: usize = 256;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Counts what is allocated. These targets have one thread.
pub struct Counting;

// SAFETY: everything is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: as the caller has promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller has promised.
        unsafe { System.dealloc(at, layout) }
    }
}

/// Runs a target and makes sure that it took no memory out of proportion.
pub fn bounded(data: &[u8], target: impl FnOnce(&[u8])) {
    let before = NOW.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    target(data);
    let taken = PEAK.load(Ordering::Relaxed).saturating_sub(before);
    assert!(taken <= BASE + EACH * data.len(), "{taken} bytes of memory for {} of input", data.len());
}

/// A target that takes bytes: the function of the same name in the crate.
#[macro_export]
macro_rules! bytes {
    ($target:ident) => {
        #[global_allocator]
        static MEMORY: $crate::Counting = $crate::Counting;

        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            $crate::bounded(data, $crate::rocketmq_blocking::fuzz::$target);
        });
    };
}
