//! What operators see of consumer groups, and how they move them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rocketmq_blocking::{
    Admin, ConsumeFromWhere, Error, GroupProgress, MessageView, PushConsumer, QueueProgress, ResetTo,
};

use crate::support::{Feature, PATIENCE, Scene, body, client_to_nowhere, eventually, scene, supports, unique};

/// An idle queue takes a reset with its next pull, which the broker may hold for 15 s.
const LONG: Duration = Duration::from_secs(40);

/// What a listener got, in its order.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn bodies(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `count` messages were consumed, and returns them all, sorted.
    #[track_caller]
    fn wait(&self, count: usize) -> Vec<String> {
        eventually(LONG, || {
            let mut bodies = self.bodies();
            bodies.sort();
            if bodies.len() >= count { Ok(bodies) } else { Err(format!("{} of {count}", bodies.len())) }
        })
    }
}

fn consume(scene: &Scene) -> (PushConsumer, Seen) {
    let seen = Seen::default();
    let listener = seen.clone();
    let builder = scene.client.push_consumer(&*scene.group).subscribe(&*scene.topic, "a || b");
    let builder = builder.consume_from_where(ConsumeFromWhere::FirstOffset);
    let consumer = builder.start(move |messages: &[MessageView]| {
        listener.0.lock().unwrap_or_else(PoisonError::into_inner).extend(messages.iter().map(body));
    });
    (consumer.unwrap(), seen)
}

fn send(scene: &Scene, bodies: &[&str]) {
    let producer = scene.producer();
    for body in bodies {
        producer.send(rocketmq_blocking::Message::builder(&*scene.topic, (*body).to_owned()).tag("a")).unwrap();
    }
    producer.close().unwrap();
}

fn admin(scene: &Scene) -> Admin {
    scene.client.admin()
}

/// The group's progress in the scene's topic, once it has any.
fn progress(scene: &Scene) -> Vec<QueueProgress> {
    let found: Result<GroupProgress, Error> = admin(scene).group_progress(&scene.group);
    let queues = found.map(|progress| progress.queues).unwrap_or_default();
    queues.into_iter().filter(|queue| queue.queue.topic() == scene.topic).collect()
}

fn lag(scene: &Scene) -> i64 {
    progress(scene).iter().map(QueueProgress::lag).sum()
}

#[test]
fn progress_says_how_far_a_group_is_in_each_queue() {
    let scene = Scene::with_queues(2);
    let before = SystemTime::now() - Duration::from_secs(60);
    send(&scene, &["1", "2", "3", "4", "5", "6"]);
    let (consumer, seen) = consume(&scene);
    seen.wait(6);
    consumer.close().unwrap();
    send(&scene, &["7", "8", "9"]);
    // What progress is told by follows the log by a few milliseconds.
    let queues = eventually(PATIENCE, || match lag(&scene) {
        3 => Ok(progress(&scene)),
        lag => Err(format!("{lag} behind")),
    });
    let mut expected = scene.queues();
    expected.sort();
    assert_eq!(queues.iter().map(|queue| queue.queue.clone()).collect::<Vec<_>>(), expected);
    let sum = |of: fn(&QueueProgress) -> i64| queues.iter().map(of).sum::<i64>();
    assert_eq!((sum(|queue| queue.broker_offset), sum(|queue| queue.consumer_offset)), (9, 6), "{queues:?}");

    for queue in queues {
        assert_eq!(queue.last_consumed.is_some(), queue.consumer_offset > 0, "{queue:?}");
        assert!(queue.last_consumed.is_none_or(|time| time > before), "{queue:?}");
        assert!(queue.pulled_offset >= queue.consumer_offset && queue.owner.is_none(), "{queue:?}");
    }
    let of_topic = admin(&scene).topic_progress(&scene.group, &scene.topic).unwrap();
    assert_eq!((of_topic.queues.len(), of_topic.lag(), of_topic.failures.len()), (4, 3, 0));
}

#[test]
fn each_queue_has_an_owner_while_the_group_consumes() {
    let scene = Scene::with_queues(2);
    send(&scene, &["1", "2", "3", "4", "5", "6", "7", "8"]);
    let (consumer, seen) = consume(&scene);
    seen.wait(8);
    let owners = eventually(LONG, || {
        let queues = progress(&scene);
        let owners: Vec<_> = queues.iter().filter_map(|queue| queue.owner.clone()).collect();
        if owners.len() == 4 { Ok(owners) } else { Err(format!("{queues:?}")) }
    });
    assert!(owners.iter().all(|owner| **owner == *scene.client.client_id()), "{owners:?}");
    consumer.close().unwrap();
    assert!(progress(&scene).iter().all(|queue| queue.owner.is_none()));
}

#[test]
fn members_say_who_they_are_and_what_they_want() {
    let scene = scene();
    send(&scene, &["1"]);
    let (consumer, seen) = consume(&scene);
    seen.wait(1);
    let found = admin(&scene).group_members(&scene.group).unwrap();
    let [member] = &found.members[..] else { panic!("one member: {found:?}") };
    assert_eq!(&*member.client_id, scene.client.client_id());
    assert_eq!((member.language.as_deref(), member.brokers.len()), (Some("RUST"), 2));
    assert!(member.version > 0 && member.address.starts_with("127.0.0.1:"), "{member:?}");
    let topics: Vec<_> = found.subscriptions.iter().map(|one| (&*one.topic, &*one.expression)).collect();
    let retries = format!("%RETRY%{}", scene.group);
    assert_eq!(topics, [(&*retries, "*"), (&*scene.topic, "a || b")]);
    let (kind, model) = (&*found.consume_type, &*found.message_model);
    assert_eq!(
        (kind, model, &*found.consume_from_where),
        ("CONSUME_PASSIVELY", "CLUSTERING", "CONSUME_FROM_FIRST_OFFSET")
    );
    consumer.close().unwrap();
    eventually(PATIENCE, || {
        let left = admin(&scene).group_members(&scene.group).unwrap();
        if left.members.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
}

#[test]
fn a_group_that_consumes_goes_where_it_is_sent() {
    let scene = scene();
    send(&scene, &["1", "2", "3"]);
    let (consumer, seen) = consume(&scene);
    seen.wait(3);
    // Brokers before 5.0 reset only a group that has an offset in each queue.
    eventually(LONG, || {
        let queues = consumer.queues().unwrap();
        if queues.iter().all(|queue| queue.stored_offset.is_some()) { Ok(()) } else { Err(format!("{queues:?}")) }
    });
    assert_eq!(lag(&scene), 0);
    let reset = admin(&scene).reset_group(&scene.group, &scene.topic, ResetTo::First).unwrap();
    assert_eq!(reset.offsets.len(), scene.queues().len());
    assert!(reset.offsets.iter().all(|(_, offset)| *offset == 0), "{reset:?}");
    assert_eq!(seen.wait(6), ["1", "1", "2", "2", "3", "3"]);
    eventually(LONG, || if lag(&scene) == 0 { Ok(()) } else { Err("not committed yet") });
}

#[test]
fn a_group_without_members_goes_on_where_it_is_sent() {
    let scene = scene();
    send(&scene, &["1", "2", "3"]);
    let (consumer, seen) = consume(&scene);
    seen.wait(3);
    consumer.close().unwrap();
    send(&scene, &["skipped"]);
    eventually(PATIENCE, || match admin(&scene).group_members(&scene.group) {
        Ok(found) if found.members.is_empty() => Ok(()),
        found => Err(format!("{found:?}")),
    });
    admin(&scene).reset_group(&scene.group, &scene.topic, ResetTo::Last).unwrap();
    assert_eq!(lag(&scene), 0);
    send(&scene, &["new"]);
    let (consumer, seen) = consume(&scene);
    assert_eq!(seen.wait(1), ["new"]);
    consumer.close().unwrap();
    let time = ResetTo::Time(SystemTime::now() - Duration::from_secs(3600));
    admin(&scene).reset_group(&scene.group, &scene.topic, time).unwrap();
    let (_consumer, seen) = consume(&scene);
    assert_eq!(seen.wait(5), ["1", "2", "3", "new", "skipped"]);
}

#[test]
fn in_a_namespace_names_are_the_users_own() {
    let mut scene = scene();
    scene.client = scene.cluster.builder().namespace(unique("ns")).build().unwrap();
    scene.create_topic(1);
    send(&scene, &["1", "2"]);
    let (consumer, seen) = consume(&scene);
    seen.wait(2);
    let owned = || progress(&scene).iter().filter(|queue| queue.owner.is_some()).count();
    eventually(LONG, || if owned() == 2 { Ok(()) } else { Err(format!("{:?}", progress(&scene))) });
    let members = admin(&scene).group_members(&scene.group).unwrap();
    assert!(members.subscriptions.iter().any(|one| *one.topic == *scene.topic), "{members:?}");
    consumer.close().unwrap();
    let reset = admin(&scene).reset_group(&scene.group, &scene.topic, ResetTo::First).unwrap();
    assert_eq!(reset.offsets.iter().map(|(queue, _)| queue.clone()).collect::<Vec<_>>(), scene.queues());
    assert_eq!(lag(&scene), 2);
}

#[test]
fn what_does_not_exist_is_an_error() {
    let scene = scene();
    send(&scene, &["1"]);
    let admin = admin(&scene);
    let unknown = unique("unknown");
    assert!(matches!(admin.group_progress(&unknown), Err(Error::NoRoute { .. })));
    assert!(matches!(admin.group_members(&unknown), Err(Error::NoRoute { .. })));
    assert!(matches!(admin.reset_group(&scene.group, &unknown, ResetTo::First), Err(Error::NoRoute { .. })));
    if supports(Feature::ServerSideReset) {
        let refused = admin.reset_group(&unknown, &scene.topic, ResetTo::First);
        assert!(refused.is_err(), "{refused:?}");
    }
    let nowhere = client_to_nowhere().admin();
    for wrong in ["", "a b", "DEFAULT_CONSUMER"] {
        assert!(matches!(nowhere.group_progress(wrong), Err(Error::Invalid { .. })), "{wrong}");
        assert!(matches!(nowhere.group_members(wrong), Err(Error::Invalid { .. })), "{wrong}");
        assert!(matches!(nowhere.reset_group(wrong, "T", ResetTo::Last), Err(Error::Invalid { .. })), "{wrong}");
    }
    assert!(matches!(nowhere.reset_group("g", "a b", ResetTo::Last), Err(Error::Invalid { .. })));
}
