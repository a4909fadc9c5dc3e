use bytes::Bytes;
use fastrand::Rng;

use crate::protocol::frame::{Frame, FrameReader, MAX_FRAME};

/// What a frame says, and its body.
type Seen = (i32, i32, i32, i32, String, Vec<(String, String)>, Bytes);

/// A stream gives the same frames, and the same error, however it is cut.
///
/// The first byte says where it is cut, the second how large frames may be and how many zeros follow the stream: they
/// complete frames that are larger than the input.
pub fn stream(data: &[u8]) {
    let Some((&[cuts, size], stream)) = data.split_first_chunk() else { return };
    let limit = if size & 1 == 0 { MAX_FRAME } else { usize::from(size) * 16 };
    let stream = [stream, &vec![0; usize::from(size >> 4) * 20_000]].concat();
    let whole = read(&stream, limit, |space| space);
    let mut random = Rng::with_seed(u64::from(cuts));
    let most = [1, 7, 64, 5_000, 100_000][usize::from(cuts) % 5];
    // Cut finely only where it is not long.
    let most = if stream.len() > 10_000 { most.max(1000) } else { most };
    let cut = read(&stream, limit, |space| random.usize(1..=space.min(most)));
    assert_eq!(whole, cut, "cut into pieces of up to {most} bytes");
    let carried: usize = whole.0.iter().map(|seen| seen.6.len()).sum();
    assert!(carried <= stream.len());
}

fn read(mut rest: &[u8], limit: usize, mut piece: impl FnMut(usize) -> usize) -> (Vec<Seen>, Option<String>) {
    let (mut reader, mut frames) = (FrameReader::new(limit), Vec::new());
    while !rest.is_empty() {
        let space = reader.space();
        assert!(!space.is_empty(), "nowhere to read to");
        let count = piece(space.len()).min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
        reader.filled(count);
        loop {
            match reader.next() {
                Ok(Some(frame)) => frames.push(seen(&frame)),
                Ok(None) => break,
                Err(error) => return (frames, Some(error.to_string())),
            }
        }
    }
    (frames, None)
}

fn seen(frame: &Frame) -> Seen {
    let fields = frame.fields().map_while(Result::ok).map(|(name, value)| (name.into_owned(), value.into_owned()));
    let flag = frame.flag | i32::from(frame.is_response()) | i32::from(frame.is_oneway()) << 1;
    assert_eq!(flag, frame.flag);
    let head = (frame.code, frame.version, frame.opaque, frame.flag);
    (head.0, head.1, head.2, head.3, frame.remark().into_owned(), fields.collect(), frame.body_bytes())
}
