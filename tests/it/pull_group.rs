//! Pull consumers as members of a group: they share queues, keep offsets, and pull on a schedule.

use std::collections::{BTreeSet, HashMap};
use std::error::Error as StdError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rocketmq_blocking::{
    Error, MessageModel, MessageQueue, MessageView, OffsetStore, PullConsumer, PullConsumerBuilder, PullSchedule,
};

use crate::support::{PATIENCE, Scene, body, client_to_nowhere, eventually, unique};

/// A rebalance may have to wait for another.
const LONG: Duration = Duration::from_secs(40);

/// A consumer of the scene's group in a client of its own, registered for the scene's topic.
fn member(scene: &Scene) -> PullConsumerBuilder {
    let client = scene.cluster.builder().build().unwrap();
    client.pull_consumer(&*scene.group).register_topic(&*scene.topic)
}

#[track_caller]
fn wait_for_queues(consumer: &PullConsumer, topic: &str, count: usize) -> Vec<MessageQueue> {
    eventually(LONG, || {
        let queues = consumer.queues_in_balance(topic).map_err(|error| error.to_string())?;
        if queues.len() == count { Ok(queues) } else { Err(format!("{count} wanted: {queues:?}")) }
    })
}

fn send(scene: &Scene, count: usize) -> Vec<String> {
    let producer = scene.producer();
    let bodies: Vec<String> = (0..count).map(|number| format!("{number:04}")).collect();
    bodies.iter().for_each(|body| drop(producer.send(scene.message(body)).unwrap()));
    bodies
}

#[test]
fn members_share_the_queues_and_are_told_when_they_change() {
    let scene = Scene::with_queues(2);
    let told: Arc<Mutex<Vec<(String, usize, usize)>>> = Arc::default();
    let news = told.clone();
    let one = member(&scene)
        .message_queue_listener(move |topic, all, mine| {
            news.lock().unwrap().push((topic.to_owned(), all.len(), mine.len()));
        })
        .start()
        .unwrap();
    wait_for_queues(&one, &scene.topic, 4);
    let two = member(&scene).start().unwrap();
    let first: BTreeSet<_> = wait_for_queues(&one, &scene.topic, 2).into_iter().collect();
    let second: BTreeSet<_> = wait_for_queues(&two, &scene.topic, 2).into_iter().collect();
    let all: BTreeSet<_> = scene.queues().into_iter().collect();
    assert_eq!(first.union(&second).cloned().collect::<BTreeSet<_>>(), all, "each has one owner");
    assert_eq!(one.queues_in_balance("another").unwrap(), []);
    two.close().unwrap();
    wait_for_queues(&one, &scene.topic, 4);
    eventually(PATIENCE, || {
        let told = told.lock().unwrap().clone();
        let wanted = [4, 2, 4].map(|mine| (scene.topic.clone(), 4, mine));
        if told == wanted { Ok(()) } else { Err(format!("{told:?}")) }
    });
}

#[test]
fn offsets_that_are_kept_are_committed_from_time_to_time_and_at_the_end() {
    let scene = Scene::with_queues(1);
    let queues = scene.queues();
    // Without any registered topic: what is kept for a queue is committed all the same.
    let consumer = scene.client.pull_consumer(&*scene.group).persist_interval(Duration::from_millis(200));
    let consumer = consumer.start().unwrap();
    // By a first pull, brokers know a group.
    queues.iter().for_each(|queue| drop(consumer.pull(queue, 0).unwrap()));
    assert!(matches!(consumer.update_offset(&queues[0], -1), Err(Error::Invalid { .. })));
    consumer.update_offset(&queues[0], 3).unwrap();
    assert_eq!(consumer.offset(&queues[0]).unwrap(), Some(3));
    eventually(PATIENCE, || match consumer.committed_offset(&queues[0]).unwrap() {
        Some(3) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    consumer.update_offset(&queues[0], 2).unwrap();
    consumer.update_offset(&queues[1], 5).unwrap();
    let report = consumer.close_within(PATIENCE).unwrap();
    assert!(report.complete && report.persisted == 2, "{report}");
    assert!(matches!(consumer.update_offset(&queues[0], 9), Err(Error::Closed { .. })));
    let again = scene.consumer();
    let committed: Vec<_> = queues.iter().map(|queue| again.committed_offset(queue).unwrap()).collect();
    assert_eq!(committed, [Some(2), Some(5)]);
    assert_eq!(again.offset(&queues[1]).unwrap(), Some(5), "nothing newer is kept");
}

#[test]
fn closing_the_client_commits_what_is_kept() {
    let scene = Scene::with_queues(1);
    let queue = scene.queue();
    let client = scene.cluster.builder().build().unwrap();
    let consumer = client.pull_consumer(&*scene.group).register_topic(&*scene.topic).start().unwrap();
    wait_for_queues(&consumer, &scene.topic, 2);
    consumer.pull(&queue, 0).unwrap();
    consumer.update_offset(&queue, 7).unwrap();
    let report = client.close_within(PATIENCE).unwrap();
    assert!(report.complete && report.persisted == 1, "{report}");
    assert_eq!(scene.consumer().committed_offset(&queue).unwrap(), Some(7));
}

#[derive(Clone, Default)]
struct Inbox(Arc<Mutex<Vec<String>>>);

impl Inbox {
    fn take_in(&self, messages: &[MessageView]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(messages.iter().map(body));
    }

    #[track_caller]
    fn wait(&self, bodies: &[String]) {
        let found = eventually(LONG, || {
            let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            found.sort();
            if found.len() >= bodies.len() { Ok(found) } else { Err(format!("{found:?}")) }
        });
        assert_eq!(found, bodies);
    }
}

/// Pulls from where the group is, else from the first message on.
fn schedule(builder: PullConsumerBuilder, inbox: &Inbox) -> PullSchedule {
    let inbox = inbox.clone();
    let pull = move |consumer: &PullConsumer, queue: &MessageQueue| {
        let offset = consumer.offset(queue)?.unwrap_or(0);
        let found = consumer.pull(queue, offset)?;
        inbox.take_in(found.messages());
        consumer.update_offset(queue, found.next_offset())?;
        Ok::<_, Error>(Duration::from_millis(20))
    };
    builder.start_scheduled(2, pull).unwrap()
}

#[test]
fn scheduled_pulling_reads_every_queue_and_a_restart_goes_on_where_it_was() {
    let scene = Scene::with_queues(2);
    let bodies = send(&scene, 40);
    let inbox = Inbox::default();
    let one = schedule(member(&scene), &inbox);
    inbox.wait(&bodies);
    let report = one.close_within(PATIENCE).unwrap();
    assert!(report.complete && report.persisted > 0, "{report}");
    scene.producer().send(scene.message("later")).unwrap();
    let inbox = Inbox::default();
    let _two = schedule(member(&scene), &inbox);
    inbox.wait(&["later".to_owned()]);
}

#[test]
fn a_callback_that_fails_is_called_again_and_one_that_waits_for_messages_ends_when_it_is_closed() {
    let scene = Scene::with_queues(1);
    let calls: Arc<Mutex<HashMap<MessageQueue, usize>>> = Arc::default();
    let (counted, waiting) = (calls.clone(), Arc::new(AtomicUsize::new(0)));
    let waits = waiting.clone();
    let schedule = member(&scene)
        .start_scheduled(4, move |consumer, queue| {
            let call = {
                let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
                let count = counted.entry(queue.clone()).or_default();
                *count += 1;
                *count
            };
            match call {
                1 => std::panic::resume_unwind(Box::new("once")),
                2 => Err("and once more".to_owned()),
                _ => {
                    waits.fetch_add(1, Ordering::SeqCst);
                    consumer.pull_waiting(queue, 0).map(drop).map_err(|error| error.to_string())
                }
            }
        })
        .unwrap();
    eventually(LONG, || match waiting.load(Ordering::SeqCst) {
        2 => Ok(()),
        other => Err(format!("{other} queues wait")),
    });
    assert_eq!(schedule.consumer().group(), scene.group);
    let began = Instant::now();
    let report = schedule.close_within(PATIENCE).unwrap();
    assert!(report.complete && began.elapsed() < Duration::from_secs(5), "{report} after {:?}", began.elapsed());
}

/// A store of the test's own.
#[derive(Default)]
struct Own(Mutex<HashMap<MessageQueue, i64>>);

impl OffsetStore for Own {
    fn load(&self, queue: &MessageQueue) -> Result<Option<i64>, Box<dyn StdError + Send + Sync>> {
        Ok(self.0.lock().unwrap().get(queue).copied())
    }

    fn store(&self, offsets: &[(MessageQueue, i64)]) -> Result<(), Box<dyn StdError + Send + Sync>> {
        self.0.lock().unwrap().extend(offsets.iter().cloned());
        Ok(())
    }
}

#[test]
fn broadcasting_members_have_all_queues_and_offsets_of_their_own() {
    let scene = Scene::with_queues(2);
    let bodies = send(&scene, 10);
    let stores = [Arc::new(Own::default()), Arc::new(Own::default())];
    let inboxes = [Inbox::default(), Inbox::default()];
    let broadcast = |which: usize| {
        let builder = member(&scene).message_model(MessageModel::Broadcasting).offset_store(stores[which].clone());
        schedule(builder, &inboxes[which])
    };
    let members = [broadcast(0), broadcast(1)];
    inboxes.iter().for_each(|inbox| inbox.wait(&bodies));
    assert_eq!(members[0].consumer().queues_in_balance(&scene.topic).unwrap().len(), 4);
    members.iter().for_each(|member| member.close().unwrap());
    for store in &stores {
        assert_eq!(store.0.lock().unwrap().values().sum::<i64>(), 10);
    }
}

#[test]
fn a_schedule_needs_a_topic_and_threads_and_settings_are_checked() {
    let client = client_to_nowhere();
    let scheduled = |builder: PullConsumerBuilder, threads| builder.start_scheduled(threads, |_, _| ()).map(drop);
    let group = || client.pull_consumer(unique("group"));
    for refused in [
        scheduled(group(), 1),
        scheduled(group().register_topic("T"), 0),
        scheduled(group().register_topic("a b"), 1),
        group().rebalance_interval(Duration::ZERO).start().map(drop),
        group().persist_interval(Duration::ZERO).start().map(drop),
        group().offset_folder("somewhere").start().map(drop),
    ] {
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    }
    let first = client.pull_consumer("g").register_topic("T").start().unwrap();
    assert!(matches!(scheduled(client.pull_consumer("g").register_topic("T"), 1), Err(Error::GroupInUse { .. })));
    first.close().unwrap();
    scheduled(client.pull_consumer("g").register_topic("T"), 1).unwrap();
}

#[test]
fn pulls_of_a_group_that_left_are_counted() {
    let scene = Scene::with_queues(1);
    let client = scene.cluster.builder().build().unwrap();
    let builder = client.push_consumer(&*scene.group).subscribe(&*scene.topic, "*");
    let consumer = builder.start(|_: &[MessageView]| ()).unwrap();
    eventually(LONG, || {
        let queues = consumer.queues().map_err(|error| error.to_string())?;
        let held = queues.iter().filter(|queue| queue.since_pull.is_some()).count();
        if held >= 2 { Ok(()) } else { Err(format!("{queues:?}")) }
    });
    assert_eq!(client.stats().pulls_dropped, 0);
    consumer.close().unwrap();
    eventually(PATIENCE, || match client.stats().pulls_dropped {
        0 => Err("none is counted"),
        _ => Ok(()),
    });
    assert!(client.stats().to_string().contains("pulls of groups that left"));
}
