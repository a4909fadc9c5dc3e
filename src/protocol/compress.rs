//! Compressed bodies, inflated only up to a bound: nothing on the wire states the original size.

use std::io::{Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::message::sys_flag;

/// Inflates a body whose system flag says it is compressed. Bits 8 to 10 name the type; 0 and 3 are zlib.
pub(crate) fn inflate(flag: i32, body: &[u8], limit: usize) -> Result<Bytes, Arc<str>> {
    match flag & sys_flag::COMPRESSION_MASK {
        0 | sys_flag::ZLIB => inflate_zlib(body, limit),
        0x100 => Err("the body is compressed with lz4, which this version does not inflate".into()),
        0x200 => Err("the body is compressed with zstd, which this version does not inflate".into()),
        other => Err(format!("compression type {} is unknown", other >> 8).into()),
    }
}

fn inflate_zlib(body: &[u8], limit: usize) -> Result<Bytes, Arc<str>> {
    let mut out = Vec::with_capacity(body.len().saturating_mul(4).min(limit));
    let bound = (limit as u64).saturating_add(1);
    let read = ZlibDecoder::new(body).take(bound).read_to_end(&mut out);
    read.map_err(|error| format!("the compressed body cannot be inflated: {error}"))?;
    if out.len() > limit {
        return Err(format!("the compressed body inflates to more than {limit} bytes").into());
    }
    Ok(out.into())
}

/// Compresses a body as a zlib stream; `None` when that does not make it smaller. `level` is 0 to 9.
pub(crate) fn zlib(body: &[u8], level: u32) -> Option<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(body.len() / 2), Compression::new(level.min(9)));
    // Writing to memory cannot fail; were it to, the body is sent as it is.
    encoder.write_all(body).ok()?;
    let compressed = encoder.finish().ok()?;
    (compressed.len() < body.len()).then_some(compressed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_survives_and_one_that_does_not_shrink_stays_as_it_is() {
        let body = b"message ".repeat(1000);
        let compressed = zlib(&body, 5).unwrap();
        assert!(compressed.len() < body.len() / 10);
        assert_eq!(inflate(0x301, &compressed, body.len()).unwrap(), body);
        assert_eq!(inflate(0x001, &compressed, body.len()).unwrap(), body);
        assert_eq!(zlib(b"abc", 5), None);
    }

    #[test]
    fn inflation_stops_at_the_limit() {
        let bomb = zlib(&vec![0; 10_000_000], 9).unwrap();
        let error = inflate(0x301, &bomb, 1_000_000).unwrap_err();
        assert!(error.contains("more than 1000000 bytes"), "{error}");
        assert_eq!(inflate(0x301, &bomb, 10_000_000).unwrap().len(), 10_000_000);
        assert_eq!(inflate(0x301, &bomb, usize::MAX).unwrap().len(), 10_000_000);
    }

    #[test]
    fn damage_is_an_error() {
        let compressed = zlib(&b"message ".repeat(100), 5).unwrap();
        for cut in 0..compressed.len() {
            assert!(inflate(0x301, &compressed[..cut], 10_000).is_err(), "cut at {cut}");
        }
        for at in 0..compressed.len() {
            let mut damaged = compressed.clone();
            damaged[at] ^= 0x40;
            // Some bits mean nothing: of the header, and those that fill up the last byte before the checksum.
            let read = inflate(0x301, &damaged, 10_000);
            assert!(read.is_err() || read.unwrap() == b"message ".repeat(100), "damaged at {at}");
        }
        assert!(inflate(0x301, b"no zlib", 10_000).is_err());
        assert!(inflate(0x701, &compressed, 10_000).is_err());
    }
}
