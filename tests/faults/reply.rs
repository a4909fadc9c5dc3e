//! Requests whose replies are late, lost on their way, or quicker than the answer to the send.

use std::sync::mpsc::{self, Receiver};

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, Error, MessageQueue, MessageView, Outcome, Producer, Result, Stage};

use crate::judge::{Timer, timed};
use crate::proxy::{Fault, eventually};
use crate::rig::{Rig, TOPIC, message, millis, producer, warm};
use crate::wire::SEND;

const REPLY_TOPIC: &str = "DefaultCluster_REPLY_TOPIC";

/// Whoever replies: past the proxies, so that nothing happens to its own calls.
fn replier(cluster: &Cluster) -> (Client, Producer) {
    let client = Client::connect(cluster.name_server()).expect("a client");
    let producer = client.producer("replier").start().expect("a producer");
    (client, producer)
}

fn request(producer: &Producer, key: &str, limit: u64) -> Result<MessageView> {
    timed("request", millis(limit), || Ok(producer.request(message(key), millis(limit))?))
}

/// An asynchronous request to a queue of a broker, judged.
fn request_async(producer: &Producer, key: &str, queue: &MessageQueue, limit: u64) -> Receiver<Result<MessageView>> {
    let (sender, receiver) = mpsc::channel();
    let timer = Timer::start("request_async", millis(limit));
    let prepared = producer.prepare(message(key)).queue(queue).retries(2).timeout(millis(limit));
    let started = prepared.request_async(move |end| {
        timer.end();
        let _ = sender.send(end.map_err(Error::from));
    });
    started.expect("it is accepted");
    receiver
}

/// Waits until a request is stored.
fn asked(rig: &Rig, key: &str) -> MessageView {
    eventually("a stored request", || rig.times_stored(key) > 0);
    let with_key = |message: &MessageView| message.keys().any(|stored| stored == key);
    rig.cluster.stored(TOPIC).into_iter().find(with_key).expect("it is stored")
}

pub(crate) fn a_reply_after_the_timeout() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let producer = producer(&client);
    warm(&producer, &rig);
    let (_client, replier) = replier(&rig.cluster);
    let late = request(&producer, "late", 300).unwrap_err();
    assert!(matches!(late, Error::NoReply { .. }) && late.is_timeout(), "{late}");
    let waiting = request_async(&producer, "late-too", &rig.queue(0), 300);
    assert!(matches!(waiting.recv().unwrap().unwrap_err(), Error::NoReply { .. }));
    for key in ["late", "late-too"] {
        // The requester takes it, so it was delivered; and drops it.
        replier.send(asked(&rig, key).reply(key).unwrap()).unwrap();
    }
    let waiting = request_async(&producer, "in-time", &rig.queue(0), 3000);
    replier.send(asked(&rig, "in-time").reply("in time").unwrap()).unwrap();
    assert_eq!(waiting.recv().unwrap().unwrap().body_text(), Some("in time"));
}

pub(crate) fn a_connection_that_is_cut_before_the_reply() {
    let mut rig = Rig::new(2);
    let client = rig.client();
    let producer = producer(&client);
    warm(&producer, &rig);
    let (_client, replier) = replier(&rig.cluster);
    let waiting = request_async(&producer, "cut", &rig.queue(0), 3000);
    let asked = asked(&rig, "cut");
    let (proxy, broker) = (&rig.brokers[0], rig.cluster.broker("broker-a"));
    proxy.refuse();
    proxy.cut();
    // Only who replies is left.
    eventually("a broker without the requester", || broker.connections() <= 1);
    let there = MessageQueue::new(REPLY_TOPIC, "broker-a", 0);
    let reply = asked.reply("answer").unwrap();
    let refused = replier.prepare(reply.clone()).queue(&there).send().unwrap_err().error;
    assert_eq!(refused.outcome(), Outcome::Rejected, "{refused}");
    assert!(refused.to_string().contains("channel of"), "{refused}");
    // Another broker knows the requester, and the retry finds it.
    let sent = replier.prepare(reply).queue(&there).retries(2).retry_elsewhere(true).send().unwrap();
    assert_eq!((sent.queue().broker_name(), sent.attempts()), ("broker-b", 2));
    assert_eq!(waiting.recv().unwrap().unwrap().body_text(), Some("answer"));
    proxy.accept();
}

pub(crate) fn a_requester_that_was_cut_off_is_known_again() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let producer = producer(&client);
    let (_client, replier) = replier(&rig.cluster);
    for round in 0..5 {
        let key = format!("round-{round}");
        let waiting = request_async(&producer, &key, &rig.queue(0), 3000);
        replier.send(asked(&rig, &key).reply(key.clone()).unwrap()).unwrap();
        assert_eq!(waiting.recv().unwrap().unwrap().body_text(), Some(&*key));
        rig.brokers[0].cut();
    }
}

pub(crate) fn a_broker_that_is_silent_on_the_request() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let producer = producer(&client);
    warm(&producer, &rig);
    let (_client, replier) = replier(&rig.cluster);
    // Stored, and its answer is lost: the reply comes first, and is the end of the request.
    rig.brokers[0].fault(Fault::Lose, Some(SEND), 1);
    let waiting = request_async(&producer, "lost", &rig.queue(0), 1500);
    replier.send(asked(&rig, "lost").reply("quick").unwrap()).unwrap();
    assert_eq!(
        waiting.recv_timeout(millis(750)).expect("long before the deadline").unwrap().body_text(),
        Some("quick")
    );
    assert_eq!(rig.times_stored("lost"), 1, "no attempt follows");
    // Never stored: the end is that of the send.
    rig.brokers[0].fault(Fault::Swallow, Some(SEND), 2);
    let waiting = request_async(&producer, "swallowed", &rig.queue(0), 500);
    let ends = [request(&producer, "swallowed", 500), waiting.recv().unwrap()];
    for end in ends {
        let error = end.unwrap_err();
        assert!(matches!(error, Error::Timeout { stage: Stage::Reply, .. }), "{error}");
        assert_eq!(error.outcome(), Outcome::Unknown);
    }
}

pub(crate) fn a_broker_that_takes_no_heartbeats() {
    let mut rig = Rig::new(2);
    let client = rig.client();
    let producer = producer(&client);
    let (_client, replier) = replier(&rig.cluster);
    // It costs the first requests some of their time, and no more: the reply comes over the other one.
    let heartbeat = 34;
    rig.brokers[1].fault(Fault::Swallow, Some(heartbeat), usize::MAX);
    for key in ["first", "second"] {
        let waiting = request_async(&producer, key, &rig.queue(0), 2000);
        replier.send(asked(&rig, key).reply(key).unwrap()).unwrap();
        assert_eq!(waiting.recv().unwrap().unwrap().body_text(), Some(key));
    }
    rig.brokers[1].clear();
}
