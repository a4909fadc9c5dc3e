use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, atomic::AtomicBool, atomic::Ordering};
use std::thread;
use std::time::Duration;

use rocketmq_blocking::embedded::{Cluster, Fault};
use rocketmq_blocking::{
    Client, ConsumeFromWhere, ConsumeResult, Message, MessageView, PushConsumer, RequestCode, ResponseCode,
};

use super::{Findings, client, doctor};
use crate::program::eventually;

const SHORT: Duration = Duration::from_millis(100);

fn examine(cluster: &Cluster, more: &[&str]) -> Findings {
    doctor(cluster.name_server(), &[&["--group", "G"], more].concat())
}

fn send(client: &Client, topic: &str, count: usize) {
    let producer = client.producer("P").start().unwrap();
    for _ in 0..count {
        producer.send(Message::new(topic, "x")).unwrap();
    }
    producer.close().unwrap();
}

/// A member of the group that consumes everything at once.
fn member(client: &Client, topic: &str, expression: &str) -> PushConsumer {
    listening(client, topic, expression, |_| ConsumeResult::Success)
}

fn listening(
    client: &Client,
    topic: &str,
    expression: &str,
    listener: impl Fn(&[MessageView]) -> ConsumeResult + Send + Sync + 'static,
) -> PushConsumer {
    let builder = client.push_consumer("G").subscribe(topic, expression).rebalance_interval(SHORT);
    let builder = builder.persist_interval(SHORT).consume_from_where(ConsumeFromWhere::FirstOffset);
    builder.start(listener).unwrap()
}

fn wait_for_members(cluster: &Cluster, count: usize) {
    eventually(|| (cluster.broker("broker-a").consumers("G").len() == count).then_some(()));
}

/// Waits until the group has consumed and committed everything.
fn wait_until_done(cluster: &Cluster, client: &Client, members: usize) {
    wait_for_members(cluster, members);
    let done =
        || client.admin().group_progress("G").is_ok_and(|progress| !progress.queues.is_empty() && progress.lag() == 0);
    eventually(|| done().then_some(()));
}

#[test]
fn a_group_that_gets_on_is_healthy() {
    let cluster = Cluster::builder().topic("T", 2).start().unwrap();
    let (one, other) = (client(&cluster), client(&cluster));
    send(&one, "T", 10);
    let _members = (member(&one, "T", "*"), member(&other, "T", "*"));
    wait_until_done(&cluster, &one, 2);
    let findings = examine(&cluster, &["--topic", "T"]);
    findings.healthy();
    for check in ["members", "subscriptions", "consume-types", "pull", "retry-topic", "stuck-queue", "dead-letters"] {
        findings.find(check, "ok");
    }
    assert_eq!(cluster.broker("broker-a").consumers("G").len(), 2, "nobody has joined");
}

#[test]
fn a_group_nobody_knows_and_one_without_members_are_told_apart() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    examine(&cluster, &[]).failed("group", "no broker knows it", "start a consumer");
    let client = client(&cluster);
    let member = member(&client, "T", "*");
    wait_for_members(&cluster, 1);
    member.close().unwrap();
    examine(&cluster, &[]).warned("members", "nobody consumes", "start a consumer");
}

#[test]
fn members_with_unequal_subscriptions_are_found() {
    let cluster = Cluster::builder().topic("T", 4).topic("U", 4).start().unwrap();
    let (one, other) = (client(&cluster), client(&cluster));
    let first = member(&one, "T", "paid");
    for (topic, found) in [("T", "T: \"TAG paid\" by "), ("U", "U: \"TAG refunded\" by ")] {
        let second = member(&other, topic, "refunded");
        wait_for_members(&cluster, 2);
        examine(&cluster, &[]).failed("subscriptions", found, "same topics with the same expressions");
        second.close().unwrap();
    }
    first.close().unwrap();
}

#[test]
fn members_of_different_kinds_are_found() {
    let cluster = Cluster::builder().topic("T", 4).start().unwrap();
    let (one, other) = (client(&cluster), client(&cluster));
    let _push = member(&one, "T", "*");
    let _pull = other.lite_pull_consumer("G").subscribe("T", "*").start().unwrap();
    wait_for_members(&cluster, 2);
    examine(&cluster, &[]).failed("consume-types", "CONSUME_PASSIVELY: ", "of one kind");
}

/// Lets a listener go on when it is dropped.
fn gate() -> (impl Sized, Arc<Mutex<Receiver<()>>>) {
    let (open, closed) = channel::<()>();
    (open, Arc::new(Mutex::new(closed)))
}

#[test]
fn a_listener_that_hangs_and_more_that_comes_are_found() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let client = client(&cluster);
    send(&client, "T", 5);
    let (open, closed) = gate();
    let waits = move |_: &[MessageView]| {
        let _ = closed.lock().map(|closed| closed.recv());
        ConsumeResult::Success
    };
    let consumer = listening(&client, "T", "*", waits);
    wait_for_members(&cluster, 1);
    let pulled =
        || client.admin().group_progress("G").is_ok_and(|found| found.queues.iter().any(|one| one.pulled_offset > 0));
    eventually(|| pulled().then_some(()));
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, stopped) = (client.clone(), stop.clone());
    let sending = thread::spawn(move || {
        while !stopped.load(Ordering::SeqCst) {
            send(&sender, "T", 1);
        }
    });
    let findings = examine(&cluster, &[]);
    stop.store(true, Ordering::SeqCst);
    sending.join().unwrap();
    findings.failed("stuck-queue", "although the owner has fetched messages", "its listener is slow, hangs, or fails");
    findings.failed("stuck-queue", "T broker-a/0 (", "");
    findings.warned("progress", "more than", "more slowly than messages come");
    // A member that does not tell what it has: nobody has the queue then.
    let refuse = Fault::error(ResponseCode::SYSTEM_ERROR, "not told").on(RequestCode::GET_CONSUMER_RUNNING_INFO);
    cluster.broker("broker-a").fault(refuse);
    let silent = examine(&cluster, &[]);
    silent.warned("members", "there is no answer from", "refuses operators' questions");
    silent.failed("stuck-queue", "no member that answers has it", "hangs");
    drop(open);
    consumer.close().unwrap();
}

#[test]
fn an_owner_that_fetches_nothing_is_found() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let client = client(&cluster);
    send(&client, "T", 1);
    let consumer = member(&client, "T", "*");
    wait_until_done(&cluster, &client, 1);
    cluster.broker("broker-a").fault(Fault::never_answer().on(RequestCode::PULL_MESSAGE));
    // The pull that is held gets the first of them.
    send(&client, "T", 1);
    wait_until_done(&cluster, &client, 1);
    send(&client, "T", 3);
    examine(&cluster, &[]).failed("stuck-queue", "the owner fetches nothing", "suspended");
    cluster.broker("broker-a").clear_faults();
    consumer.close().unwrap();
}

#[test]
fn more_members_than_queues_and_a_missing_retry_topic_are_found() {
    let cluster = Cluster::builder().brokers(2).topic("T", 1).start().unwrap();
    let clients = [client(&cluster), client(&cluster), client(&cluster)];
    send(&clients[0], "T", 6);
    let _members = clients.each_ref().map(|client| member(client, "T", "*"));
    wait_until_done(&cluster, &clients[0], 3);
    let idle = examine(&cluster, &[]);
    idle.warned("members-and-queues", "3 members and 2 queues (of T): 1 of them get nothing", "more queues");
    drop(_members);
    cluster.broker("broker-b").remove_topic("%RETRY%G");
    let lost = examine(&cluster, &[]);
    lost.warned("retry-topic", "%RETRY%G is missing on broker-b", "first heartbeat");
}

#[test]
fn dead_letters_are_counted() {
    let cluster = Cluster::builder().topic("T", 1).delay_level_scale(0.001).start().unwrap();
    let client = client(&cluster);
    let builder = client.push_consumer("G").subscribe("T", "*").max_reconsume_times(1).rebalance_interval(SHORT);
    let builder = builder.consume_from_where(ConsumeFromWhere::FirstOffset).persist_interval(SHORT);
    let consumer = builder.start(|_: &[MessageView]| ConsumeResult::Retry).unwrap();
    send(&client, "T", 2);
    eventually(|| (cluster.stored_count("%DLQ%G") == 2).then_some(()));
    examine(&cluster, &[]).warned("dead-letters", "2 messages have been given up", "%DLQ%G");
    consumer.close().unwrap();
}

#[test]
fn messages_that_were_deleted_before_they_were_consumed_are_counted() {
    let cluster = Cluster::builder().topic("T", 1).store_limit(4_000).start().unwrap();
    let client = client(&cluster);
    send(&client, "T", 1);
    let consumer = member(&client, "T", "*");
    wait_until_done(&cluster, &client, 1);
    consumer.close().unwrap();
    send(&client, "T", 60);
    examine(&cluster, &[]).failed(
        "deleted-unconsumed",
        "were deleted before the group consumed them",
        "fileReservedTime",
    );
}
