//! Transactional messages: what is committed becomes visible, whoever says so and when; nothing else does.
//!
//! On Apache's server they run last and on a broker of their own, which one test restarts: the others wait meanwhile.

mod closing;
mod java;
mod own;
mod refused;
mod resumed;
mod traced;

use std::collections::HashMap;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, mpsc};
use std::time::{Duration, Instant};

use rocketmq_blocking::{
    Message, MessageBuilder, MessageView, SendStatus, Transaction, TransactionProducer, TransactionProducerBuilder,
    TransactionResolution, embedded,
};

use crate::support::{Cluster, PATIENCE, Scene, body, eventually, live_variable, unique};
use TransactionResolution::{Commit, Rollback, Unknown};

/// Apache's brokers look through their half messages every two seconds, and give the first two of them.
const SOME_CHECKS: Duration = Duration::from_secs(60);

/// The broker that asks early, and the embedded cluster if it is that.
struct Stage {
    cluster: Cluster,
    embedded: Option<embedded::Cluster>,
    restarting: RwLock<()>,
}

fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        if live_variable("NAME_SERVER").is_some() {
            let needed = |name| live_variable(name).unwrap_or_else(|| panic!("ROCKETMQ_LIVE_{name} must be set"));
            let cluster = Cluster { name_server: needed("TX_NAME_SERVER"), version: needed("VERSION") };
            return Stage { cluster, embedded: None, restarting: RwLock::default() };
        }
        let embedded = embedded::Cluster::builder()
            .transaction_timeout(Duration::from_secs(1))
            .transaction_check_interval(Duration::from_millis(200))
            .transaction_check_max(10_000)
            .start()
            .expect("an embedded cluster");
        let cluster = Cluster { name_server: embedded.name_server().to_owned(), version: "5.5.0".to_owned() };
        Stage { cluster, embedded: Some(embedded), restarting: RwLock::default() }
    })
}

/// A scene on the stage, whose topic exists, and the right to a broker that stays up.
fn scene(queues: i32) -> (Scene, RwLockReadGuard<'static, ()>) {
    let stage = stage();
    let up = stage.restarting.read().unwrap_or_else(PoisonError::into_inner);
    (scene_on(stage, queues), up)
}

fn scene_on(stage: &'static Stage, queues: i32) -> Scene {
    let client = stage.cluster.builder().heartbeat_interval(Duration::from_secs(1)).build().expect("a client");
    let scene = Scene { cluster: &stage.cluster, client, topic: unique("topic"), group: unique("group") };
    scene.client.create_topic("TBW102", &scene.topic, queues).expect("the topic is created");
    eventually(PATIENCE, || match scene.client.publish_queues(&scene.topic) {
        Ok(all) if all.len() == queues as usize => Ok(()),
        other => Err(format!("{other:?}")),
    });
    scene
}

/// A producer that has patience with a busy machine: a retry would be a second half message.
fn builder(scene: &Scene) -> TransactionProducerBuilder {
    scene.client.transaction_producer(&*scene.group).producer(|producer| producer.timeout(PATIENCE))
}

fn start(
    scene: &Scene,
    check: impl Fn(&MessageView) -> TransactionResolution + Send + Sync + 'static,
) -> TransactionProducer {
    builder(scene).check(check).start().expect("a transaction producer")
}

fn message(scene: &Scene, body: &str) -> MessageBuilder {
    Message::builder(&*scene.topic, body.to_owned())
}

/// How often each key has been checked.
#[derive(Clone, Default)]
struct Checks(Arc<Mutex<HashMap<String, usize>>>);

impl Checks {
    fn note(&self, half: &MessageView) -> usize {
        let mut all = self.0.lock().unwrap();
        let count = all.entry(half.body_text().unwrap_or("damaged").to_owned()).or_default();
        *count += 1;
        *count
    }

    fn of(&self, body: &str) -> usize {
        self.0.lock().unwrap().get(body).copied().unwrap_or(0)
    }

    #[track_caller]
    fn reach(&self, body: &str, count: usize) {
        eventually(SOME_CHECKS, || match self.of(body) {
            checked if checked >= count => Ok(()),
            checked => Err(format!("{body:?} was checked {checked} times, not {count}")),
        });
    }
}

#[test]
fn exactly_the_committed_of_120_messages_become_visible() {
    let (scene, _up) = scene(4);
    let checks = Checks::default();
    let noted = checks.clone();
    let producer = start(&scene, move |half| {
        noted.note(half);
        match half.tag() {
            Some("commit-on-check") => Commit,
            Some("rollback-on-check") => Rollback,
            // Also for those whose end is under way: the answer of their own thread counts.
            _ => Unknown,
        }
    });
    for number in 0..120 {
        let fate = fate(number);
        let message = message(&scene, &format!("{fate} {number}")).tag(fate);
        let resolution = match fate {
            "commit" => Commit,
            "rollback" => Rollback,
            _ => Unknown,
        };
        if number < 60 {
            let done = producer.send(message, |_| resolution).unwrap();
            assert_eq!((done.resolution(), done.end_error().is_none()), (resolution, true), "{done}");
        } else {
            let transaction = producer.begin(message).unwrap();
            match resolution {
                Commit => drop(transaction.commit().unwrap()),
                Rollback => drop(transaction.rollback().unwrap()),
                Unknown => drop(transaction),
            }
        }
    }
    let of = |fates: &[&str]| -> Vec<String> {
        let chosen = (0..120).filter(|number| fates.contains(&fate(*number)));
        let mut bodies: Vec<String> = chosen.map(|number| format!("{} {number}", fate(number))).collect();
        bodies.sort();
        bodies
    };
    let committed = of(&["commit", "commit-on-check"]);
    scene.arrived_within(SOME_CHECKS, committed.len());
    // Everything has been asked about that ever will be.
    for body in of(&["commit-on-check", "rollback-on-check"]) {
        checks.reach(&body, 1);
    }
    for body in of(&["unknown"]) {
        checks.reach(&body, 2);
    }
    let visible = scene.arrived(committed.len());
    assert_eq!(crate::support::sorted_bodies(&visible), committed);
    let ids = visible.iter().filter(|message| message.transaction_id() == Some(&*message.message_id())).count();
    assert_eq!(ids, committed.len(), "consumers see the transaction's id");
}

fn fate(number: usize) -> &'static str {
    ["commit", "rollback", "commit-on-check", "rollback-on-check", "unknown"][number % 5]
}

#[test]
fn a_transaction_is_invisible_until_it_is_committed_and_then_where_it_was_sent() {
    let (scene, _up) = scene(2);
    let producer = start(&scene, |_| Unknown);
    assert_eq!(producer.group(), scene.group);
    let begun = producer.begin(message(&scene, "one").tag("t").key("k").property("名", "值")).unwrap();
    let other = producer.begin(message(&scene, "two")).unwrap();
    assert_eq!((begun.sent().status(), begun.transaction_id()), (SendStatus::Ok, begun.sent().message_id()));
    producer.producer().send(scene.message("ordinary")).unwrap();
    assert_eq!(body(&scene.arrived(1)[0]), "ordinary");
    let sent = begun.commit().unwrap();
    other.rollback().unwrap();
    let visible = scene.arrived_in(sent.queue(), scene.arrived(2).iter().filter(|m| m.queue() == sent.queue()).count());
    let found = visible.iter().find(|message| body(message) == "one").expect("it is in the queue it was sent to");
    assert_eq!(found.message_id(), sent.message_id());
    assert_eq!(
        (found.tag(), found.keys().collect::<Vec<_>>(), found.property("名")),
        (Some("t"), vec!["k"], Some("值"))
    );
    assert_eq!(found.transaction_id(), Some(sent.message_id()));
    let ordinary = scene.arrived(2).into_iter().find(|message| body(message) == "ordinary").unwrap();
    assert_eq!(ordinary.transaction_id(), None);
}

#[test]
fn the_closure_gets_what_was_stored_and_its_answer_is_what_happens() {
    let (scene, _up) = scene(1);
    let producer = start(&scene, |_| Unknown);
    let mut seen = None;
    let done = producer
        .send(message(&scene, "commit"), |sent| {
            seen = Some(sent.message_id().to_owned());
            Commit
        })
        .unwrap();
    assert_eq!(seen.as_deref(), Some(done.sent().message_id()));
    assert_eq!(producer.send(message(&scene, "rollback"), |_| Rollback).unwrap().resolution(), Rollback);
    assert_eq!(body(&scene.arrived(1)[0]), "commit");
}

#[test]
fn a_check_gets_the_message_as_it_was_sent_also_when_its_body_was_compressed() {
    let (scene, _up) = scene(1);
    let text = "compressible ".repeat(5000);
    let (sender, views) = mpsc::channel();
    let producer = start(&scene, move |half| {
        let _ = sender.send(half.clone());
        if half.was_compressed() { Commit } else { Unknown }
    });
    let begun = producer.begin(message(&scene, &text).tag("t").key("k1").key("k2").property("p", "v")).unwrap();
    let id = begun.transaction_id().to_owned();
    drop(begun);
    let half = views.recv_timeout(SOME_CHECKS).expect("it is checked");
    half.check_body().unwrap();
    assert_eq!((half.topic(), half.body_text(), half.was_compressed()), (&*scene.topic, Some(&*text), true));
    assert_eq!((half.tag(), half.property("p"), half.message_id()), (Some("t"), Some("v"), (&*id).into()));
    assert_eq!((half.keys().collect::<Vec<_>>(), half.transaction_id()), (vec!["k1", "k2"], Some(&*id)));
    let visible = scene.arrived_within(SOME_CHECKS, 1);
    assert_eq!((visible[0].body_text(), visible[0].message_id()), (Some(&*text), (&*id).into()));
}

#[test]
fn another_producer_of_the_group_answers_when_the_sender_is_gone() {
    let (scene, _up) = scene(1);
    let gone = scene.cluster.builder().build().unwrap();
    let sender = gone.transaction_producer(&*scene.group).check(|_| Unknown).start().unwrap();
    let begun = sender.begin(message(&scene, "orphan")).unwrap();
    let id = begun.transaction_id().to_owned();
    drop(begun);
    drop(sender);
    gone.close().unwrap();
    // It has never sent anything: it knows the broker by the topic that it was told.
    let topic = scene.topic.clone();
    let heir = builder(&scene).producer(|producer| producer.topics([topic])).check(|_| Commit).start().unwrap();
    assert_eq!(scene.arrived_within(SOME_CHECKS, 1)[0].message_id(), &*id);
    drop(heir);
}

#[test]
fn a_panic_in_the_local_transaction_or_in_a_check_leaves_the_end_unknown() {
    let (scene, _up) = scene(1);
    let checks = Checks::default();
    let noted = checks.clone();
    let producer = start(&scene, move |half| match noted.note(half) {
        1 => panic!("this test's check panics once"),
        _ => Commit,
    });
    let done = producer.send(message(&scene, "panics"), |_| panic!("this test's local transaction panics")).unwrap();
    assert_eq!(done.resolution(), Unknown);
    assert_eq!(body(&scene.arrived_within(SOME_CHECKS, 1)[0]), "panics");
    assert_eq!(checks.of("panics"), 2, "a panicking check is asked again");
    producer.send(message(&scene, "after"), |_| Commit).unwrap();
    scene.arrived(2);
}

#[test]
fn the_first_check_comes_as_late_as_was_asked_for() {
    let (scene, _up) = scene(1);
    let (sender, checked) = mpsc::channel();
    let producer = builder(&scene)
        .first_check_after(Duration::from_millis(3500))
        .check(move |_| {
            let _ = sender.send(Instant::now());
            Rollback
        })
        .start()
        .unwrap();
    let begun = Instant::now();
    drop(producer.begin(message(&scene, "patient")).unwrap());
    let first = checked.recv_timeout(SOME_CHECKS).expect("it is checked");
    assert!(first - begun >= Duration::from_millis(3900), "after {:?}, where 4 s were asked for", first - begun);
}

#[test]
fn a_restart_of_the_broker_neither_loses_a_transaction_nor_the_way_to_ask() {
    let stage = stage();
    let alone = stage.restarting.write().unwrap_or_else(PoisonError::into_inner);
    let scene = scene_on(stage, 1);
    let producer = start(&scene, |half| if body(half) == "asked" { Commit } else { Unknown });
    let kept: Transaction = producer.begin(message(&scene, "kept")).unwrap();
    drop(producer.begin(message(&scene, "asked")).unwrap());
    match &stage.embedded {
        Some(cluster) => {
            let broker = cluster.broker("broker-a");
            broker.kill();
            broker.restart().unwrap();
        }
        None => {
            let program = live_variable("RESTART").expect("ROCKETMQ_LIVE_RESTART names the program that restarts");
            let done = Command::new(program).arg("broker-tx").output().expect("it runs");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
    }
    scene.arrived_within(SOME_CHECKS, 1);
    kept.commit().unwrap();
    let mut bodies = crate::support::sorted_bodies(&scene.arrived_within(SOME_CHECKS, 2));
    assert_eq!(bodies, ["asked", "kept"]);
    producer.send(message(&scene, "later"), |_| Commit).unwrap();
    bodies = crate::support::sorted_bodies(&scene.arrived_within(SOME_CHECKS, 3));
    assert_eq!(bodies, ["asked", "kept", "later"]);
    drop(alone);
}

#[test]
fn the_group_sends_ordinary_messages_too_and_callbacks_hear_of_success_and_failure() {
    let (scene, _up) = scene(1);
    let producer = start(&scene, |_| Unknown);
    let (sender, ends) = mpsc::channel();
    for body in ["good", "bad"] {
        let sender = sender.clone();
        let done = move |result: Result<_, rocketmq_blocking::SendError>| {
            sender.send((body, result.is_ok())).unwrap_or_default()
        };
        let mut send = producer.producer().prepare(scene.message(body));
        if body == "bad" {
            let nowhere = rocketmq_blocking::MessageQueue::new(&*scene.topic, "no-such-broker", 0);
            send = send.queue(&nowhere);
        }
        send.send_async(done).unwrap();
    }
    let mut heard: Vec<_> = (0..2).map(|_| ends.recv_timeout(PATIENCE * 2).expect("each is called back")).collect();
    heard.sort_unstable();
    assert_eq!(heard, [("bad", false), ("good", true)]);
    scene.arrived(1);
}

#[test]
fn in_a_namespace_transactions_end_and_are_checked_under_the_users_names() {
    let (scene, _up) = scene(1);
    let client = scene.cluster.builder().namespace("transactions").build().unwrap();
    let topic = scene.topic.clone();
    client.create_topic("TBW102", &topic, 1).unwrap();
    eventually(PATIENCE, || client.publish_queues(&topic).map_err(|error| error.to_string()));
    let (sender, checked) = mpsc::channel();
    let producer = client
        .transaction_producer(&*scene.group)
        .producer(|producer| producer.timeout(PATIENCE))
        .check(move |half| {
            sender.send((half.topic().to_owned(), body(half))).unwrap_or_default();
            if body(half) == "asked" { Commit } else { Unknown }
        })
        .start()
        .unwrap();
    assert_eq!(producer.group(), scene.group);
    producer.begin(Message::new(&*topic, "told")).unwrap().commit().unwrap();
    drop(producer.begin(Message::new(&*topic, "asked")).unwrap());
    let (checked_topic, _) = checked.recv_timeout(SOME_CHECKS).expect("it is checked");
    assert_eq!(checked_topic, topic);
    let scene = Scene { client: client.clone(), ..scene };
    let found = scene.arrived_within(SOME_CHECKS, 2);
    assert_eq!(crate::support::sorted_bodies(&found), ["asked", "told"]);
}
