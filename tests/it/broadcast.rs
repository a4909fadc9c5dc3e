//! Broadcasting, where every member of a group gets all messages and keeps its own offsets; and offsets kept elsewhere than
//! at brokers.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rocketmq_blocking::{
    Client, ConsumeFromWhere, ConsumeResult, Error as Failure, MessageModel, MessageQueue, MessageView, OffsetStore,
    PushConsumer, PushConsumerBuilder,
};

use crate::support::{Scene, body, eventually, scene, unique};

/// A first delivery may wait for a rebalance.
const LONG: Duration = Duration::from_secs(40);

/// What one member got.
#[derive(Clone, Default)]
struct Inbox(Arc<Mutex<Vec<String>>>);

impl Inbox {
    fn take_in(&self, messages: &[MessageView]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(messages.iter().map(body));
    }

    /// What came, sorted.
    fn bodies(&self) -> Vec<String> {
        let mut bodies = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        bodies.sort();
        bodies
    }

    #[track_caller]
    fn wait(&self, bodies: &[&str]) {
        eventually(LONG, || {
            let found = self.bodies();
            if found.len() >= bodies.len() { Ok(()) } else { Err(format!("{found:?}, not all of {bodies:?}")) }
        });
        assert_eq!(self.bodies(), bodies);
    }
}

/// A folder of the test's own for offsets.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        Folder(std::env::temp_dir().join(unique("offsets")))
    }

    /// The file of the only member that keeps its offsets here.
    fn file(&self, scene: &Scene) -> PathBuf {
        let clients: Vec<_> = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(clients.len(), 1, "{clients:?}");
        clients[0].join(&scene.group).join("offsets.json")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A consumer of the scene's topic and group, in its own client.
fn member(scene: &Scene) -> PushConsumerBuilder {
    let client: Client = scene.cluster.builder().build().unwrap();
    let builder = client.push_consumer(&*scene.group).subscribe(&*scene.topic, "*");
    builder.persist_interval(Duration::from_millis(100))
}

fn broadcast(scene: &Scene, folder: &Folder) -> PushConsumerBuilder {
    member(scene).message_model(MessageModel::Broadcasting).offset_folder(&folder.0)
}

fn collect(builder: PushConsumerBuilder) -> (PushConsumer, Inbox) {
    let inbox = Inbox::default();
    let listener = inbox.clone();
    let consumer = builder.start(move |messages: &[MessageView]| listener.take_in(messages)).unwrap();
    (consumer, inbox)
}

/// Waits until a member pulls from all queues of the topic, so that what is sent now reaches it.
#[track_caller]
fn ready(scene: &Scene, consumer: &PushConsumer) {
    let all = scene.queues().len();
    eventually(LONG, || {
        let queues = consumer.queues().map_err(|error| error.to_string())?;
        let pulling = queues.iter().filter(|queue| queue.since_pull.is_some()).count();
        if pulling == all { Ok(()) } else { Err(format!("{pulling} of {all}: {queues:?}")) }
    });
}

fn send(scene: &Scene, bodies: &[&str]) {
    let producer = scene.producer();
    for body in bodies {
        producer.send(scene.message(*body)).unwrap();
    }
}

#[test]
fn every_member_gets_every_message_and_a_late_one_only_what_is_sent_after_it_came() {
    let scene = Scene::with_queues(2);
    let folders = [Folder::new(), Folder::new(), Folder::new()];
    let (one, first) = collect(broadcast(&scene, &folders[0]));
    let (two, second) = collect(broadcast(&scene, &folders[1]));
    ready(&scene, &one);
    ready(&scene, &two);
    send(&scene, &["a", "b", "c"]);
    first.wait(&["a", "b", "c"]);
    second.wait(&["a", "b", "c"]);
    let (three, late) = collect(broadcast(&scene, &folders[2]));
    ready(&scene, &three);
    send(&scene, &["d"]);
    late.wait(&["d"]);
    first.wait(&["a", "b", "c", "d"]);
    second.wait(&["a", "b", "c", "d"]);
}

#[test]
fn what_a_member_fails_is_not_broadcast_again() {
    let (scene, folder) = (Scene::with_queues(1), Folder::new());
    let inbox = Inbox::default();
    let listener = inbox.clone();
    let consumer = broadcast(&scene, &folder)
        .start(move |messages: &[MessageView]| {
            listener.take_in(messages);
            ConsumeResult::RetryAtLevel(1)
        })
        .unwrap();
    ready(&scene, &consumer);
    send(&scene, &["a", "b"]);
    inbox.wait(&["a", "b"]);
    eventually(LONG, || {
        let queues = consumer.queues().map_err(|error| error.to_string())?;
        if queues.iter().all(|queue| queue.cached == 0) { Ok(()) } else { Err(format!("{queues:?}")) }
    });
    send(&scene, &["c"]);
    inbox.wait(&["a", "b", "c"]);
}

#[test]
fn in_order_a_member_gets_what_it_failed_again_and_nothing_of_the_queue_before() {
    let (scene, folder) = (Scene::with_queues(1), Folder::new());
    let (inbox, failed) = (Inbox::default(), AtomicBool::new(false));
    let listener = inbox.clone();
    let consumer = broadcast(&scene, &folder)
        .suspend_time(Duration::from_millis(100))
        .start_orderly(move |messages: &[MessageView]| {
            if !failed.swap(true, Ordering::SeqCst) {
                return ConsumeResult::Retry;
            }
            listener.take_in(messages);
            ConsumeResult::Success
        })
        .unwrap();
    ready(&scene, &consumer);
    send(&scene, &["a", "b"]);
    inbox.wait(&["a", "b"]);
}

#[test]
fn a_member_that_starts_again_goes_on_where_its_file_says() {
    let (scene, folder) = (Scene::with_queues(2), Folder::new());
    let (one, first) = collect(broadcast(&scene, &folder));
    ready(&scene, &one);
    send(&scene, &["a", "b"]);
    first.wait(&["a", "b"]);
    let report = one.close_within(LONG).unwrap();
    assert!(report.complete && report.persisted > 0, "{report}");
    send(&scene, &["c", "d"]);
    let (two, second) = collect(broadcast(&scene, &folder));
    second.wait(&["c", "d"]);
    two.close().unwrap();
    // The group has no offset at the brokers, so the file is all there is.
    let text = fs::read_to_string(folder.file(&scene)).unwrap();
    assert!(text.starts_with("{\"offsetTable\":{") && text.contains(&scene.topic), "{text}");
}

#[test]
fn a_damaged_file_is_made_good_by_its_backup_and_without_one_nothing_starts() {
    let (scene, folder) = (Scene::with_queues(1), Folder::new());
    let (one, first) = collect(broadcast(&scene, &folder));
    ready(&scene, &one);
    let file = folder.file(&scene);
    let backup = file.with_extension("json.bak");
    // A backup is as old as one write.
    let stored = |body: &'static str| {
        send(&scene, &[body]);
        eventually(LONG, || {
            // Looked at first: of a queue before the message came all was stored too.
            let came = first.bodies().contains(&body.to_owned());
            let queues = one.queues().map_err(|error| error.to_string())?;
            let all = queues.iter().all(|queue| queue.stored_offset == Some(queue.next_offset));
            if all && came { Ok(()) } else { Err(format!("{queues:?}")) }
        });
    };
    stored("a");
    stored("b");
    one.close().unwrap();
    assert!(backup.exists());
    fs::write(&file, &fs::read(&file).unwrap()[..20]).unwrap();
    send(&scene, &["c"]);
    let (two, second) = collect(broadcast(&scene, &folder));
    eventually(LONG, || if second.bodies().contains(&"c".to_owned()) { Ok(()) } else { Err(second.bodies().concat()) });
    two.close().unwrap();
    assert!(!second.bodies().contains(&"a".to_owned()), "the backup is not that old: {:?}", second.bodies());
    fs::write(&file, "{").unwrap();
    fs::write(&backup, "{").unwrap();
    let refused = broadcast(&scene, &folder).start(|_: &[MessageView]| ()).map(drop);
    assert!(matches!(refused, Err(Failure::OffsetStore { .. })), "{refused:?}");
    fs::remove_file(&file).unwrap();
    fs::remove_file(&backup).unwrap();
    let (_three, all) = collect(broadcast(&scene, &folder).consume_from_where(ConsumeFromWhere::FirstOffset));
    all.wait(&["a", "b", "c"]);
}

#[test]
fn where_offsets_are_kept_is_checked_at_the_start() {
    let (scene, folder) = (scene(), Folder::new());
    let refused = |builder: PushConsumerBuilder| {
        let error = builder.start(|_: &[MessageView]| ()).map(drop).unwrap_err();
        assert!(matches!(error, Failure::Invalid { .. }), "{error:?}");
        error.to_string()
    };
    assert!(refused(member(&scene).offset_folder(&folder.0)).contains("offset_folder is for broadcasting"));
    assert!(refused(broadcast(&scene, &folder).offset_store(Own::default())).contains("both"));
    let _first = broadcast(&scene, &folder).start(|_: &[MessageView]| ()).unwrap();
    // Both clients have no name, so they would count as the same one.
    assert!(refused(broadcast(&scene, &folder)).contains("instance_name"));
    let named = scene.cluster.builder().instance_name("other").build().unwrap();
    let named = named.push_consumer(&*scene.group).subscribe(&*scene.topic, "*");
    let named = named.message_model(MessageModel::Broadcasting).offset_folder(&folder.0);
    named.start(|_: &[MessageView]| ()).unwrap().close().unwrap();
}

/// A store of the test's own, which can be made to fail.
#[derive(Default)]
struct Own {
    offsets: Mutex<HashMap<MessageQueue, i64>>,
    broken: AtomicBool,
}

impl Own {
    fn sum(&self) -> i64 {
        self.offsets.lock().unwrap().values().sum()
    }

    fn works(&self) -> Result<(), Box<dyn Error + Send + Sync>> {
        if self.broken.load(Ordering::SeqCst) { Err("out of order".into()) } else { Ok(()) }
    }
}

impl OffsetStore for Own {
    fn load(&self, queue: &MessageQueue) -> Result<Option<i64>, Box<dyn Error + Send + Sync>> {
        self.works()?;
        Ok(self.offsets.lock().unwrap().get(queue).copied())
    }

    fn store(&self, offsets: &[(MessageQueue, i64)]) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.works()?;
        self.offsets.lock().unwrap().extend(offsets.iter().cloned());
        Ok(())
    }
}

#[test]
fn a_group_goes_on_where_its_own_store_says_and_brokers_know_no_offset() {
    let scene = Scene::with_queues(2);
    let store = Arc::new(Own::default());
    // Only closing stores: the test looks at what it has stored.
    let start = || {
        let builder = member(&scene).consume_from_where(ConsumeFromWhere::FirstOffset).offset_store(store.clone());
        builder.persist_interval(Duration::from_secs(3600))
    };
    send(&scene, &["a", "b", "c"]);
    let (consumer, inbox) = collect(start());
    inbox.wait(&["a", "b", "c"]);
    let report = consumer.close_within(LONG).unwrap();
    assert!(report.complete && report.persisted > 0, "{report}");
    assert_eq!(store.sum(), 3);
    send(&scene, &["d"]);
    let (again, inbox) = collect(start());
    inbox.wait(&["d"]);
    again.close().unwrap();
    assert_eq!(store.sum(), 4);
    let reader = scene.consumer();
    let committed = |queue: &MessageQueue| reader.committed_offset(queue).unwrap().unwrap_or(0);
    assert_eq!(scene.queues().iter().map(committed).sum::<i64>(), 0);
}

#[test]
fn while_its_store_cannot_be_read_a_group_consumes_nothing_and_what_cannot_be_stored_is_stored_later() {
    let scene = Scene::with_queues(1);
    let store = Arc::new(Own::default());
    store.broken.store(true, Ordering::SeqCst);
    let queue = scene.queue();
    store.offsets.lock().unwrap().insert(queue.clone(), 1);
    let producer = scene.producer();
    for body in ["a", "b"] {
        producer.prepare(scene.message(body)).queue(&queue).send().unwrap();
    }
    let builder = member(&scene).consume_from_where(ConsumeFromWhere::FirstOffset).offset_store(store.clone());
    let (consumer, inbox) = collect(builder);
    eventually(LONG, || {
        let queues = consumer.queues().map_err(|error| error.to_string())?;
        if queues.len() >= 2 { Ok(()) } else { Err(format!("{queues:?}")) }
    });
    assert!(consumer.queues().unwrap().iter().all(|queue| queue.since_pull.is_none()));
    assert_eq!(inbox.bodies(), Vec::<String>::new());
    store.broken.store(false, Ordering::SeqCst);
    inbox.wait(&["b"]);
    store.broken.store(true, Ordering::SeqCst);
    producer.prepare(scene.message("c")).queue(&queue).send().unwrap();
    inbox.wait(&["b", "c"]);
    store.broken.store(false, Ordering::SeqCst);
    eventually(LONG, || {
        let stored = store.offsets.lock().unwrap().get(&queue).copied();
        if stored == Some(3) { Ok(()) } else { Err(format!("{stored:?}")) }
    });
}
