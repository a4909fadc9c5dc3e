use super::*;
use crate::protocol::golden::vectors;
use crate::protocol::rpc::route::GetRoute;

/// Reads a stream that arrives in pieces of the given sizes; the last size repeats.
fn read_in(stream: &[u8], sizes: impl IntoIterator<Item = usize>) -> Result<Vec<Frame>> {
    let mut reader = FrameReader::new(MAX_FRAME);
    let mut sizes = sizes.into_iter();
    let (mut frames, mut rest, mut size) = (Vec::new(), stream, 1);
    while !rest.is_empty() {
        size = sizes.next().unwrap_or(size).max(1);
        let mut piece = &rest[..size.min(rest.len())];
        rest = &rest[piece.len()..];
        while !piece.is_empty() {
            let space = reader.space();
            assert!(!space.is_empty(), "there is always space for what comes next");
            let count = space.len().min(piece.len());
            space[..count].copy_from_slice(&piece[..count]);
            reader.filled(count);
            piece = &piece[count..];
            while let Some(frame) = reader.next()? {
                frames.push(frame);
            }
        }
    }
    Ok(frames)
}

fn summary(frame: &Frame) -> (i32, i32, String, Vec<(String, String)>, Vec<u8>) {
    let fields = frame.fields().map(Result::unwrap).map(|(name, value)| (name.into_owned(), value.into_owned()));
    (frame.code, frame.opaque, frame.remark().into_owned(), fields.collect(), frame.body().to_vec())
}

fn frames_of_the_vectors() -> Vec<Vec<u8>> {
    vectors().into_iter().filter(|vector| vector.name.starts_with("frame_")).map(|vector| vector.bytes).collect()
}

/// A frame with a body of `len` bytes.
fn frame_of(kind: HeaderKind, opaque: i32, len: usize) -> Vec<u8> {
    let mut body = (0..251).collect::<Vec<u8>>().repeat(len / 251 + 1);
    body.truncate(len);
    let mut out = Vec::new();
    let route = GetRoute { standard_json: Some(true), topic: "T".into() };
    encode_request(&mut out, &Head::request(kind, RequestCode::GET_ROUTEINFO_BY_TOPIC, opaque), &route, &body).unwrap();
    out
}

/// The eight bytes before header and body.
fn prefix(length: i32, kind: u8, header_len: u32) -> Vec<u8> {
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(&(u32::from(kind) << 24 | header_len).to_be_bytes());
    bytes
}

#[test]
fn frames_are_the_same_wherever_the_stream_is_split() {
    let frames = frames_of_the_vectors();
    let stream = frames.concat();
    let expected: Vec<_> = frames.iter().map(|bytes| summary(&decode_whole(bytes).unwrap())).collect();
    let all = |sizes: Vec<usize>| read_in(&stream, sizes).unwrap().iter().map(summary).collect::<Vec<_>>();
    assert_eq!(all(vec![1]), expected, "one byte at a time");
    for split in crate::sampled(1..stream.len()) {
        assert_eq!(all(vec![split, stream.len()]), expected, "split at {split}");
    }
}

#[test]
fn frames_of_all_sizes_are_the_same_in_pieces_of_any_size() {
    let buffer = FrameReader::BUFFER;
    let around = [buffer - 200, buffer - 1, buffer, buffer + 1, 2 * buffer, 2 * buffer + 9, 300_000];
    let mut random = fastrand::Rng::with_seed(3);
    for round in 0..crate::rounds(30) {
        let sizes: Vec<usize> = (0..12)
            .map(|_| if random.bool() { random.usize(0..400) } else { *random.choice(&around).unwrap() })
            .collect();
        let kinds = [HeaderKind::Json, HeaderKind::Binary];
        let frames: Vec<_> =
            (0..).zip(&sizes).map(|(opaque, len)| frame_of(kinds[random.usize(0..2)], opaque, *len)).collect();
        let largest = random.usize(1..100_000);
        let pieces: Vec<usize> = (0..crate::rounds(10_000)).map(|_| random.usize(1..=largest)).collect();
        let read = read_in(&frames.concat(), pieces).unwrap();
        assert_eq!(read.len(), frames.len(), "round {round}");
        for (frame, bytes) in read.iter().zip(&frames) {
            assert_eq!(summary(frame), summary(&decode_whole(bytes).unwrap()), "round {round}");
        }
    }
}

#[cfg_attr(miri, ignore = "it copies megabytes; smaller frames go the same way")]
#[test]
fn frames_of_many_megabytes_are_read() {
    for len in [4 * 1024 * 1024, MAX_FRAME - 300] {
        let bytes = frame_of(HeaderKind::Json, 1, len);
        for piece in [1 << 20, 10_007] {
            let read = read_in(&bytes, [piece]).unwrap();
            assert_eq!((read.len(), read[0].body().len()), (1, len));
            assert_eq!(read[0].body(), &bytes[bytes.len() - len..]);
        }
    }
}

#[test]
fn a_length_that_is_not_allowed_is_an_error_before_its_bytes_arrive() {
    let max = MAX_FRAME as i32;
    for length in [-1, i32::MIN, i32::MAX, 0, 3, max + 1] {
        let error = read_in(&prefix(length, 0, 0), [8]).unwrap_err();
        assert!(error.to_string().contains(&length.to_string()), "{length}: {error}");
    }
    assert!(read_in(&prefix(max, 0, 30), [8]).unwrap().is_empty(), "the largest length is allowed");
    for (length, kind, header_len, what) in [
        (4, 0, 1, "header of 1 bytes"),
        (100, 0, 97, "header of 97"),
        (max, 1, 0xFF_FFFF, "header"),
        (100, 2, 0, "kind 2"),
    ] {
        let error = read_in(&prefix(length, kind, header_len), [8]).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }) && error.to_string().contains(what), "{error}");
    }
    for kind in [0, 1] {
        assert!(read_in(&prefix(4, kind, 0), [8]).is_err(), "an empty header has no code");
    }
}

#[test]
fn a_limit_below_the_protocols_own_is_kept() {
    let bytes = frame_of(HeaderKind::Json, 1, 10_000);
    let feed = |limit| {
        let mut reader = FrameReader::new(limit);
        reader.space()[..bytes.len()].copy_from_slice(&bytes);
        reader.filled(bytes.len());
        reader.next()
    };
    assert!(feed(bytes.len() - 4).unwrap().is_some());
    assert!(feed(bytes.len() - 5).is_err());
}

#[test]
fn memory_is_asked_for_only_as_bytes_arrive() {
    let mut reader = FrameReader::new(MAX_FRAME);
    let start = prefix(MAX_FRAME as i32, 0, 100);
    reader.space()[..8].copy_from_slice(&start);
    reader.filled(8);
    let mut arrived = 8;
    // Under Miri each look at the space costs as much as the frame is long.
    let (end, piece) = if cfg!(miri) { (3 * FrameReader::BUFFER, 10_000) } else { (3_000_000, 1000) };
    while arrived < end {
        assert!(reader.next().unwrap().is_none());
        let count = reader.space().len().min(piece);
        reader.filled(count);
        arrived += count;
        let held = reader.large.as_ref().map_or(0, |(frame, ..)| frame.capacity());
        assert!(held <= 4 * arrived.max(FrameReader::BUFFER), "{held} bytes held for {arrived}");
    }
}

#[test]
fn a_request_above_the_limit_is_refused_and_leaves_the_buffer_as_it_was() {
    let mut out = b"before".to_vec();
    let route = GetRoute { standard_json: None, topic: "T".into() };
    let head = Head::request(HeaderKind::Json, RequestCode::GET_ROUTEINFO_BY_TOPIC, 1);
    let error = encode(&mut out, &head, &route, &[], MAX_FRAME).unwrap_err();
    assert_eq!(error.outcome(), crate::Outcome::NotSent);
    assert_eq!(out, b"before");
}

#[test]
fn a_code_above_16_bits_travels_as_json_whatever_was_asked_for() {
    let head = Head::request(HeaderKind::Binary, RequestCode(200_050), 1);
    let mut out = Vec::new();
    encode_request(&mut out, &head, &NoFields, b"").unwrap();
    let frame = decode_whole(&out).unwrap();
    assert_eq!((frame.kind, frame.code), (HeaderKind::Json, 200_050));
}

#[test]
fn further_fields_stand_behind_those_of_the_header() {
    for kind in [HeaderKind::Json, HeaderKind::Binary] {
        let route = GetRoute { standard_json: None, topic: "T".into() };
        let head = Head::request(kind, RequestCode::GET_ROUTEINFO_BY_TOPIC, 1);
        let mut out = Vec::new();
        encode(&mut out, &head, &route, &[("AccessKey", "k\"1"), ("Signature", "s")], 0).unwrap();
        let frame = decode_whole(&out).unwrap();
        assert_eq!(frame.field("AccessKey").as_deref(), Some("k\"1"));
        assert_eq!(frame.field("Signature").as_deref(), Some("s"));
        assert_eq!(frame.header::<GetRoute>().unwrap(), route);
        assert_eq!(frame.field("missing"), None);
    }
}
