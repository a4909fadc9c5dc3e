//! Messages that are sent one by one and travel together.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rocketmq_blocking::{
    AutoBatch, Error, Message, MessageView, Outcome, Producer, ProducerBuilder, Result, SendContext, SendError,
    SendHook, SendResult, SendStatus,
};

use crate::support::{PATIENCE, Scene, eventually, noise, sorted_bodies, unique};

fn builder(scene: &Scene) -> ProducerBuilder {
    scene.client.producer(unique("batching")).timeout(PATIENCE).auto_batch(AutoBatch::default())
}

fn batching(scene: &Scene) -> Producer {
    builder(scene).start().expect("a producer")
}

/// Messages of two tags, each with parts of its own and its number as its key.
fn full(scene: &Scene, number: usize) -> Message {
    Message::builder(&*scene.topic, format!("body {number:04}"))
        .tag(["a", "b"][number % 2])
        .key(format!("{number}"))
        .property("号", format!("值{number}"))
        .flag(number as i32)
        .wait_store(number % 3 > 0)
        .build()
}

/// Sends in the background and returns what the callbacks get, in no order.
fn send_all(producer: &Producer, messages: Vec<Message>) -> Vec<std::result::Result<SendResult, SendError>> {
    let (done, called_back) = mpsc::channel();
    let count = messages.len();
    for message in messages {
        let done = done.clone();
        producer.send_async(message, move |result| drop(done.send(result))).unwrap();
    }
    (0..count).map(|_| called_back.recv_timeout(PATIENCE).expect("each callback is called")).collect()
}

fn number(view: &MessageView) -> usize {
    view.keys().next().and_then(|key| key.parse().ok()).expect("the key is a number")
}

#[test]
fn each_message_has_its_own_result_and_all_its_parts() {
    let scene = Scene::with_queues(2);
    let producer = batching(&scene);
    let results = Mutex::new(HashMap::new());
    std::thread::scope(|scope| {
        for thread in 0..12 {
            let (producer, results, scene) = (&producer, &results, &scene);
            scope.spawn(move || {
                let mut pending = Vec::new();
                for number in (thread..600).step_by(12) {
                    let message = full(scene, number);
                    match thread % 3 {
                        0 => pending.push((number, producer.prepare(message).submit().unwrap())),
                        _ => drop(results.lock().unwrap().insert(number, producer.send(message).unwrap())),
                    }
                }
                let ends = pending.into_iter().map(|(number, pending)| (number, pending.wait().unwrap()));
                results.lock().unwrap().extend(ends.collect::<Vec<_>>());
            });
        }
    });
    let results = results.into_inner().unwrap();
    let found = scene.arrived(600);
    for view in &found {
        let (number, sent) = (number(view), &results[&number(view)]);
        assert_eq!((sent.status(), sent.attempts()), (SendStatus::Ok, 1));
        assert_eq!((sent.message_id(), sent.queue()), (&*view.message_id(), view.queue()));
        assert_eq!(sent.queue_offset(), view.queue_offset(), "{sent}");
        assert_eq!(sent.offset_message_id(), view.offset_message_id().to_string());
        assert_eq!(view.body_text().unwrap(), format!("body {number:04}"));
        assert_eq!(view.tag(), Some(["a", "b"][number % 2]));
        assert_eq!(view.keys().collect::<Vec<_>>(), [number.to_string()]);
        assert_eq!((view.property("号"), view.flag()), (Some(&*format!("值{number}")), number as i32));
    }
    let stats = producer.stats();
    assert_eq!((stats.stored.ok, stats.messages()), (600, 600));
    assert!(stats.batching.batches > 0 && stats.batching.messages > stats.batching.batches, "{stats}");
    let view = &found[300];
    let id = view.message_id();
    let by_id = eventually(PATIENCE, || match scene.client.find_message(&scene.topic, &id) {
        Ok(Some(view)) => Ok(view),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(by_id.body(), view.body(), "found by its own id");
    let sent = &results[&number(view)];
    let by_place = scene.client.view_message(sent.offset_message_id()).unwrap().expect("it is stored there");
    assert_eq!(by_place.message_id(), view.message_id(), "viewed at its own place");
}

#[test]
fn closing_and_dropping_send_what_is_gathered() {
    let scene = Scene::with_queues(1);
    for (closes, from) in [(true, 0), (false, 300)] {
        let producer = batching(&scene);
        let stored = Arc::new(AtomicUsize::new(0));
        for number in from..from + 300 {
            let stored = stored.clone();
            let count = move |result: std::result::Result<_, _>| {
                result.expect("what was accepted is stored");
                stored.fetch_add(1, Ordering::SeqCst);
            };
            producer.send_async(full(&scene, number), count).unwrap();
        }
        if closes {
            producer.close().unwrap();
            assert_eq!(stored.load(Ordering::SeqCst), 300, "closing has waited for all results");
            let failed = producer.send(full(&scene, 0)).unwrap_err();
            assert!(matches!(failed.error, Error::Closed { outcome: Outcome::NotSent }), "{failed}");
        }
        drop(producer);
        assert_eq!(stored.load(Ordering::SeqCst), 300);
    }
    assert_eq!(scene.arrived(600).len(), 600);
}

#[test]
fn closing_one_producer_does_not_disturb_another_of_the_same_client() {
    let scene = Scene::with_queues(1);
    let (one, other) = (batching(&scene), batching(&scene));
    assert_eq!(send_all(&one, (0..50).map(|number| full(&scene, number)).collect()).len(), 50);
    one.close().unwrap();
    std::thread::scope(|scope| {
        for thread in 1..9 {
            let (other, scene) = (&other, &scene);
            scope.spawn(move || (0..20).for_each(|at| drop(other.send(full(scene, thread * 50 + at)).unwrap())));
        }
    });
    assert_eq!(scene.arrived(50 + 160).len(), 210);
}

#[test]
fn topics_are_never_mixed() {
    let (scene, other) = (Scene::with_queues(1), Scene::with_queues(1));
    let producer = batching(&scene);
    let messages = (0..400).map(|number| match number % 2 {
        0 => scene.message(format!("one {number:03}")),
        _ => other.message(format!("other {number:03}")),
    });
    send_all(&producer, messages.collect()).into_iter().for_each(|result| drop(result.unwrap()));
    let bodies =
        |name: &str, from: usize| (from..400).step_by(2).map(|at| format!("{name} {at:03}")).collect::<Vec<_>>();
    assert_eq!(sorted_bodies(&scene.arrived(200)), bodies("one", 0));
    assert_eq!(sorted_bodies(&other.arrived(200)), bodies("other", 1));
}

#[test]
fn a_bad_message_is_refused_alone() {
    let scene = Scene::with_queues(1);
    let producer = builder(&scene).check_hook("taste", |context: &SendContext<'_>| {
        assert_eq!(context.messages.len(), 1, "each message is checked by itself");
        if context.messages[0].body() == b"vetoed" { Err("not to my taste".to_owned()) } else { Ok(()) }
    });
    let producer = producer.start().unwrap();
    let bad = [
        Message::new(&*scene.topic, ""),
        Message::builder(&*scene.topic, "x").property("KEYS", "v").build(),
        Message::builder(&*scene.topic, "x").property("p", "v".repeat(33_000)).build(),
        scene.message("vetoed"),
    ];
    let (done, called_back) = mpsc::channel();
    for number in 0..200 {
        let done = done.clone();
        producer.send_async(full(&scene, number), move |result| drop(done.send(result))).unwrap();
        let wrong = &bad[number % bad.len()];
        let refused = producer.send_async(wrong.clone(), |_| panic!("it was not accepted")).unwrap_err();
        assert_eq!((refused.error.outcome(), &refused.message), (Outcome::NotSent, wrong), "{refused}");
    }
    let refused = producer.send(bad[3].clone()).unwrap_err();
    assert!(matches!(refused.error, Error::Vetoed { .. }), "{refused}");
    drop(done);
    assert_eq!(called_back.iter().filter(|result| result.is_ok()).count(), 200, "the neighbours are stored");
    assert_eq!(scene.arrived(200).len(), 200);
    assert_eq!(producer.stats().not_sent, 201);
}

/// Writes down what it is told of each message.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl SendHook for Told {
    fn before(&self, context: &SendContext<'_>) {
        let body = context.messages[0].body_text().unwrap_or_default();
        self.0.lock().unwrap().push(format!("before {} {body}", context.messages.len()));
    }

    fn after(&self, context: &SendContext<'_>, result: Result<Option<&SendResult>, &Error>) {
        let (body, sent) = (context.messages[0].body_text().unwrap_or_default(), result.unwrap().unwrap());
        self.0.lock().unwrap().push(format!("after {} {body}", sent.message_ids().count()));
    }
}

#[test]
fn hooks_are_told_of_each_message_by_itself() {
    let scene = Scene::with_queues(1);
    let told = Told::default();
    let producer = builder(&scene).hook(told.clone()).start().unwrap();
    let messages = (0..100).map(|number| scene.message(format!("{number:02}")));
    send_all(&producer, messages.collect()).into_iter().for_each(|result| drop(result.unwrap()));
    std::thread::scope(|scope| {
        for number in 100..108 {
            let (producer, scene) = (&producer, &scene);
            scope.spawn(move || producer.send(scene.message(number.to_string())).unwrap());
        }
    });
    let mut told = told.0.lock().unwrap().clone();
    told.sort();
    let mut expected: Vec<String> =
        (0..108).flat_map(|number| ["before", "after"].map(|when| format!("{when} 1 {number:02}"))).collect();
    expected.sort();
    assert_eq!(told, expected);
}

#[test]
fn a_callback_that_panics_keeps_no_other_from_its_result() {
    let scene = Scene::with_queues(1);
    let producer = batching(&scene);
    let (done, called_back) = mpsc::channel();
    for number in 0..200 {
        let done = done.clone();
        let callback = move |result: std::result::Result<SendResult, SendError>| {
            done.send(result.map(|_| number)).unwrap();
            assert!(number % 10 != 3, "a callback of this test panics on purpose");
        };
        producer.send_async(full(&scene, number), callback).unwrap();
    }
    drop(done);
    let mut ends: Vec<usize> = called_back.iter().map(|result| result.unwrap()).collect();
    ends.sort_unstable();
    assert_eq!(ends, (0..200).collect::<Vec<_>>(), "each is called once");
}

#[test]
fn ordered_messages_keep_their_order() {
    let scene = Scene::with_queues(2);
    let producer = batching(&scene);
    let queue = scene.queue();
    for number in 0..60 {
        let message = scene.message(format!("{number:02}"));
        let sent = match number % 2 {
            0 => producer.prepare(message).queue(&queue).send(),
            _ => producer.prepare(message).select(|_, _| 0).send(),
        };
        assert_eq!(sent.unwrap().queue(), &queue);
    }
    let found = scene.arrived_in(&queue, 60);
    let bodies: Vec<_> = found.iter().map(|view| view.body_text().unwrap().to_owned()).collect();
    assert_eq!(bodies, (0..60).map(|number| format!("{number:02}")).collect::<Vec<_>>());
    assert_eq!(producer.stats().batching.messages, 0);
}

#[test]
fn what_brokers_treat_one_by_one_is_sent_by_itself() {
    let scene = Scene::with_queues(1);
    let producer = batching(&scene);
    let delayed = |number: usize| full(&scene, number).rebuild().delay_level(1).build();
    let results = send_all(&producer, (0..30).map(delayed).collect());
    let large = vec![b'x'; 20_000];
    let compressed = send_all(&producer, vec![Message::new(&*scene.topic, large.clone()); 10]);
    let noise = |number| Message::new(&*scene.topic, noise(40_000, number));
    let larger_than_a_batch = send_all(&producer, (0..10).map(noise).collect());
    let own_timeout = |number| producer.prepare(full(&scene, number)).timeout(PATIENCE).submit().unwrap();
    let timed: Vec<_> = (100..130).map(own_timeout).collect();
    let asked_not_to = |number| producer.prepare(full(&scene, number)).auto_batch(false).submit().unwrap();
    let apart: Vec<_> = (200..230).map(asked_not_to).collect();
    results.into_iter().chain(compressed).chain(larger_than_a_batch).for_each(|result| drop(result.unwrap()));
    timed.into_iter().chain(apart).for_each(|pending| drop(pending.wait().unwrap()));
    assert_eq!(producer.stats().batching.messages, 0, "nothing was gathered");
    let found = scene.arrived(30 + 10 + 10 + 30 + 30);
    assert_eq!(found.iter().filter(|view| view.was_compressed() && view.body() == large).count(), 10);
    let kept = |view: &&MessageView| {
        let kept = view.store_timestamp().duration_since(view.born_timestamp()).unwrap_or_default();
        kept >= Duration::from_millis(900)
    };
    assert_eq!(found.iter().filter(kept).count(), 30, "delayed messages are delivered later");
}

#[test]
fn a_single_send_can_ask_for_it() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let submit = |number| producer.prepare(full(&scene, number)).auto_batch(true).submit().unwrap();
    // Messages travel together when they come faster than answers, which a busy machine may need several tries for.
    let mut count = 0;
    eventually(PATIENCE, || {
        let pending: Vec<_> = (count..count + 200).map(submit).collect();
        pending.into_iter().for_each(|pending| drop(pending.wait().unwrap()));
        count += 200;
        if producer.stats().batching.batches > 0 { Ok(()) } else { Err("all went alone") }
    });
    let together = producer.stats().batching;
    let plain = |number| producer.prepare(full(&scene, number)).submit().unwrap();
    let sent: Vec<_> = (count..count + 50).map(plain).collect();
    sent.into_iter().for_each(|pending| drop(pending.wait().unwrap()));
    assert_eq!(producer.stats().batching, together, "the others go alone");
    assert_eq!(scene.arrived(count + 50).len(), count + 50);
}

#[test]
fn a_lone_thread_does_not_wait_for_others() {
    let scene = Scene::with_queues(1);
    let settings = AutoBatch::default().max_delay(Duration::from_secs(5));
    let producer = scene.client.producer(&*scene.group).timeout(PATIENCE).auto_batch(settings).start().unwrap();
    producer.send(full(&scene, 0)).unwrap();
    let started = std::time::Instant::now();
    (1..30).for_each(|number| drop(producer.send(full(&scene, number)).unwrap()));
    assert!(started.elapsed() < Duration::from_secs(4), "{:?} for 29 messages", started.elapsed());
    assert_eq!(producer.stats().batching.messages, 0, "there was nobody to travel with");
}

#[test]
fn settings_out_of_range_are_refused_at_the_start() {
    let client = crate::support::client_to_nowhere();
    let start = |settings| client.producer("it_batching").auto_batch(settings).start().map(drop).unwrap_err();
    for (settings, what) in [
        (AutoBatch::default().max_delay(Duration::ZERO), "max_delay"),
        (AutoBatch::default().max_bytes(3 << 20), "max_bytes"),
        (AutoBatch::default().max_held_bytes(0), "max_held_bytes"),
    ] {
        let error = start(settings);
        assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(what), "{error}");
    }
}
