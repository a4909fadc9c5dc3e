//! Filters of push consumers, topics that come and go.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rocketmq_blocking::{ConsumeFromWhere, Filter, Message, PushConsumer};

use crate::support::{Inbox, LONG, Scene, collect, eventually, unique};

/// Sends messages whose bodies are their tags; an empty one stands for none.
fn send(scene: &Scene, tags: &[&str]) {
    let producer = scene.producer();
    for tag in tags {
        let message = Message::builder(&*scene.topic, format!("[{tag}]"));
        producer.send(if tag.is_empty() { message } else { message.tag(tag) }).unwrap();
    }
}

/// A consumer of a group of its own.
fn subscribed(scene: &Scene, filter: impl Into<Filter>) -> (PushConsumer, Inbox) {
    let builder = scene.client.push_consumer(unique("group")).subscribe(&*scene.topic, filter);
    collect(builder.consume_from_where(ConsumeFromWhere::FirstOffset))
}

const SENT: [&str; 8] = ["a", "b", "", "c", "Aa", "BB", "a", "标签"];

#[test]
fn each_kind_of_expression_lets_through_what_it_names() {
    let scene = Scene::with_queues(1);
    send(&scene, &SENT);
    let cases: [(&str, &[&str]); 9] = [
        ("*", &SENT),
        ("", &SENT),
        ("a", &["a", "a"]),
        ("a||b", &["a", "b", "a"]),
        ("  a  ||   c  || ", &["a", "c", "a"]),
        // Equal in Java's hash, by which brokers choose.
        ("Aa", &["Aa"]),
        ("BB || nobody", &["BB"]),
        ("标签", &["标签"]),
        ("nobody", &[]),
    ];
    let all: Vec<_> = cases.iter().map(|(filter, _)| subscribed(&scene, *filter)).collect();
    // Those who came first are here when these come: both what lies there and what arrives is chosen from.
    send(&scene, &["x", "a", "nobody"]);
    for ((filter, expected), (consumer, inbox)) in cases.iter().zip(&all) {
        let late = match *filter {
            "*" | "" => vec!["x", "a", "nobody"],
            "BB || nobody" | "nobody" => vec!["nobody"],
            one if one.contains('a') && one != "Aa" => vec!["a"],
            _ => vec![],
        };
        let mut expected: Vec<String> = expected.iter().chain(&late).map(|tag| format!("[{tag}]")).collect();
        expected.sort();
        inbox.wait(expected.len());
        // Of what came later a held pull with another filter is not told.
        passed_over(consumer, &scene.topic, 8);
        assert_eq!(inbox.sorted(), expected, "{filter:?}");
    }
}

/// Waits until so many messages of the topic were looked at, wanted or not.
#[track_caller]
fn passed_over(consumer: &PushConsumer, topic: &str, count: i64) {
    eventually(LONG, || {
        let queues = consumer.queues().unwrap();
        let passed: i64 = queues.iter().filter(|one| one.queue.topic() == topic).map(|one| one.commit_offset).sum();
        if passed >= count { Ok(()) } else { Err(format!("{passed} of {count}: {queues:?}")) }
    });
}

#[test]
fn members_with_the_same_expression_share_what_it_lets_through() {
    let scene = Scene::with_queues(2);
    let clients: Vec<_> = (0..2).map(|_| scene.cluster.builder().build().unwrap()).collect();
    let members: Vec<_> =
        clients.iter().map(|client| collect(scene.push_of(client).subscribe(&*scene.topic, "a || b"))).collect();
    let got = || members.iter().map(|(_, inbox)| inbox.len()).collect::<Vec<_>>();
    let mut rounds = 0;
    eventually(LONG, || {
        send(&scene, &["a", "c", "b", "", "a"]);
        rounds += 1;
        if got().iter().all(|count| *count > 0) { Ok(()) } else { Err(format!("{:?}", got())) }
    });
    eventually(LONG, || match got().iter().sum::<usize>() {
        here if here < rounds * 3 => Err(format!("{here} of {}", rounds * 3)),
        _ => Ok(()),
    });
    let all: Vec<String> = members.iter().flat_map(|(_, inbox)| inbox.bodies()).collect();
    assert_eq!(all.len(), rounds * 3, "each once");
    assert!(all.iter().all(|text| ["[a]", "[b]"].contains(&text.as_str())), "{all:?}");
}

#[test]
fn an_expression_that_changes_counts_for_what_is_pulled_from_then_on() {
    let scene = Scene::with_queues(1);
    // One thread, so that nothing of a queue is overtaken.
    let (consumer, inbox) = collect(scene.push().subscribe(&*scene.topic, "a").threads(1));
    send(&scene, &["a", "b", "a"]);
    inbox.wait(2);
    passed_over(&consumer, &scene.topic, 3);
    consumer.subscribe(&*scene.topic, "b || c").unwrap();
    let queues = |tag: &str| {
        let of_tag = inbox.messages().into_iter().filter(|message| message.tag() == Some(tag));
        of_tag.map(|message| message.queue().clone()).collect::<BTreeSet<_>>()
    };
    eventually(LONG, || {
        send(&scene, &["a", "a", "b", "b"]);
        if queues("b") == scene.queues().into_iter().collect() { Ok(()) } else { Err(format!("{:?}", inbox.bodies())) }
    });
    let count = |tag: &str| inbox.messages().iter().filter(|message| message.tag() == Some(tag)).count();
    let before = count("a");
    send(&scene, &["a", "c", "b", "a", "c", "b"]);
    eventually(LONG, || if count("c") == 2 { Ok(()) } else { Err(format!("{:?}", inbox.bodies())) });
    assert_eq!(count("a"), before, "only those of before");
}

#[test]
fn a_queue_with_nothing_to_do_notices_another_expression_at_once() {
    let scene = Scene::with_queues(1);
    let (consumer, inbox) = collect(scene.push().subscribe(&*scene.topic, "a").hold(Duration::from_secs(60)));
    send(&scene, &["a", "a"]);
    inbox.wait(2);
    passed_over(&consumer, &scene.topic, 2);
    consumer.subscribe(&*scene.topic, "b").unwrap();
    let began = Instant::now();
    send(&scene, &["b", "a", "b", "a"]);
    inbox.wait(4);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(inbox.sorted(), ["[a]", "[a]", "[b]", "[b]"], "nothing by the old one, and nothing twice");
}

#[test]
fn a_condition_chooses_by_properties() {
    let scene = Scene::with_queues(1);
    let (_consumer, inbox) = subscribed(&scene, Filter::sql("amount > 10.0 AND region IS NOT NULL"));
    let producer = scene.producer();
    for (text, amount, region) in [("1", "5", "n"), ("2", "12", "n"), ("3", "20", ""), ("4", "11.5", "s")] {
        let message = Message::builder(&*scene.topic, text).property("amount", amount);
        producer.send(if region.is_empty() { message } else { message.property("region", region) }).unwrap();
    }
    inbox.wait(2);
    assert_eq!(inbox.sorted(), ["2", "4"]);
}

#[test]
fn one_consumer_takes_several_topics_each_with_its_filter() {
    let (scene, other) = (Scene::with_queues(1), Scene::with_queues(1));
    let (_consumer, inbox) = collect(scene.push().subscribe(&*scene.topic, "a").subscribe(&*other.topic, "b"));
    send(&scene, &["a", "b", "a"]);
    send(&other, &["a", "b", "b", "b"]);
    let found = inbox.wait(5);
    let of = |topic: &str, tag| found.iter().filter(|one| one.topic() == topic && one.tag() == Some(tag)).count();
    assert_eq!((of(&scene.topic, "a"), of(&other.topic, "b"), found.len()), (2, 3, 5));
}

#[test]
fn a_topic_that_was_given_up_is_taken_up_again_where_it_was_left() {
    let (scene, other) = (Scene::with_queues(1), Scene::with_queues(1));
    let (consumer, inbox) = collect(scene.push().subscribe(&*other.topic, "*"));
    scene.send(&["1".to_owned()]);
    inbox.wait(1);
    consumer.unsubscribe(&scene.topic).unwrap();
    eventually(LONG, || {
        let queues = consumer.queues().unwrap();
        if queues.iter().any(|one| one.queue.topic() == scene.topic) { Err(format!("{queues:?}")) } else { Ok(()) }
    });
    scene.send(&["2".to_owned(), "3".to_owned()]);
    other.send(&["other".to_owned()]);
    inbox.wait(2);
    assert_eq!(inbox.sorted(), ["1", "other"]);
    consumer.subscribe(&*scene.topic, "*").unwrap();
    inbox.wait(4);
    assert_eq!(inbox.sorted(), ["1", "2", "3", "other"], "each once");
}
