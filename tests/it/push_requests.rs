//! What operators ask the members of a group through a broker: how they are, how far they are, and to consume a message now.

use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};

use rocketmq_blocking::{ConsumeFromWhere, ConsumeResult, MessageView, PushConsumer, PushConsumerBuilder};

use crate::support::mqadmin;
use crate::support::{Answer, Operator, PATIENCE, Scene, body, eventually, live_variable, say, unique};

const STATUS: i32 = 223;
const RUNNING: i32 = 307;
const DIRECTLY: i32 = 309;

/// A consumer with its queues, and what its listener was given: the listener fails for "later" and panics for "panic".
struct Consuming {
    scene: Scene,
    consumer: PushConsumer,
    given: Receiver<MessageView>,
}

fn consuming(start: impl FnOnce(PushConsumerBuilder, Box<Answering>) -> PushConsumer) -> Consuming {
    let scene = Scene::with_queues(1);
    let builder = scene.client.push_consumer(&*scene.group).subscribe(&*scene.topic, "*");
    let builder = builder.consume_from_where(ConsumeFromWhere::FirstOffset);
    let (told, given) = mpsc::channel();
    let told = Mutex::new(told);
    let consumer = start(
        builder,
        Box::new(move |messages: &[MessageView]| {
            // The test may have ended.
            let _ = told.lock().unwrap_or_else(PoisonError::into_inner).send(messages[0].clone());
            match (body(&messages[0]).as_str(), messages[0].reconsume_times()) {
                ("later", _) => ConsumeResult::RetryAtLevel(18),
                ("panic", _) => std::panic::resume_unwind(Box::new("the test wants it")),
                _ => ConsumeResult::Success,
            }
        }),
    );
    eventually(PATIENCE, || match consumer.queues().unwrap() {
        queues
            if queues
                .iter()
                .filter(|queue| queue.since_pull.is_some() && queue.queue.topic() == scene.topic)
                .count()
                == 2 =>
        {
            Ok(())
        }
        queues => Err(format!("{queues:?}")),
    });
    Consuming { scene, consumer, given }
}

type Answering = dyn Fn(&[MessageView]) -> ConsumeResult + Send + Sync;

fn concurrent() -> Consuming {
    consuming(|builder, listener| builder.start(listener).unwrap())
}

impl Consuming {
    /// Sends a message, waits until the listener had it, and returns it.
    fn consumed(&self, text: &str) -> MessageView {
        self.scene.producer().send(self.scene.message(text)).unwrap();
        self.given.recv_timeout(PATIENCE).expect("the listener gets it")
    }

    fn ask(&self, broker_name: &str, code: i32, fields: &[(&str, &str)]) -> Answer {
        Operator::of(&self.scene, broker_name).ask(code, fields)
    }
}

/// Has a message consumed by an operator's wish.
fn directly(scene: &Scene, message: &MessageView) -> Answer {
    let (id, client_id) = (message.offset_message_id().to_string(), scene.client.client_id());
    let fields = [("clientId", client_id), ("consumerGroup", &*scene.group), ("msgId", &*id), ("topic", &*scene.topic)];
    Operator::of(scene, message.queue().broker_name()).ask(DIRECTLY, &fields)
}

#[test]
fn an_operator_sees_how_a_member_is_but_no_stacks() {
    let consuming = concurrent();
    let message = consuming.consumed("one");
    let (scene, client_id) = (&consuming.scene, consuming.scene.client.client_id());
    let fields = [("clientId", client_id), ("consumerGroup", &*scene.group), ("jstackEnable", "true")];
    let answer = consuming.ask(message.queue().broker_name(), RUNNING, &fields);
    assert!(answer.is(0), "{answer:?}");
    let queue = format!(
        r#"{{"brokerName":"{}","queueId":{},"topic":"{}"}}:{{"#,
        message.queue().broker_name(),
        message.queue().queue_id(),
        scene.topic
    );
    let topic = format!(r#""{}":{{"consumeFailedMsgs":0,"#, scene.topic);
    let retries = format!(r#""topic":"%RETRY%{}""#, scene.group);
    for part in [
        &*queue,
        &*topic,
        &*retries,
        r#""PROP_CONSUME_TYPE":"CONSUME_PASSIVELY""#,
        r#""PROP_CONSUMEORDERLY":"false""#,
        r#""PROP_CONSUMER_START_TIMESTAMP":""#,
    ] {
        assert!(answer.body.contains(part), "{part} in {}", answer.body);
    }
    assert!(!answer.body.contains("jstack") && !answer.body.contains("HOME"), "{}", answer.body);
}

#[test]
fn an_operator_sees_how_far_members_are() {
    let consuming = concurrent();
    let message = consuming.consumed("one");
    eventually(PATIENCE, || match consuming.consumer.queues().unwrap() {
        queues if queues.iter().any(|queue| queue.commit_offset == 1) => Ok(()),
        queues => Err(format!("{queues:?}")),
    });
    let scene = &consuming.scene;
    let answer =
        consuming.ask(message.queue().broker_name(), STATUS, &[("topic", &*scene.topic), ("group", &*scene.group)]);
    assert!(answer.is(0), "{answer:?}");
    let offset =
        format!(r#"{{"brokerName":"{}","queueId":0,"topic":"{}"}}:1"#, message.queue().broker_name(), scene.topic);
    assert!(
        answer.body.contains(&offset) && answer.body.contains(scene.client.client_id()),
        "{offset} in {}",
        answer.body
    );
}

#[test]
fn a_message_is_consumed_because_an_operator_wants_it_and_the_answer_says_how_it_went() {
    let consuming = concurrent();
    for (text, result) in [("one", "CR_SUCCESS"), ("later", "CR_LATER"), ("panic", "CR_THROW_EXCEPTION")] {
        let message = consuming.consumed(text);
        let answer = directly(&consuming.scene, &message);
        assert!(answer.is(0) && answer.body.contains(&format!(r#""consumeResult":"{result}""#)), "{answer:?}");
        assert!(answer.body.contains(r#""order":false"#), "{answer:?}");
        let again = consuming.given.recv_timeout(PATIENCE).expect("the listener gets it again");
        assert_eq!((body(&again), again.message_id()), (text.to_owned(), message.message_id()));
    }
    let stats = consuming.consumer.stats();
    assert_eq!((stats.direct, stats.consumed), (3, 1), "what an operator wants counts by itself: {stats}");
}

#[test]
fn an_orderly_consumer_consumes_for_an_operator_too() {
    let consuming = consuming(|builder, listener| builder.start_orderly(listener).unwrap());
    let message = consuming.consumed("one");
    let answer = directly(&consuming.scene, &message);
    assert!(
        answer.body.contains(r#""consumeResult":"CR_SUCCESS""#) && answer.body.contains(r#""order":true"#),
        "{answer:?}"
    );
}

#[test]
fn what_an_operator_wants_waits_for_a_listener_and_never_holds_up_the_consumer() {
    let scene = Scene::with_queues(1);
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap();
    let (told, given) = mpsc::channel();
    let (listener, told) = (gate.clone(), Mutex::new(told));
    let consumer = scene
        .client
        .push_consumer(&*scene.group)
        .subscribe(&*scene.topic, "*")
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .threads(1)
        .start(move |messages: &[MessageView]| {
            let _ = told.lock().unwrap_or_else(PoisonError::into_inner).send(messages[0].clone());
            drop(listener.lock());
        })
        .unwrap();
    scene.producer().send(scene.message("held")).unwrap();
    let message = given.recv_timeout(PATIENCE * 2).unwrap();
    let consuming = Consuming { scene, consumer, given };
    std::thread::scope(|scope| {
        let (scene, held) = (&consuming.scene, &message);
        let answer = scope.spawn(move || directly(scene, held));
        // The consumer's own thread answers meanwhile.
        let fields = [("clientId", consuming.scene.client.client_id()), ("consumerGroup", &*consuming.scene.group)];
        assert!(consuming.ask(message.queue().broker_name(), RUNNING, &fields).is(0));
        drop(closed);
        let answer = answer.join().unwrap();
        assert!(answer.body.contains("CR_SUCCESS"), "{answer:?}");
    });
}

#[test]
fn a_group_that_this_client_does_not_have_is_refused_politely() {
    let consuming = concurrent();
    // The client is in this other group, but there it pulls, and has nothing that could consume.
    let other = unique("other");
    let puller = consuming.scene.client.pull_consumer(&*other).start().unwrap();
    let queue = consuming.scene.queue();
    let (client_id, message) = (consuming.scene.client.client_id(), consuming.consumed("one"));
    let id = message.offset_message_id().to_string();
    let broker = message.queue().broker_name();
    let answer = eventually(PATIENCE, || {
        puller.prepare_pull(&queue, 0).fetch().map_err(|error| error.to_string())?;
        let fields =
            [("clientId", client_id), ("consumerGroup", &*other), ("msgId", &*id), ("topic", &*consuming.scene.topic)];
        let answer = consuming.ask(broker, DIRECTLY, &fields);
        // Until its heartbeat has come, the broker refuses by itself.
        if answer.header.contains("not online") { Err(answer.header) } else { Ok(answer) }
    });
    assert!(answer.is(1) && answer.header.contains("not exist in this consumer"), "{answer:?}");
}

/// Apache's own tools print what a member says about itself.
#[test]
fn mqadmin_shows_the_status_of_a_consumer() {
    if live_variable("LIB").is_none() {
        return say("mqadmin is not there: it needs Apache's jars (ROCKETMQ_LIVE_LIB)");
    }
    let consuming = concurrent();
    consuming.consumed("one");
    let (scene, client_id) = (&consuming.scene, consuming.scene.client.client_id());
    let name_server = &scene.cluster.name_server;
    let shown = mqadmin(&["consumerStatus", "-g", &scene.group, "-i", client_id, "-n", name_server]);
    for part in
        ["#Consumer Subscription#", "#Consumer MQ Detail#", "#Consumer RT&TPS#", &scene.topic, "CONSUME_PASSIVELY"]
    {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}
