//! Requests and their replies.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rocketmq_blocking::{
    Error, Message, MessageQueue, MessageView, Outcome, Producer, PullConsumer, Result, SendError,
};

use crate::support::{Feature, Java, PATIENCE, Scene, body, eventually, supports, unique};

/// Shorter than what a request takes that is answered at once, by far; longer than a machine is ever busy.
const SHORT: Duration = Duration::from_millis(700);

/// Consumes a topic and replies, until it is dropped.
struct Replier {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Replier {
    /// Replies with what `answer` makes of a request, from a client of its own.
    fn start(scene: &Scene, answer: impl Fn(&MessageView) -> String + Send + Sync + 'static) -> Replier {
        let client = scene.cluster.builder().build().expect("a client");
        let consumer = Arc::new(client.pull_consumer(unique("replier")).start().expect("a consumer"));
        let producer = Arc::new(client.producer(unique("replier")).timeout(PATIENCE).start().expect("a producer"));
        let (stop, answer) = (Arc::new(AtomicBool::new(false)), Arc::new(answer));
        let follow = |queue: MessageQueue| {
            let (consumer, producer, stop, answer) = (consumer.clone(), producer.clone(), stop.clone(), answer.clone());
            std::thread::spawn(move || serve(&queue, &consumer, &producer, &stop, &*answer))
        };
        let threads = scene.queues().into_iter().map(follow).collect();
        Replier { stop, threads }
    }
}

fn serve(
    queue: &MessageQueue,
    consumer: &PullConsumer,
    producer: &Producer,
    stop: &AtomicBool,
    answer: &dyn Fn(&MessageView) -> String,
) {
    let mut offset = consumer.min_offset(queue).expect("a minimum");
    while !stop.load(Ordering::SeqCst) {
        let found = consumer.prepare_pull(queue, offset).wait(Duration::from_millis(300)).fetch().expect("a pull");
        offset = found.next_offset();
        for request in found.messages() {
            let reply = request.reply(answer(request)).expect("it expects a reply");
            // Who asked may be gone by now.
            if let Err(error) = producer.send(reply) {
                eprintln!("replying: {error}");
            }
        }
    }
}

impl Drop for Replier {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the replier failed");
        }
    }
}

fn echo(request: &MessageView) -> String {
    format!("re: {}", body(request))
}

fn request_async(
    producer: &Producer,
    message: Message,
    timeout: Duration,
) -> mpsc::Receiver<Result<MessageView, SendError>> {
    let (sender, receiver) = mpsc::channel();
    producer.request_async(message, timeout, move |reply| sender.send(reply).unwrap_or(())).expect("it is accepted");
    receiver
}

#[test]
fn a_request_is_answered_by_a_reply() {
    let scene = Scene::with_queues(1);
    let replier = Replier::start(&scene, echo);
    let producer = scene.producer();
    let message = Message::builder(&*scene.topic, "ask").tag("t").key("k").property("p", "v").build();
    let reply = producer.request(message.clone(), PATIENCE).unwrap();
    drop(replier);
    let stats = producer.stats();
    assert_eq!((stats.stored.ok, stats.requests.replied, stats.requests.timed_out), (1, 1, 0), "{stats}");
    assert_eq!(reply.body_text(), Some("re: ask"));
    assert!(reply.topic().ends_with("_REPLY_TOPIC"), "{reply:?}");
    reply.check_body().unwrap();

    let asked = scene.arrived(1).remove(0);
    assert!(asked.expects_reply());
    assert_eq!((asked.tag(), asked.property("p"), asked.body_text()), (Some("t"), Some("v"), Some("ask")));
    assert_eq!(asked.property("REPLY_TO_CLIENT"), Some(scene.client.client_id()));
    assert_eq!(asked.property("TTL"), Some(&*PATIENCE.as_millis().to_string()));
    for name in ["CORRELATION_ID", "REPLY_TO_CLIENT", "TTL"] {
        assert_eq!(reply.property(name), asked.property(name), "{name}");
    }
    assert_eq!(reply.property("MSG_TYPE"), Some("reply"));
    assert!(reply.property("ARRIVE_TIME").is_some());
    assert_eq!(message.property("CORRELATION_ID"), None, "the user's message stays as it is");
}

#[test]
fn requests_of_many_threads_and_clients_get_their_own_replies() {
    const CLIENTS: usize = 3;
    const THREADS: usize = 4;
    const EACH: usize = 12;
    let scene = Scene::with_queues(2);
    let _replier = Replier::start(&scene, echo);
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let scene = &scene;
            scope.spawn(move || {
                let own = scene.cluster.builder().build().unwrap();
                let producer = own.producer(&*scene.group).timeout(PATIENCE).start().unwrap();
                std::thread::scope(|scope| {
                    for thread in 0..THREADS {
                        let producer = &producer;
                        scope.spawn(move || {
                            for number in 0..EACH {
                                let text = format!("{client}/{thread}/{number}");
                                let reply = producer.request(scene.message(text.clone()), PATIENCE).unwrap();
                                assert_eq!(body(&reply), format!("re: {text}"));
                            }
                        });
                    }
                });
            });
        }
    });
    assert_eq!(scene.arrived(CLIENTS * THREADS * EACH).len(), CLIENTS * THREADS * EACH);
}

#[test]
fn large_requests_and_replies_travel_compressed() {
    let scene = Scene::with_queues(1);
    let long = "all work and no play ".repeat(500);
    let answer = long.to_uppercase();
    let _replier = Replier::start(&scene, |request| body(request).to_uppercase());
    let producer = scene.producer();
    let reply = producer.request(scene.message(long.clone()), PATIENCE).unwrap();
    assert_eq!(body(&reply), answer);
    assert!(reply.was_compressed());
    let asked = scene.arrived(1).remove(0);
    assert!(asked.was_compressed());
    assert_eq!(body(&asked), long);
}

#[test]
fn requests_can_be_made_with_options() {
    let scene = Scene::with_queues(2);
    let _replier = Replier::start(&scene, echo);
    let producer = scene.producer();
    let queue = scene.queues().remove(3);
    let reply = producer.prepare(scene.message("given")).queue(&queue).request().unwrap();
    assert_eq!(body(&reply), "re: given");
    let prepared = producer.prepare(scene.message("selected")).select(|queues, message| {
        assert!(message.property("CORRELATION_ID").is_some(), "the selector sees what is sent");
        queues.len() - 1
    });
    assert_eq!(body(&prepared.timeout(PATIENCE).request().unwrap()), "re: selected");
    let found = scene.arrived_in(&queue, 2);
    assert_eq!(found.iter().map(body).collect::<Vec<_>>(), ["given", "selected"]);
}

#[test]
fn a_request_without_a_reply_says_that_it_is_stored() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let started = Instant::now();
    let failed = producer.request(scene.message("ask"), SHORT).unwrap_err();
    assert!((SHORT..SHORT * 3).contains(&started.elapsed()), "{:?}", started.elapsed());
    let stored = scene.arrived(1).remove(0);
    let Error::NoReply { message_id, after } = &failed.error else { panic!("{failed}") };
    assert_eq!((&**message_id, *after), (&*stored.message_id(), SHORT));
    assert!(failed.error.is_timeout() && failed.error.is_retryable());
    assert_eq!(failed.error.outcome(), Outcome::Unknown);
    assert_eq!(failed.message.body_text(), Some("ask"));
    assert_eq!(failed.message.property("CORRELATION_ID"), None, "it can be sent again as it is");
    let failed = request_async(&producer, scene.message("ask"), SHORT).recv().unwrap().unwrap_err();
    assert!(matches!(failed.error, Error::NoReply { .. }), "{failed}");
    let stats = producer.stats();
    assert_eq!((stats.stored.ok, stats.requests.replied, stats.requests.timed_out), (2, 0, 2), "{stats}");
}

#[test]
fn a_reply_that_is_too_late_or_comes_twice_is_dropped() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    assert!(producer.request(scene.message("first"), SHORT).is_err());
    let first = scene.arrived(1).remove(0);
    let answers = scene.cluster.builder().build().unwrap();
    let answers = answers.producer(&*scene.group).timeout(PATIENCE).start().unwrap();
    // The requester takes and drops it, so it was sent well.
    answers.send(first.reply("late").unwrap()).unwrap();
    answers.send(first.reply("again").unwrap()).unwrap();
    let waiting = request_async(&producer, scene.message("second"), PATIENCE);
    let asked = scene.arrived(2);
    let second = asked.iter().find(|message| body(message) == "second").unwrap();
    answers.send(first.reply("later still").unwrap()).unwrap();
    answers.send(second.reply("in time").unwrap()).unwrap();
    answers.send(second.reply("and again").unwrap()).unwrap();
    assert_eq!(body(&waiting.recv_timeout(PATIENCE).unwrap().unwrap()), "in time");
    assert!(waiting.recv().is_err(), "its callback is called once");
    assert_eq!(scene.client.stats().late_replies, 4, "two late, one later still, one twice");
}

#[test]
fn a_send_that_fails_ends_the_request_at_once() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let nowhere = MessageQueue::new(&*scene.topic, "no-such-broker", 0);
    let started = Instant::now();
    let failed = producer.prepare(scene.message("ask")).queue(&nowhere).timeout(PATIENCE).request().unwrap_err();
    assert!(matches!(failed.error, Error::NoBroker { .. }), "{failed}");
    assert_eq!(failed.message.body_text(), Some("ask"));
    let (sender, receiver) = mpsc::channel();
    let prepared = producer.prepare(scene.message("ask")).queue(&nowhere).timeout(PATIENCE);
    prepared.request_async(move |end| sender.send(end).unwrap()).unwrap();
    let failed = receiver.recv().unwrap().unwrap_err();
    assert!(matches!(failed.error, Error::NoBroker { .. }), "{failed}");
    assert!(started.elapsed() < PATIENCE / 2, "{:?}", started.elapsed());
    // What the message's own checks refuse is not called back at all.
    let refused = producer.request_async(scene.message(""), PATIENCE, |_| panic!("not accepted")).unwrap_err();
    assert!(matches!(refused.error, Error::Invalid { .. }), "{refused}");
    let stats = producer.stats();
    assert_eq!((stats.not_sent, stats.messages()), (3, 3), "{stats}");
}

#[test]
fn asynchronous_requests_call_back_on_callback_threads_and_survive_a_panic() {
    let scene = Scene::with_queues(1);
    let _replier = Replier::start(&scene, echo);
    let producer = scene.producer();
    producer.request_async(scene.message("panic"), PATIENCE, |_| panic!("expected by this test")).unwrap();
    let (sender, receiver) = mpsc::channel();
    for number in 0..50 {
        let (sender, message) = (sender.clone(), scene.message(number.to_string()));
        let called_back = move |reply: Result<MessageView, SendError>| {
            let thread = std::thread::current().name().unwrap_or_default().to_owned();
            sender.send((number, thread, body(&reply.unwrap()))).unwrap();
        };
        producer.request_async(message, PATIENCE, called_back).unwrap();
    }
    drop(sender);
    let ends: HashMap<i32, (String, String)> = receiver.iter().map(|(number, at, text)| (number, (at, text))).collect();
    assert_eq!(ends.len(), 50);
    for (number, (thread, text)) in ends {
        assert!(thread.starts_with("mq-callback"), "{thread}");
        assert_eq!(text, format!("re: {number}"));
    }
}

#[test]
fn a_client_can_reply_to_itself() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let waiting = request_async(&producer, scene.message("ask"), PATIENCE);
    let asked = scene.arrived(1).remove(0);
    producer.send(asked.reply("myself").unwrap()).unwrap();
    assert_eq!(body(&waiting.recv_timeout(PATIENCE).unwrap().unwrap()), "myself");
}

/// A broker loses the way to a client when any producer of it leaves.
#[test]
fn requests_are_answered_after_another_producer_of_the_client_has_left() {
    let scene = Scene::with_queues(1);
    let _replier = Replier::start(&scene, echo);
    let producer = scene.producer();
    assert_eq!(body(&producer.request(scene.message("before"), PATIENCE).unwrap()), "re: before");
    let other = scene.client.producer(unique("other")).start().unwrap();
    other.send(Message::new(unique("topic"), "plain")).unwrap();
    other.close().unwrap();
    assert_eq!(body(&producer.request(scene.message("after"), PATIENCE).unwrap()), "re: after");
}

#[test]
fn only_requests_can_be_replied_to_and_replies_are_no_requests() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    producer.send(scene.message("plain")).unwrap();
    let plain = scene.arrived(1).remove(0);
    assert!(!plain.expects_reply());
    let refused = plain.reply("x").unwrap_err();
    assert!(matches!(&refused, Error::Invalid { what } if what.contains("expects no reply")), "{refused}");

    let waiting = request_async(&producer, scene.message("ask"), PATIENCE);
    let asked = scene.arrived(2).into_iter().find(MessageView::expects_reply).unwrap();
    let reply = asked.reply("answer").unwrap();
    assert!(matches!(producer.request(reply.clone(), SHORT).unwrap_err().error, Error::Invalid { .. }));
    let failed = producer.send_batch(vec![reply.clone(), reply.clone()]).unwrap_err();
    assert!(failed.to_string().contains("reply"), "{failed}");
    producer.send(reply).unwrap();
    waiting.recv_timeout(PATIENCE).unwrap().unwrap();
}

#[test]
fn closing_ends_requests_that_wait_at_its_grace() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let waiting = request_async(&producer, scene.message("async"), PATIENCE * 4);
    std::thread::scope(|scope| {
        let blocked = scope.spawn(|| producer.request(scene.message("sync"), PATIENCE * 4));
        scene.arrived(2);
        let started = Instant::now();
        let report = producer.close_within(SHORT).unwrap();
        assert!((SHORT..PATIENCE).contains(&started.elapsed()), "{:?}", started.elapsed());
        assert_eq!(report.abandoned, 2, "{report}");
        for end in [waiting.recv_timeout(PATIENCE).unwrap(), blocked.join().unwrap()] {
            let error = end.unwrap_err().error;
            assert!(matches!(error, Error::Closed { outcome: Outcome::Unknown }), "{error}");
        }
    });
    let refused = producer.request(scene.message("x"), SHORT).unwrap_err();
    assert!(matches!(refused.error, Error::Closed { outcome: Outcome::NotSent }), "{refused}");
}

#[test]
fn closing_the_client_ends_requests_too() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let waiting = request_async(&producer, scene.message("ask"), PATIENCE * 4);
    scene.arrived(1);
    scene.client.close_within(SHORT).unwrap();
    let error = waiting.recv_timeout(PATIENCE).unwrap().unwrap_err().error;
    assert!(matches!(error, Error::Closed { outcome: Outcome::Unknown }), "{error}");
}

#[test]
fn closing_waits_for_a_reply_that_comes() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    let waiting = request_async(&producer, scene.message("ask"), PATIENCE);
    let asked = scene.arrived(1).remove(0);
    let answers = scene.cluster.builder().build().unwrap();
    let answers = answers.producer(&*scene.group).timeout(PATIENCE).start().unwrap();
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| producer.close_within(PATIENCE).unwrap());
        eventually(PATIENCE, || match producer.send(scene.message("closed?")) {
            Ok(_) => Err("it is open"),
            Err(_) => Ok(()),
        });
        answers.send(asked.reply("in time").unwrap()).unwrap();
        assert_eq!(closing.join().unwrap().abandoned, 0);
    });
    assert_eq!(body(&waiting.recv_timeout(PATIENCE).unwrap().unwrap()), "in time");
}

#[test]
fn javas_client_asks_and_this_one_replies() {
    if !supports(Feature::JavaAsks) {
        return;
    }
    let scene = Scene::with_queues(1);
    for length in ["10", "20000"] {
        let Some(java) = Java::start("RequestReply.java", "request", &[&scene.topic, "5", length]) else { return };
        let _replier = Replier::start(&scene, echo);
        for number in 0..5 {
            let line = java.line();
            let (len, text) = line.split_once(' ').unwrap();
            assert_eq!(len.parse::<usize>().unwrap(), length.parse::<usize>().unwrap() + 4, "{line}");
            assert!(text.starts_with(&format!("re: ask {number}")), "{line}");
        }
    }
    assert_eq!(scene.arrived(10).iter().filter(|asked| asked.was_compressed()).count(), 5);
}

#[test]
fn this_client_asks_and_javas_replies() {
    let scene = Scene::with_queues(1);
    let Some(java) = Java::start("RequestReply.java", "reply", &[&scene.topic, "6", "java: "]) else { return };
    assert_eq!(java.line(), "ready");
    let producer = scene.producer();
    let long = "all work and no play ".repeat(500);
    for text in ["one", "two", "three", &long] {
        let reply = producer.request(scene.message(text), PATIENCE * 2).unwrap();
        assert_eq!(body(&reply), format!("java: {text}"));
        assert_eq!(reply.was_compressed(), text.len() > 4096);
        assert_eq!(java.line(), "SEND_OK");
    }
    let both = ["four", "five"].map(|text| (text, request_async(&producer, scene.message(text), PATIENCE * 2)));
    for (text, reply) in both {
        assert_eq!(body(&reply.recv_timeout(PATIENCE * 2).unwrap().unwrap()), format!("java: {text}"));
        assert_eq!(java.line(), "SEND_OK");
    }
}
