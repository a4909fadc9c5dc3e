use super::*;

/// The types this build has.
pub(in crate::protocol) const KINDS: &[Compression] = &[
    Compression::Zlib,
    #[cfg(feature = "lz4")]
    Compression::Lz4,
    #[cfg(feature = "zstd")]
    Compression::Zstd,
];

/// Further forms of a type, as others write them.
pub(in crate::protocol) fn other_seeds(kind: Compression) -> Vec<Vec<u8>> {
    match kind {
        #[cfg(feature = "lz4")]
        Compression::Lz4 => vec![frames::linked(b"one two one two", b"one two three three", true)],
        _ => Vec::new(),
    }
}

fn text() -> Vec<u8> {
    let count = if cfg!(miri) { 50 } else { 500 };
    (0..count).map(|number| format!(r#"{{"order":{number},"paid":true,"items":["a","b"]}}"#)).collect::<String>().into()
}

fn noise(len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.u8(..)).take(len).collect()
}

#[test]
fn a_body_survives_every_type_at_every_level_and_its_bits_say_which() {
    let body = text();
    for kind in KINDS {
        let expected = match kind.to_string().as_str() {
            "zlib" => 0x301,
            "lz4" => 0x101,
            _ => 0x201,
        };
        let levels = kind.levels().map_or(vec![None], |levels| levels.map(Some).chain([None]).collect());
        for level in levels {
            let (deflated, bits) = kind.deflate(&body, level).unwrap();
            assert_eq!(bits, expected, "{kind}");
            assert!(deflated.len() < body.len() / 3, "{kind} at level {level:?}: {}", deflated.len());
            assert_eq!(inflate(bits, &deflated, body.len()).unwrap(), body, "{kind} at level {level:?}");
        }
    }
    let (deflated, _) = Compression::Zlib.deflate(&body, None).unwrap();
    assert_eq!(inflate(0x001, &deflated, body.len()).unwrap(), body, "older producers name no type");
}

#[cfg_attr(miri, ignore = "it compresses megabytes")]
#[test]
fn bodies_of_any_size_survive() {
    let long = text().repeat(300);
    for kind in KINDS {
        for len in [300, 65_535, 65_536, 65_537, 262_145, 1 << 20, long.len()] {
            let body = &long[..len];
            let (deflated, flag) = kind.deflate(body, None).unwrap();
            assert_eq!(inflate(flag, &deflated, len).unwrap(), body, "{kind}, {len} bytes");
        }
        let mut mixed = noise(200_000);
        mixed.extend_from_slice(&long[..200_000]);
        let (deflated, flag) = kind.deflate(&mixed, None).unwrap();
        assert_eq!(inflate(flag, &deflated, mixed.len()).unwrap(), mixed, "{kind}, a part does not shrink");
    }
}

#[test]
fn what_does_not_shrink_stays_as_it_is() {
    for kind in KINDS {
        assert_eq!(kind.deflate(b"abc", None), None, "{kind}");
        assert_eq!(kind.deflate(b"", None), None, "{kind}");
        assert_eq!(kind.deflate(&noise(10_000), None), None, "{kind}");
    }
}

#[test]
fn inflation_stops_at_the_limit_whatever_the_type() {
    // More than zlib's window in any case.
    let size = if cfg!(miri) { 40_000 } else { 10_000_000 };
    for kind in KINDS {
        let (bomb, flag) = kind.deflate(&vec![0; size], None).unwrap();
        assert!(bomb.len() < size / 200, "{kind}");
        for limit in [0, 1, size / 10, (4 << 20).min(size / 2), size - 1] {
            let error = inflate(flag, &bomb, limit).unwrap_err();
            assert!(error.to_string().contains(&format!("more than {limit} bytes")), "{kind}: {error}");
        }
        for limit in [size, usize::MAX] {
            assert_eq!(inflate(flag, &bomb, limit).unwrap().len(), size, "{kind}");
        }
    }
}

#[test]
fn damage_is_an_error() {
    let body = text();
    for kind in KINDS {
        let (deflated, flag) = kind.deflate(&body, None).unwrap();
        for cut in crate::sampled(0..deflated.len()) {
            assert!(inflate(flag, &deflated[..cut], 100_000).is_err(), "{kind} cut at {cut}");
        }
        assert!(inflate(flag, b"neither of them", 100_000).is_err(), "{kind}");
        assert!(inflate(0x701, &deflated, 100_000).unwrap_err().to_string().contains("type 7 is unknown"));
    }
}

/// The other types carry no checksum of the body by default; a broker keeps one of what it stored.
#[test]
fn no_bit_of_a_zlib_stream_changes_the_body_unseen() {
    let body = b"message ".repeat(100);
    let (deflated, flag) = Compression::Zlib.deflate(&body, None).unwrap();
    for at in crate::sampled(0..deflated.len()) {
        let mut damaged = deflated.to_vec();
        damaged[at] ^= 0x40;
        // Some bits mean nothing: of the header, and those that fill up the last byte before the checksum.
        let read = inflate(flag, &damaged, 10_000);
        assert!(read.is_err() || read.unwrap() == body, "damaged at {at}");
    }
}

#[cfg(feature = "lz4")]
mod frames {
    use super::*;
    use crate::protocol::compress::xxh32::xxh32;

    /// A frame of two linked blocks, with or without all checksums and the size.
    pub(super) fn linked(first: &[u8], second: &[u8], checks: bool) -> Vec<u8> {
        let mut descriptor = vec![if checks { 0x5C } else { 0x40 }, 0x40];
        if checks {
            descriptor.extend_from_slice(&((first.len() + second.len()) as u64).to_le_bytes());
        }
        let mut out = 0x184D_2204u32.to_le_bytes().to_vec();
        out.extend_from_slice(&descriptor);
        out.push((xxh32(&descriptor) >> 8) as u8);
        for (block, window) in [(first, &b""[..]), (second, first)] {
            let block = lz4_flex::block::compress_with_dict(block, window);
            out.extend_from_slice(&(block.len() as u32).to_le_bytes());
            out.extend_from_slice(&block);
            if checks {
                out.extend_from_slice(&xxh32(&block).to_le_bytes());
            }
        }
        out.extend_from_slice(&[0; 4]);
        if checks {
            out.extend_from_slice(&xxh32(&[first, second].concat()).to_le_bytes());
        }
        out
    }

    #[test]
    fn lz4_frames_with_linked_blocks_sizes_and_checksums_are_read() {
        let (first, second) = (text(), text());
        for checks in [false, true] {
            let frame = linked(&first, &second, checks);
            assert!(frame.len() < first.len() / 2, "the second block refers to the first");
            assert_eq!(inflate(0x101, &frame, 1 << 20).unwrap(), [&first[..], &second[..]].concat());
            let error = inflate(0x101, &frame, first.len() + 5).unwrap_err();
            assert!(error.to_string().contains("more than"), "{error}");
        }
    }

    #[test]
    fn with_checksums_no_bit_of_an_lz4_frame_changes_the_body_unseen() {
        let frame = linked(b"one two one two one two", b"one two three", true);
        for bit in crate::sampled(0..frame.len() * 8) {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(inflate(0x101, &damaged, 1 << 20).is_err(), "bit {bit}");
        }
        assert!(
            inflate(0x101, &[&frame[..], b"!"].concat(), 1 << 20).unwrap_err().to_string().contains("behind the end")
        );
    }

    #[test]
    fn an_lz4_block_may_not_be_larger_than_its_header_says() {
        let block = lz4_flex::block::compress(&vec![0; 70_000]);
        let mut frame = Compression::Lz4.deflate(&[0; 1000], None).unwrap().0[..7].to_vec();
        frame.extend_from_slice(&(block.len() as u32).to_le_bytes());
        frame.extend_from_slice(&block);
        frame.extend_from_slice(&[0; 4]);
        assert!(inflate(0x101, &frame, 1 << 20).unwrap_err().to_string().contains("larger than its header says"));
        let mut claims = frame[..7].to_vec();
        claims.extend_from_slice(&0x7FFF_FFFFu32.to_le_bytes());
        assert!(inflate(0x101, &claims, usize::MAX).unwrap_err().to_string().contains("cut off"));
    }
}

#[cfg(feature = "zstd")]
mod zstd_frames {
    use super::*;

    /// A frame without checksum or size: one block, stored as it is.
    fn frame(window: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![0x28, 0xB5, 0x2F, 0xFD, 0x00, window];
        out.extend_from_slice(&((body.len() as u32) << 3 | 1).to_le_bytes()[..3]);
        out.extend_from_slice(body);
        out
    }

    #[test]
    fn a_zstd_window_of_a_gibibyte_costs_nothing() {
        assert_eq!(inflate(0x201, &frame(20 << 3, b"hello"), 1000).unwrap(), "hello");
        assert!(
            inflate(0x201, &frame(20 << 3, &[b'x'; 1001]), 1000).unwrap_err().to_string().contains("more than 1000")
        );
    }

    #[test]
    fn zstd_frames_as_streams_write_them_are_read() {
        let body = text().repeat(20);
        let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 5).unwrap();
        std::io::Write::write_all(&mut encoder, &body).unwrap();
        let stream = encoder.finish().unwrap();
        assert_eq!(inflate(0x201, &stream, body.len()).unwrap(), body);
        assert!(inflate(0x201, &stream, body.len() - 1).unwrap_err().to_string().contains("more than"));
        assert!(inflate(0x201, &[&stream[..], b"!"].concat(), 1 << 20).is_err());
    }
}

#[cfg(not(feature = "lz4"))]
#[test]
fn a_build_without_lz4_says_so() {
    assert!(inflate(0x101, b"x", 1000).unwrap_err().to_string().contains("without the feature `lz4`"));
}

#[cfg(not(feature = "zstd"))]
#[test]
fn a_build_without_zstd_says_so() {
    assert!(inflate(0x201, b"x", 1000).unwrap_err().to_string().contains("without the feature `zstd`"));
}
