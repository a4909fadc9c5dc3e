//! Consumers whose brokers or networks go away and come back, members that fall silent, and consumers with nothing to do.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, ConsumeFromWhere, Message, MessageView, PushConsumer, RequestCode, Standing};

use crate::proxy::{eventually, eventually_within};
use crate::rig::{Rig, TOPIC, millis, producer};
use crate::wire;

const GROUP: &str = "liveness";

fn consumer(client: &Client, hold: Duration) -> (PushConsumer, Receiver<String>) {
    let (told, given) = mpsc::channel();
    let told = Mutex::new(told);
    let builder = client.push_consumer(GROUP).subscribe(TOPIC, "*").consume_from_where(ConsumeFromWhere::FirstOffset);
    let consumer = builder.hold(hold).start(move |messages: &[MessageView]| {
        messages.iter().for_each(|message| drop(told.lock().unwrap().send(message.body_text().unwrap().to_owned())));
    });
    (consumer.expect("a consumer"), given)
}

/// How many queues of the topic have a pull under way that was sent within `limit`.
fn pulling(consumer: &PushConsumer, limit: Duration) -> usize {
    let queues = consumer.queues().expect("it is open");
    let is_pulled = |since: Option<Duration>| since.is_some_and(|since| since <= limit);
    let of_topic = queues.iter().filter(|queue| queue.queue.topic() == TOPIC);
    of_topic.filter(|queue| is_pulled(queue.since_pull) && queue.standing.is_none()).count()
}

fn all_pull(consumer: &PushConsumer) {
    eventually_within(millis(20_000), || format!("{:?}", consumer.queues()), || pulling(consumer, millis(60_000)) == 4);
}

pub(crate) fn every_queue_pulls_again_after_a_restart_and_the_broker_knows_the_group_before() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let (consumer, given) = consumer(&client, millis(2000));
    all_pull(&consumer);
    let broker = rig.cluster.broker("broker-a");
    for _ in 0..3 {
        broker.kill();
        let failing = || {
            let queues = consumer.queues().expect("it is open");
            queues.iter().all(|queue| queue.standing == Some(Standing::Failing))
        };
        eventually("every queue says that it fails", failing);
        let before = rig.cluster.requests().len();
        broker.restart().expect("its own port");
        let back = Instant::now();
        let again = || pulling(&consumer, back.elapsed()) == 4;
        eventually_within(millis(5000), || format!("{:?}", consumer.queues()), again);
        let requests = rig.cluster.requests();
        let codes: Vec<RequestCode> = requests[before..]
            .iter()
            .filter(|request| &*request.server == "broker-a")
            .map(|request| request.code)
            .collect();
        let first = |code| codes.iter().position(|found| *found == code).unwrap_or(usize::MAX);
        assert!(first(RequestCode::HEART_BEAT) < first(RequestCode::PULL_MESSAGE), "{codes:?}");
        let failed = consumer.queues().unwrap().iter().filter(|queue| queue.standing.is_some()).count();
        assert_eq!(failed, 0, "no pull was refused");
    }
    producer(&client).send(Message::new(TOPIC, "after all")).expect("a send");
    assert_eq!(given.recv_timeout(millis(5000)).as_deref(), Ok("after all"));
    consumer.close().expect("closing");
}

pub(crate) fn every_queue_pulls_again_after_the_network_was_cut() {
    let mut rig = Rig::new(2);
    let client = rig.client();
    let (consumer, given) = consumer(&client, millis(2000));
    eventually_within(
        millis(20_000),
        || format!("{:?}", consumer.queues()),
        || pulling(&consumer, millis(60_000)) == 8,
    );
    for proxy in rig.brokers.iter().chain([&rig.name_server]) {
        proxy.refuse();
        proxy.cut();
    }
    // Long enough for the pauses between attempts to have become as long as they get; and what users asked about.
    let outage = if std::env::var_os("ROCKETMQ_LIVE_LONG").is_some() { millis(125_000) } else { millis(6000) };
    let (cut, failing) = (Instant::now(), || pulling(&consumer, millis(60_000)) == 0);
    eventually_within(
        outage + millis(14_000),
        || format!("{:?}", consumer.queues()),
        || failing() && cut.elapsed() > outage,
    );
    assert!(consumer.queues().expect("it is open").len() >= 8, "it keeps its queues");
    rig.brokers.iter().chain([&rig.name_server]).for_each(|proxy| proxy.accept());
    let back = Instant::now();
    let again = || pulling(&consumer, back.elapsed()) == 8;
    eventually_within(millis(10_000), || format!("{:?}", consumer.queues()), again);
    producer(&client).send(Message::new(TOPIC, "after all")).expect("a send");
    assert_eq!(given.recv_timeout(millis(5000)).as_deref(), Ok("after all"));
    consumer.close().expect("closing");
}

pub(crate) fn a_member_that_falls_silent_is_forgotten_and_the_others_take_its_queues() {
    let mut rig = Rig::of(Cluster::builder().member_timeout(millis(2000)));
    let builder = rig.builder().heartbeat_interval(millis(500));
    let client = rig.look_after(builder);
    // It sorts before every address, so it has the first queues.
    let body = serde_json::json!({
        "clientID": "0-silent",
        "consumerDataSet": [{
            "groupName": GROUP, "consumeType": "CONSUME_PASSIVELY", "messageModel": "CLUSTERING",
            "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET", "subscriptionDataSet": [
                { "topic": TOPIC, "subString": "*", "subVersion": 1 },
            ],
        }],
    });
    let heartbeat = wire::request(wire::HEARTBEAT, &serde_json::json!({}), body.to_string().as_bytes());
    let broker = rig.cluster.broker("broker-a");
    let mut silent = TcpStream::connect(broker.addr()).expect("the broker is up");
    silent.write_all(&heartbeat).expect("its only heartbeat");
    eventually("it is a member", || broker.consumers(GROUP).len() == 1);
    let began = Instant::now();
    let (consumer, _given) = consumer(&client, millis(2000));
    let of_topic = || {
        let queues = consumer.queues().expect("it is open");
        queues.iter().filter(|queue| queue.queue.topic() == TOPIC).count()
    };
    eventually("it has its share", || of_topic() == 2);
    eventually("it has all of them", || of_topic() == 4);
    assert!(began.elapsed() > millis(1500), "not before the other's time was over");
    assert_eq!(broker.consumers(GROUP), [client.client_id()], "who sends heartbeats stays");
    consumer.close().expect("closing");
}

/// How often the threads of clients were put to sleep so far.
#[cfg(target_os = "linux")]
fn sleeps() -> u64 {
    let of_client = ["mq-engine", "mq-listen", "mq-callback", "mq-schedule", "mq-read", "mq-write 127.0"];
    let of_task = |task: std::io::Result<std::fs::DirEntry>| {
        let status = std::fs::read_to_string(task.ok()?.path().join("status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let is_clients = of_client.iter().any(|prefix| field("Name:").is_some_and(|name| name.starts_with(prefix)));
        if is_clients { field("voluntary_ctxt_switches:")?.parse::<u64>().ok() } else { None }
    };
    std::fs::read_dir("/proc/self/task").expect("the kernel tells").filter_map(of_task).sum::<u64>()
}

#[cfg(target_os = "linux")]
pub(crate) fn a_consumer_with_nothing_to_do_wakes_at_most_twice_a_second() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let (consumer, _given) = consumer(&client, millis(30_000));
    all_pull(&consumer);
    // What the start leaves behind: offsets to be committed, a first rebalance, routes. The pulls are held for longer.
    let settled = Instant::now() + millis(7000);
    eventually("it has settled", || Instant::now() >= settled);
    let (before, began) = (sleeps(), Instant::now());
    let until = began + millis(4000);
    eventually("some time has passed", || Instant::now() >= until);
    let wakes = (sleeps() - before) as f64 / began.elapsed().as_secs_f64();
    assert!(wakes <= 2.0, "{wakes:.1} times a second");
    // The broker would hold the last pulls for long.
    rig.cluster.broker("broker-a").kill();
    consumer.close().expect("closing");
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn a_consumer_with_nothing_to_do_wakes_at_most_twice_a_second() {}
