//! Sending without waiting: callbacks, pending sends, and the bound of what is under way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rocketmq_blocking::{
    Error, Message, MessageQueue, Outcome, Producer, SendError, SendResult, SendStatus, Stage, select,
};

use crate::support::{PATIENCE, Scene, SilentServer, client_builder, scene, sorted_bodies, unique};

type Result = std::result::Result<SendResult, SendError>;

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:04}")).collect()
}

#[test]
fn each_callback_is_called_once_on_a_callback_thread_with_its_own_result() {
    let scene = Scene::with_queues(2);
    let producer = scene.producer();
    let (done, called_back) = mpsc::channel();
    for body in numbered(300) {
        let done = done.clone();
        let message = Message::builder(&*scene.topic, body.clone()).key(&body);
        let callback = move |result: Result| {
            let name = thread::current().name().unwrap_or_default().to_owned();
            done.send((body, name, result)).unwrap();
        };
        producer.send_async(message, callback).unwrap();
    }
    drop(done);
    let mut ends: Vec<_> = std::iter::from_fn(|| called_back.recv_timeout(PATIENCE).ok()).collect();
    assert_eq!(ends.len(), 300, "one call for each send");
    ends.sort_by(|one, other| one.0.cmp(&other.0));
    let mut found = scene.arrived(300);
    found.sort_by(|one, other| one.body().cmp(other.body()));
    for ((body, name, result), view) in ends.iter().zip(&found) {
        assert!(name.starts_with("mq-callback"), "{name}");
        let sent = result.as_ref().unwrap();
        assert_eq!((sent.status(), sent.message_id()), (SendStatus::Ok, &*view.message_id()));
        assert_eq!(
            (view.body_text(), sent.queue(), sent.queue_offset()),
            (Some(&**body), view.queue(), view.queue_offset())
        );
    }
}

#[test]
fn a_failure_reaches_the_callback_with_the_message_and_its_outcome() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let beyond = MessageQueue::new(&*scene.topic, scene.queue().broker_name(), 1);
    let (done, called_back) = mpsc::channel();
    let callback = move |result: Result| done.send(result).unwrap();
    producer.prepare(scene.message("given back")).queue(&beyond).send_async(callback).unwrap();
    let failed = called_back.recv_timeout(PATIENCE).unwrap().unwrap_err();
    assert_eq!((failed.error.outcome(), failed.message.body_text()), (Outcome::Rejected, Some("given back")));
    assert!(failed.error.code().is_some(), "{failed}");
}

#[test]
fn an_asynchronous_send_creates_an_unknown_topic() {
    let scene = scene();
    let (done, called_back) = mpsc::channel();
    scene.producer().send_async(scene.message("first"), move |result| done.send(result).unwrap()).unwrap();
    called_back.recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(sorted_bodies(&scene.arrived(1)), ["first"]);
}

#[test]
fn an_asynchronous_send_does_not_block_on_an_unknown_route() {
    let silent = SilentServer::start();
    let client = client_builder().name_servers(silent.addr()).build().unwrap();
    let producer = client.producer("it_silent").timeout(Duration::from_millis(600)).start().unwrap();
    let (done, called_back) = mpsc::channel();
    let began = Instant::now();
    producer.send_async(Message::new("T", "x"), move |result| done.send(result).unwrap()).unwrap();
    assert!(began.elapsed() < Duration::from_millis(300), "send_async blocked for {:?}", began.elapsed());
    let failed = called_back.recv_timeout(PATIENCE).unwrap().unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(500), "it gave up after {:?}", began.elapsed());
    assert_eq!(failed.error.outcome(), Outcome::NotSent, "{failed}");
    assert!(failed.error.is_timeout(), "{failed}");
}

#[test]
fn a_callback_that_panics_harms_nobody() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let (done, called_back) = mpsc::channel();
    for body in numbered(20) {
        let done = done.clone();
        let callback = move |result: Result| {
            done.send(result.is_ok()).unwrap();
            panic!("a callback of the test panics on purpose");
        };
        producer.send_async(scene.message(body), callback).unwrap();
    }
    drop(done);
    assert_eq!(std::iter::from_fn(|| called_back.recv_timeout(PATIENCE).ok()).filter(|ok| *ok).count(), 20);
    producer.send(scene.message("the producer goes on")).unwrap();
    assert_eq!(scene.arrived(21).len(), 21);
    assert!(producer.close_within(PATIENCE).unwrap().complete);
}

#[test]
fn a_callback_may_send_in_every_way() {
    let scene = Scene::with_queues(1);
    let producer = Arc::new(scene.producer());
    let (done, called_back) = mpsc::channel();
    let (inner, topic) = (producer.clone(), scene.topic.clone());
    let callback = move |first: Result| {
        first.unwrap();
        inner.send(Message::new(&*topic, "sync")).unwrap();
        inner.send_oneway(Message::new(&*topic, "oneway")).unwrap();
        inner.prepare(Message::new(&*topic, "pending")).submit().unwrap().wait().unwrap();
        inner.send_async(Message::new(&*topic, "async"), move |result| done.send(result).unwrap()).unwrap();
    };
    producer.send_async(scene.message("first"), callback).unwrap();
    called_back.recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(sorted_bodies(&scene.arrived(5)), ["async", "first", "oneway", "pending", "sync"]);
}

#[test]
fn a_callback_may_close_the_producer_and_the_client() {
    let scene = Scene::with_queues(1);
    let producer = Arc::new(scene.producer());
    let (done, called_back) = mpsc::channel();
    let (inner, client) = (producer.clone(), scene.client.clone());
    let callback = move |result: Result| {
        inner.close().unwrap();
        client.close().unwrap();
        done.send(result).unwrap();
    };
    producer.send_async(scene.message("last"), callback).unwrap();
    called_back.recv_timeout(PATIENCE).unwrap().unwrap();
    let failed = producer.send(scene.message("late")).unwrap_err();
    assert!(matches!(failed.error, Error::Closed { outcome: Outcome::NotSent }), "{failed}");
    assert!(scene.client.close_within(PATIENCE).unwrap().complete, "closing ends although a callback asked for it");
}

#[test]
fn closing_waits_for_what_is_under_way() {
    let scene = Scene::with_queues(2);
    let producer = scene.producer();
    let calls = Arc::new(AtomicUsize::new(0));
    for body in numbered(500) {
        let calls = calls.clone();
        let callback = move |result: Result| {
            result.unwrap();
            calls.fetch_add(1, Ordering::SeqCst);
        };
        producer.send_async(scene.message(body), callback).unwrap();
    }
    assert!(producer.close_within(PATIENCE).unwrap().complete);
    assert_eq!(calls.load(Ordering::SeqCst), 500, "every callback ran before close returned");
    assert_eq!(sorted_bodies(&scene.arrived(500)), numbered(500));
}

#[test]
fn pending_sends_are_waited_for_in_any_order() {
    let scene = Scene::with_queues(2);
    let producer = scene.producer();
    let pending: Vec<_> =
        numbered(100).into_iter().map(|body| producer.prepare(scene.message(body)).submit().unwrap()).collect();
    for pending in pending.into_iter().rev() {
        assert_eq!(pending.wait().unwrap().status(), SendStatus::Ok);
    }
    assert_eq!(sorted_bodies(&scene.arrived(100)), numbered(100));
}

#[test]
fn a_pending_send_can_be_asked_without_waiting_and_with_a_limit() {
    let silent = SilentServer::start();
    let client = client_builder().name_servers(silent.addr()).build().unwrap();
    let producer = client.producer("it_pending").start().unwrap();
    let submit = || producer.prepare(Message::new("T", "x")).timeout(Duration::from_millis(800)).submit().unwrap();
    let pending = submit().try_wait().expect_err("nobody has answered");
    let pending = pending.wait_timeout(Duration::from_millis(20)).expect_err("nobody has answered");
    let failed = rocketmq_blocking::Error::from(pending.wait().unwrap_err());
    assert_eq!((failed.outcome(), failed.is_timeout()), (Outcome::NotSent, true), "{failed}");
    let ended = submit().wait_timeout(PATIENCE).expect("it ends by its own deadline");
    assert!(ended.is_err());
}

#[test]
fn a_dropped_pending_send_is_sent_all_the_same() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    drop(producer.prepare(scene.message("nobody waits")).submit().unwrap());
    assert_eq!(sorted_bodies(&scene.arrived(1)), ["nobody waits"]);
}

/// A producer whose window the first send fills: its route is asked of a server that never answers.
fn full_window(silent: &SilentServer, messages: usize, bytes: usize) -> (Producer, mpsc::Receiver<Result>) {
    let client = client_builder().name_servers(silent.addr()).build().unwrap();
    let producer = client.producer(unique("window")).async_window(messages, bytes).start().unwrap();
    let (done, called_back) = mpsc::channel();
    let fill = producer.prepare(Message::new("T", vec![1; 100])).timeout(Duration::from_secs(1));
    fill.send_async(move |result| done.send(result).unwrap()).unwrap();
    (producer, called_back)
}

#[test]
fn a_full_window_is_busy_at_once_for_those_who_try_and_a_wait_for_others() {
    let silent = SilentServer::start();
    for (messages, bytes) in [(1, 1 << 20), (100, 150)] {
        let (producer, called_back) = full_window(&silent, messages, bytes);
        let next = || producer.prepare(Message::new("T", vec![2; 100])).timeout(Duration::from_millis(300));
        let failed = next().try_submit().unwrap_err();
        assert!(matches!(failed.error, Error::Busy { .. }), "{failed}");
        assert_eq!((failed.error.outcome(), failed.message.body()), (Outcome::NotSent, &[2; 100][..]));
        let failed = next().try_send_async(|_| panic!("called back although refused")).unwrap_err();
        assert!(matches!(failed.error, Error::Busy { .. }), "{failed}");
        let began = Instant::now();
        let failed = next().send_async(|_| panic!("called back although refused")).unwrap_err();
        assert!(matches!(failed.error, Error::Timeout { stage: Stage::Admission, .. }), "{failed}");
        assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
        // The first one's end makes room.
        let began = Instant::now();
        let waits = producer.prepare(Message::new("T", "x")).timeout(Duration::from_secs(2)).submit().unwrap();
        assert!(called_back.recv_timeout(PATIENCE).unwrap().is_err());
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        drop(waits);
        producer.close_within(Duration::ZERO).unwrap();
    }
}

#[test]
fn a_body_larger_than_the_byte_window_is_sent_when_nothing_else_is_under_way() {
    let scene = Scene::with_queues(1);
    let producer = scene.client.producer(&*scene.group).timeout(PATIENCE).async_window(100, 1000).start().unwrap();
    let (done, called_back) = mpsc::channel();
    for size in [10, 5000, 10, 5000, 10] {
        let done = done.clone();
        let callback = move |result: Result| done.send(result.map(drop)).unwrap();
        producer.send_async(scene.message("x".repeat(size)), callback).unwrap();
    }
    for _ in 0..5 {
        called_back.recv_timeout(PATIENCE).unwrap().unwrap();
    }
    scene.arrived(5);
}

#[test]
fn a_callback_that_sends_into_a_full_window_is_told_so_and_not_blocked() {
    let silent = SilentServer::start();
    let client = client_builder().name_servers(silent.addr()).callback_threads(1).build().unwrap();
    let producer = Arc::new(client.producer(unique("window")).async_window(1, 1 << 20).start().unwrap());
    let (done, called_back) = mpsc::channel();
    let inner = producer.clone();
    let callback = move |_: Result| {
        done.send(inner.send_async(Message::new("T", "y"), |_| ()).map_err(|failed| failed.error)).unwrap()
    };
    producer.prepare(Message::new("T", "x")).timeout(Duration::from_millis(300)).send_async(callback).unwrap();
    let again = called_back.recv_timeout(PATIENCE).unwrap();
    // Its own place is free only when it returns.
    assert!(matches!(again, Err(Error::Busy { .. })), "{again:?}");
    producer.close_within(Duration::ZERO).unwrap();
}

#[test]
fn every_form_of_javas_send_can_be_expressed() {
    let scene = Scene::with_queues(2);
    let producer = scene.producer();
    let queue = scene.queue();
    let (done, called_back) = mpsc::channel();
    let timeout = Duration::from_secs(5);
    let message = |body: &str| scene.message(body);
    let callback = || {
        let done = done.clone();
        move |result: Result| done.send(result.map(|sent| sent.queue().clone())).unwrap()
    };
    producer.send(message("msg")).unwrap();
    producer.prepare(message("msg, timeout")).timeout(timeout).send().unwrap();
    producer.prepare(message("msg, queue")).queue(&queue).send().unwrap();
    producer.prepare(message("msg, queue, timeout")).queue(&queue).timeout(timeout).send().unwrap();
    producer.prepare(message("msg, queue, callback")).queue(&queue).send_async(callback()).unwrap();
    producer.prepare(message("msg, selector, arg")).select(select::by_hash("arg")).send().unwrap();
    producer
        .prepare(message("msg, selector, arg, timeout"))
        .select(select::same_queue(7))
        .timeout(timeout)
        .send()
        .unwrap();
    producer.prepare(message("msg, selector, arg, callback")).select(|_, _| 1).send_async(callback()).unwrap();
    producer.send_async(message("msg, callback"), callback()).unwrap();
    producer
        .prepare(message("msg, queue, callback, timeout"))
        .queue(&queue)
        .timeout(timeout)
        .send_async(callback())
        .unwrap();
    producer.send_oneway(message("oneway msg")).unwrap();
    producer.prepare(message("oneway msg, queue")).queue(&queue).send_oneway().unwrap();
    producer.prepare(message("oneway msg, selector")).select(select::random()).send_oneway().unwrap();
    let mut used: Vec<MessageQueue> = (0..4).map(|_| called_back.recv_timeout(PATIENCE).unwrap().unwrap()).collect();
    used.retain(|used| *used == queue || *used == scene.queues()[1]);
    assert!(used.len() >= 3, "queue and selector of a callback send are honoured: {used:?}");
    assert_eq!(scene.arrived(13).len(), 13);
}
