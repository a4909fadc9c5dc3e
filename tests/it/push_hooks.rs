//! What can be hung into consumption: hooks, filters, traces, and being told when a queue goes on elsewhere.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rocketmq_blocking::{
    ConsumeContext, ConsumeFromWhere, ConsumeHook, ConsumeResult, Consumption, Message, MessageQueue, MessageView,
    PushConsumerBuilder, ResetReason, ResetTo, Trace,
};

use crate::support::mqadmin;
use crate::support::{PATIENCE, Scene, body, eventually, live_variable, say, unique};
use crate::trace::{SYSTEM, at_once, found_in};

/// A first delivery may wait for a rebalance, and for its former owner.
const LONG: Duration = Duration::from_secs(40);

fn consumer(scene: &Scene) -> PushConsumerBuilder {
    let builder = scene.client.push_consumer(&*scene.group).subscribe(&*scene.topic, "*");
    builder.consume_from_where(ConsumeFromWhere::FirstOffset)
}

/// Lines that tests wait for, in their order.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    pub(crate) fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.into());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    #[track_caller]
    pub(crate) fn wait(&self, count: usize) -> Vec<String> {
        eventually(LONG, || {
            let lines = self.all();
            if lines.len() >= count { Ok(lines) } else { Err(format!("{} of {count}: {lines:?}", lines.len())) }
        })
    }
}

pub(crate) struct Noting(pub(crate) Lines);

impl ConsumeHook for Noting {
    fn before(&self, context: &ConsumeContext<'_>) {
        let bodies: Vec<String> = context.messages.iter().map(body).collect();
        assert_eq!(context.queue, context.messages[0].queue());
        self.0.add(format!("before {} {}", context.group, bodies.join(",")));
    }

    fn after(&self, context: &ConsumeContext<'_>, end: &Consumption) {
        assert!(end.took < PATIENCE);
        self.0.add(format!("after {} {:?} panicked {}", body(&context.messages[0]), end.result, end.panicked));
    }
}

/// Stands for a hook with a defect.
pub(crate) struct Panicking;

impl ConsumeHook for Panicking {
    fn before(&self, _context: &ConsumeContext<'_>) {
        std::panic::resume_unwind(Box::new("the test wants it"));
    }

    fn after(&self, _context: &ConsumeContext<'_>, _end: &Consumption) {
        std::panic::resume_unwind(Box::new("the test wants it"));
    }
}

#[test]
fn hooks_are_told_before_and_after_with_the_result_and_a_panic_of_one_changes_nothing() {
    let scene = Scene::with_queues(1);
    let (lines, listened) = (Lines::default(), Lines::default());
    let listener = listened.clone();
    let consumer = consumer(&scene)
        .threads(1)
        .hook(Panicking)
        .hook(Noting(lines.clone()))
        .start(move |messages: &[MessageView]| {
            listener.add(body(&messages[0]));
            match body(&messages[0]).as_str() {
                "fails" => ConsumeResult::RetryAtLevel(18),
                "panics" => std::panic::resume_unwind(Box::new("the test wants it")),
                _ => ConsumeResult::Success,
            }
        })
        .unwrap();
    let producer = scene.producer();
    for text in ["well", "fails", "panics"] {
        producer.prepare(scene.message(text)).queue(&scene.queue()).send().unwrap();
    }
    let group = &scene.group;
    let expected = [
        format!("before {group} well"),
        "after well Success panicked false".to_owned(),
        format!("before {group} fails"),
        "after fails RetryAtLevel(18) panicked false".to_owned(),
        format!("before {group} panics"),
        "after panics Retry panicked true".to_owned(),
    ];
    assert_eq!(lines.wait(6), expected);
    assert_eq!(listened.all(), ["well", "fails", "panics"], "none is consumed twice because a hook panicked");
    consumer.close().unwrap();
}

fn dropped_by_filters(scene: &Scene, orderly: bool) {
    let listened = Lines::default();
    let listener = listened.clone();
    let again = Mutex::new(1);
    let builder = consumer(scene)
        .batch(10)
        .filter_hook(|message: &MessageView| !body(message).starts_with("drop"))
        .filter_hook(|message: &MessageView| match &*body(message) {
            "keep 3" => std::panic::resume_unwind(Box::new("the test wants it")),
            text => text != "also dropped",
        });
    let listen = move |messages: &[MessageView]| {
        messages.iter().for_each(|message| listener.add(body(message)));
        let mut again = again.lock().unwrap();
        if orderly && *again > 0 {
            *again -= 1;
            return ConsumeResult::Retry;
        }
        ConsumeResult::Success
    };
    let producer = scene.producer();
    let texts = ["drop 1", "keep 1", "drop 2", "also dropped", "keep 2", "keep 3", "drop 3"];
    for text in texts {
        producer.prepare(scene.message(text)).queue(&scene.queue()).send().unwrap();
    }
    let consumer = if orderly { builder.start_orderly(listen) } else { builder.start(listen) }.unwrap();
    // What is dropped is finished: the offset behind the last one is committed, though that was dropped.
    eventually(LONG, || match consumer.queues().unwrap().iter().find(|queue| queue.queue == scene.queue()) {
        Some(queue) if queue.commit_offset == 7 => Ok(()),
        queue => Err(format!("{queue:?} {:?}", listened.all())),
    });
    let mut kept = listened.all();
    if orderly {
        assert!(kept.len() > 3, "some came again: {kept:?}");
    }
    kept.sort();
    kept.dedup();
    assert_eq!(kept, ["keep 1", "keep 2", "keep 3"]);
    assert_eq!(consumer.stats().filtered, 4);
    consumer.close().unwrap();
    let committed = scene.consumer().committed_offset(&scene.queue()).unwrap();
    assert_eq!(committed, Some(7));
}

#[test]
fn what_a_filter_drops_reaches_no_listener_and_counts_as_finished() {
    dropped_by_filters(&Scene::with_queues(1), false);
}

#[test]
fn what_a_filter_drops_does_not_come_again_with_a_batch_that_failed_in_order() {
    dropped_by_filters(&Scene::with_queues(1), true);
}

#[test]
fn a_queue_that_goes_on_elsewhere_is_told_with_both_offsets() {
    let scene = Scene::with_queues(1);
    let (told, resets) = mpsc::channel();
    let (told, lines) = (Mutex::new(told), Lines::default());
    let listener = lines.clone();
    let consumer = consumer(&scene)
        .on_offset_reset(move |reset| {
            let _ = told.lock().unwrap_or_else(PoisonError::into_inner).send(reset.clone());
            std::panic::resume_unwind(Box::new("the test wants it"));
        })
        .start(move |messages: &[MessageView]| listener.add(body(&messages[0])))
        .unwrap();
    let producer = scene.producer();
    for number in 0..5 {
        producer.prepare(scene.message(format!("{number}"))).queue(&scene.queue()).send().unwrap();
    }
    lines.wait(5);
    // Brokers before 5.0 reset only a group that has an offset in each queue.
    eventually(LONG, || {
        let queues = consumer.queues().unwrap();
        let stored = |queue: &MessageQueue| queues.iter().find(|one| one.queue == *queue)?.stored_offset;
        let all = queues.iter().all(|queue| queue.stored_offset.is_some());
        if all && stored(&scene.queue()) == Some(5) { Ok(()) } else { Err(format!("{queues:?}")) }
    });
    scene.client.admin().reset_group(&scene.group, &scene.topic, ResetTo::First).unwrap();
    let of_queue = || {
        let reset = resets.recv_timeout(LONG).expect("it is told");
        (reset.queue == scene.queue()).then_some(reset)
    };
    let reset = std::iter::repeat_with(of_queue).take(2).flatten().next().expect("the queue is told");
    assert_eq!((reset.from, reset.to), (5, 0), "{reset}");
    assert!(matches!(reset.why, ResetReason::Missing | ResetReason::Operator), "{reset}");
    let mut all = lines.wait(10);
    all.sort();
    assert_eq!(all, ["0", "0", "1", "1", "2", "2", "3", "3", "4", "4"], "they come again");
    assert!(consumer.stats().moves >= 1);
}

/// The records of consuming one message: before, and after.
pub(crate) fn records_of(scene: &Scene, id: &str) -> (Vec<String>, Vec<String>) {
    eventually(LONG, || {
        let found = found_in(&scene.client, SYSTEM, id);
        let of = |kind: &str| found.iter().find(|record| record[0] == kind).cloned();
        of("SubBefore").zip(of("SubAfter")).ok_or(format!("{found:?}"))
    })
}

#[test]
fn consumption_is_traced_before_and_after_with_its_result() {
    let scene = Scene::with_queues(1);
    let lines = Lines::default();
    let listener = lines.clone();
    let consumer = consumer(&scene)
        .trace(at_once())
        .start(move |messages: &[MessageView]| {
            listener.add(body(&messages[0]));
            if body(&messages[0]) == "fails" { ConsumeResult::RetryAtLevel(18) } else { ConsumeResult::Success }
        })
        .unwrap();
    let producer = scene.producer();
    let send =
        |text: &str| producer.send(Message::builder(&*scene.topic, text.to_owned()).key("k1").key("k2")).unwrap();
    let (well, fails) = (send("well"), send("fails"));
    lines.wait(2);
    for (sent, success, code) in [(&well, "true", "0"), (&fails, "false", "4")] {
        let (before, after) = records_of(&scene, sent.message_id());
        let expected = ["DefaultRegion", &scene.group, &after[1], sent.message_id(), "0", "k1 k2"];
        assert_eq!(before[2..], expected, "{before:?}");
        assert_eq!(after[2], sent.message_id());
        assert_eq!((&*after[4], &*after[5], &*after[6]), (success, "k1 k2", code), "{after:?}");
        assert_eq!(after[8], scene.group);
    }
    consumer.close().unwrap();
    let trace = consumer.stats().trace;
    assert_eq!((trace.recorded, trace.sent, trace.dropped), (4, 4, 0));
}

#[test]
fn trouble_with_traces_never_disturbs_consumption() {
    let scene = Scene::with_queues(1);
    let lines = Lines::default();
    let listener = lines.clone();
    let missing = Trace::default().topic(unique("missing")).batch(1).queue(1);
    let consumer = consumer(&scene).trace(missing);
    let consumer = consumer.start(move |messages: &[MessageView]| listener.add(body(&messages[0]))).unwrap();
    let producer = scene.producer();
    (0..30).for_each(|number| drop(producer.send(scene.message(format!("{number}"))).unwrap()));
    lines.wait(30);
    consumer.close().unwrap();
    let stats = consumer.stats();
    assert_eq!((stats.consumed, stats.failed, stats.trace.sent), (30, 0, 0), "{stats}");
    assert_eq!(stats.trace.recorded + stats.trace.dropped, 60);
}

/// Apache's own tool reads the records of our consumption.
#[test]
fn mqadmin_shows_traced_consumption() {
    if live_variable("LIB").is_none() {
        return say("mqadmin is not there: it needs Apache's jars (ROCKETMQ_LIVE_LIB)");
    }
    let scene = Scene::with_queues(1);
    let _consumer = consumer(&scene).trace(at_once()).start(|_: &[MessageView]| {}).unwrap();
    let producer = scene.client.producer(&*scene.group).timeout(PATIENCE).trace(at_once()).start().unwrap();
    let sent = producer.send(scene.message("x")).unwrap();
    records_of(&scene, sent.message_id());
    let shown = mqadmin(&["queryMsgTraceById", "-i", sent.message_id(), "-n", &scene.cluster.name_server]);
    let line = shown.lines().find(|line| line.starts_with("Sub"));
    let line = line.unwrap_or_else(|| panic!("no consumption is shown: {shown}"));
    assert!(line.contains(&scene.group) && line.contains("success"), "{shown}");
}
