//! Compressed bodies: each type there and back, when a body is compressed at all, and what a producer refuses.

use rocketmq_blocking::{Compression, Error, Message, MessageView, Producer};

use crate::support::{Java, PATIENCE, Scene, client_to_nowhere, noise};

/// The types this build has.
const KINDS: &[Compression] = &[
    Compression::Zlib,
    #[cfg(feature = "lz4")]
    Compression::Lz4,
    #[cfg(feature = "zstd")]
    Compression::Zstd,
];

fn levels(kind: Compression) -> &'static [Option<u32>] {
    match kind {
        Compression::Zlib => &[None, Some(1), Some(9)],
        #[cfg(feature = "zstd")]
        Compression::Zstd => &[None, Some(1), Some(22)],
        _ => &[None],
    }
}

fn producer(scene: &Scene, kind: Compression, level: Option<u32>) -> Producer {
    let producer = scene.client.producer(&*scene.group).timeout(PATIENCE).compression(kind);
    match level {
        Some(level) => producer.compress_level(level),
        None => producer,
    }
    .start()
    .unwrap()
}

fn text(len: usize) -> String {
    let lines = (0..).map(|number| format!(r#"{{"order":{number},"customer":"c{}","paid":true}}"#, number % 97));
    let mut text = String::with_capacity(len + 64);
    for line in lines {
        if text.len() >= len {
            break;
        }
        text.push_str(&line);
    }
    text.truncate(len);
    text
}

fn by_number(mut found: Vec<MessageView>) -> Vec<MessageView> {
    found.sort_by_key(|view| view.flag());
    found
}

#[test]
fn every_type_comes_back_at_every_kind_of_level() {
    let scene = Scene::with_queues(2);
    let (mut sent, body) = (0, text(100_000));
    for kind in KINDS {
        for level in levels(*kind) {
            let producer = producer(&scene, *kind, *level);
            producer.send(Message::builder(&*scene.topic, body.clone()).flag(sent).tag(kind.to_string())).unwrap();
            producer.close().unwrap();
            sent += 1;
        }
    }
    for view in scene.arrived(sent as usize) {
        view.check_body().unwrap();
        assert!(view.was_compressed(), "{:?}", view.tag());
        assert!(view.body_text() == Some(&body), "{:?} {}", view.tag(), view.body().len());
    }
}

#[test]
fn a_body_from_the_threshold_on_is_compressed_and_a_smaller_one_is_not() {
    let scene = Scene::with_queues(1);
    let mut number = 0;
    for kind in KINDS {
        for (above, len) in
            [(None, 4095), (None, 4096), (Some(1000), 999), (Some(1000), 1000), (Some(usize::MAX), 50_000)]
        {
            let mut builder = scene.client.producer(&*scene.group).timeout(PATIENCE).compression(*kind);
            if let Some(above) = above {
                builder = builder.compress_above(above);
            }
            let producer = builder.start().unwrap();
            producer.send(Message::builder(&*scene.topic, text(len)).flag(number)).unwrap();
            producer.close().unwrap();
            number += 1;
        }
    }
    let found = by_number(scene.arrived(number as usize));
    for five in found.chunks(5) {
        let compressed: Vec<bool> = five.iter().map(MessageView::was_compressed).collect();
        assert_eq!(compressed, [false, true, false, true, false]);
        let lens: Vec<usize> = five.iter().map(|view| view.body().len()).collect();
        assert_eq!(lens, [4095, 4096, 999, 1000, 50_000]);
    }
}

#[test]
fn a_body_that_does_not_get_smaller_is_sent_as_it_is() {
    let scene = Scene::with_queues(1);
    for (number, kind) in KINDS.iter().enumerate() {
        let producer = producer(&scene, *kind, None);
        producer.send(Message::builder(&*scene.topic, noise(20_000, 5)).flag(number as i32)).unwrap();
        producer.close().unwrap();
    }
    for view in scene.arrived(KINDS.len()) {
        assert!(!view.was_compressed());
        assert_eq!(view.body(), noise(20_000, 5));
    }
}

#[test]
fn a_compressed_body_takes_less_room_at_the_broker() {
    let scene = Scene::with_queues(1);
    let queue = scene.queue();
    for kind in KINDS {
        let producer = producer(&scene, *kind, None);
        for _ in 0..2 {
            producer.prepare(scene.message(text(140_000))).queue(&queue).send().unwrap();
        }
        producer.close().unwrap();
    }
    scene.arrived_in(&queue, 2 * KINDS.len());
    // A broker's answer has at most 256 KiB of stored messages.
    let pulled = scene.reader().pull(&queue, 0).unwrap();
    assert_eq!(pulled.messages().len(), 2 * KINDS.len());
}

#[test]
fn a_large_body_comes_back() {
    let scene = Scene::with_queues(1);
    let body = text(3_900_000);
    for kind in KINDS {
        let producer = producer(&scene, *kind, None);
        producer.send(Message::new(&*scene.topic, body.clone())).unwrap();
        producer.close().unwrap();
    }
    for view in scene.arrived(KINDS.len()) {
        view.check_body().unwrap();
        assert!(view.body_text() == Some(&body));
    }
}

#[test]
fn a_body_larger_than_the_reader_allows_damages_its_own_message_only() {
    let scene = Scene::with_queues(1);
    let queue = scene.queue();
    let small = scene.producer();
    small.prepare(scene.message("before")).queue(&queue).send().unwrap();
    small.close().unwrap();
    for kind in KINDS {
        let producer = producer(&scene, *kind, None);
        producer.prepare(scene.message(text(50_000))).queue(&queue).send().unwrap();
        producer.close().unwrap();
    }
    let small = scene.producer();
    small.prepare(scene.message("after")).queue(&queue).send().unwrap();
    let count = KINDS.len() + 2;
    scene.arrived_in(&queue, count);
    let client = scene.cluster.builder().body_limit(49_999).build().unwrap();
    let reader = client.pull_consumer("it_careful").start().unwrap();
    let pulled = reader.pull(&queue, 0).unwrap();
    assert_eq!(pulled.messages().len(), count);
    for (number, view) in pulled.messages().iter().enumerate() {
        if number == 0 || number == count - 1 {
            assert_eq!(view.body_text(), Some(if number == 0 { "before" } else { "after" }));
        } else {
            let error = view.check_body().unwrap_err();
            assert!(error.to_string().contains("more than 49999 bytes"), "{error}");
        }
    }
}

#[test]
fn a_level_that_a_type_does_not_have_is_refused_at_the_start() {
    let client = client_to_nowhere();
    let start = |kind, level| client.producer("it_levels").compression(kind).compress_level(level).start();
    let refused = |kind, level: u32| match start(kind, level) {
        Err(Error::Invalid { what }) => what.contains("compress_level"),
        other => panic!("{kind} {level}: {other:?}"),
    };
    assert!(refused(Compression::Zlib, 0) && refused(Compression::Zlib, 10));
    #[cfg(feature = "lz4")]
    assert!(refused(Compression::Lz4, 5));
    #[cfg(feature = "zstd")]
    assert!(refused(Compression::Zstd, 0) && refused(Compression::Zstd, 23));
    start(Compression::Zlib, 9).unwrap().close().unwrap();
}

/// As `tests/live/java/Bodies.java` prints it.
fn fingerprint(tag: &str, body: &[u8]) -> String {
    let mut crc = flate2::Crc::new();
    crc.update(body);
    format!("{tag} {} {}", body.len(), crc.sum())
}

#[test]
fn java_reads_what_was_compressed_here() {
    let scene = Scene::with_queues(1);
    let mut expected = Vec::new();
    for kind in KINDS {
        for level in levels(*kind) {
            // The highest levels take seconds for a large body in a build without optimisation.
            let lens: &[usize] = if level.is_none() { &[5_000, 200_000, 1_500_000] } else { &[100_000] };
            for &len in lens {
                let (tag, body) = (format!("{kind}-{}", level.unwrap_or(0)), text(len));
                expected.push(fingerprint(&tag, body.as_bytes()));
                let producer = producer(&scene, *kind, *level);
                producer.send(Message::builder(&*scene.topic, body).tag(tag)).unwrap();
                producer.close().unwrap();
            }
        }
    }
    scene.arrived(expected.len());
    let Some(java) = Java::start("Bodies.java", "read", &[&scene.topic, &expected.len().to_string()]) else { return };
    let mut read: Vec<String> = expected.iter().map(|_| java.line()).collect();
    read.sort();
    expected.sort();
    assert_eq!(read, expected);
}

#[test]
fn what_java_compressed_is_read_here() {
    let scene = Scene::with_queues(1);
    let names: Vec<String> = KINDS.iter().map(|kind| kind.to_string().to_uppercase()).collect();
    let mut args = vec![scene.topic.as_str()];
    args.extend(names.iter().map(String::as_str));
    let Some(java) = Java::start("Bodies.java", "send", &args) else { return };
    let mut sent: Vec<String> = names.iter().map(|_| java.line()).collect();
    let found = scene.arrived(names.len());
    assert!(found.iter().all(MessageView::was_compressed));
    let mut read: Vec<String> = found.iter().map(|view| fingerprint(view.tag().unwrap(), view.body())).collect();
    read.sort();
    sent.sort();
    assert_eq!(read, sent);
}
