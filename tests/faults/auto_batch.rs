//! Batches that the producer gathers by itself, on their way to brokers that do wrong.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use rocketmq_blocking::embedded::{Cluster, Fault as Wrong};
use rocketmq_blocking::{
    AutoBatch, Client, Error, Message, Outcome, PendingSend, Producer, RequestCode, ResponseCode, Result, SendResult,
};

use crate::judge::{Timer, timed};
use crate::proxy::{Fault, eventually};
use crate::rig::{Rig, TOPIC, message, millis, nothing_waits, warm};
use crate::wire::SEND;

const BATCH: i64 = 320;
/// So many may be under way before a message is held back.
const FEW: usize = 4;

fn batching(client: &Client, limit: Duration, settings: AutoBatch) -> Producer {
    client.producer("batching").timeout(limit).auto_batch(settings).start().expect("a producer")
}

fn submit(producer: &Producer, key: &str) -> PendingSend {
    producer.prepare(message(key)).submit().expect("a place")
}

type Ends = Vec<(String, Result<SendResult>)>;

/// Each message was reported once, and what was reported is what the brokers have.
fn judge(rig: &Rig, begun: usize, ends: Ends) {
    let stored = rig.stored_times();
    let mut reported = HashMap::<String, usize>::new();
    assert_eq!(ends.len(), begun, "as many ends as sends");
    for (key, end) in ends {
        let times = stored.get(&key).copied().unwrap_or(0);
        match end {
            Ok(sent) => assert!(times == 1 || times > 1 && sent.may_be_duplicated(), "{sent}: stored {times} times"),
            Err(error) if error.outcome() == Outcome::Unknown => {}
            Err(error) => assert_eq!(times, 0, "{key}: {error}"),
        }
        *reported.entry(key).or_default() += 1;
    }
    assert!(reported.values().all(|times| *times == 1), "a message was reported twice");
}

/// Lets the senders end, also when the test fails.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

pub(crate) fn a_broker_dies_and_returns_under_sixteen_threads() {
    for brokers in [1, 2] {
        let mut rig = Rig::new(brokers);
        let client = rig.client();
        let producer = batching(&client, millis(600), AutoBatch::default());
        warm(&producer, &rig);
        let ends = Mutex::new(Ends::new());
        let (done, begun, ok, failed) = Default::default();
        let (done, begun, ok, failed): (AtomicBool, AtomicUsize, AtomicUsize, AtomicUsize) = (done, begun, ok, failed);
        std::thread::scope(|scope| {
            for thread in 0..16 {
                let (producer, ends, done, begun, ok, failed) = (&producer, &ends, &done, &begun, &ok, &failed);
                let note = move |key: String, end: Result<SendResult>| {
                    (if end.is_ok() { ok } else { failed }).fetch_add(1, Ordering::SeqCst);
                    ends.lock().unwrap().push((key, end));
                };
                scope.spawn(move || {
                    for round in 0.. {
                        if done.load(Ordering::SeqCst) {
                            return;
                        }
                        let key = format!("k-{thread}-{round}");
                        if thread % 4 > 0 {
                            begun.fetch_add(1, Ordering::SeqCst);
                            let end = timed("send", millis(600), || Ok(producer.send(message(&key))?));
                            note(key, end);
                            continue;
                        }
                        // Ten in the background at a time.
                        let (sender, receiver) = mpsc::channel();
                        for number in 0..10 {
                            let (key, sender) = (format!("{key}-{number}"), sender.clone());
                            let timer = Timer::start("send_async", millis(600));
                            begun.fetch_add(1, Ordering::SeqCst);
                            let started = producer.send_async(message(&key), move |end| {
                                timer.end();
                                let _ = sender.send((key, end.map_err(Error::from)));
                            });
                            started.expect("an asynchronous send is accepted");
                        }
                        drop(sender);
                        receiver.iter().for_each(|(key, end)| note(key, end));
                    }
                });
            }
            let _done = OnDrop(&done);
            let grows = |what: &str, count: &AtomicUsize, by: usize| {
                let before = count.load(Ordering::SeqCst);
                eventually(what, || count.load(Ordering::SeqCst) >= before + by);
            };
            let broker = rig.cluster.broker("broker-a");
            for round in 0..6 {
                grows("messages are sent", &ok, 300);
                match round % 3 {
                    0 => {
                        broker.kill();
                        grows("sends end", if brokers == 1 { &failed } else { &ok }, 20);
                        broker.restart().unwrap();
                    }
                    1 => broker.disconnect(),
                    _ => drop(rig.brokers[0].fault(Fault::Reset, Some(BATCH), 3)),
                }
            }
            grows("messages are sent again", &ok, 300);
        });
        let batching = producer.stats().batching;
        assert!(batching.messages > 100, "{batching:?}");
        judge(&rig, begun.into_inner(), ends.into_inner().unwrap());
    }
}

/// Holds the answers to the first few messages, so that those after them are gathered, and gives those to `then`.
fn gathered(rig: &Rig, producer: &Producer, count: usize) -> Vec<PendingSend> {
    rig.brokers[0].fault(Fault::Hold, Some(SEND), FEW);
    let mut pending: Vec<_> = (0..FEW).map(|number| submit(producer, &format!("first-{number}"))).collect();
    eventually("the first are under way", || rig.brokers[0].held() == FEW);
    pending.extend((0..count).map(|number| submit(producer, &format!("k-{number}"))));
    pending
}

pub(crate) fn a_refused_batch_is_sent_message_by_message() {
    let reasons = [
        (13, "the message is illegal"),
        (1, "java.lang.RuntimeException: message body size exceeded, x.encode(x.java)"),
    ];
    for (code, remark) in reasons {
        let mut rig = Rig::new(1);
        let client = rig.client();
        let producer = batching(&client, millis(3000), AutoBatch::default());
        warm(&producer, &rig);
        let refused = rig.brokers[0].fault(Fault::Refuse(code, remark), Some(BATCH), usize::MAX);
        let pending = gathered(&rig, &producer, 20);
        eventually("a batch is refused", || refused.load(Ordering::SeqCst) > 0);
        rig.brokers[0].release();
        for pending in pending {
            let sent = timed("wait", millis(3000), || pending.wait()).expect("a message alone is taken");
            assert!(!sent.may_be_duplicated(), "{sent}");
        }
        assert!((0..20).all(|number| rig.times_stored(&format!("k-{number}")) == 1));
        let stats = producer.stats();
        assert_eq!((stats.rejected, stats.stored.ok), (0, 1 + FEW as u64 + 20), "each message counts once: {stats}");
    }
}

pub(crate) fn a_refusal_that_concerns_all_is_everybodys() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let producer = batching(&client, millis(3000), AutoBatch::default());
    warm(&producer, &rig);
    let warm_up = producer.stats().stored.ok;
    rig.brokers[0].fault(Fault::Refuse(16, "no permission"), Some(BATCH), usize::MAX);
    let pending = gathered(&rig, &producer, 12);
    // One that is left over when the others have gone travels alone, and is taken.
    let ended = || producer.stats().rejected + producer.stats().stored.ok - warm_up;
    eventually("all others have ended", || ended() == 12);
    rig.brokers[0].release();
    let ends: Vec<_> = pending.into_iter().map(|pending| pending.wait().map_err(Error::from)).collect();
    assert!(ends[..FEW].iter().all(Result::is_ok));
    let refused: Vec<_> = ends[FEW..].iter().filter_map(|end| end.as_ref().err()).collect();
    assert!(refused.len() >= FEW, "{ends:?}");
    assert!(refused.iter().all(|error| error.outcome() == Outcome::Rejected), "{refused:?}");
}

pub(crate) fn one_message_too_large_for_the_broker_fails_alone() {
    let builder = Cluster::builder().topic(TOPIC, 1).message_limit(2000);
    let cluster = builder.start().expect("a cluster");
    let client = Client::connect(cluster.name_server()).expect("a client");
    let producer = batching(&client, millis(3000), AutoBatch::default());
    let first = submit(&producer, "route");
    first.wait().expect("the broker is well");
    let late = Wrong::delay(millis(200)).on(RequestCode::SEND_MESSAGE_V2).times(FEW);
    cluster.broker("broker-a").fault(late);
    let pending: Vec<_> = (0..FEW + 12)
        .map(|number| {
            let body = vec![b'x'; if number == FEW + 3 { 3000 } else { 100 }];
            producer.prepare(Message::builder(TOPIC, body).key(number.to_string())).submit().expect("a place")
        })
        .collect();
    for (number, pending) in pending.into_iter().enumerate() {
        match timed("wait", millis(3000), || pending.wait()).map_err(Error::from) {
            Ok(_) => assert_ne!(number, FEW + 3),
            Err(error) => {
                assert_eq!((number, error.code()), (FEW + 3, Some(ResponseCode::MESSAGE_ILLEGAL)), "{error}");
                assert_eq!(error.outcome(), Outcome::Rejected);
            }
        }
    }
    assert_eq!(cluster.stored(TOPIC).len(), 1 + FEW + 11);
}

pub(crate) fn closing_sends_what_is_gathered_at_once() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let patient = AutoBatch::default().max_delay(Duration::from_secs(20));
    let producer = batching(&client, millis(30_000), patient);
    warm(&producer, &rig);
    let pending = gathered(&rig, &producer, 3);
    assert_eq!(rig.times_stored("k-0"), 0, "it waits for others");
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| timed("close", millis(10_000), || producer.close()));
        eventually("what was gathered is stored", || (0..3).all(|key| rig.times_stored(&format!("k-{key}")) == 1));
        assert!(!closing.is_finished(), "closing waits for the answers that are held");
        rig.brokers[0].release();
        closing.join().unwrap().unwrap();
    });
    for pending in pending {
        pending.try_wait().expect("closing has waited for it").expect("it is stored");
    }
}

pub(crate) fn a_broker_that_never_answers() {
    let limit = millis(600);
    let mut rig = Rig::new(1);
    let client = rig.client();
    let producer = batching(&client, limit, AutoBatch::default());
    warm(&producer, &rig);
    rig.brokers[0].fault(Fault::Swallow, Some(SEND), usize::MAX);
    rig.brokers[0].fault(Fault::Swallow, Some(BATCH), usize::MAX);
    let (sender, ends) = mpsc::channel();
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let (producer, sender) = (&producer, sender.clone());
            scope.spawn(move || {
                let own = sender.clone();
                let timer = Timer::start("send_async", limit);
                let started = producer.send_async(message(&format!("async-{thread}")), move |end| {
                    timer.end();
                    let _ = own.send(end.map_err(Error::from));
                });
                started.expect("it is accepted");
                let end = timed("send", limit, || producer.send(message(&format!("sync-{thread}"))));
                let _ = sender.send(end.map_err(Error::from));
            });
        }
    });
    drop(sender);
    let ends: Vec<_> = ends.iter().collect();
    assert_eq!(ends.len(), 32, "each is told");
    for end in ends {
        let error = end.unwrap_err();
        assert!(matches!(error, Error::Timeout { addr: Some(_), outcome: Outcome::Unknown, .. }), "{error}");
    }
    assert_eq!(rig.stored().len(), 1, "only the message before");
    nothing_waits(&client);
}

pub(crate) fn no_more_is_held_than_allowed() {
    let limit = millis(5000);
    let mut rig = Rig::new(1);
    let client = rig.client();
    let small = AutoBatch::default().max_bytes(1000).max_held_bytes(3000);
    let producer = batching(&client, limit, small);
    warm(&producer, &rig);
    rig.brokers[0].fault(Fault::Hold, Some(SEND), usize::MAX);
    rig.brokers[0].fault(Fault::Hold, Some(BATCH), usize::MAX);
    let mut pending = Vec::new();
    let refused = loop {
        match producer.prepare(message(&format!("k-{}", pending.len()))).try_submit() {
            Ok(accepted) => pending.push(accepted),
            Err(refused) => break refused,
        }
        assert!(pending.len() < 100, "nothing is ever refused");
    };
    assert!(matches!(refused.error, Error::Busy { .. }), "{refused}");
    assert_eq!(refused.error.outcome(), Outcome::NotSent);
    let all = |prefix: &str| rig.stored().iter().filter(|key| key.starts_with(prefix)).count();
    eventually("what was gathered leaves when no room is left", || all("k-") == pending.len());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| timed("send", limit, || producer.send(message("waits"))));
        assert!(!waiting.is_finished() && rig.times_stored("waits") == 0, "it waits for room");
        rig.brokers[0].clear();
        eventually("it is sent once there is room", || {
            rig.brokers[0].release();
            waiting.is_finished()
        });
        waiting.join().unwrap().expect("it is stored");
    });
    pending.into_iter().for_each(|pending| drop(pending.wait().expect("it is stored")));
}
