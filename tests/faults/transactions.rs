//! Transactions whose end does not arrive, and checks that come in masses or end badly.

use std::collections::HashSet;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rocketmq_blocking::embedded::{self, Cluster, ClusterBuilder};
use rocketmq_blocking::{
    Client, MessageView, Outcome, RequestCode, Result, SendError, Transaction, TransactionProducer,
    TransactionResolution,
};

use TransactionResolution::{Commit, Rollback, Unknown};

use crate::judge::timed;
use crate::proxy::{Fault, eventually};
use crate::rig::{Rig, TOPIC, message, millis};
use crate::wire::END_TRANSACTION;

const HALF: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
const GIVEN_UP: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
const LIMIT: Duration = Duration::from_millis(1500);

/// Half messages are asked about from this age on.
fn cluster(age: u64) -> ClusterBuilder {
    let builder = Cluster::builder().transaction_timeout(millis(age)).transaction_check_max(100_000);
    builder.transaction_check_interval(millis(100))
}

/// A client that connects again soon.
fn client(rig: &mut Rig) -> Client {
    let builder = rig.builder().heartbeat_interval(millis(200));
    rig.look_after(builder)
}

fn start(
    client: &Client,
    check: impl Fn(&MessageView) -> TransactionResolution + Send + Sync + 'static,
) -> TransactionProducer {
    let builder = client.transaction_producer("transactions").producer(|producer| producer.timeout(LIMIT));
    builder.check(check).start().expect("a transaction producer")
}

fn begin(producer: &TransactionProducer, key: &str) -> Transaction {
    let begun: Result<Transaction, SendError> = timed("begin", LIMIT, || producer.begin(message(key)));
    begun.expect("a half message is stored")
}

/// As the key says.
fn by_key(half: &MessageView) -> TransactionResolution {
    match half.keys().next() {
        Some(key) if key.starts_with("commit") => Commit,
        Some(key) if key.starts_with("rollback") => Rollback,
        _ => Unknown,
    }
}

fn broker(rig: &Rig) -> embedded::Broker {
    rig.cluster.broker("broker-a")
}

fn all_ended(rig: &Rig) {
    eventually("all transactions end", || broker(rig).half_messages() == 0);
}

pub(crate) fn an_end_that_is_lost() {
    let mut rig = Rig::of(cluster(300));
    let client = client(&mut rig);
    let producer = start(&client, by_key);
    for way in ["swallowed", "cut"] {
        let committed = begin(&producer, &format!("commit-{way}"));
        let dropped = begin(&producer, &format!("rollback-{way}"));
        match way {
            "swallowed" => drop(rig.brokers[0].fault(Fault::Swallow, Some(END_TRANSACTION), 2)),
            _ => drop(broker(&rig).fault(embedded::Fault::disconnect().on(RequestCode::END_TRANSACTION).times(2))),
        }
        timed("commit", LIMIT, || committed.commit()).expect("the kernel takes it");
        // Where the first end cut the connection this one may notice; it is decided by the check just the same.
        if let Err(error) = timed("rollback", LIMIT, || dropped.rollback()) {
            assert_ne!(error.outcome(), Outcome::Rejected, "{error}");
        }
        eventually("the check decides", || broker(&rig).half_messages() == 0);
        assert_eq!(rig.times_stored(&format!("commit-{way}")), 1);
        assert_eq!(rig.times_stored(&format!("rollback-{way}")), 0);
    }
}

/// Makes the broker unreachable, and waits until the client has noticed that its connection is gone.
fn cut_off(rig: &Rig, producer: &TransactionProducer) {
    rig.brokers[0].refuse();
    rig.brokers[0].cut();
    eventually("the connection is gone", || {
        let probe = producer.producer().prepare(message("probe")).timeout(millis(200)).retries(0).send();
        probe.is_err_and(|failed| failed.error.outcome() == Outcome::NotSent)
    });
}

pub(crate) fn an_end_that_cannot_be_sent() {
    let mut rig = Rig::of(cluster(300));
    let client = client(&mut rig);
    let producer = start(&client, by_key);
    let begun = begin(&producer, "commit-begun");
    cut_off(&rig, &producer);
    let error = timed("commit", LIMIT, || begun.commit()).expect_err("nobody takes it");
    assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
    rig.brokers[0].accept();
    eventually("the check decides", || rig.times_stored("commit-begun") == 1);
    let sent = timed("send", LIMIT * 4, || {
        producer.send(message("commit-sent"), |_| {
            cut_off(&rig, &producer);
            Commit
        })
    });
    let sent = sent.expect("the half message is stored");
    let error = sent.end_error().expect("nobody takes the end");
    assert_eq!((sent.resolution(), error.outcome()), (Commit, Outcome::NotSent), "{error}");
    rig.brokers[0].accept();
    eventually("the check decides", || rig.times_stored("commit-sent") == 1);
    all_ended(&rig);
    assert_eq!(rig.stored().len(), 2);
}

pub(crate) fn a_broker_killed_between_half_and_commit() {
    let mut rig = Rig::of(cluster(300));
    let client = client(&mut rig);
    let producer = start(&client, by_key);
    let (committed, dropped) = (begin(&producer, "commit"), begin(&producer, "rollback"));
    broker(&rig).kill();
    for end in [timed("commit", LIMIT, || committed.commit()), timed("rollback", LIMIT, || dropped.rollback())] {
        // A proxy may take it for a broker that is gone.
        if let Err(error) = end {
            assert_ne!(error.outcome(), Outcome::Rejected, "{error}");
        }
    }
    assert_eq!(rig.stored(), Vec::<String>::new());
    broker(&rig).restart().expect("the port is free");
    all_ended(&rig);
    assert_eq!(rig.stored(), ["commit"]);
    let done = producer.send(message("commit-later"), |_| Commit).expect("the producer goes on");
    assert!(done.end_error().is_none(), "{done}");
    eventually("it is visible", || rig.times_stored("commit-later") == 1);
}

pub(crate) fn a_restart_between_half_and_check() {
    let mut rig = Rig::of(cluster(1000));
    let client = client(&mut rig);
    let producer = start(&client, by_key);
    for key in ["commit-1", "rollback-1", "commit-2"] {
        drop(begin(&producer, key));
    }
    broker(&rig).kill();
    broker(&rig).restart().expect("the port is free");
    all_ended(&rig);
    let mut stored = rig.stored();
    stored.sort();
    assert_eq!(stored, ["commit-1", "commit-2"]);
}

pub(crate) fn a_storm_of_ten_thousand_checks() {
    const COUNT: usize = 10_000;
    let rig = Rig::of(cluster(1).transaction_check_interval(millis(3000)));
    // Not through the proxy, which would be the bottleneck.
    let direct = || Client::builder().name_servers(rig.cluster.name_server()).build().expect("a client");
    let gone = direct();
    let sender = start(&gone, |_| Unknown);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let sender = &sender;
            scope.spawn(move || {
                for number in (thread..COUNT).step_by(8) {
                    let done = sender.send(message(&format!("commit-{number}")), |_| Unknown);
                    done.expect("a half message is stored");
                }
            });
        }
    });
    drop(sender);
    gone.close().expect("closing");
    let client = direct();
    // The first check waits until there are too many of them.
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let waits = gate.clone();
    let topic = |producer: rocketmq_blocking::ProducerBuilder| producer.topics([TOPIC]).timeout(LIMIT);
    let builder = client.transaction_producer("transactions").producer(topic).check(move |half| {
        let open = waits.1.wait_while(waits.0.lock().unwrap(), |open| !*open);
        drop(open);
        by_key(half)
    });
    let producer = builder.start().expect("a transaction producer");
    eventually("there are more checks than there is room for", || producer.checks_dropped() > 0);
    for number in 0..20 {
        // Checks that wait hold nobody else up.
        let send = || producer.producer().send(message(&format!("ordinary-{number}")));
        timed("send", LIMIT, send).expect("an ordinary send");
    }
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    // Those that were dropped come again with the next round.
    let until = Instant::now() + Duration::from_secs(90);
    while broker(&rig).half_messages() > 0 {
        assert!(Instant::now() < until, "{} transactions have not ended", broker(&rig).half_messages());
        std::thread::park_timeout(millis(20));
    }
    // Some may be visible twice: an answer and the broker's next question about the same message cross each other.
    let stored = rig.stored();
    let distinct: HashSet<&String> = stored.iter().collect();
    assert_eq!(distinct.len(), COUNT + 20, "{} were dropped", producer.checks_dropped());
    println!("{} checks dropped, {} messages visible twice", producer.checks_dropped(), stored.len() - distinct.len());
}

pub(crate) fn checks_that_panic() {
    // A half message whose answer comes later than that many checks is given up too, so that a busy machine needs room.
    const CHECKS: u32 = 20;
    let mut rig = Rig::of(cluster(1).transaction_check_max(CHECKS));
    let client = client(&mut rig);
    let panics = Arc::new(AtomicUsize::new(0));
    let counted = panics.clone();
    let producer = start(&client, move |half| {
        if half.keys().any(|key| key.starts_with("panic")) {
            counted.fetch_add(1, Ordering::SeqCst);
            // Without the panic hook: writing traces would hold up the pool for longer than the broker waits.
            resume_unwind(Box::new("this test's check panics"));
        }
        by_key(half)
    });
    for number in 0..10 {
        drop(begin(&producer, &format!("panic-{number}")));
        drop(begin(&producer, &format!("commit-{number}")));
    }
    all_ended(&rig);
    let stored = rig.stored();
    // An answer that crosses the next check commits twice, see the storm above.
    let committed: HashSet<&String> = stored.iter().collect();
    assert_eq!((committed.len(), rig.cluster.stored_count(GIVEN_UP)), (10, 10), "{stored:?}");
    let panics = panics.load(Ordering::SeqCst);
    assert!((10..=10 * CHECKS as usize).contains(&panics), "{panics} checks panicked");
    assert!(rig.cluster.stored_count(HALF) > 20, "each check stores the half message anew");
}

pub(crate) fn a_check_that_never_returns() {
    let rig = Rig::of(cluster(1));
    let builder = rig.builder();
    let client = builder.build().expect("a client");
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (held, begun) = (Mutex::new(held), Arc::new(AtomicUsize::new(0)));
    let counted = begun.clone();
    let producer = start(&client, move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        let _ = held.lock().unwrap().recv();
        Commit
    });
    drop(begin(&producer, "held"));
    eventually("it is checked", || begun.load(Ordering::SeqCst) == 1);
    let done = timed("send", LIMIT * 2, || producer.send(message("commit"), |_| Commit)).expect("sends go on");
    assert!(done.end_error().is_none(), "{done}");
    let report = timed("close_within", millis(1500), || client.close_within(millis(300))).expect("closing");
    assert!(!report.complete, "{report}");
    let late = timed("commit after closing", LIMIT, || producer.send(message("closed"), |_| Commit)).unwrap_err();
    assert_eq!(late.error.outcome(), Outcome::NotSent, "{late}");
    assert_eq!(begun.load(Ordering::SeqCst), 1, "what waited was dropped");
    drop(release);
}
