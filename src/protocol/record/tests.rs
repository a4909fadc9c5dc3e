use super::*;
use crate::protocol::golden::vector;

fn plain() -> Stored {
    Records::new(vector("stored_v1").bytes.into()).next().unwrap().unwrap()
}

fn bytes_of(stored: &Stored) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out, stored);
    out
}

fn read_all(data: Vec<u8>) -> (Vec<Stored>, Option<Error>) {
    let mut stored = Vec::new();
    for record in Records::new(data.into()) {
        match record {
            Ok(record) => stored.push(record),
            Err(error) => return (stored, Some(error)),
        }
    }
    (stored, None)
}

#[test]
fn a_cut_anywhere_keeps_the_messages_before_it() {
    let one = vector("stored_v1").bytes;
    let three = one.repeat(3);
    for cut in crate::sampled(0..three.len()) {
        let (read, error) = read_all(three[..cut].to_vec());
        assert_eq!(read.len(), cut / one.len(), "cut at {cut}");
        assert_eq!(error.is_none(), cut % one.len() == 0, "cut at {cut}");
        let (views, error) = messages(three[..cut].to_vec().into(), &"b".into(), &Bounds::of_bodies(100));
        assert_eq!((views.len(), error.is_none()), (cut / one.len(), cut % one.len() == 0), "cut at {cut}");
    }
}

#[test]
fn a_damaged_byte_never_panics_and_keeps_the_messages_before_it() {
    let first = vector("stored_v1").bytes;
    for name in
        ["stored_v1", "stored_v2_long_topic", "stored_v1_ipv6_hosts", "stored_inner_batch", "stored_compressed_zlib"]
    {
        let second = vector(name).bytes;
        let flips = |byte: u8| [0, 1, 0x7F, 0x80, 0xFF, byte ^ 1];
        let all = second.iter().enumerate().flat_map(|(at, byte)| flips(*byte).map(|flip| (at, flip)));
        for (at, byte) in crate::large_sampled(all) {
            let mut damaged = [first.clone(), second.clone()].concat();
            damaged[first.len() + at] = byte;
            let (views, error) = messages(damaged.into(), &"b".into(), &Bounds::of_bodies(1000));
            assert_eq!(views[0].body(), b"hello", "{name}: {byte} at {at}");
            assert!(views.len() > 1 || error.is_some(), "{name}: {byte} at {at} made a message vanish");
            for view in &views {
                let _ = (format!("{view} {view:?}"), view.properties(), view.store_timestamp(), view.keys().count());
            }
        }
    }
}

#[test]
fn a_record_with_another_magic_number_or_an_impossible_size_is_an_error_that_says_so() {
    let good = vector("stored_v1").bytes;
    for (at, value, what) in [
        (4, 0xCBD4_3194, "0xcbd43194"),
        (0, 0, "of 0 bytes"),
        (0, 90, "of 90 bytes"),
        (0, 158, "with 157 left"),
        (0, 0xFFFF_FFFF, "with 157 left"),
        (0, 100, "inside its"),
        (84, 0x7FFF_FFFF, "inside its body"),
        (84, 0xFFFF_FFFF, "inside its body"),
    ] {
        let mut bad = good.clone();
        BigEndian::write_u32(&mut bad[at..], value);
        let (read, error) = read_all(bad);
        assert!(read.is_empty());
        assert!(error.as_ref().unwrap().to_string().contains(what), "{error:?}");
    }
}

#[test]
fn bytes_behind_the_properties_belong_to_the_record() {
    let mut bytes = vector("stored_v1").bytes;
    bytes.extend_from_slice(b"slack");
    let size = bytes.len() as u32;
    BigEndian::write_u32(&mut bytes, size);
    let (read, error) = read_all(bytes.repeat(2));
    assert!(error.is_none());
    assert_eq!(read, [plain(), plain()]);
}

#[test]
fn a_record_survives_whatever_its_hosts_topic_and_contents() {
    let hosts = ["1.2.3.4:5", "255.255.255.255:65535", "[::1]:1", "[2001:db8::2]:10911"];
    let long = crate::rounds(70_000);
    for (born, store) in hosts.iter().flat_map(|born| hosts.iter().map(move |store| (born, store))) {
        for (topic_len, body_len, properties_len) in [(0, 0, 0), (127, 1, 0), (128, 0, 32_767), (255, long, 5)] {
            let stored = Stored {
                sys_flag: [born, store]
                    .iter()
                    .zip([0x10, 0x20])
                    .map(|(host, bit)| host.starts_with('[') as i32 * bit)
                    .sum(),
                born_host: born.parse().unwrap(),
                store_host: store.parse().unwrap(),
                topic: "t".repeat(topic_len).into(),
                body: vec![7; body_len].into(),
                properties: vec![b'p'; properties_len].into(),
                ..plain()
            };
            assert_eq!(read_all(bytes_of(&stored)).0, [stored]);
        }
    }
}

#[test]
fn text_that_is_not_utf8_is_replaced() {
    let mut bytes = vector("stored_v1").bytes;
    let len = bytes.len();
    bytes[len - 2] = 0xFF;
    bytes[len - 60] = 0xFF;
    let (views, error) = messages(bytes.into(), &"b".into(), &Bounds::of_bodies(100));
    assert!(error.is_none());
    assert_eq!(views[0].tag(), Some("Tag\u{FFFD}"));
    assert!(views[0].topic().contains('\u{FFFD}'), "{}", views[0].topic());
}

#[test]
fn a_body_that_cannot_be_inflated_damages_its_own_message_only() {
    let compressed = vector("stored_compressed_zlib").bytes;
    let broken = |name: &str| {
        let mut bytes = vector(name).bytes;
        bytes[90] ^= 0xFF;
        bytes
    };
    let [zlib, lz4, zstd] = ["stored_compressed_zlib", "stored_compressed_lz4", "stored_compressed_zstd"].map(broken);
    let data = [vector("stored_v1").bytes, zlib, lz4, zstd, compressed].concat();
    let (views, error) = messages(data.clone().into(), &"b".into(), &Bounds::of_bodies(40));
    assert!(error.is_none());
    let intact: Vec<bool> = views.iter().map(|view| view.check_body().is_ok()).collect();
    assert_eq!(intact, [true, false, false, false, true]);
    let (views, _) = messages(data.into(), &"b".into(), &Bounds::of_bodies(39));
    assert!(views[4].check_body().is_err(), "40 bytes are above the limit of 39");
    assert_eq!(views[0].body(), b"hello", "the limit is for inflated bodies");
}

#[test]
fn a_broken_inner_batch_is_one_damaged_message() {
    let outer = Records::new(vector("stored_inner_batch").bytes.into()).next().unwrap().unwrap();
    for body in [&b"\x7F"[..], &outer.body[..50], b""] {
        let broken = bytes_of(&Stored { body: Bytes::copy_from_slice(body), ..outer.clone() });
        let (views, error) =
            messages([broken, vector("stored_v1").bytes].concat().into(), &"b".into(), &Bounds::of_bodies(100));
        assert!(error.is_none());
        assert_eq!(views.iter().map(|view| view.check_body().is_ok()).collect::<Vec<_>>(), [false, true], "{body:?}");
    }
}

#[test]
fn an_answer_ends_before_the_message_that_is_one_too_many_or_inflates_too_far() {
    let (plain, compressed) = (vector("stored_v1").bytes, vector("stored_compressed_zlib").bytes);
    let read = |data: Vec<u8>, bounds: Bounds| {
        let (views, error) = messages(data.into(), &"b".into(), &bounds);
        let limit = error.map(|error| match error {
            Error::LimitExceeded { limit, .. } => limit,
            other => panic!("{other}"),
        });
        (views.len(), limit)
    };
    let messages = |messages| Bounds { messages, ..Bounds::default() };
    assert_eq!(read(plain.repeat(3), messages(3)), (3, None));
    assert_eq!(read(plain.repeat(3), messages(2)), (2, Some(Limit::Messages)));
    assert_eq!(read(vector("stored_inner_batch").bytes, messages(1)), (0, Some(Limit::Messages)));
    let answer = |answer| Bounds { answer, ..Bounds::default() };
    assert_eq!(read(compressed.repeat(3), answer(80)), (2, Some(Limit::Answer)), "each has 40 bytes");
    assert_eq!(read(compressed.repeat(3), answer(1)), (1, Some(Limit::Answer)), "the first one always has room");
    assert_eq!(read(compressed.repeat(3), answer(121)), (3, None));
}

#[test]
fn a_message_with_too_many_properties_is_damaged_and_keeps_the_first() {
    let one = Records::new(vector("stored_v1").bytes.into()).next().unwrap().unwrap();
    let properties: String = (0..20).map(|number| format!("k{number}\u{1}v\u{2}")).collect();
    let data = bytes_of(&Stored { properties: properties.into(), ..one });
    let read = |properties| {
        let (views, error) = messages(data.clone().into(), &"b".into(), &Bounds { properties, ..Bounds::default() });
        assert!(error.is_none());
        (views[0].properties().len(), views[0].check_body().map_err(|error| error.to_string()))
    };
    assert_eq!(read(20), (20, Ok(())));
    let (count, error) = read(19);
    assert!(count == 19 && error.unwrap_err().contains("property_limit"));
}

#[test]
fn the_largest_offset_in_front_of_an_inner_batch_is_no_overflow() {
    let mut bytes = vector("stored_inner_batch").bytes;
    BigEndian::write_i64(&mut bytes[20..], i64::MAX);
    let (views, error) = messages(bytes.into(), &"b".into(), &Bounds::of_bodies(100));
    assert_eq!((views.len(), error.is_none()), (2, true));
}

#[test]
fn messages_of_one_topic_share_its_name() {
    let (read, _) = read_all(vector("stored_v1").bytes.repeat(2));
    assert!(Arc::ptr_eq(&read[0].topic, &read[1].topic));
}
