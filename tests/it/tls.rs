//! Encrypted connections: they carry everything, and what is wrong with one is said at once.

mod build;
mod faults;
mod refused;
mod site;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rocketmq_blocking::{ConsumeFromWhere, Message, MessageQueue, MessageView, Producer, PullStatus};

use crate::support::{PATIENCE, collect, eventually, noise, numbered, unique};
use site::{Door, Site, site, tls, with_identity};

const MIB: usize = 1 << 20;

fn producer(site: &Site) -> Producer {
    site.client().producer(unique("tls")).timeout(PATIENCE).start().unwrap()
}

/// What a queue holds at an offset, once it is there.
fn read(site: &Site, queue: &MessageQueue, offset: i64) -> MessageView {
    let reader = site.client().pull_consumer(unique("tls")).start().unwrap();
    eventually(PATIENCE, || {
        let found = reader.prepare_pull(queue, offset).max(1).fetch().map_err(|error| error.to_string())?;
        match found.status() {
            PullStatus::Found => Ok(found.into_messages().remove(0)),
            other => Err(other.to_string()),
        }
    })
}

#[test]
fn messages_go_there_and_back_through_every_door() {
    for door in [Door::Enforcing, Door::Permissive, Door::Certificate] {
        let site = site(door);
        let queue = site.own_queue();
        let producer = producer(site);
        let message = |body: &str| Message::new(queue.topic(), body.to_owned());
        let sent = producer.prepare(message("sync 正文")).queue(&queue).send().unwrap();
        let pending = producer.prepare(message("async")).queue(&queue).submit().unwrap().wait().unwrap();
        producer.prepare_batch(vec![message("batch 1"), message("batch 2")]).queue(&queue).send().unwrap();
        producer.prepare(message("oneway")).queue(&queue).send_oneway().unwrap();
        assert_eq!(read(site, &queue, sent.queue_offset()).body_text(), Some("sync 正文"));
        assert_eq!(read(site, &queue, pending.queue_offset()).body_text(), Some("async"));
        let last = pending.queue_offset() + 3;
        assert_eq!(read(site, &queue, last).body_text(), Some("oneway"), "{door:?}");
        let consumer = site.client().pull_consumer(unique("tls")).start().unwrap();
        consumer.commit_offset(&queue, 1).unwrap();
        eventually(PATIENCE, || match consumer.committed_offset(&queue) {
            Ok(Some(1)) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
}

#[test]
fn a_body_of_a_mebibyte_comes_back_as_it_was_sent() {
    let site = site(Door::Enforcing);
    let (queue, body) = (site.queue(), noise(MIB, 7));
    let producer = producer(site);
    let sent = producer.prepare(Message::new(queue.topic(), body.clone())).queue(&queue).send().unwrap();
    assert_eq!(read(site, &queue, sent.queue_offset()).body(), body);
}

#[test]
fn many_threads_share_the_connection() {
    let site = site(Door::Enforcing);
    let (queue, producer) = (site.queue(), producer(site));
    let offsets: Vec<i64> = std::thread::scope(|scope| {
        let send = |thread: usize| {
            let (queue, producer) = (&queue, &producer);
            scope.spawn(move || {
                let body = |number: usize| noise(100 + thread * 997 + number * 13, 1 + (thread * 100 + number) as u64);
                let each = |number| {
                    let message = Message::new(queue.topic(), body(number));
                    producer.prepare(message).queue(queue).send().unwrap().queue_offset()
                };
                (0..50).map(each).collect::<Vec<_>>()
            })
        };
        let threads: Vec<_> = (0..8).map(send).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut distinct = offsets.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 400);
}

#[test]
fn a_waiting_pull_ends_with_the_message_and_delays_nobody() {
    let site = site(Door::Enforcing);
    let (queue, producer) = (site.own_queue(), producer(site));
    let at = producer.max_offset(&queue).unwrap();
    let consumer = site.client().pull_consumer(unique("tls")).start().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| consumer.prepare_pull(&queue, at).wait(Duration::from_secs(10)).fetch());
        // Other calls over the same connection meanwhile.
        (0..5).for_each(|_| assert_eq!(producer.max_offset(&queue).unwrap(), at));
        producer.prepare(Message::new(queue.topic(), "awaited")).queue(&queue).send().unwrap();
        let found = waiting.join().unwrap().unwrap();
        assert_eq!(found.messages()[0].body_text(), Some("awaited"));
    });
}

#[test]
fn every_message_is_consumed_once() {
    let site = site(Door::Certificate);
    let (queue, producer) = (site.own_queue(), producer(site));
    let send = |body: &String| {
        producer.prepare(Message::new(queue.topic(), body.clone())).queue(&queue).send().unwrap();
    };
    numbered(20).iter().for_each(send);
    let consumer = site.client().push_consumer(unique("tls")).subscribe(queue.topic(), "*");
    let (_consumer, inbox) = collect(consumer.consume_from_where(ConsumeFromWhere::FirstOffset));
    inbox.wait_for(&numbered(20));
    numbered(40)[20..].iter().for_each(send);
    inbox.wait_for(&numbered(40));
    assert_eq!(inbox.sorted(), numbered(40));
}

#[test]
fn asynchronous_sends_fill_the_records_of_the_stream() {
    let site = site(Door::Enforcing);
    let (queue, producer, stored) = (site.queue(), producer(site), Arc::new(AtomicUsize::new(0)));
    for number in 0..500 {
        let (message, stored) = (Message::new(queue.topic(), noise(1 + number * 7, 3)), stored.clone());
        let prepared = producer.prepare(message).queue(&queue);
        let count = move |result: Result<_, _>| {
            stored.fetch_add(usize::from(result.is_ok()), Ordering::SeqCst);
        };
        prepared.send_async(count).unwrap();
    }
    eventually(PATIENCE, || match stored.load(Ordering::SeqCst) {
        500 => Ok(()),
        count => Err(count),
    });
}

#[test]
fn a_permissive_server_takes_what_is_plain_too() {
    let open = site(Door::Permissive);
    let queue = open.queue();
    let plain = open.plain_client();
    plain
        .producer(unique("tls"))
        .start()
        .unwrap()
        .prepare(Message::new(queue.topic(), "x"))
        .queue(&queue)
        .send()
        .unwrap();
}

#[test]
fn an_insecure_client_takes_any_certificate_and_one_with_another_name_only_when_told() {
    let site = site(Door::Enforcing);
    let (queue, message) = (site.queue(), || Message::new(site.queue().topic(), "x"));
    for tls in [
        with_identity(rocketmq_blocking::Tls::new().insecure_accept_any_server()),
        tls().server_name("localhost"),
        tls().server_name("::1"),
    ] {
        let producer =
            site.builder().tls(tls).build().unwrap().producer(unique("tls")).timeout(PATIENCE).start().unwrap();
        producer.prepare(message()).queue(&queue).send().unwrap();
    }
}
