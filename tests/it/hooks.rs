//! Hooks around sends, and checks that can refuse them.

use std::sync::{Arc, Mutex, mpsc};

use rocketmq_blocking::{Error, MessageQueue, Outcome, Result, SendContext, SendHook, SendMode, SendResult};

use crate::support::{PATIENCE, Scene, sorted_bodies};

/// Writes down what it is told.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl SendHook for Notes {
    fn before(&self, context: &SendContext<'_>) {
        self.add(format!("before {:?} {} of {}", context.mode, context.messages.len(), context.group));
    }

    fn after(&self, context: &SendContext<'_>, result: Result<Option<&SendResult>, &Error>) {
        let end = match result {
            Ok(Some(sent)) => sent.status().to_string(),
            Ok(None) => "left".to_owned(),
            Err(error) => format!("{:?}", error.outcome()),
        };
        self.add(format!("after {:?} {end}", context.mode));
    }
}

#[test]
fn hooks_are_told_before_and_after_each_send_of_every_mode() {
    let scene = Scene::with_queues(1);
    let notes = Notes::default();
    let group = &scene.group;
    let producer = scene.client.producer(&**group).hook(notes.clone()).start().unwrap();
    producer.send(scene.message("1")).unwrap();
    assert_eq!(notes.take(), [format!("before Sync 1 of {group}"), "after Sync SEND_OK".to_owned()]);
    producer.send_batch(vec![scene.message("2"), scene.message("3")]).unwrap();
    assert_eq!(notes.take(), [format!("before Sync 2 of {group}"), "after Sync SEND_OK".to_owned()]);
    producer.send_oneway(scene.message("4")).unwrap();
    assert_eq!(notes.take(), [format!("before Oneway 1 of {group}"), "after Oneway left".to_owned()]);
    let (done, called_back) = mpsc::channel();
    let seen = notes.clone();
    producer.send_async(scene.message("5"), move |_| done.send(seen.take()).unwrap()).unwrap();
    let told = called_back.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        told,
        [format!("before Async 1 of {group}"), "after Async SEND_OK".to_owned()],
        "both before the callback"
    );
    producer.prepare(scene.message("6")).submit().unwrap().wait().unwrap();
    assert_eq!(notes.take().len(), 2);
    assert_eq!(scene.arrived(6).len(), 6);
}

#[test]
fn hooks_are_told_of_failures_once_for_all_attempts() {
    let scene = Scene::with_queues(1);
    let notes = Notes::default();
    let producer = scene.client.producer(&*scene.group).hook(notes.clone()).start().unwrap();
    let beyond = MessageQueue::new(&*scene.topic, scene.queue().broker_name(), 9);
    producer.prepare(scene.message("x")).queue(&beyond).send().unwrap_err();
    assert_eq!(notes.take()[1..], ["after Sync Rejected"]);
    producer.send(rocketmq_blocking::Message::new(&*scene.topic, "")).unwrap_err();
    assert_eq!(notes.take(), Vec::<String>::new(), "what its own checks refuse is no send");
}

#[test]
fn a_check_can_veto_and_nothing_is_sent() {
    let scene = Scene::with_queues(1);
    let notes = Notes::default();
    let check = |context: &SendContext<'_>| match context.messages[0].body_text() {
        Some(text) if text.contains("forbidden") => Err(format!("{text} in mode {:?}", context.mode)),
        _ => Ok(()),
    };
    let producer =
        scene.client.producer(&*scene.group).check_hook("morals", check).hook(notes.clone()).start().unwrap();
    let failed = producer.send(scene.message("forbidden word")).unwrap_err();
    let Error::Vetoed { hook, reason } = &failed.error else { panic!("{failed}") };
    assert_eq!((&**hook, &**reason), ("morals", "forbidden word in mode Sync"));
    assert_eq!((failed.error.outcome(), failed.message.body_text()), (Outcome::NotSent, Some("forbidden word")));
    let failed = producer.send_oneway(scene.message("forbidden")).unwrap_err();
    assert!(matches!(failed.error, Error::Vetoed { .. }), "{failed}");
    let failed =
        producer.send_async(scene.message("forbidden"), |_| panic!("called back although refused")).unwrap_err();
    assert!(matches!(failed.error, Error::Vetoed { .. }), "{failed}");
    assert_eq!(notes.take(), Vec::<String>::new(), "what was refused is no send");
    producer.send(scene.message("fine")).unwrap();
    assert_eq!(sorted_bodies(&scene.arrived(1)), ["fine"]);
}

struct Panics;

impl SendHook for Panics {
    fn before(&self, _: &SendContext<'_>) {
        panic!("a hook of the test panics on purpose");
    }

    fn after(&self, _: &SendContext<'_>, _: Result<Option<&SendResult>, &Error>) {
        panic!("a hook of the test panics on purpose");
    }
}

#[test]
fn a_hook_that_panics_does_not_stop_the_send_nor_other_hooks() {
    let scene = Scene::with_queues(1);
    let notes = Notes::default();
    let producer = scene.client.producer(&*scene.group).hook(Panics).hook(notes.clone()).start().unwrap();
    producer.send(scene.message("sync")).unwrap();
    producer.prepare(scene.message("async")).submit().unwrap().wait().unwrap();
    producer.send_oneway(scene.message("oneway")).unwrap();
    assert_eq!(notes.take().len(), 6);
    assert_eq!(sorted_bodies(&scene.arrived(3)), ["async", "oneway", "sync"]);
}

#[test]
fn a_check_that_panics_has_allowed_nothing() {
    let scene = Scene::with_queues(1);
    let check =
        |_: &SendContext<'_>| -> std::result::Result<(), String> { panic!("a check of the test panics on purpose") };
    let producer = scene.client.producer(&*scene.group).check_hook("panics", check).start().unwrap();
    let failed = producer.send(scene.message("x")).unwrap_err();
    assert!(matches!(&failed.error, Error::Vetoed { hook, .. } if **hook == *"panics"), "{failed}");
    assert_eq!(scene.arrived(0), []);
}

#[test]
fn a_hook_sees_the_queue_that_was_asked_for() {
    struct Queues(Mutex<mpsc::Sender<(SendMode, Option<MessageQueue>)>>);
    impl SendHook for Queues {
        fn before(&self, context: &SendContext<'_>) {
            self.0.lock().unwrap().send((context.mode, context.queue.cloned())).unwrap();
        }
    }
    let scene = Scene::with_queues(2);
    let (told, seen) = mpsc::channel();
    let producer = scene.client.producer(&*scene.group).hook(Queues(Mutex::new(told))).start().unwrap();
    let queues = scene.queues();
    producer.send(scene.message("1")).unwrap();
    producer.prepare(scene.message("2")).queue(&queues[1]).send().unwrap();
    producer.prepare(scene.message("3")).select(|_, _| 3).send().unwrap();
    let seen: Vec<_> = seen.try_iter().collect();
    let expected = [None, Some(queues[1].clone()), Some(queues[3].clone())].map(|queue| (SendMode::Sync, queue));
    assert_eq!(seen, expected);
}
