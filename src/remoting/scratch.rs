//! The buffer of a thread in which requests get their wire form.

use std::cell::RefCell;

thread_local! {
    /// Where this thread puts requests into their wire form.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends the scratch. It is taken out meanwhile: a failing write ends other calls, whose closures may ask something too.
pub(super) fn with_scratch<T>(encode_and_send: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    const KEEP: usize = 64 * 1024;
    let mut scratch = SCRATCH.take();
    scratch.clear();
    let result = encode_and_send(&mut scratch);
    if scratch.capacity() <= KEEP {
        SCRATCH.set(scratch);
    }
    result
}
