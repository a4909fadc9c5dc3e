//! What a commit says that fails, on a cluster of its own.

use std::time::Duration;

use rocketmq_blocking::{ConsumeFromWhere, Error, Message, MessageQueue, Outcome, RequestCode, ResponseCode, embedded};

use crate::lite_pull::{LONG, assigned};
use crate::support::client_builder;

#[test]
fn a_commit_that_fails_says_of_every_queue_what_became_of_it() {
    let cluster = embedded::Cluster::builder().brokers(2).topic("T", 2).start().unwrap();
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let producer = client.producer("p").start().unwrap();
    let builder = client.lite_pull_consumer("g").subscribe("T", "*").auto_commit(false);
    let consumer = builder.consume_from_where(ConsumeFromWhere::FirstOffset).start().unwrap();
    let queues = assigned(&consumer, 4);
    for queue in &queues {
        producer.prepare(Message::new("T", "x")).queue(queue).send().unwrap();
    }
    assert_eq!(consumer.timeout_iter(LONG).take(4).filter(Result::is_ok).count(), 4);
    let refuses = embedded::Fault::error(ResponseCode::SYSTEM_BUSY, "not now").on(RequestCode::UPDATE_CONSUMER_OFFSET);
    cluster.broker("broker-b").fault(refuses);
    let error = consumer.commit().unwrap_err();
    let Error::NotCommitted { queues: told } = &error else { panic!("{error}") };
    assert_eq!(told.iter().map(MessageQueue::from).collect::<Vec<_>>(), queues);
    for queue in &**told {
        let refused = queue.error.as_ref().map(|error| error.to_string().contains("not now"));
        let expected = if &*queue.broker_name == "broker-b" { (None, Some(true)) } else { (Some(1), None) };
        assert_eq!((queue.offset, refused), expected, "{queue:?}");
    }
    assert!(error.is_retryable() && error.outcome() == Outcome::Unknown);
    assert!(error.to_string().starts_with("offsets of 2 of 4 queues were not committed; T/broker-b/0: "), "{error}");
    let one = consumer.commit_queue(&queues[2], 1).unwrap_err();
    assert!(matches!(one, Error::Rejected { code: ResponseCode::SYSTEM_BUSY, .. }), "{one}");
    cluster.broker("broker-b").clear_faults();
    consumer.commit().unwrap();
    for queue in &queues {
        assert_eq!(consumer.committed(queue).unwrap(), Some(1), "{queue}");
    }
    assert_eq!(consumer.close_within(Duration::from_secs(5)).unwrap().persisted, 0, "there is nothing left");
}
