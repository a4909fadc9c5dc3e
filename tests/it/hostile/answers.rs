//! Messages and frames that are too many or too large.

use std::time::Duration;

use rocketmq_blocking::embedded::{Cluster, Fault};
use rocketmq_blocking::{Client, ClientBuilder, Error, Limit, Message, MessageView, RequestCode};

use super::assert_beyond;
use crate::support::{PATIENCE, client_builder, eventually};

fn cluster() -> Cluster {
    Cluster::builder().topic("T", 1).start().unwrap()
}

fn builder(cluster: &Cluster) -> ClientBuilder {
    client_builder().name_servers(cluster.name_server())
}

fn fill(cluster: &Cluster, messages: impl Iterator<Item = Message>) {
    let producer = builder(cluster).build().unwrap().producer("p").start().unwrap();
    messages.for_each(|message| drop(producer.send(message).unwrap()));
}

/// Pulls until nothing is left; returns what came, by pull.
fn pull_all(client: &Client) -> Vec<Vec<MessageView>> {
    let consumer = client.pull_consumer("c").start().unwrap();
    let queue = consumer.fetch_queues("T").unwrap().remove(0);
    let (mut all, mut offset) = (Vec::new(), 0);
    loop {
        let found = consumer.prepare_pull(&queue, offset).max(32).fetch().unwrap();
        offset = found.next_offset();
        if found.messages().is_empty() {
            return all;
        }
        all.push(found.into_messages());
    }
}

fn sizes(all: &[Vec<MessageView>]) -> Vec<usize> {
    all.iter().map(Vec::len).collect()
}

#[test]
fn an_answer_with_too_many_messages_ends_early_and_none_is_lost() {
    let cluster = cluster();
    fill(&cluster, (0..5).map(|number| Message::new("T", number.to_string())));
    let client = builder(&cluster).message_limit(2).build().unwrap();
    let all = pull_all(&client);
    assert_eq!(sizes(&all), [2, 2, 1]);
    assert_eq!(client.stats().limits_exceeded, 2);
    assert_eq!(sizes(&pull_all(&builder(&cluster).build().unwrap())), [5]);
}

#[test]
fn an_answer_that_inflates_without_end_ends_early_and_none_is_lost() {
    let cluster = cluster();
    fill(&cluster, (0..5).map(|_| Message::new("T", vec![b'x'; 100_000])));
    let client = builder(&cluster).answer_limit(150_000).build().unwrap();
    assert_eq!(sizes(&pull_all(&client)), [2, 2, 1]);
    assert_eq!(client.stats().limits_exceeded, 2);
    let client = builder(&cluster).body_limit(99_999).build().unwrap();
    let all = pull_all(&client).concat();
    assert!(all.len() == 5 && all.iter().all(|message| message.body().is_empty()));
    all.iter().for_each(|message| assert_beyond(&message.check_body().unwrap_err(), Limit::Body));
    assert_eq!(client.stats().damaged_messages, 5);
}

#[test]
fn properties_without_end_damage_their_message_only() {
    let cluster = cluster();
    let many = (0..20).fold(Message::builder("T", "many"), |builder, n| builder.property(format!("k{n}"), "v")).build();
    fill(&cluster, [many, Message::new("T", "few")].into_iter());
    let client = builder(&cluster).property_limit(10).build().unwrap();
    let all = pull_all(&client).concat();
    assert_eq!(all.iter().map(|message| message.check_body().is_ok()).collect::<Vec<_>>(), [false, true]);
    assert_beyond(&all[0].check_body().unwrap_err(), Limit::Properties);
    assert_eq!((all[0].properties().len(), client.stats().damaged_messages), (10, 1));
}

#[test]
fn a_frame_beyond_the_limit_or_with_an_impossible_length_ends_its_connection() {
    let cluster = cluster();
    fill(&cluster, [Message::new("T", "x".repeat(3000))].into_iter());
    let client = builder(&cluster).frame_limit(2000).build().unwrap();
    let consumer = client.pull_consumer("c").start().unwrap();
    let queue = consumer.fetch_queues("T").unwrap().remove(0);
    let error = consumer.pull(&queue, 0).unwrap_err();
    assert!(matches!(&error, Error::Disconnected { reason, .. } if reason.contains("2000")), "{error}");
    // The pull may have been made again by itself.
    let before = client.stats().malformed_frames;
    assert!(before >= 1);
    cluster.broker("broker-a").fault(Fault::oversized().on(RequestCode::GET_MAX_OFFSET).times(2));
    let error = consumer.max_offset(&queue).unwrap_err();
    assert!(matches!(error, Error::Disconnected { .. }), "asked twice, because asking changes nothing: {error}");
    assert!(client.stats().malformed_frames > before);
    assert_eq!(eventually(PATIENCE, || consumer.max_offset(&queue)), 1);
}

#[test]
fn bytes_that_a_server_does_not_read_are_bounded() {
    let cluster = cluster();
    let client = builder(&cluster).outbox_limit(1 << 20).heartbeat_interval(Duration::from_secs(60)).build().unwrap();
    let producer = client.producer("p").retries(0).async_retries(0).compress_above(usize::MAX);
    let producer = producer.timeout(Duration::from_secs(1)).start().unwrap();
    producer.send(Message::new("T", "x")).unwrap();
    cluster.broker("broker-a").stop_reading();
    // More than the kernel takes, and the outbox.
    let message = || Message::new("T", vec![b'x'; 1 << 20]);
    let pending: Vec<_> = (0..24).map(|_| producer.prepare(message()).submit().unwrap()).collect();
    let errors: Vec<Error> = pending.into_iter().map(|one| one.wait().unwrap_err().into()).collect();
    assert!(errors.iter().any(|error| matches!(error, Error::Busy { .. })), "{errors:?}");
    assert!(client.stats().calls_refused >= 1, "{}", client.stats());
    let error = producer.send(message()).unwrap_err().error;
    assert!(error.is_timeout(), "a blocked caller waits for room: {error}");
    cluster.broker("broker-a").resume_reading();
    eventually(PATIENCE, || producer.send(Message::new("T", "x")).map_err(|failed| failed.error.to_string()));
}

#[test]
fn calls_that_a_server_leaves_waiting_are_bounded() {
    let cluster = cluster();
    let fault = cluster.broker("broker-a").fault(Fault::never_answer().on(RequestCode::SEND_MESSAGE_V2));
    let client = builder(&cluster).pending_limit(3).heartbeat_interval(Duration::from_secs(60)).build().unwrap();
    let producer = client.producer("p").retries(0).timeout(Duration::from_secs(2)).start().unwrap();
    let pending: Vec<_> = (0..10).map(|_| producer.prepare(Message::new("T", "x")).submit().unwrap()).collect();
    let errors: Vec<Error> = pending.into_iter().map(|one| one.wait().unwrap_err().into()).collect();
    let busy = errors.iter().filter(|error| matches!(error, Error::Busy { .. })).count();
    assert!(busy >= 7, "{errors:?}");
    assert!(client.stats().calls_refused >= 7);
    fault.remove();
    eventually(PATIENCE, || producer.send(Message::new("T", "x")).map_err(|failed| failed.error.to_string()));
}
