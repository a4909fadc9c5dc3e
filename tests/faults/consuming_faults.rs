//! Every fault on every kind of request that a consumer makes.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rocketmq_blocking::{Client, ConsumeFromWhere, ConsumeResult, Message, MessageView, PushConsumer};

use crate::proxy::{Fault, eventually_within};
use crate::rig::{Rig, TOPIC, millis};
use crate::wire;

const MESSAGES: usize = 60;
/// How often each request goes wrong.
const TIMES: usize = 2;

/// What consumers ask brokers for.
const REQUESTS: [(&str, i64); 8] = [
    ("pull", wire::PULL),
    ("query offset", wire::QUERY_OFFSET),
    ("minimum", wire::MIN_OFFSET),
    ("commit", wire::UPDATE_OFFSET),
    ("heartbeat", wire::HEARTBEAT),
    ("members", wire::CONSUMER_LIST),
    ("send back", wire::SEND_BACK),
    ("lock", wire::LOCK),
];

fn faults() -> Vec<Fault> {
    vec![
        Fault::Refuse(2, "[REJECTREQUEST]system busy, start flow control for a while"),
        Fault::Refuse(1, "a test says so"),
        Fault::Swallow,
        Fault::Lose,
        Fault::Reset,
        Fault::Cut(0),
        Fault::Cut(9),
        Fault::Half,
        Fault::Dribble,
        Fault::Twice,
        Fault::Foreign,
        Fault::Garbage(vec![0xFF; 64]),
    ]
}

pub(crate) fn nothing_a_server_does_loses_a_message_or_stops_a_consumer() {
    // Together, because most of the time they wait.
    std::thread::scope(|scope| {
        let courses: Vec<_> = faults().into_iter().map(|fault| scope.spawn(|| consumes_in_spite_of(fault))).collect();
        courses.into_iter().for_each(|course| course.join().unwrap());
    });
}

/// Bodies that listeners consumed.
type Consumed = Arc<Mutex<BTreeSet<String>>>;

/// Fails once for every tenth message, so that there is something to give back.
fn listener(consumed: &Consumed) -> impl Fn(&[MessageView]) -> ConsumeResult + Send + Sync + 'static {
    let (consumed, failed) = (consumed.clone(), Mutex::new(BTreeSet::new()));
    move |messages| {
        let body = messages[0].body_text().unwrap_or("?").to_owned();
        if body.ends_with('7') && failed.lock().unwrap().insert(body.clone()) {
            return ConsumeResult::RetryAtLevel(1);
        }
        consumed.lock().unwrap().insert(body);
        ConsumeResult::Success
    }
}

fn start(client: &Client, group: &str, consumed: &Consumed) -> PushConsumer {
    let builder = client.push_consumer(group).subscribe(TOPIC, "*").consume_from_where(ConsumeFromWhere::FirstOffset);
    let builder = builder.hold(millis(300)).persist_interval(millis(100)).rebalance_interval(millis(1000));
    let builder = builder.suspend_time(millis(50)).threads(2);
    let listener = listener(consumed);
    let started = if group == "orderly" { builder.start_orderly(listener) } else { builder.start(listener) };
    started.expect("a consumer")
}

fn consumes_in_spite_of(fault: Fault) {
    let rig = Rig::of(rocketmq_blocking::embedded::Cluster::builder().delay_level_scale(0.1));
    let builder = rig.builder().heartbeat_interval(millis(300)).silence_limit(millis(500));
    let client = builder.build().expect("a client");
    let producer = client.producer("faults").start().expect("a producer");
    let send = |numbers: std::ops::Range<usize>| {
        for number in numbers {
            // The fault may hit a send of this test: then it is sent again.
            while producer.send(Message::new(TOPIC, format!("{number:03}"))).is_err() {}
        }
    };
    send(0..MESSAGES / 2);
    let armed: Vec<_> =
        REQUESTS.iter().map(|(_, code)| rig.brokers[0].fault(fault.clone(), Some(*code), TIMES)).collect();
    let consumed: [Consumed; 2] = Default::default();
    let consumers = [start(&client, "orderly", &consumed[0]), start(&client, "concurrent", &consumed[1])];
    send(MESSAGES / 2..MESSAGES);
    let counts = || consumed.each_ref().map(|consumed| consumed.lock().unwrap().len());
    let all_consumed = |sent: usize| {
        let found = || format!("{fault:?}: {:?} of {sent} consumed", counts());
        eventually_within(millis(60_000), found, || counts() == [sent; 2]);
    };
    all_consumed(MESSAGES);
    let fired = || REQUESTS.iter().zip(&armed).map(|((name, _), armed)| (*name, armed.load(Ordering::SeqCst)));
    let until = Instant::now() + millis(20_000);
    let mut sent = MESSAGES;
    while !fired().all(|(name, fired)| fired > 0 || name == "minimum") {
        assert!(Instant::now() < until, "never came about: {fault:?}: {:?}", fired().collect::<Vec<_>>());
        // What was to be given back may have gone down with a connection, and was sent anew instead.
        send(sent..sent + 10);
        sent += 10;
        all_consumed(sent);
    }
    // What is consumed gets committed in the end.
    let broker = rig.cluster.broker("broker-a");
    let stored = |id: i32| {
        let of_queue = |message: &&MessageView| message.queue().queue_id() == id;
        i64::try_from(rig.cluster.stored(TOPIC).iter().filter(of_queue).count()).unwrap()
    };
    for group in ["orderly", "concurrent"] {
        let offsets = || (0..4).map(|id| broker.committed(group, TOPIC, id)).collect::<Vec<_>>();
        let whole: Vec<_> = (0..4).map(|id| Some(stored(id))).collect();
        eventually_within(
            millis(20_000),
            || format!("{fault:?}: {group} has committed {:?} of {whole:?}", offsets()),
            || offsets() == whole,
        );
    }
    for consumer in &consumers {
        let report = consumer.close_within(millis(3000)).expect("closing");
        assert!(report.complete, "{fault:?}: {report}");
    }
    client.close().expect("closing");
}
