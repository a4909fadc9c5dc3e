//! Random damage to real bytes: every decoder answers with a value or an error, never with a panic, an endless loop or
//! an allocation out of proportion. Seeded, so a failure repeats; each test names its round.

use std::sync::Arc;

use bytes::Bytes;
use fastrand::Rng;

use super::bounds::Bounds;
use super::fields::Header;
use super::frame::{FrameReader, MAX_FRAME};
use super::golden::vectors;
use super::rpc::{heartbeat, offset, pull, query, route, send, topic};
use super::{batch, compress, filter, json, json_header, record};
use crate::message::{OffsetMessageId, Properties};

/// Bytes that mean something to one of the decoders.
const TELLING: &[u8] = b"\"\\{}[]:,nu0-9\x00\x01\x02\x7F\x80\xFF";

fn seeds(wanted: &str) -> Vec<Vec<u8>> {
    vectors().into_iter().filter(|vector| vector.name.contains(wanted)).map(|vector| vector.bytes).collect()
}

/// Changes, removes, repeats, inserts or splices a few bytes.
fn damage(random: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.usize(..seeds.len())].clone();
    for _ in 0..random.usize(1..6) {
        let at = random.usize(..=bytes.len());
        let end = (at + random.usize(0..12)).min(bytes.len());
        match random.u8(..7) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => bytes.insert(at, TELLING[random.usize(..TELLING.len())]),
            4 => {
                let other = &seeds[random.usize(..seeds.len())];
                let from = random.usize(..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            5 if at < bytes.len() => bytes[at] = TELLING[random.usize(..TELLING.len())],
            _ if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
            _ => {}
        }
    }
    bytes
}

fn each(seed: u64, rounds: usize, wanted: &str, mut run: impl FnMut(Vec<u8>, &mut Rng)) {
    let (mut random, seeds) = (Rng::with_seed(seed), seeds(wanted));
    assert!(!seeds.is_empty());
    for _ in 0..crate::large_rounds(rounds) {
        let bytes = damage(&mut random, &seeds);
        run(bytes, &mut random);
    }
}

/// Reads the fields as every table there is.
fn read_as_all(frame: &super::frame::Frame) {
    fn one<H: Header>(frame: &super::frame::Frame) {
        let _ = frame.header::<H>();
    }
    one::<send::SendMessage>(frame);
    one::<send::SendReply>(frame);
    one::<pull::PullMessage>(frame);
    one::<pull::PullReply>(frame);
    one::<offset::SearchOffset>(frame);
    one::<offset::ConsumerOffsetReply>(frame);
    one::<offset::UpdateConsumerOffset>(frame);
    one::<query::ViewMessage>(frame);
    one::<query::QueryMessage>(frame);
    one::<query::QueryReply>(frame);
    one::<route::GetRoute>(frame);
    one::<topic::CreateTopic>(frame);
    one::<heartbeat::UnregisterClient>(frame);
}

#[test]
fn frames() {
    each(1, 6_000, "frame_", |bytes, random| {
        let mut reader = FrameReader::new(MAX_FRAME);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let space = reader.space();
            let count = random.usize(1..=space.len().min(rest.len()));
            space[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            reader.filled(count);
            loop {
                match reader.next() {
                    Ok(Some(frame)) => {
                        let _ = (frame.remark(), frame.field("i"), frame.body_bytes(), frame.is_response());
                        read_as_all(&frame);
                    }
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
        }
    });
}

/// The length words are put right after the damage, so that it reaches the headers.
#[test]
fn headers() {
    each(2, 8_000, "frame_", |mut bytes, random| {
        bytes.resize(bytes.len().max(8), 0);
        let length = bytes.len() as u32 - 4;
        let header_len = if random.u8(..4) == 0 { random.u32(..=length - 4) } else { length - 4 };
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        let kind = u32::from(bytes[4] & 1) << 24;
        bytes[4..8].copy_from_slice(&(kind | header_len).to_be_bytes());
        if let Ok(frame) = super::frame::decode_whole(&bytes) {
            assert_eq!(frame.body().len(), (length - 4 - header_len) as usize);
            let _ = (frame.remark(), frame.field("topic"));
            read_as_all(&frame);
        }
    });
}

#[test]
fn records() {
    let broker: Arc<str> = "b".into();
    each(3, 8_000, "stored_", |bytes, _| {
        let (views, error) = record::messages(bytes.clone().into(), &broker, &Bounds::of_bodies(10_000));
        assert!(views.len() <= bytes.len() / 22 + 1);
        if let Some(error) = error {
            assert!(matches!(error, crate::Error::Malformed { .. }));
        }
        for view in views {
            let _ = (view.properties().len(), view.message_id().len(), view.born_timestamp(), view.detach());
            assert!(view.body().len() <= 10_000);
        }
    });
}

#[test]
fn batches() {
    each(4, 8_000, "batch_body", |bytes, _| {
        if let Ok(items) = batch::decode(&Bytes::from(bytes.clone())) {
            let carried: usize = items.iter().map(|item| item.body.len() + item.properties.len() + batch::FIXED).sum();
            assert!(carried <= bytes.len());
        }
    });
}

#[test]
fn bodies() {
    each(5, 6_000, "_body", |bytes, _| {
        let _ = json::decode::<route::RouteBody>("route", &bytes);
        let _ = json::decode::<route::ClusterBody>("cluster", &bytes);
        let _ = json::decode::<heartbeat::HeartbeatBody>("heartbeat", &bytes);
        let _ = json::decode::<serde_json::Value>("any", &bytes);
    });
}

#[test]
fn compressed_bodies() {
    let plain: Vec<u8> = (0..2000u32).flat_map(|number| (number % 100).to_be_bytes()).collect();
    let mut random = Rng::with_seed(6);
    for kind in compress::tests::KINDS {
        let deflated = |body: &[u8]| kind.deflate(body, None).unwrap();
        let (first, flag) = deflated(&plain);
        let mut seeds = vec![first.to_vec(), deflated(&[0; 5000]).0.to_vec()];
        seeds.extend(compress::tests::other_seeds(*kind));
        for _ in 0..crate::large_rounds(2_000) {
            let bytes = damage(&mut random, &seeds);
            let flag = if random.u8(..4) == 0 { random.i32(..0x800) } else { flag };
            if let Ok(body) = compress::inflate(flag, &bytes, 6_000) {
                assert!(body.len() <= 6_000);
            }
        }
    }
}

#[test]
fn texts() {
    each(7, 8_000, "", |bytes, _| {
        let text = String::from_utf8_lossy(&bytes);
        let _ = json_header::unescape(&bytes);
        let _ = text.parse::<OffsetMessageId>();
        let _ = (filter::java_hash(&text), filter::tags_of(&text));
        let properties = Properties::from_wire(&text);
        let mut again = String::new();
        properties.write_wire(&mut again);
        assert_eq!(Properties::from_wire(&again), properties);
    });
}
