//! Clients in a namespace: their names are wrapped on the wire and nowhere else.

use std::sync::mpsc;
use std::time::Duration;

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, Error, Message, MessageView, PullStatus, RequestCode, TransactionResolution, select};

use crate::support::{PATIENCE, Scene, client_builder, eventually, live_variable, scene, sorted_bodies, unique};

/// A scene in a namespace of its own, and a client that sees what the servers see.
struct Inside {
    scene: Scene,
    outside: Client,
    namespace: String,
}

impl Inside {
    fn new() -> Inside {
        let mut scene = scene();
        let namespace = unique("ns");
        let outside = scene.client;
        scene.client = scene.cluster.builder().namespace(&*namespace).build().expect("a client");
        Inside { scene, outside, namespace }
    }

    fn with_queues(queues: i32) -> Inside {
        let inside = Inside::new();
        inside.scene.create_topic(queues);
        inside
    }

    fn wire(&self, name: &str) -> String {
        format!("{}%{name}", self.namespace)
    }
}

#[test]
fn what_is_sent_in_a_namespace_lies_in_a_topic_of_the_wrapped_name() {
    let inside = Inside::with_queues(2);
    let (scene, wire_topic) = (&inside.scene, inside.wire(&inside.scene.topic));
    let (producer, queue) = (scene.producer(), scene.queue());
    assert_eq!(queue.topic(), scene.topic);
    let sent = producer.prepare(scene.message("sync")).queue(&queue).send().unwrap();
    assert_eq!(sent.queue(), &queue);
    let batch = vec![scene.message("batch 1"), scene.message("batch 2")];
    assert_eq!(producer.prepare_batch(batch).queue(&queue).send().unwrap().queue(), &queue);
    assert_eq!(
        producer.prepare(scene.message("async")).queue(&queue).submit().unwrap().wait().unwrap().queue(),
        &queue
    );
    producer.prepare(scene.message("oneway")).queue(&queue).send_oneway().unwrap();

    let found = scene.arrived_in(&queue, 5);
    assert_eq!(sorted_bodies(&found), ["async", "batch 1", "batch 2", "oneway", "sync"]);
    for view in &found {
        assert_eq!((view.topic(), view.queue()), (&*scene.topic, &queue), "the user's name comes back");
        assert_eq!(view.property("INSTANCE_ID"), Some(&*inside.namespace));
    }

    assert!(matches!(inside.outside.topic_route(&scene.topic), Err(Error::NoRoute { .. })), "nothing lies outside");
    let seen = Scene { topic: wire_topic.clone(), client: inside.outside.clone(), group: unique("group"), ..*scene };
    let raw = seen.arrived(5);
    assert!(raw.iter().all(|view| view.topic() == wire_topic), "{raw:?}");
}

#[test]
fn a_message_that_is_sent_again_is_not_wrapped_twice() {
    let inside = Inside::with_queues(1);
    let producer = inside.scene.producer();
    let message = inside.scene.message("again");
    for _ in 0..3 {
        producer.send(message.clone()).unwrap();
    }
    let beyond = rocketmq_blocking::MessageQueue::new(&*inside.scene.topic, inside.scene.queue().broker_name(), 7);
    let failed = producer.prepare(message.clone()).queue(&beyond).send().unwrap_err();
    assert_eq!(failed.message.topic(), inside.scene.topic, "a message that comes back is as it was");
    producer.send(failed.message).unwrap();
    inside.scene.arrived(4);
    assert_eq!(message.topic(), inside.scene.topic);
}

#[test]
fn names_that_are_wrapped_already_are_understood() {
    let inside = Inside::with_queues(1);
    let wire_topic = inside.wire(&inside.scene.topic);
    inside.scene.producer().send(Message::new(&*wire_topic, "x")).unwrap();
    let found = inside.scene.arrived(1);
    assert_eq!(found[0].topic(), inside.scene.topic);
}

#[test]
fn selectors_hooks_and_callbacks_see_the_users_names() {
    let inside = Inside::with_queues(2);
    let (scene, group) = (&inside.scene, &inside.scene.group);
    let (told, heard) = mpsc::channel();
    let check = move |context: &rocketmq_blocking::SendContext<'_>| {
        let topic = context.messages[0].topic().to_owned();
        told.send((context.group.to_owned(), topic)).map_err(|error| error.to_string())
    };
    let producer = scene.client.producer(&**group).timeout(PATIENCE).check_hook("listens", check).start().unwrap();
    let (queues, topic) = (scene.queues(), scene.topic.clone());
    let by_name = move |offered: &[rocketmq_blocking::MessageQueue], message: &Message| {
        assert_eq!(message.topic(), topic);
        assert_eq!(offered, queues);
        2
    };
    let sent = producer.prepare(scene.message("x")).select(by_name).send().unwrap();
    assert_eq!(sent.queue(), &scene.queues()[2]);
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), (group.clone(), scene.topic.clone()));
    let (done, ended) = mpsc::channel();
    let selected = producer.prepare(scene.message("y")).select(select::same_queue("k"));
    selected.send_async(move |result| done.send(result).unwrap()).unwrap();
    assert_eq!(ended.recv_timeout(PATIENCE).unwrap().unwrap().queue().topic(), scene.topic);
}

#[test]
fn offsets_and_queries_work_with_the_users_names() {
    let inside = Inside::with_queues(1);
    let (scene, queue) = (&inside.scene, inside.scene.queue());
    let producer = scene.producer();
    let message = Message::builder(&*scene.topic, "x").key("order-1").tag("t").build();
    let sent = producer.prepare(message).queue(&queue).send().unwrap();
    scene.arrived_in(&queue, 1);
    let consumer = scene.consumer();
    assert_eq!((consumer.min_offset(&queue).unwrap(), consumer.max_offset(&queue).unwrap()), (0, 1));
    consumer.commit_offset(&queue, 1).unwrap();
    assert_eq!(consumer.committed_offset(&queue).unwrap(), Some(1));
    let found = consumer.prepare_pull(&queue, 0).filter("t").wait(Duration::from_secs(1)).fetch().unwrap();
    assert_eq!((found.status(), found.messages()[0].topic()), (PullStatus::Found, &*scene.topic));

    let outside = inside.outside.pull_consumer(inside.wire(&scene.group)).start().unwrap();
    let wire_queue = outside.fetch_queues(&inside.wire(&scene.topic)).unwrap().remove(0);
    assert_eq!(outside.committed_offset(&wire_queue).unwrap(), Some(1), "the group is wrapped as well");

    let own = |view: Option<MessageView>| view.is_some_and(|view| view.topic() == scene.topic);
    assert!(own(scene.client.view_message(sent.offset_message_id()).unwrap()));
    eventually(PATIENCE, || match scene.client.query_messages(&scene.topic, "order-1", 8, ..) {
        Ok(found) if found.messages.len() == 1 && own(found.messages.first().cloned()) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert!(own(scene.client.find_message(&scene.topic, sent.message_id()).unwrap()));
}

#[test]
fn the_retry_topic_of_a_group_keeps_its_prefix_in_front() {
    let inside = Inside::new();
    let group = &inside.scene.group;
    let wire_topic = format!("%RETRY%{}", inside.wire(group));
    inside.outside.create_topic("TBW102", &wire_topic, 1).unwrap();
    eventually(PATIENCE, || inside.outside.publish_queues(&wire_topic));
    inside.outside.producer(unique("group")).start().unwrap().send(Message::new(&*wire_topic, "x")).unwrap();
    let own = Scene { topic: format!("%RETRY%{group}"), client: inside.scene.client.clone(), ..scene() };
    assert_eq!(own.arrived(1)[0].topic(), own.topic);
}

#[test]
fn errors_name_things_as_the_user_does_and_lengths_count_with_the_namespace() {
    let inside = Inside::new();
    let (scene, client) = (&inside.scene, &inside.scene.client);
    match client.topic_route(&scene.topic) {
        Err(Error::NoRoute { topic, .. }) => assert_eq!(*topic, *scene.topic),
        other => panic!("{other:?}"),
    }
    let long = "t".repeat(127);
    let producer = scene.producer();
    for error in [
        client.topic_route(&long).unwrap_err(),
        client.create_topic("TBW102", &long, 1).unwrap_err(),
        producer.send(Message::new(&*long, "x")).unwrap_err().error,
        producer.send_async(Message::new(&*long, "x"), |_| panic!("it is refused at once")).unwrap_err().error,
        client.producer("g".repeat(255)).start().unwrap_err(),
        client.pull_consumer("g".repeat(255)).start().unwrap_err(),
    ] {
        assert!(matches!(&error, Error::Invalid { what } if what.contains("in namespace")), "{error}");
    }
    let in_use = client.producer(&*scene.group).start().unwrap_err();
    assert!(matches!(&in_use, Error::GroupInUse { group, .. } if **group == *scene.group), "{in_use}");
}

#[test]
fn brokers_know_the_groups_by_their_wrapped_names_until_they_leave() {
    let cluster = Cluster::start().unwrap();
    let client = client_builder().name_servers(cluster.name_server()).namespace("space").build().unwrap();
    let producer = client.producer("makers").topics(["T"]).start().unwrap();
    let consumer = client.pull_consumer("takers").start().unwrap();
    let broker = cluster.broker("broker-a");
    let known = |count: usize| {
        eventually(PATIENCE, || {
            let found = (broker.producers("space%makers").len(), broker.consumers("space%takers").len());
            if found == (count, count) { Ok(()) } else { Err(format!("{found:?}")) }
        });
    };
    known(1);
    producer.close().unwrap();
    consumer.close().unwrap();
    known(0);
}

#[test]
fn namespace_v2_travels_beside_the_names_on_every_request() {
    let cluster = Cluster::start().unwrap();
    let client = client_builder()
        .name_servers(cluster.name_server())
        .namespace_v2("two")
        .zone("zone-1", "only")
        .build()
        .unwrap();
    let producer = client.producer("makers").start().unwrap();
    producer.send(Message::new("T", "x")).unwrap();
    producer.send_oneway(Message::new("T", "x")).unwrap();
    let consumer = client.pull_consumer("takers").start().unwrap();
    let queue = consumer.fetch_queues("T").unwrap().remove(0);
    consumer.pull(&queue, 0).unwrap();
    consumer.commit_offset(&queue, 0).unwrap();
    producer.close().unwrap();
    client.close().unwrap();
    let requests = cluster.requests();
    for code in [
        RequestCode::GET_ROUTEINFO_BY_TOPIC,
        RequestCode::HEART_BEAT,
        RequestCode::SEND_MESSAGE_V2,
        RequestCode::PULL_MESSAGE,
        RequestCode::UPDATE_CONSUMER_OFFSET,
        RequestCode::UNREGISTER_CLIENT,
    ] {
        assert!(requests.iter().any(|request| request.code == code), "{code} was not sent");
    }
    for request in &requests {
        let fields = ["nsd", "ns", "__ZONE_NAME", "__ZONE_MODE"].map(|name| request.field(name));
        assert_eq!(fields, [Some("true"), Some("two"), Some("zone-1"), Some("only")], "{request:?}");
    }
    let sent = requests.iter().find(|request| request.code == RequestCode::SEND_MESSAGE_V2).unwrap();
    assert_eq!((sent.field("a"), sent.field("b")), (Some("makers"), Some("T")), "the names stay as they are");
}

#[test]
fn brokers_serve_a_client_with_namespace_v2_and_a_zone_as_any_other() {
    let mut scene = Scene::with_queues(1);
    scene.client = scene.cluster.builder().namespace_v2("two").zone("zone-1", "").build().unwrap();
    let (producer, queue) = (scene.producer(), scene.queue());
    producer.prepare(scene.message("x")).queue(&queue).send().unwrap();
    assert_eq!(scene.arrived_in(&queue, 1)[0].topic(), scene.topic);
    let consumer = scene.consumer();
    consumer.commit_offset(&queue, 1).unwrap();
    assert_eq!(consumer.committed_offset(&queue).unwrap(), Some(1));
}

/// On the site for transactions when Apache's server is under test, and that site is there.
#[test]
fn brokers_find_the_group_of_a_transaction_by_its_wrapped_name() {
    let quick = || {
        let millis = Duration::from_millis;
        Cluster::builder().transaction_timeout(millis(200)).transaction_check_interval(millis(100)).start().unwrap()
    };
    let live = live_variable("TX_NAME_SERVER");
    let own = live.is_none().then(quick);
    let name_server = live.or_else(|| own.as_ref().map(|own| own.name_server().to_owned())).unwrap();
    let builder = client_builder().name_servers(name_server).namespace(unique("ns"));
    let client = builder.heartbeat_interval(Duration::from_millis(200)).build().unwrap();
    let topic = unique("topic");
    client.create_topic("TBW102", &topic, 1).unwrap();
    let queue = eventually(PATIENCE, || client.publish_queues(&topic)).remove(0);
    let (told, heard) = mpsc::channel();
    let check = move |half: &MessageView| {
        told.send((half.topic().to_owned(), half.body_text().unwrap_or_default().to_owned())).unwrap();
        TransactionResolution::Commit
    };
    let orders = client.transaction_producer(unique("group")).check(check).start().unwrap();
    orders.begin(Message::new(&*topic, "committed")).unwrap().commit().unwrap();
    drop(orders.begin(Message::new(&*topic, "asked about")).unwrap());
    let long = Duration::from_secs(60);
    assert_eq!(heard.recv_timeout(long).unwrap(), (topic.clone(), "asked about".to_owned()));
    let reader = client.pull_consumer(unique("reader")).start().unwrap();
    eventually(long, || match sorted_bodies(reader.pull(&queue, 0).unwrap().messages()) {
        bodies if bodies == ["asked about", "committed"] => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn requests_are_replied_to_in_a_namespace() {
    let inside = Inside::with_queues(1);
    let (scene, queue) = (&inside.scene, inside.scene.queue());
    let requester = scene.producer();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let client = scene.cluster.builder().namespace(&*inside.namespace).build().unwrap();
            let (consumer, replier) = (client.pull_consumer(unique("replier")), client.producer(unique("replier")));
            let (consumer, replier) = (consumer.start().unwrap(), replier.timeout(PATIENCE).start().unwrap());
            let asked = eventually(PATIENCE, || match consumer.pull(&queue, 0) {
                Ok(found) if !found.messages().is_empty() => Ok(found.into_messages().remove(0)),
                other => Err(format!("{other:?}")),
            });
            replier.send(asked.reply(format!("re: {}", asked.body_text().unwrap())).unwrap()).unwrap();
        });
        let reply = requester.prepare(scene.message("question")).queue(&queue).timeout(PATIENCE).request().unwrap();
        assert_eq!(reply.body_text(), Some("re: question"));
    });
}

#[test]
fn a_timer_message_is_recalled_by_its_handle_and_the_users_topic() {
    let cluster = Cluster::start().unwrap();
    let client = client_builder().name_servers(cluster.name_server()).namespace("space").build().unwrap();
    let producer = client.producer("makers").start().unwrap();
    let later = Message::builder("T", "x").deliver_after(Duration::from_secs(60)).build();
    let sent = producer.send(later).unwrap();
    let handle = sent.recall_handle().expect("a handle").to_owned();
    assert!(matches!(producer.recall("Other", &handle), Err(Error::Invalid { .. })));
    assert_eq!(producer.recall("T", &handle).unwrap(), sent.message_id());
}
