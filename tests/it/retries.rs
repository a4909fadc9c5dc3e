//! What a producer does when brokers fail: the table of `src/producer/retry.rs`, on embedded clusters whose brokers do as told.

mod storage;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use rocketmq_blocking::embedded::{Cluster, Fault};
use rocketmq_blocking::{Error, Exhaustion, Message, Outcome, Producer, RequestCode, ResponseCode, SendResult};

use crate::support::{PATIENCE, client_builder, eventually, unique};

const TOPIC: &str = "RetryTopic";

/// A cluster of its own, with a producer that knows the route.
struct Stage {
    cluster: Cluster,
    producer: Producer,
}

impl Stage {
    fn new(brokers: usize) -> Stage {
        let cluster = Cluster::builder().brokers(brokers).topic(TOPIC, 2).start().unwrap();
        let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
        let producer = client.producer(unique("retries")).start().unwrap();
        // The connections are there, so that what follows is not about making them.
        for queue in producer.fetch_queues(TOPIC).unwrap() {
            producer.max_offset(&queue).unwrap();
        }
        Stage { cluster, producer }
    }

    /// Makes the first so many sends, to whichever broker, be answered with a code.
    fn refuse(&self, code: ResponseCode, remark: &'static str, brokers: &[&str], times: usize) {
        for broker in brokers {
            self.cluster.broker(broker).fault(Fault::error(code, remark).on(RequestCode::SEND_MESSAGE_V2).times(times));
        }
    }

    fn sends(&self) -> usize {
        self.cluster.requests_of(RequestCode::SEND_MESSAGE_V2).len()
    }

    /// The brokers that were sent to, in order.
    fn asked(&self) -> Vec<String> {
        self.cluster
            .requests_of(RequestCode::SEND_MESSAGE_V2)
            .iter()
            .map(|request| request.server.to_string())
            .collect()
    }

    fn stored(&self) -> usize {
        self.cluster.stored_count(TOPIC)
    }
}

fn message() -> Message {
    Message::new(TOPIC, "x")
}

const BOTH: [&str; 2] = ["broker-a", "broker-b"];

/// One send by each way, which must behave alike: the call that waits and the one that calls back.
fn both_ways(test: impl Fn(&Stage, &dyn Fn(&Stage) -> Result<SendResult, Error>)) {
    test(&Stage::new(2), &|stage| Ok(stage.producer.send(message())?));
    test(&Stage::new(2), &|stage| {
        let (done, called_back) = mpsc::channel();
        stage.producer.send_async(message(), move |result| done.send(result).unwrap())?;
        Ok(called_back.recv_timeout(PATIENCE).unwrap()?)
    });
}

#[test]
fn a_busy_broker_is_left_for_another() {
    for code in [ResponseCode::SYSTEM_BUSY, ResponseCode::SERVICE_NOT_AVAILABLE, ResponseCode::FLOW_CONTROL] {
        both_ways(|stage, send| {
            // Whichever broker comes first refuses; the other one is in order.
            for broker in BOTH {
                stage
                    .cluster
                    .broker(broker)
                    .fault(Fault::error(code, "busy").on(RequestCode::SEND_MESSAGE_V2).times(1));
            }
            let sent = send(stage).unwrap();
            assert_eq!((sent.attempts(), sent.may_be_duplicated()), (3, false), "{code}: both refused once");
            let asked = stage.asked();
            assert_ne!(asked[0], asked[1], "{code}: the second attempt goes to the other broker");
            assert_eq!((asked.len(), stage.stored()), (3, 1));
        });
    }
}

#[test]
fn a_topic_a_broker_does_not_have_is_looked_for_on_another_one_only() {
    for code in [ResponseCode::TOPIC_NOT_EXIST, ResponseCode::NO_BUYER_ID, ResponseCode::NOT_LEADER_FOR_QUEUE] {
        both_ways(|stage, send| {
            stage.refuse(code, "not here", &BOTH, 100);
            let error = send(stage).unwrap_err();
            assert_eq!((error.code(), error.outcome()), (Some(code), Outcome::Rejected), "{error}");
            assert!(matches!(error, Error::Exhausted { because: Exhaustion::Brokers, .. }), "{error}");
            assert_eq!(stage.sends(), 2, "{code}: each broker once, although a third attempt was allowed");
        });
    }
}

#[test]
fn a_refusal_is_final() {
    let refusals = [
        (ResponseCode::NO_PERMISSION, "no permission"),
        (ResponseCode::SYSTEM_ERROR, "AclException: no right"),
        (ResponseCode::MESSAGE_ILLEGAL, "illegal"),
        (ResponseCode::INVALID_PARAMETER, "request queueId[9] is illegal"),
        (ResponseCode(7777), "never heard of"),
    ];
    for (code, remark) in refusals {
        both_ways(|stage, send| {
            stage.refuse(code, remark, &BOTH, 100);
            let error = send(stage).unwrap_err();
            assert!(matches!(&error, Error::Rejected { code: found, .. } if *found == code), "{error}");
            assert_eq!((error.outcome(), error.is_retryable()), (Outcome::Rejected, false), "{error}");
            assert_eq!((stage.sends(), stage.stored()), (1, 0), "{code}: {error}");
        });
    }
}

#[test]
fn an_error_that_says_nothing_may_have_stored_the_message() {
    both_ways(|stage, send| {
        for broker in BOTH {
            let fault = Fault::error_after(ResponseCode::SYSTEM_ERROR, "disk trouble");
            stage.cluster.broker(broker).fault(fault.on(RequestCode::SEND_MESSAGE_V2).times(1));
        }
        let sent = send(stage).unwrap();
        assert_eq!((sent.attempts(), sent.may_be_duplicated()), (3, true));
        let stored = stage.cluster.stored(TOPIC);
        assert_eq!(stored.len(), 3, "two that were reported as failed, and the last");
        assert!(
            stored.iter().all(|view| view.message_id() == sent.message_id()),
            "all attempts have the same unique id"
        );
        assert!(sent.to_string().ends_with("after 3 attempts, perhaps twice"), "{sent}");
    });
}

#[test]
fn what_may_have_been_stored_is_not_repeated_when_that_is_forbidden() {
    let stage = Stage::new(2);
    for broker in BOTH {
        stage
            .cluster
            .broker(broker)
            .fault(Fault::error_after(ResponseCode::SYSTEM_ERROR, "disk trouble").on(RequestCode::SEND_MESSAGE_V2));
    }
    let failed = stage.producer.prepare(message()).retry_unknown(false).send().unwrap_err();
    assert_eq!(failed.error.outcome(), Outcome::Unknown, "{failed}");
    assert_eq!((stage.sends(), stage.stored()), (1, 1));
    // What was certainly not stored is repeated all the same.
    for broker in BOTH {
        stage.cluster.broker(broker).clear_faults();
    }
    stage.refuse(ResponseCode::SYSTEM_BUSY, "busy", &BOTH, 1);
    let sent = stage.producer.prepare(message()).retry_unknown(false).send().unwrap();
    assert_eq!(sent.attempts(), 3);
}

#[test]
fn a_lost_connection_leads_to_another_broker() {
    both_ways(|stage, send| {
        for broker in BOTH {
            stage.cluster.broker(broker).fault(Fault::disconnect().on(RequestCode::SEND_MESSAGE_V2).times(1));
        }
        let sent = send(stage).unwrap();
        assert_eq!((sent.attempts(), sent.may_be_duplicated()), (3, true));
        assert_eq!(stage.stored(), 1);
    });
}

#[test]
fn attempts_are_counted_and_all_of_them_listed() {
    for (retries, expected) in [(0, 1), (1, 2), (4, 5)] {
        let stage = Stage::new(2);
        stage.refuse(ResponseCode::SYSTEM_BUSY, "busy", &BOTH, 100);
        let failed = stage.producer.prepare(message()).retries(retries).send().unwrap_err();
        assert_eq!((stage.sends(), failed.error.code()), (expected, Some(ResponseCode::SYSTEM_BUSY)), "{failed}");
        match &failed.error {
            Error::Exhausted { attempts, because: Exhaustion::Attempts } => assert_eq!(attempts.len(), expected),
            Error::Rejected { .. } => assert_eq!(expected, 1),
            _ => panic!("{failed}"),
        }
    }
}

#[test]
fn synchronous_and_asynchronous_retries_have_their_own_numbers_and_2_by_default() {
    let cluster = Cluster::builder().brokers(2).topic(TOPIC, 2).start().unwrap();
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    for broker in BOTH {
        cluster.broker(broker).fault(Fault::error(ResponseCode::SYSTEM_BUSY, "busy").on(RequestCode::SEND_MESSAGE_V2));
    }
    let builder = || client.producer(unique("numbers"));
    let count = |send: &dyn Fn()| {
        cluster.clear_requests();
        send();
        cluster.requests_of(RequestCode::SEND_MESSAGE_V2).len()
    };
    let producer = builder().retries(1).async_retries(3).start().unwrap();
    assert_eq!(count(&|| drop(producer.send(message()).unwrap_err())), 2);
    assert_eq!(count(&|| drop(producer.prepare(message()).submit().unwrap().wait().unwrap_err())), 4);
    let producer = builder().start().unwrap();
    assert_eq!(count(&|| drop(producer.send(message()).unwrap_err())), 3);
    assert_eq!(count(&|| drop(producer.prepare(message()).submit().unwrap().wait().unwrap_err())), 3);
    cluster.clear_requests();
    producer.send_oneway(message()).unwrap();
    let queue = producer.fetch_queues(TOPIC).unwrap();
    // Brokers see the requests of a connection in order: behind an answer to a later one, all earlier ones are known.
    for queue in &queue {
        producer.max_offset(queue).unwrap();
    }
    assert_eq!(cluster.requests_of(RequestCode::SEND_MESSAGE_V2).len(), 1, "a oneway send has one attempt");
}

#[test]
fn a_given_queue_is_tried_once_and_only_it_unless_told_otherwise() {
    let stage = Stage::new(2);
    stage.refuse(ResponseCode::SYSTEM_BUSY, "busy", &["broker-a"], 100);
    let queue = stage.producer.fetch_queues(TOPIC).unwrap().remove(0);
    assert_eq!(queue.broker_name(), "broker-a");
    stage.producer.prepare(message()).queue(&queue).send().unwrap_err();
    assert_eq!(stage.asked(), ["broker-a"], "no retry by default");
    stage.cluster.clear_requests();
    stage.producer.prepare(message()).select(|_, _| 0).retries(2).send().unwrap_err();
    assert_eq!(stage.asked(), ["broker-a"; 3], "the same queue again, so that order is kept");
    let queues: Vec<_> = stage.cluster.requests_of(RequestCode::SEND_MESSAGE_V2);
    assert!(queues.iter().all(|request| request.field("e") == Some("0")), "{queues:?}");
    stage.cluster.clear_requests();
    let sent = stage.producer.prepare(message()).queue(&queue).retries(2).retry_elsewhere(true).send().unwrap();
    assert_eq!((sent.queue().broker_name(), sent.attempts()), ("broker-b", 2));
    assert_eq!(stage.stored(), 1);
}

#[test]
fn a_single_broker_is_tried_again_after_a_pause() {
    let stage = Stage::new(1);
    stage.refuse(ResponseCode::SYSTEM_BUSY, "busy", &["broker-a"], 2);
    let sent = stage.producer.send(message()).unwrap();
    assert_eq!((sent.attempts(), stage.stored()), (3, 1));
    let at: Vec<Instant> =
        stage.cluster.requests_of(RequestCode::SEND_MESSAGE_V2).iter().map(|request| request.at).collect();
    assert!(at[1] - at[0] >= Duration::from_millis(30), "{:?}", at[1] - at[0]);
    assert!(at[2] - at[1] > Duration::from_millis(60), "the pause grows: {:?}", at[2] - at[1]);
}

#[test]
fn a_server_that_goes_away_is_asked_once_more_over_a_new_connection() {
    let stage = Stage::new(1);
    let fault = stage.cluster.broker("broker-a").fault(Fault::go_away().on(RequestCode::SEND_MESSAGE_V2).times(1));
    let sent = stage.producer.prepare(message()).retries(0).send().unwrap();
    assert_eq!((fault.fired(), stage.stored(), sent.may_be_duplicated()), (1, 1, false));
    let requests = stage.cluster.requests_of(RequestCode::SEND_MESSAGE_V2);
    assert_eq!(requests.len(), 2);
    assert_ne!(requests[0].client, requests[1].client, "over another connection");
}

#[test]
fn a_slow_broker_leaves_time_for_another_and_the_first_answer_counts() {
    both_ways(|stage, send| {
        // The one that is asked first is silent: 60 % of three seconds later the other one is tried.
        stage.cluster.broker("broker-a").fault(Fault::never_answer().on(RequestCode::SEND_MESSAGE_V2));
        let mut slow = 0;
        for _ in 0..2 {
            let began = Instant::now();
            let sent = send(stage).unwrap();
            assert_eq!(sent.queue().broker_name(), "broker-b");
            if sent.attempts() == 2 {
                slow += 1;
                assert!(sent.may_be_duplicated(), "the first attempt may be stored later");
                assert!(began.elapsed() >= Duration::from_millis(1_700), "{:?}", began.elapsed());
                assert!(began.elapsed() < Duration::from_millis(2_900), "{:?}", began.elapsed());
            }
        }
        assert!(slow <= 1, "a broker that timed out is avoided");
    });
}

#[test]
fn an_answer_that_comes_after_its_slice_still_completes_the_call() {
    let stage = Stage::new(2);
    let slow = Duration::from_millis(600);
    for broker in BOTH {
        stage.cluster.broker(broker).fault(Fault::delay(slow).on(RequestCode::SEND_MESSAGE_V2));
    }
    let began = Instant::now();
    let sent = stage.producer.prepare(message()).attempt_timeout(Duration::from_millis(300)).send().unwrap();
    // The first attempt answers at 600 ms, the second one, begun at 300 ms, at 900 ms.
    assert!(began.elapsed() < Duration::from_millis(880), "{:?}", began.elapsed());
    assert!((2..=3).contains(&sent.attempts()) || sent.attempts() == 1, "{sent}");
    assert!(sent.may_be_duplicated());
    eventually(PATIENCE, || if stage.stored() == stage.sends() { Ok(()) } else { Err("not all stored") });
}

#[test]
fn a_send_ends_at_its_deadline_whatever_brokers_do() {
    let stage = Stage::new(2);
    for broker in BOTH {
        stage.cluster.broker(broker).fault(Fault::never_answer().on(RequestCode::SEND_MESSAGE_V2));
    }
    let began = Instant::now();
    let failed = stage.producer.prepare(message()).timeout(Duration::from_millis(900)).send().unwrap_err();
    let took = began.elapsed();
    assert!((Duration::from_millis(850)..Duration::from_millis(1_300)).contains(&took), "{took:?}");
    assert_eq!((failed.error.outcome(), failed.error.is_timeout()), (Outcome::Unknown, true), "{failed}");
    assert_eq!(stage.asked().len(), 2, "a retry really happened: {failed}");
}

#[test]
fn a_broker_that_failed_is_avoided_and_used_again_when_it_is_back() {
    let stage = Stage::new(2);
    stage.refuse(ResponseCode::SYSTEM_BUSY, "busy", &["broker-a"], 1);
    let brokers = |count: usize| -> Vec<String> {
        (0..count).map(|_| stage.producer.send(message()).unwrap().queue().broker_name().to_owned()).collect()
    };
    let first = brokers(4);
    assert!(first.iter().all(|broker| broker == "broker-b"), "{first:?}");
    let after = stage.asked().iter().filter(|server| *server == "broker-a").count();
    assert_eq!(after, 1, "asked once, refused once, and left alone");
    eventually(PATIENCE, || if brokers(1) == ["broker-a"] { Ok(()) } else { Err("broker-a is still avoided") });
}

#[test]
fn when_all_brokers_failed_they_are_used_all_the_same() {
    let stage = Stage::new(2);
    stage.refuse(ResponseCode::SYSTEM_BUSY, "busy", &BOTH, 3);
    stage.producer.send(message()).unwrap_err();
    stage.producer.send(message()).unwrap_err();
    assert_eq!(stage.producer.send(message()).unwrap().attempts(), 1);
}

#[test]
fn a_cluster_without_automatic_topics_refuses_unknown_ones() {
    let cluster = Cluster::builder().auto_create_topics(false).topic("Known", 1).start().unwrap();
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let producer = client.producer(unique("strict")).start().unwrap();
    producer.send(Message::new("Known", "x")).unwrap();
    let failed = producer.send(Message::new("Unknown", "x")).unwrap_err();
    assert!(matches!(&failed.error, Error::NoRoute { topic, .. } if **topic == *"Unknown"), "{failed}");
    // A route that is out of date: the topic has gone from the broker since.
    cluster.broker("broker-a").remove_topic("Known");
    let failed = producer.send(Message::new("Known", "x")).unwrap_err();
    assert!(
        failed.error.code() == Some(ResponseCode::TOPIC_NOT_EXIST) || matches!(failed.error, Error::NoRoute { .. }),
        "{failed}"
    );
    assert_eq!(
        failed.error.outcome(),
        if failed.error.code().is_some() { Outcome::Rejected } else { Outcome::NotSent }
    );
}
