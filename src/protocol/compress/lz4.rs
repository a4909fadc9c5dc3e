//! LZ4 frames, as lz4-java writes them: independent blocks without checksums. Read are all frames of that format.
//!
//! The frame is ours and only its blocks are the crate's: its own reader fills buffers of the size that the header
//! names, which in Java's frames is 4 MiB for a body of any size, and takes a frame that was cut off for a whole one.

use byteorder::{ByteOrder, LittleEndian};
use lz4_flex::block::{self, DecompressError};

use super::xxh32::xxh32;
use super::{Failure, with_room};

const MAGIC: u32 = 0x184D_2204;
/// Marks a block that is stored as it is.
const STORED: u32 = 1 << 31;
/// How far back a block may refer.
const WINDOW: usize = 64 << 10;

/// Bits of a frame's flags.
mod flag {
    pub(super) const VERSION: u8 = 0b1100_0000;
    pub(super) const VERSION_1: u8 = 0b0100_0000;
    pub(super) const INDEPENDENT: u8 = 0b0010_0000;
    pub(super) const BLOCK_CHECKSUM: u8 = 0b0001_0000;
    pub(super) const CONTENT_SIZE: u8 = 0b0000_1000;
    pub(super) const CONTENT_CHECKSUM: u8 = 0b0000_0100;
    pub(super) const RESERVED: u8 = 0b0000_0010;
    pub(super) const DICTIONARY: u8 = 0b0000_0001;
}

/// Returns the bits that name a block size, and the size: 4 is 64 KiB, each further one four times as much.
fn block_size(code: u8) -> Option<usize> {
    (4..=7).contains(&code).then(|| 64 << 10 << (2 * (code - 4)))
}

pub(super) fn deflate(body: &[u8]) -> Option<Vec<u8>> {
    // The smallest size that holds the body: readers make buffers of it.
    let code = (4..7).find(|code| block_size(*code).is_some_and(|size| body.len() <= size)).unwrap_or(7);
    let size = block_size(code)?;
    let mut out = Vec::with_capacity(body.len() / 2 + 32);
    out.extend_from_slice(&MAGIC.to_le_bytes());
    let descriptor = [flag::VERSION_1 | flag::INDEPENDENT, code << 4];
    out.extend_from_slice(&descriptor);
    out.push(header_checksum(&descriptor));
    for chunk in body.chunks(size) {
        let start = out.len() + 4;
        out.resize(start + block::get_maximum_output_size(chunk.len()), 0);
        let len = block::compress_into(chunk, &mut out[start..]).ok()?;
        out.truncate(start + len);
        let mut word = len as u32;
        if len >= chunk.len() {
            out.truncate(start);
            out.extend_from_slice(chunk);
            word = chunk.len() as u32 | STORED;
        }
        LittleEndian::write_u32(&mut out[start - 4..], word);
    }
    out.extend_from_slice(&[0; 4]);
    Some(out)
}

fn header_checksum(descriptor: &[u8]) -> u8 {
    (xxh32(descriptor) >> 8) as u8
}

pub(super) fn inflate(body: &[u8], limit: usize) -> Result<Vec<u8>, Failure> {
    let mut rest = Reader(body);
    let header = Header::read(&mut rest)?;
    let mut out = Vec::new();
    loop {
        let word = rest.u32()?;
        if word == 0 {
            break;
        }
        let block = rest.take((word & !STORED) as usize)?;
        if header.has(flag::BLOCK_CHECKSUM) && rest.u32()? != xxh32(block) {
            return damaged("the checksum of a block is wrong");
        }
        if word & STORED == 0 {
            inflate_block(&mut out, block, &header, limit)?;
        } else if block.len() > header.block_size {
            return damaged("a block is larger than its header says");
        } else if block.len() > limit - out.len() {
            return Err(Failure::TooLarge);
        } else {
            out.extend_from_slice(block);
        }
    }
    if header.content_size.is_some_and(|size| size != out.len() as u64) {
        return damaged("the size is not the one its header says");
    }
    if header.has(flag::CONTENT_CHECKSUM) && rest.u32()? != xxh32(&out) {
        return damaged("the checksum is wrong");
    }
    if !rest.0.is_empty() {
        return damaged("there are bytes behind the end");
    }
    Ok(out)
}

/// Appends what a block holds. `out` has at most `limit` bytes, before and after.
fn inflate_block(out: &mut Vec<u8>, block: &[u8], header: &Header, limit: usize) -> Result<(), Failure> {
    let start = out.len();
    let most = header.block_size.min(limit - start);
    let inflated = with_room(block.len(), most, |room| {
        out.resize(start + room, 0);
        let (before, space) = out.split_at_mut(start);
        let window = if header.has(flag::INDEPENDENT) { &[] } else { &before[start.saturating_sub(WINDOW)..] };
        match block::decompress_into_with_dict(block, space, window) {
            Ok(len) => Ok(Some(len)),
            Err(DecompressError::OutputTooSmall { .. }) => Ok(None),
            Err(error) => damaged(&error.to_string()),
        }
    });
    match inflated {
        Ok(len) => {
            out.truncate(start + len);
            Ok(())
        }
        Err(Failure::TooLarge) if most == header.block_size => damaged("a block is larger than its header says"),
        Err(failure) => Err(failure),
    }
}

/// What a frame begins with.
struct Header {
    flags: u8,
    /// The most that a block may hold, in bytes.
    block_size: usize,
    content_size: Option<u64>,
}

impl Header {
    fn read(rest: &mut Reader<'_>) -> Result<Header, Failure> {
        if rest.u32()? != MAGIC {
            return damaged("it is no LZ4 frame");
        }
        let descriptor = rest.0;
        let &[flags, sizes] = rest.take(2)? else { return damaged("its header is cut off") };
        let block_size = block_size(sizes >> 4);
        let (Some(block_size), flag::VERSION_1, 0, 0) =
            (block_size, flags & flag::VERSION, flags & flag::RESERVED, sizes & 0x0F)
        else {
            return damaged("its header has unknown settings");
        };
        if flags & flag::DICTIONARY != 0 {
            return damaged("it needs a dictionary");
        }
        let mut header = Header { flags, block_size, content_size: None };
        if header.has(flag::CONTENT_SIZE) {
            header.content_size = Some(LittleEndian::read_u64(rest.take(8)?));
        }
        let descriptor = &descriptor[..descriptor.len() - rest.0.len()];
        if rest.take(1)? != [header_checksum(descriptor)] {
            return damaged("the checksum of its header is wrong");
        }
        Ok(header)
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The bytes not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Failure> {
        let Some((taken, rest)) = self.0.split_at_checked(count) else { return damaged("it is cut off") };
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, Failure> {
        self.take(4).map(LittleEndian::read_u32)
    }
}

fn damaged<T>(what: &str) -> Result<T, Failure> {
    Err(Failure::Damaged(what.to_owned()))
}
