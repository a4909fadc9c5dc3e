//! Settings of consumer groups, what they consume, and copying where they are.

use std::time::{Duration, SystemTime};

use rocketmq_blocking::{Error, GroupConfig, GroupOffsets, MessageRequestMode, OnBrokers, QueueProgress, RetryPolicy};

use crate::support::{
    Feature, PATIENCE, Scene, client_to_nowhere, eventually, live_variable, mqadmin, numbered, say, scene, supports,
    unique,
};

/// The settings of the scene's group, once brokers have them.
fn settings(scene: &Scene) -> OnBrokers<GroupConfig> {
    let found = scene.client.admin().group_config(&scene.group).unwrap();
    assert!(found.failures.is_empty(), "{found:?}");
    found
}

/// Lets the scene's group consume what is there.
fn consume(scene: &Scene, count: usize) {
    let (consumer, inbox) = scene.collect();
    inbox.wait(count);
    consumer.close().unwrap();
}

fn offsets(scene: &Scene, group: &str) -> Vec<i64> {
    let consumer = scene.client.pull_consumer(group).start().unwrap();
    scene.queues().iter().map(|queue| consumer.committed_offset(queue).unwrap().unwrap_or(-1)).collect()
}

#[test]
fn a_group_is_created_changed_listed_and_deleted_on_all_brokers() {
    let scene = scene();
    let admin = scene.client.admin();
    assert!(settings(&scene).found.is_empty(), "asking creates nothing");
    let mut config = GroupConfig::new(&*scene.group);
    config.max_reconsume_times = 3;
    config.retry_queues = 2;
    config.broadcast = false;
    config.slow_broker_id = 2;
    admin.create_group(&config).unwrap();
    let found = settings(&scene);
    assert_eq!(found.found.iter().map(|found| &*found.broker_name).collect::<Vec<_>>(), ["broker-a", "broker-b"]);
    assert_eq!((found.first(), found.agree(), found.distinct().len()), (Some(&config), true, 1));
    if supports(Feature::TopicAttributes) {
        config.consume_timeout = Duration::from_secs(7 * 60);
        config.orderly = true;
        config.retry_policy =
            RetryPolicy::Exponential { initial: Duration::from_secs(2), max: Duration::from_secs(60), multiplier: 3 };
    }
    config.consume = false;
    admin.create_group(&config).unwrap();
    assert_eq!(settings(&scene).first(), Some(&config));
    let all = admin.groups().unwrap();
    assert_eq!(all.found.iter().filter(|found| found.value == config).count(), 2, "{all:?}");
    let names: Vec<_> = all.found.iter().map(|found| (&found.value.name, &found.broker_name)).collect();
    assert!(names.is_sorted(), "{names:?}");
    assert!(all.found.iter().any(|found| found.value.is_system()), "{names:?}");
    admin.delete_group(&scene.group, GroupOffsets::Delete).unwrap();
    assert!(settings(&scene).found.is_empty());
    admin.delete_group(&scene.group, GroupOffsets::Delete).unwrap();
}

#[test]
fn a_group_that_may_not_consume_gets_nothing() {
    let scene = Scene::with_queues(1);
    scene.send(&numbered(2));
    let mut config = GroupConfig::new(&*scene.group);
    config.consume = false;
    scene.client.admin().create_group(&config).unwrap();
    let consumer = scene.consumer();
    let refused = consumer.pull(&scene.queue(), 0).unwrap_err();
    assert_eq!(refused.code(), Some(rocketmq_blocking::ResponseCode::NO_PERMISSION), "{refused}");
    config.consume = true;
    scene.client.admin().create_group(&config).unwrap();
    eventually(PATIENCE, || consumer.pull(&scene.queue(), 0));
}

#[test]
fn offsets_of_a_deleted_group_are_kept_or_go_with_it() {
    let scene = Scene::with_queues(1);
    scene.send(&numbered(4));
    consume(&scene, 4);
    let admin = scene.client.admin();
    assert_eq!(offsets(&scene, &scene.group), [2, 2]);
    admin.delete_group(&scene.group, GroupOffsets::Keep).unwrap();
    assert!(admin.group_topics(&scene.group).unwrap().names.iter().any(|topic| **topic == *scene.topic));
    admin.delete_group(&scene.group, GroupOffsets::Delete).unwrap();
    assert!(admin.group_topics(&scene.group).unwrap().names.is_empty());
}

#[test]
fn who_consumes_what_is_told_from_both_sides() {
    let scene = Scene::with_queues(1);
    scene.send(&numbered(2));
    let admin = scene.client.admin();
    assert!(admin.topic_groups(&scene.topic).unwrap().names.is_empty());
    let (consumer, inbox) = scene.collect();
    inbox.wait(2);
    let groups = admin.topic_groups(&scene.topic).unwrap();
    let expected = if supports(Feature::TopicGroups) { &scene.group } else { &scene.topic };
    assert_eq!(groups.names.iter().map(|name| &**name).collect::<Vec<_>>(), [&**expected]);
    let subscription = admin.group_subscription(&scene.group, &scene.topic).unwrap().unwrap();
    assert_eq!(
        (&*subscription.topic, &*subscription.expression, &*subscription.expression_type),
        (&*scene.topic, "*", "TAG")
    );
    assert!(admin.group_subscription(&unique("nobody"), &scene.topic).unwrap().is_none());
    consumer.close().unwrap();
    let retries = format!("%RETRY%{}", scene.group);
    let topics = admin.group_topics(&scene.group).unwrap().names;
    assert!(topics.iter().all(|topic| **topic == *scene.topic || **topic == *retries), "{topics:?}");
    assert!(topics.iter().any(|topic| **topic == *scene.topic), "{topics:?}");
    let groups = admin.topic_groups(&scene.topic).unwrap().names;
    assert!(groups.iter().any(|group| **group == *scene.group), "it has offsets there: {groups:?}");
}

#[test]
fn time_spans_say_how_old_messages_are() {
    let scene = Scene::with_queues(1);
    let before = SystemTime::now() - Duration::from_secs(60);
    scene.send(&numbered(4));
    consume(&scene, 4);
    scene.send(&numbered(2));
    let admin = scene.client.admin();
    let spans = eventually(PATIENCE, || {
        let spans = admin.time_spans(&scene.group, &scene.topic).map_err(|error| error.to_string())?.queues;
        if spans.iter().all(|span| span.newest > span.consumed) { Ok(spans) } else { Err(format!("{spans:?}")) }
    });
    assert_eq!(spans.iter().map(|span| span.queue.clone()).collect::<Vec<_>>(), scene.queues());
    for span in &spans {
        assert!(span.oldest > Some(before) && span.oldest <= span.consumed && span.consumed <= span.newest, "{span:?}");
        assert!(span.delay < Duration::from_secs(60), "{span:?}");
    }
}

#[test]
fn a_group_goes_on_where_another_is_and_skips_what_it_has_not_consumed() {
    let scene = Scene::with_queues(2);
    scene.send(&numbered(8));
    consume(&scene, 8);
    let (admin, other) = (scene.client.admin(), unique("clone"));
    let topics = admin.clone_group(&scene.group, &other, None).unwrap();
    assert_eq!(topics.iter().map(|topic| &**topic).collect::<Vec<_>>(), [&*scene.topic]);
    assert_eq!(offsets(&scene, &other), offsets(&scene, &scene.group));
    assert_eq!(offsets(&scene, &other).iter().sum::<i64>(), 8);
    let third = unique("clone");
    assert_eq!(admin.clone_group(&scene.group, &third, Some(&scene.topic)).unwrap().len(), 1);
    assert_eq!(offsets(&scene, &third).iter().sum::<i64>(), 8);
    scene.send(&numbered(4));
    let lag = || -> i64 {
        let progress = admin.topic_progress(&scene.group, &scene.topic).unwrap();
        progress.queues.iter().map(QueueProgress::lag).sum()
    };
    eventually(PATIENCE, || if lag() == 4 { Ok(()) } else { Err(format!("{} behind", lag())) });
    admin.skip_group(&scene.group, &scene.topic).unwrap();
    assert_eq!(lag(), 0);
}

#[test]
fn how_a_group_reads_a_topic_is_an_operators_matter() {
    let scene = Scene::with_queues(1);
    let set = scene.client.admin().set_message_request_mode(&scene.topic, &scene.group, MessageRequestMode::Pop, 3);
    match supports(Feature::Pop) {
        true => set.unwrap(),
        false => assert!(matches!(set, Err(Error::Unsupported { .. } | Error::Exhausted { .. })), "{set:?}"),
    }
}

#[test]
fn in_a_namespace_groups_have_their_users_names() {
    let mut scene = scene();
    scene.client = scene.cluster.builder().namespace(unique("ns")).build().unwrap();
    let admin = scene.client.admin();
    let config = GroupConfig::new(&*scene.group);
    admin.create_group(&config).unwrap();
    assert_eq!(settings(&scene).first(), Some(&config));
    let outside = scene.cluster.builder().build().unwrap().admin();
    assert!(outside.group_config(&scene.group).unwrap().found.is_empty());
    admin.delete_group(&scene.group, GroupOffsets::Delete).unwrap();
    assert!(settings(&scene).found.is_empty());
}

#[test]
fn what_cannot_be_is_refused() {
    let nowhere = client_to_nowhere().admin();
    for wrong in ["", "a b"] {
        assert!(matches!(nowhere.create_group(&GroupConfig::new(wrong)), Err(Error::Invalid { .. })), "{wrong}");
        assert!(matches!(nowhere.delete_group(wrong, GroupOffsets::Keep), Err(Error::Invalid { .. })), "{wrong}");
        assert!(matches!(nowhere.clone_group("g", wrong, None), Err(Error::Invalid { .. })), "{wrong}");
        assert!(matches!(nowhere.topic_groups(wrong), Err(Error::Invalid { .. })), "{wrong}");
    }
    assert!(matches!(nowhere.clone_group("g", "g", None), Err(Error::Invalid { .. })));
    assert!(matches!(nowhere.group_config(" "), Err(Error::Invalid { .. })));
    let mut config = GroupConfig::new("g");
    config.consume_timeout = Duration::from_secs(61);
    assert!(matches!(nowhere.create_group(&config), Err(Error::Invalid { .. })));
    let scene = scene();
    let unknown = unique("unknown");
    assert!(matches!(scene.client.admin().topic_groups(&unknown), Err(Error::NoRoute { .. })));
    assert!(matches!(scene.client.admin().time_spans("g", &unknown), Err(Error::NoRoute { .. })));
    config.consume_timeout = Duration::from_secs(60);
    config.name = scene.group.as_str().into();
    config.attributes.insert("no.such.attribute".into(), "1".into());
    if supports(Feature::TopicAttributes) {
        let refused = scene.client.admin().create_group(&config);
        assert!(refused.is_err(), "{refused:?}");
    }
}

#[test]
fn apaches_tool_shows_the_same_settings() {
    if live_variable("LIB").is_none() {
        return say("group_settings: there is no tool of Apache's without its server");
    }
    let scene = scene();
    let mut config = GroupConfig::new(&*scene.group);
    (config.max_reconsume_times, config.retry_queues, config.broadcast) = (5, 3, false);
    scene.client.admin().create_group(&config).unwrap();
    let shown = mqadmin(&["getConsumerConfig", "-g", &scene.group, "-n", &scene.cluster.name_server]);
    let value = |name: &str| {
        let lines = shown.lines().filter_map(|line| line.split_once('=')).filter(|(left, _)| left.trim() == name);
        lines.map(|(_, right)| right.trim().to_owned()).collect::<Vec<_>>()
    };
    for (name, expected) in [
        ("consumeEnable", config.consume.to_string()),
        ("consumeFromMinEnable", config.consume_from_min.to_string()),
        ("consumeBroadcastEnable", config.broadcast.to_string()),
        ("retryQueueNums", config.retry_queues.to_string()),
        ("retryMaxTimes", config.max_reconsume_times.to_string()),
        ("brokerId", config.broker_id.to_string()),
        ("whichBrokerWhenConsumeSlowly", config.slow_broker_id.to_string()),
        ("notifyConsumerIdsChangedEnable", config.notify_members.to_string()),
    ] {
        assert_eq!(value(name), [expected.clone(), expected], "{name} in {shown}");
    }
    mqadmin(&[
        "updateSubGroup",
        "-g",
        &scene.group,
        "-c",
        "DefaultCluster",
        "-r",
        "9",
        "-n",
        &scene.cluster.name_server,
    ]);
    assert_eq!(settings(&scene).first().map(|config| config.max_reconsume_times), Some(9));
}
