//! Choosing messages by tag.

use rocketmq_blocking::{Filter, Message, MessageQueue, PullConsumer, PullStatus};

use crate::support::{Scene, body};

/// A queue with one message for each tag; an empty tag stands for none. The bodies are the tags.
fn tagged(scene: &Scene, tags: &[&str]) -> MessageQueue {
    let (queue, producer) = (scene.queue(), scene.producer());
    for tag in tags {
        let message = Message::builder(&*scene.topic, format!("[{tag}]"));
        let message = if tag.is_empty() { message } else { message.tag(tag) };
        producer.prepare(message).queue(&queue).send().unwrap();
    }
    scene.arrived_in(&queue, tags.len());
    queue
}

/// Everything a filter lets through, by following the offsets to the end.
fn all(consumer: &PullConsumer, queue: &MessageQueue, filter: impl Into<Filter>) -> Vec<String> {
    let (filter, mut offset, mut found) = (filter.into(), 0, Vec::new());
    loop {
        let result = consumer.prepare_pull(queue, offset).filter(&filter).fetch().unwrap();
        offset = result.next_offset();
        found.extend(result.messages().iter().map(body));
        if matches!(result.status(), PullStatus::NoNewMessage | PullStatus::OffsetIllegal) {
            return found;
        }
    }
}

#[test]
fn an_expression_names_one_tag_or_several() {
    let scene = Scene::with_queues(1);
    let queue = tagged(&scene, &["a", "b", "c", "", "a", "d"]);
    let consumer = scene.consumer();
    assert_eq!(all(&consumer, &queue, "a"), ["[a]", "[a]"]);
    assert_eq!(all(&consumer, &queue, "a || c"), ["[a]", "[c]", "[a]"]);
    assert_eq!(all(&consumer, &queue, "c||d || b"), ["[b]", "[c]", "[d]"]);
    assert_eq!(all(&consumer, &queue, "nobody"), Vec::<String>::new());
    for everything in ["*", ""] {
        assert_eq!(all(&consumer, &queue, everything).len(), 6, "{everything:?}");
    }
    assert_eq!(all(&consumer, &queue, Filter::all()).len(), 6);
}

#[test]
fn tags_whose_hashes_are_equal_are_told_apart() {
    let scene = Scene::with_queues(1);
    // "Aa" and "BB" have the same hash in Java, by which brokers choose; "AaBB", "BBAa" and "AaAa" too.
    let queue = tagged(&scene, &["Aa", "BB", "AaBB", "BBAa", "Aa"]);
    let consumer = scene.consumer();
    assert_eq!(all(&consumer, &queue, "Aa"), ["[Aa]", "[Aa]"]);
    assert_eq!(all(&consumer, &queue, "BB"), ["[BB]"]);
    assert_eq!(all(&consumer, &queue, "AaBB || BB"), ["[BB]", "[AaBB]"]);
}

#[test]
fn a_pull_of_which_only_hashes_matched_goes_on_behind_it() {
    let scene = Scene::with_queues(1);
    let queue = tagged(&scene, &["BB", "BB"]);
    let result = scene.consumer().prepare_pull(&queue, 0).filter("Aa").fetch().unwrap();
    assert_eq!((result.status(), result.next_offset()), (PullStatus::NoMatchedMessage, 2));
}

#[test]
fn tags_may_be_chinese_or_emoji() {
    let scene = Scene::with_queues(1);
    let queue = tagged(&scene, &["标签", "😀", "a-b.c:d", "a"]);
    let consumer = scene.consumer();
    assert_eq!(all(&consumer, &queue, "标签"), ["[标签]"]);
    assert_eq!(all(&consumer, &queue, "😀 || a-b.c:d"), ["[😀]", "[a-b.c:d]"]);
}
