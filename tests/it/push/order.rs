//! In order: each queue by itself, one batch at a time, whoever has it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rocketmq_blocking::{
    Client, ConsumeFromWhere, ConsumeResult, Message, MessageQueue, MessageView, PushConsumer, embedded,
};

use super::member::Sending;
use crate::support::{Cable, Inbox, LONG, Scene, body, eventually, live_variable, numbered, say};

/// What the members of a group did with each queue.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    /// Who consumes a queue at this moment.
    owners: BTreeMap<MessageQueue, usize>,
    consumed: BTreeMap<MessageQueue, Vec<(i64, usize)>>,
    wrong: Vec<String>,
}

impl Ledger {
    /// A listener of a member.
    fn listener(&self, member: usize) -> impl Fn(&[MessageView]) + Send + Sync + 'static {
        let own = self.clone();
        move |messages| {
            let queue = messages[0].queue().clone();
            own.with(|book| {
                if let Some(other) = book.owners.insert(queue.clone(), member) {
                    book.wrong.push(format!("{queue}: {member} begins while {other} is at it"));
                }
            });
            // Long enough for somebody else to come in between.
            std::thread::sleep(Duration::from_millis(2));
            own.with(|book| {
                book.owners.remove(&queue);
                let consumed = book.consumed.entry(queue).or_default();
                consumed.extend(messages.iter().map(|message| (message.queue_offset(), member)));
            });
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Book) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self) -> usize {
        self.with(|book| book.consumed.values().map(Vec::len).sum())
    }

    /// How many queues a member was the last to consume.
    fn queues_of(&self, member: usize) -> usize {
        self.with(|book| book.consumed.values().filter(|all| all.last().is_some_and(|(_, by)| *by == member)).count())
    }

    /// Waits until so many were consumed: each once, and each queue from its first message on without a gap.
    #[track_caller]
    fn assert_all(&self, count: usize) {
        eventually(LONG, || match self.count() {
            here if here < count => Err(format!("{here} of {count}")),
            _ => Ok(()),
        });
        self.with(|book| {
            assert!(book.wrong.is_empty(), "{:?}", book.wrong);
            for (queue, consumed) in &book.consumed {
                let expected: Vec<i64> = (0..consumed.len() as i64).collect();
                assert_eq!(consumed.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), expected, "{queue}");
            }
        });
        assert_eq!(self.count(), count);
    }
}

fn join(scene: &Scene, ledger: &Ledger, member: usize) -> (Cable, PushConsumer) {
    let cable = Cable::new();
    let client = cable.builder(scene.cluster).build().unwrap();
    (cable, scene.push_of(&client).start_orderly(ledger.listener(member)).unwrap())
}

#[test]
fn order_and_owner_hold_while_a_member_joins_and_leaves() {
    let scene = Scene::with_queues(4);
    let ledger = Ledger::default();
    let (_one, _first) = join(&scene, &ledger, 1);
    let sending = Sending::start(&scene, "a");
    sending.more(20);
    let (_two, second) = join(&scene, &ledger, 2);
    eventually(LONG, || match ledger.queues_of(2) {
        4 => Ok(()),
        other => Err(format!("the second has consumed {other} queues of 4")),
    });
    sending.more(20);
    second.close().unwrap();
    let left = ledger.count();
    sending.more(40);
    let sent = sending.stop("a");
    ledger.assert_all(sent.len());
    assert!(ledger.count() > left && ledger.queues_of(1) == 8, "the first has got them back");
}

#[test]
fn order_holds_through_a_restart_of_the_broker_and_one_of_the_member() {
    let cluster = embedded::Cluster::builder().topic("T", 2).start().unwrap();
    let client = Client::connect(cluster.name_server()).unwrap();
    let producer = client.producer("p").start().unwrap();
    let queues = client.subscribe_queues("T").unwrap();
    for text in numbered(300) {
        let queue = &queues[usize::from(text.ends_with(['0', '2', '4', '6', '8']))];
        producer.prepare(Message::new("T", text)).queue(queue).send().unwrap();
    }
    let inbox = Inbox::default();
    let start = || {
        let listener = inbox.clone();
        let builder = client.push_consumer("g").subscribe("T", "*").consume_from_where(ConsumeFromWhere::FirstOffset);
        let listen = move |messages: &[MessageView]| {
            std::thread::sleep(Duration::from_millis(2));
            listener.take_in(messages);
        };
        builder.pull_batch(8).queue_limits(8, 1 << 20).start_orderly(listen).unwrap()
    };
    let consumer = start();
    inbox.wait(40);
    cluster.broker("broker-a").kill();
    cluster.broker("broker-a").restart().unwrap();
    inbox.wait(120);
    consumer.close().unwrap();
    let consumer = start();
    inbox.wait_for(&numbered(300));
    consumer.close().unwrap();
    // What was not committed comes again, in its order, too.
    let mut next: BTreeMap<MessageQueue, i64> = BTreeMap::new();
    for message in inbox.messages() {
        let (next, offset) = (next.entry(message.queue().clone()).or_default(), message.queue_offset());
        assert!(offset <= *next, "{offset} of {} comes before {next}", message.queue());
        *next = (*next).max(offset + 1);
    }
    assert_eq!(next.into_values().collect::<Vec<_>>(), [150, 150]);
}

#[test]
fn a_members_crash_holds_up_its_queues_until_their_locks_expire() {
    if live_variable("LONG").is_none() {
        return say("locks of a crashed member last a minute: only with ROCKETMQ_LIVE_LONG");
    }
    let scene = Scene::with_queues(2);
    let ledger = Ledger::default();
    let (cable, crashed) = join(&scene, &ledger, 1);
    let (_two, _second) = join(&scene, &ledger, 2);
    eventually(LONG, || {
        scene.send(&["x".to_owned()]);
        if ledger.queues_of(1) == 2 && ledger.queues_of(2) == 2 { Ok(()) } else { Err("they do not share") }
    });
    cable.cut();
    // Its own part of the lock ends after half a minute; what it does until then nobody else does.
    eventually(Duration::from_secs(120), || {
        scene.send(&["y".to_owned()]);
        if ledger.queues_of(2) == 4 { Ok(()) } else { Err("they are still locked") }
    });
    drop(crashed);
    ledger.with(|book| assert!(book.wrong.is_empty(), "{:?}", book.wrong));
}

#[test]
fn what_a_filter_lets_through_keeps_its_order() {
    let scene = Scene::with_queues(2);
    let (queues, producer) = (scene.queues(), scene.producer());
    let tags = ["a", "b", "c"];
    for (number, text) in numbered(48).into_iter().enumerate() {
        let message = Message::builder(&*scene.topic, text).tag(tags[number % 3]);
        producer.prepare(message).queue(&queues[number % queues.len()]).send().unwrap();
    }
    let inbox = Inbox::default();
    let listener = inbox.clone();
    let builder = scene.push().subscribe(&*scene.topic, "a || c").batch(4);
    let _consumer = builder.start_orderly(move |messages: &[MessageView]| listener.take_in(messages)).unwrap();
    let found = inbox.wait(32);
    for queue in &queues {
        let own: Vec<String> = found.iter().filter(|message| message.queue() == queue).map(body).collect();
        assert!(own.is_sorted() && own.len() == 8, "{queue}: {own:?}");
    }
    assert!(found.iter().all(|message| message.tag() != Some("b")));
}

#[test]
fn what_fails_too_often_in_order_becomes_a_dead_letter_and_the_rest_goes_on() {
    let scene = Scene::with_queues(1);
    let (queue, producer) = (scene.queue(), scene.producer());
    for text in numbered(6) {
        producer.prepare(scene.message(text)).queue(&queue).send().unwrap();
    }
    let (inbox, tries) = (Inbox::default(), Arc::new(AtomicUsize::new(0)));
    let (listener, count) = (inbox.clone(), tries.clone());
    let builder = scene.push().max_reconsume_times(2).suspend_time(Duration::from_millis(100));
    let _consumer = builder
        .start_orderly(move |messages: &[MessageView]| match body(&messages[0]).as_str() {
            "0002" => {
                count.fetch_add(1, Ordering::SeqCst);
                ConsumeResult::Retry
            }
            _ => {
                listener.take_in(messages);
                ConsumeResult::Success
            }
        })
        .unwrap();
    inbox.wait(5);
    assert_eq!(inbox.bodies(), ["0000", "0001", "0003", "0004", "0005"]);
    assert_eq!(tries.load(Ordering::SeqCst), 3, "once, and twice more");
    super::retry::dead_letters(&scene, &["0002"]);
}

#[test]
fn a_listener_that_panics_or_fails_holds_up_its_queue_and_no_other() {
    let scene = Scene::with_queues(1);
    let (queues, producer) = (scene.queues(), scene.producer());
    for (number, text) in numbered(12).into_iter().enumerate() {
        producer.prepare(scene.message(text)).queue(&queues[number % 2]).send().unwrap();
    }
    let (inbox, tries) = (Inbox::default(), Arc::new(AtomicUsize::new(0)));
    let (listener, count) = (inbox.clone(), tries.clone());
    let _consumer = scene
        .push()
        .suspend_time(Duration::from_millis(200))
        .start_orderly(move |messages: &[MessageView]| {
            if body(&messages[0]) == "0002" {
                match count.fetch_add(1, Ordering::SeqCst) {
                    0 => std::panic::resume_unwind(Box::new("it comes again")),
                    1 | 2 => return Err("not yet"),
                    _ => {}
                }
            }
            listener.take_in(messages);
            Ok(())
        })
        .unwrap();
    let found = inbox.wait(12);
    assert_eq!(tries.load(Ordering::SeqCst), 4);
    for queue in &queues {
        let own: Vec<String> = found.iter().filter(|message| message.queue() == queue).map(body).collect();
        assert!(own.is_sorted() && own.len() == 6, "{queue}: {own:?}");
    }
}
