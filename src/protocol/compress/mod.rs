//! Compressed bodies, each type in a file of its own. Inflating stops at a bound: nothing on the wire states the
//! original size, and what a header claims is not believed.

#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "lz4")]
mod xxh32;
mod zlib;
#[cfg(feature = "zstd")]
mod zstd;

use std::fmt;
use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::error::Limit;
use crate::message::{Damage, sys_flag};

/// How a producer compresses bodies; see [`ProducerBuilder::compression`](crate::ProducerBuilder::compression).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Zlib, which every consumer of any age and language reads. The default.
    #[default]
    Zlib,
    /// LZ4: several times faster than zlib, and larger. For consumers of version 4.9.4 and later, and not for clients in
    /// Go and C++, which read zlib only.
    #[cfg(feature = "lz4")]
    #[cfg_attr(docsrs, doc(cfg(feature = "lz4")))]
    Lz4,
    /// Zstandard: faster than zlib, and smaller. For consumers of version 4.9.4 and later, and not for clients in Go and
    /// C++, which read zlib only.
    #[cfg(feature = "zstd")]
    #[cfg_attr(docsrs, doc(cfg(feature = "zstd")))]
    Zstd,
}

/// Java's default, for every type that has levels.
const DEFAULT_LEVEL: u32 = 5;

impl Compression {
    /// The levels there are to choose from, if there are any.
    pub(crate) fn levels(self) -> Option<RangeInclusive<u32>> {
        match self {
            Compression::Zlib => Some(1..=9),
            #[cfg(feature = "lz4")]
            Compression::Lz4 => None,
            #[cfg(feature = "zstd")]
            Compression::Zstd => Some(1..=22),
        }
    }

    /// Compresses a body and returns it with its bits of the system flag; `None` when that does not make it smaller or
    /// does not succeed: the body is sent as it is then. Without a level it is 5, as in Java.
    pub(crate) fn deflate(self, body: &[u8], level: Option<u32>) -> Option<(Bytes, i32)> {
        let level = level.unwrap_or(DEFAULT_LEVEL);
        let (deflated, kind) = match self {
            Compression::Zlib => (zlib::deflate(body, level), sys_flag::ZLIB),
            #[cfg(feature = "lz4")]
            Compression::Lz4 => (lz4::deflate(body), sys_flag::LZ4),
            #[cfg(feature = "zstd")]
            Compression::Zstd => (zstd::deflate(body, level), sys_flag::ZSTD),
        };
        let smaller = deflated.filter(|deflated| deflated.len() < body.len())?;
        Some((smaller.into(), sys_flag::COMPRESSED | kind))
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compression::Zlib => "zlib",
            #[cfg(feature = "lz4")]
            Compression::Lz4 => "lz4",
            #[cfg(feature = "zstd")]
            Compression::Zstd => "zstd",
        })
    }
}

/// Why a body could not be inflated.
#[derive(Debug)]
enum Failure {
    TooLarge,
    Damaged(String),
}

/// Inflates a body whose system flag says it is compressed. Bits 8 to 10 name the type; 0 and 3 are zlib.
///
/// It never takes more memory for the result than `limit` bytes, nor much more than what is really there.
pub(crate) fn inflate(flag: i32, body: &[u8], limit: usize) -> Result<Bytes, Damage> {
    let inflated = match flag & sys_flag::COMPRESSION_MASK {
        0 | sys_flag::ZLIB => zlib::inflate(body, limit),
        #[cfg(feature = "lz4")]
        sys_flag::LZ4 => lz4::inflate(body, limit),
        #[cfg(not(feature = "lz4"))]
        sys_flag::LZ4 => return Err(missing_feature("lz4")),
        #[cfg(feature = "zstd")]
        sys_flag::ZSTD => zstd::inflate(body, limit),
        #[cfg(not(feature = "zstd"))]
        sys_flag::ZSTD => return Err(missing_feature("zstd")),
        other => return Err(format!("compression type {} is unknown", other >> 8).into()),
    };
    inflated.map(Bytes::from).map_err(|failure| match failure {
        Failure::TooLarge => {
            Damage::beyond(Limit::Body, format!("the compressed body inflates to more than {limit} bytes"))
        }
        Failure::Damaged(what) => format!("the compressed body cannot be inflated: {what}").into(),
    })
}

#[cfg(not(all(feature = "lz4", feature = "zstd")))]
fn missing_feature(name: &str) -> Damage {
    format!(
        "the body is compressed with {name}: this program was built without the feature `{name}` of rocketmq-blocking"
    )
    .into()
}

/// Runs `inflate` with room for what bodies usually become, and with four times as much whenever that was too little, up
/// to `most`. So memory follows what is there, not what a header claims. `Ok(None)` asks for more room.
#[cfg(any(feature = "lz4", feature = "zstd"))]
fn with_room<T>(
    compressed: usize,
    most: usize,
    mut inflate: impl FnMut(usize) -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    const FEWEST: usize = 4096;
    let mut room = compressed.saturating_mul(4).max(FEWEST).min(most);
    loop {
        match inflate(room)? {
            Some(inflated) => return Ok(inflated),
            None if room >= most => return Err(Failure::TooLarge),
            None => room = room.saturating_mul(4).min(most),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
