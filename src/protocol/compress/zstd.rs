//! Zstandard frames.
//!
//! A body is inflated in one go into memory that grows with it, so its earlier part serves as the window: a stream would
//! set up a window of the size that the header names, which is 128 MiB for what Java compresses at its highest level.

use zstd::bulk;
use zstd::zstd_safe::{DCtx, get_error_name, zstd_sys};

use super::{Failure, with_room};

/// `level` is 1 to 22.
pub(super) fn deflate(body: &[u8], level: u32) -> Option<Vec<u8>> {
    bulk::compress(body, i32::try_from(level).ok()?).ok()
}

pub(super) fn inflate(body: &[u8], limit: usize) -> Result<Vec<u8>, Failure> {
    if body.is_empty() {
        // Which would be no frame at all, and no error of the library's.
        return Err(Failure::Damaged("it is empty".to_owned()));
    }
    let out_of_memory = || Failure::Damaged("there is no memory for it".to_owned());
    let mut context = DCtx::try_create().ok_or_else(out_of_memory)?;
    let out = with_room(body.len(), limit, |room| {
        let mut out = Vec::with_capacity(room);
        match context.decompress(&mut out, body) {
            Ok(_) => Ok(Some(out)),
            Err(TOO_SMALL) => Ok(None),
            Err(code) => Err(Failure::Damaged(get_error_name(code).to_owned())),
        }
    })?;
    // The vector may have more room than was asked for.
    if out.len() > limit { Err(Failure::TooLarge) } else { Ok(out) }
}

/// The library's "destination buffer is too small"; its codes are negative numbers.
const TOO_SMALL: usize = (zstd_sys::ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall as usize).wrapping_neg();
