//! What became of a message in each group, having it consumed again, and who is connected.

use std::sync::{Arc, Mutex, PoisonError};

use rocketmq_blocking::{
    DirectOutcome, Error, Message, MessageModel, MessageTrack, MessageView, PushConsumer, ResponseCode, TrackStatus,
};

use crate::support::{
    Feature, LONG, PATIENCE, Scene, body, client_to_nowhere, collect, eventually, live_variable, mqadmin, say,
    supports, unique,
};

fn send(scene: &Scene, tag: &str) -> MessageView {
    let producer = scene.producer();
    let sent = producer
        .prepare(Message::builder(&*scene.topic, "tracked").tag(tag).key("k"))
        .queue(&scene.queue())
        .send()
        .unwrap();
    eventually(PATIENCE, || match scene.client.view_message(sent.offset_message_id()) {
        Ok(Some(message)) => Ok(message),
        other => Err(format!("{other:?}")),
    })
}

fn tracks(scene: &Scene, message: &MessageView) -> Vec<MessageTrack> {
    scene.client.admin().track_message(message).unwrap()
}

fn status(scene: &Scene, message: &MessageView, group: &str) -> Option<TrackStatus> {
    tracks(scene, message).into_iter().find(|track| *track.group == *group).map(|track| track.status)
}

#[track_caller]
fn becomes(scene: &Scene, message: &MessageView, group: &str, expected: TrackStatus) {
    eventually(LONG, || match status(scene, message, group) {
        Some(status) if status == expected => Ok(()),
        other => Err(format!("{group}: {other:?} is not {expected:?}")),
    });
}

#[test]
fn a_message_is_consumed_filtered_or_still_to_be_consumed() {
    let scene = Scene::with_queues(1);
    let message = send(&scene, "a");
    assert_eq!(tracks(&scene, &message), []);
    let (consuming, inbox) = scene.collect();
    inbox.wait(1);
    becomes(&scene, &message, &scene.group, TrackStatus::Consumed);

    let other = scene.cluster.builder().instance_name("filters").build().unwrap();
    let filtering = unique("filtering");
    let builder = other.push_consumer(&*filtering).subscribe(&*scene.topic, "b");
    let (_filters, _) = collect(builder.consume_from_where(rocketmq_blocking::ConsumeFromWhere::FirstOffset));
    becomes(&scene, &message, &filtering, TrackStatus::ConsumedButFiltered);

    let (stuck, open) = (unique("stuck"), Arc::new(Mutex::new(())));
    let held = open.lock().unwrap_or_else(PoisonError::into_inner);
    let gate = open.clone();
    let builder = other.push_consumer(&*stuck).subscribe(&*scene.topic, "*");
    let builder = builder.consume_from_where(rocketmq_blocking::ConsumeFromWhere::FirstOffset);
    let consumer = builder.start(move |_: &[MessageView]| drop(gate.lock())).unwrap();
    becomes(&scene, &message, &stuck, TrackStatus::NotConsumedYet);
    drop(held);
    becomes(&scene, &message, &stuck, TrackStatus::Consumed);
    consumer.close().unwrap();
    becomes(&scene, &message, &stuck, TrackStatus::NotOnline);

    let mut all = tracks(&scene, &message);
    if !supports(Feature::TopicGroups) {
        all.retain(|track| *track.group != *scene.topic);
    }
    assert!(all.iter().map(|track| &track.group).is_sorted() && all.len() == 3, "{all:?}");
    consuming.close().unwrap();
}

#[test]
fn groups_that_pull_or_broadcast_are_told_apart() {
    // It would name groups only that have committed, which those that broadcast never do.
    if !supports(Feature::TopicGroups) {
        return;
    }
    let scene = Scene::with_queues(1);
    let message = send(&scene, "a");
    let builder = scene.push().message_model(MessageModel::Broadcasting);
    let store = std::env::temp_dir().join(unique("offsets"));
    let (_broadcasts, inbox) = collect(builder.offset_folder(&store));
    inbox.wait(1);
    becomes(&scene, &message, &scene.group, TrackStatus::ConsumedBroadcasting);
    let pulling = unique("pulling");
    let consumer = scene.client.lite_pull_consumer(&*pulling).subscribe(&*scene.topic, "*").start().unwrap();
    becomes(&scene, &message, &pulling, TrackStatus::Pull);
    consumer.close().unwrap();
    std::fs::remove_dir_all(store).unwrap_or_default();
}

fn refusing(scene: &Scene) -> (PushConsumer, Arc<Mutex<Vec<String>>>) {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener = seen.clone();
    let consumer = scene.push().start(move |messages: &[MessageView]| {
        let mut seen = listener.lock().unwrap_or_else(PoisonError::into_inner);
        seen.extend(messages.iter().map(body));
        // The first time it is consumed.
        if seen.len() == 1 {
            rocketmq_blocking::ConsumeResult::Success
        } else {
            rocketmq_blocking::ConsumeResult::Retry
        }
    });
    (consumer.unwrap(), seen)
}

#[test]
fn a_member_consumes_a_message_when_an_operator_wants_it() {
    let scene = Scene::with_queues(1);
    let message = send(&scene, "a");
    let (consumer, seen) = refusing(&scene);
    let count = || seen.lock().unwrap_or_else(PoisonError::into_inner).len();
    eventually(LONG, || if count() == 1 { Ok(()) } else { Err("not consumed") });
    let (admin, member) = (scene.client.admin(), scene.client.client_id());
    let done = admin.consume_message(&message, &scene.group, member).unwrap();
    assert_eq!((done.outcome, done.orderly, count()), (DirectOutcome::Later, false, 2));
    let refused = admin.consume_message(&message, &scene.group, "nobody").unwrap_err();
    assert_eq!(refused.code(), Some(ResponseCode::SYSTEM_ERROR), "{refused}");
    consumer.close().unwrap();
}

#[test]
fn a_member_says_how_it_is() {
    let scene = Scene::with_queues(2);
    send(&scene, "a");
    let (consumer, inbox) = scene.collect();
    inbox.wait(1);
    let (admin, member) = (scene.client.admin(), scene.client.client_id());
    let found = eventually(LONG, || {
        let found = admin.group_member(&scene.group, member).map_err(|error| error.to_string())?.ok_or("nobody")?;
        let of_topic = found.queues.iter().filter(|queue| queue.queue.topic() == scene.topic).count();
        if of_topic == 4 && !found.topics.is_empty() { Ok(found) } else { Err(format!("{found:?}")) }
    });
    assert_eq!((found.consume_type.as_deref(), found.orderly), (Some("CONSUME_PASSIVELY"), Some(false)));
    assert!(found.started.is_some() && found.threads > Some(0) && found.version.is_some(), "{found:?}");
    assert!(found.subscriptions.iter().any(|one| *one.topic == *scene.topic && one.expression == "*"), "{found:?}");
    assert!(found.topics.iter().any(|topic| *topic.topic == *scene.topic), "{found:?}");
    assert!(found.queues.iter().all(|queue| !queue.leaving && !queue.locked), "{found:?}");
    assert_eq!(admin.member_stacks(&scene.group, member).unwrap(), None);
    assert_eq!(admin.group_member(&scene.group, "nobody").unwrap(), None);
    consumer.close().unwrap();
}

#[test]
fn producers_that_are_connected_are_shown() {
    let scene = Scene::with_queues(1);
    let admin = scene.client.admin();
    assert!(admin.producers(&scene.group).unwrap().groups.is_empty());
    let producer = scene.producer();
    producer.send(scene.message("x")).unwrap();
    let found = eventually(PATIENCE, || {
        let found = admin.producers(&scene.group).map_err(|error| error.to_string())?;
        if found.groups.is_empty() { Err("nobody".to_owned()) } else { Ok(found) }
    });
    let [member] = &found.groups[&*scene.group][..] else { panic!("one client: {found:?}") };
    assert_eq!((&*member.client_id, member.language.as_deref()), (scene.client.client_id(), Some("RUST")));
    assert!(!member.brokers.is_empty() && member.address.starts_with("127.0.0.1:"), "{member:?}");
    let all = admin.producer_groups().unwrap();
    let same = &all.groups[&*scene.group];
    assert_eq!((&same[0].client_id, &same[0].version), (&member.client_id, &member.version));
    producer.close().unwrap();
    eventually(PATIENCE, || match admin.producers(&scene.group) {
        Ok(found) if found.groups.is_empty() => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn what_cannot_be_is_refused() {
    let admin = client_to_nowhere().admin();
    assert!(matches!(admin.resume_check("x"), Err(Error::Invalid { .. })));
    assert!(matches!(admin.producers("a b"), Err(Error::Invalid { .. })));
    assert!(matches!(admin.group_member("a b", "c"), Err(Error::Invalid { .. })));
    let scene = Scene::with_queues(1);
    let message = send(&scene, "a");
    let id = message.offset_message_id().to_string();
    // The message of which there is none lies behind all others.
    let missing = format!("{}{}", &id[..id.len() - 16], "7FFFFFFFFFFFFFF0");
    let refused = scene.client.admin().resume_check(&missing).unwrap_err();
    assert_eq!(refused.code(), Some(ResponseCode::SYSTEM_ERROR), "{refused}");
}

#[test]
fn apaches_tool_shows_the_same_of_members_producers_and_messages() {
    if live_variable("LIB").is_none() {
        return say("message_track: there is no tool of Apache's without its server");
    }
    let scene = Scene::with_queues(1);
    let (name_server, admin) = (&*scene.cluster.name_server, scene.client.admin());
    let message = send(&scene, "a");
    let (_consumer, inbox) = scene.collect();
    inbox.wait(1);
    becomes(&scene, &message, &scene.group, TrackStatus::Consumed);
    let member = scene.client.client_id();

    // A broker may take half a minute to tell the name server of the retry topic, by which the tool finds the group.
    let shown = eventually(LONG, || {
        let shown = mqadmin(&["consumerConnection", "-g", &scene.group, "-n", name_server]);
        let is_there = shown.lines().any(|line| line.contains(member) && line.contains("RUST"));
        if is_there { Ok(shown) } else { Err(shown) }
    });
    let members = admin.group_members(&scene.group).unwrap();
    for expected in [&members.consume_type, &members.message_model, &members.consume_from_where] {
        assert!(shown.contains(expected.as_str()), "{expected} in {shown}");
    }

    let shown = mqadmin(&["consumerProgress", "-g", &scene.group, "-n", name_server]);
    let rows: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    for queue in admin.topic_progress(&scene.group, &scene.topic).unwrap().queues {
        let (id, broker, group) =
            (queue.queue.queue_id().to_string(), queue.broker_offset.to_string(), queue.consumer_offset.to_string());
        let row = [queue.queue.topic(), queue.queue.broker_name(), &id, &broker, &group];
        assert!(rows.iter().any(|cells| cells.starts_with(&row)), "{row:?} in {shown}");
    }

    let producer = scene.producer();
    producer.send(scene.message("x")).unwrap();
    let shown = mqadmin(&["producerConnection", "-g", &scene.group, "-t", &scene.topic, "-n", name_server]);
    assert!(shown.contains(member) && shown.contains("RUST"), "{shown}");

    let unique_id = message.message_id().into_owned();
    let offset_id = message.offset_message_id().to_string();
    let track = format!("consumerGroup={}, trackType={}", scene.group, TrackStatus::Consumed);
    let topic: &[&str] = if supports(Feature::ToolWantsTopic) { &["-t", &scene.topic] } else { &[] };
    for look_up in [
        &[&["queryMsgById", "-i", &offset_id][..], topic].concat()[..],
        &["queryMsgByUniqueKey", "-t", &scene.topic, "-i", &unique_id],
    ] {
        let shown = mqadmin(&[look_up, &["-n", name_server]].concat());
        for expected in [&*unique_id, &*scene.topic, &track] {
            assert!(shown.contains(expected), "{expected} in {shown}");
        }
    }
    let shown = mqadmin(&["queryMsgByKey", "-t", &scene.topic, "-k", "k", "-n", name_server]);
    assert!(shown.contains(&unique_id), "{shown}");
}
