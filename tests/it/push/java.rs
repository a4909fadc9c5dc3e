//! Java's push consumer in the same group.

use rocketmq_blocking::{MessageView, PushConsumer};

use crate::support::{Inbox, Java, LONG, Scene, collect, eventually, numbered};

/// A member of each kind share what is sent once both have their queues.
fn share(mode: &str, start: impl Fn(&Scene) -> (PushConsumer, Inbox)) {
    let scene = Scene::with_queues(4);
    let Some(java) = Java::start("Push.java", mode, &[&scene.topic, &scene.group]) else { return };
    assert_eq!(java.line(), "ready");
    let (consumer, inbox) = start(&scene);
    eventually(LONG, || {
        let queues = consumer.queues().unwrap();
        let own = queues.iter().filter(|one| one.queue.topic() == scene.topic && one.standing.is_none());
        if own.count() == 4 { Ok(()) } else { Err(format!("half of eight: {queues:?}")) }
    });
    let bodies = numbered(80);
    scene.send(&bodies);
    inbox.wait(40);
    let theirs: Vec<String> = (0..40).map(|_| java.line()).collect();
    let mut all = [inbox.bodies(), theirs].concat();
    all.sort();
    assert_eq!(all, bodies, "each once");
    // Java's member is gone without a word, and this one takes over.
    drop(java);
    eventually(LONG * 2, || {
        let queues = consumer.queues().unwrap();
        let own = queues.iter().filter(|one| one.queue.topic() == scene.topic);
        if own.count() == 8 { Ok(()) } else { Err(format!("{queues:?}")) }
    });
}

#[test]
fn javas_concurrent_consumer_and_this_one_share_a_group() {
    share("concurrent", |scene| collect(scene.push()));
}

#[test]
fn javas_orderly_consumer_and_this_one_share_a_group() {
    share("orderly", |scene| {
        let inbox = Inbox::default();
        let listener = inbox.clone();
        let consumer = scene.push().start_orderly(move |messages: &[MessageView]| listener.take_in(messages));
        (consumer.unwrap(), inbox)
    });
}
