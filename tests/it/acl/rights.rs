//! What a user may do without a right: nothing that needs it, and each refusal says what is missing.

use std::time::{Duration, Instant};

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, ConsumeFromWhere, Credentials, Error, Message, MessageView, RequestCode, Standing};

use super::{Guarded, assert_refused, each_guarded, guarded};
use crate::support::{PATIENCE, eventually, unique};

/// A topic that exists, made by somebody who may.
fn topic(guarded: &Guarded) -> String {
    let (client, topic) = (guarded.client(Some(guarded.known())), unique("topic"));
    client.create_topic("TBW102", &topic, 1).unwrap();
    eventually(PATIENCE, || client.publish_queues(&topic).map(drop));
    client.producer(unique("acl")).start().unwrap().send(Message::new(&*topic, "kept")).unwrap();
    topic
}

#[track_caller]
fn assert_advises(error: &Error, advice: &str) {
    assert_refused(error);
    assert!(error.is_refused() && error.to_string().contains(advice), "{error}");
}

#[test]
fn each_way_to_be_refused_says_what_to_do() {
    each_guarded(|guarded| {
        let topic = topic(guarded);
        let send = |credentials| {
            let client = guarded.client(credentials);
            let producer = client.producer(unique("acl")).start().unwrap();
            let error = producer.send(Message::new(&*topic, "x")).unwrap_err().error;
            assert!(client.stats().refusals >= 1);
            error
        };
        assert_advises(&send(None), "give the client credentials");
        assert_advises(&send(Some(Credentials::new("nobody", "knows"))), "no user of this access key");
        assert_advises(&send(Some(Credentials::new(&*guarded.access_key, "wrong"))), "the secret key is not the one");
        assert_advises(&send(Some(guarded.denied.clone())), "the user lacks a right");
    });
}

#[test]
fn a_user_who_may_send_can_send_and_not_read() {
    each_guarded(|guarded| {
        let topic = topic(guarded);
        let client = guarded.client(Some(guarded.sender.clone()));
        client.producer(unique("acl")).start().unwrap().send(Message::new(&*topic, "x")).unwrap();
        let consumer = client.pull_consumer(unique("acl")).start().unwrap();
        let queue = consumer.fetch_queues(&topic).unwrap().remove(0);
        assert_advises(&consumer.pull(&queue, 0).unwrap_err(), "the user lacks a right");
        assert_advises(&consumer.commit_offset(&queue, 1).unwrap_err(), "the user lacks a right");
        // 4.x answers this one to everybody whose signature is right.
        if !guarded.is_old {
            assert_advises(&consumer.committed_offset(&queue).unwrap_err(), "the user lacks a right");
        }
    });
}

#[test]
fn without_a_right_to_groups_topics_are_not_enough() {
    each_guarded(|guarded| {
        let topic = topic(guarded);
        let client = guarded.client(Some(guarded.groupless.clone()));
        client.producer(unique("acl")).start().unwrap().send(Message::new(&*topic, "x")).unwrap();
        let consumer = client.pull_consumer(unique("acl")).start().unwrap();
        let queue = consumer.fetch_queues(&topic).unwrap().remove(0);
        assert_advises(&consumer.pull(&queue, 0).unwrap_err(), "the user lacks a right");
    });
}

#[test]
fn administration_is_refused_to_who_may_not() {
    each_guarded(|guarded| {
        let client = guarded.client(Some(guarded.denied.clone()));
        let error = client.create_topic("TBW102", &unique("topic"), 1).unwrap_err();
        assert!(error.is_refused() && !error.is_retryable(), "{error}");
    });
}

#[test]
fn popping_is_refused_to_who_may_not() {
    // Brokers hand messages out since 5.0.
    let guarded = guarded();
    if guarded.is_old {
        return;
    }
    let topic = topic(guarded);
    let client = guarded.client(Some(guarded.denied.clone()));
    let consumer = client.simple_consumer(unique("acl")).subscribe(&*topic, "*").start().unwrap();
    let error = consumer.receive(8, Duration::from_secs(10)).unwrap_err();
    assert_advises(&error, "the user lacks a right");
}

#[test]
fn a_push_consumer_that_is_refused_says_so_asks_seldom_and_begins_when_it_may() {
    let user = |may: bool| {
        let user = rocketmq_blocking::embedded::User::new("u", "s").sends().uses_groups();
        if may { user.receives() } else { user }
    };
    let cluster = Cluster::builder().user(user(false)).topic("T", 1).start().unwrap();
    let client = Client::builder().name_servers(cluster.name_server()).credentials(Credentials::new("u", "s"));
    let client = client.build().unwrap();
    client.producer("p").start().unwrap().send(Message::new("T", "x")).unwrap();
    let (heard, hear) = std::sync::mpsc::channel();
    let consumer = client.push_consumer("g").subscribe("T", "*").consume_from_where(ConsumeFromWhere::FirstOffset);
    let consumer = consumer.start(move |messages: &[MessageView]| heard.send(messages.len()).unwrap()).unwrap();
    eventually(PATIENCE, || {
        let queues = consumer.queues().unwrap();
        let refused = queues.iter().any(|one| one.queue.topic() == "T" && one.standing == Some(Standing::Refused));
        if refused { Ok(()) } else { Err(format!("{queues:?}")) }
    });
    let refused = cluster.requests_of(RequestCode::PULL_MESSAGE).len()
        + cluster.requests_of(RequestCode::QUERY_CONSUMER_OFFSET).len();
    assert!(refused < 10, "{refused} requests in the time it took to see it refused");
    cluster.put_user(user(true)).unwrap();
    assert_eq!(hear.recv_timeout(PATIENCE), Ok(1));
    eventually(PATIENCE, || {
        let queues = consumer.queues().unwrap();
        if queues.iter().all(|one| one.standing != Some(Standing::Refused)) {
            Ok(())
        } else {
            Err(format!("{queues:?}"))
        }
    });
}

#[test]
fn a_push_consumer_of_whoever_may_not_gets_nothing_and_asks_seldom() {
    each_guarded(|guarded| {
        let topic = topic(guarded);
        for (who, credentials) in [
            ("without credentials", None),
            ("unknown", Some(Credentials::new("nobody", "knows"))),
            ("with another secret", Some(Credentials::new(&*guarded.access_key, "wrong"))),
            ("denied", Some(guarded.denied.clone())),
            ("without a right to read", Some(guarded.sender.clone())),
        ] {
            let client = guarded.client(credentials);
            let (heard, hear) = std::sync::mpsc::channel();
            let consumer = client.push_consumer(unique("acl")).subscribe(&*topic, "*");
            let consumer = consumer.consume_from_where(ConsumeFromWhere::FirstOffset);
            let _consumer =
                consumer.start(move |messages: &[MessageView]| heard.send(messages.len()).unwrap()).unwrap();
            eventually(
                PATIENCE,
                || if client.stats().refusals >= 1 { Ok(()) } else { Err(client.stats().to_string()) },
            );
            let before = client.stats();
            assert!(hear.recv_timeout(Duration::from_secs(3)).is_err(), "{who}");
            let after = client.stats();
            let (asked, refused) = (after.requests - before.requests, after.refusals - before.refusals);
            assert!(asked <= 20 && refused <= 10, "{who}: {asked} requests, {refused} refused in three seconds");
        }
    });
}

#[test]
fn a_refused_send_goes_to_no_second_broker_and_takes_no_time() {
    for old in [false, true] {
        let builder = Cluster::builder().brokers(3).credentials("a", "b").old_access_control(old).topic("T", 1);
        let cluster = builder.start().unwrap();
        let client = Client::builder().name_servers(cluster.name_server()).credentials(Credentials::new("a", "c"));
        let producer = client.build().unwrap().producer(unique("acl")).retries(5).start().unwrap();
        let began = Instant::now();
        assert_refused(&producer.send(Message::new("T", "x")).unwrap_err().error);
        assert_refused(&Error::from(producer.prepare(Message::new("T", "x")).submit().unwrap().wait().unwrap_err()));
        assert_eq!(cluster.requests_of(RequestCode::SEND_MESSAGE_V2).len(), 2);
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    }
}
