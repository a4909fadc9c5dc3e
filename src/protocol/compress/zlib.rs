//! Zlib streams (RFC 1950), as Java's `Deflater` writes them.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use super::Failure;

/// `level` is 0 to 9.
pub(super) fn deflate(body: &[u8], level: u32) -> Option<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(body.len() / 2), Compression::new(level.min(9)));
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

pub(super) fn inflate(body: &[u8], limit: usize) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::with_capacity(body.len().saturating_mul(4).min(limit));
    let bound = (limit as u64).saturating_add(1);
    let read = ZlibDecoder::new(body).take(bound).read_to_end(&mut out);
    read.map_err(|error| Failure::Damaged(error.to_string()))?;
    if out.len() > limit { Err(Failure::TooLarge) } else { Ok(out) }
}
