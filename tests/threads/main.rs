//! No thread and no socket survives its client, however that is closed. Each test runs in a process of its own, whose threads and
//! sockets it counts.

mod consumers;
mod lite_pull;
mod pull_schedule;
mod simple;
#[cfg(feature = "tls")]
mod tls;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::{Duration, Instant};

use rocketmq_blocking::embedded::{Cluster, Fault};
use rocketmq_blocking::{
    Client, ClientBuilder, Message, MessageQueue, Producer, RequestCode, TransactionProducer, TransactionResolution,
};

const TOPIC: &str = "Threads";
const ROUNDS: usize = 200;
/// What the kernel needs to take an ended thread off its list, and a busy machine to let it.
const SOON: Duration = Duration::from_millis(500);

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Names of the threads that belong to clients, without what comes after the first blank.
fn client_threads() -> BTreeMap<String, usize> {
    let mut threads = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").expect("a Linux /proc").flatten() {
        // A thread may end between the two looks.
        let Ok(name) = std::fs::read_to_string(task.path().join("comm")) else { continue };
        let (what, of) = name.trim().split_once(' ').unwrap_or((name.trim(), ""));
        // The cluster's own threads are named for its servers, not for addresses.
        let of_cluster = ["mq-accept", "mq-serve", "mq-clock"].contains(&what)
            || what == "mq-write" && !of.starts_with(|first: char| first.is_ascii_digit());
        if what.starts_with("mq-") && !of_cluster {
            *threads.entry(what.to_owned()).or_default() += 1;
        }
    }
    threads
}

fn sockets() -> usize {
    let links = std::fs::read_dir("/proc/self/fd").expect("a Linux /proc").flatten();
    let is_socket = |target: std::path::PathBuf| target.to_string_lossy().starts_with("socket:");
    links.filter(|link| std::fs::read_link(link.path()).is_ok_and(is_socket)).count()
}

/// Waits for a condition that another thread, or the kernel, is about to bring about.
fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + limit;
    while !condition() {
        if Instant::now() >= until {
            return false;
        }
        std::thread::park_timeout(millis(1));
    }
    true
}

/// Set in the process of a single test.
const ALONE: &str = "THREADS_ALONE";

/// Whether this process has only the test of this name to run; otherwise one that does has run it when this returns.
fn is_alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut own = Command::new(std::env::current_exe().expect("a test has a file"));
    let run = own.args(["--exact", "--nocapture", test]).env(ALONE, "1").output().expect("it is started again");
    let said = [String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr)].concat();
    println!("{said}");
    assert!(run.status.success() && said.contains("1 passed"), "{test}: {}", run.status);
    false
}

struct Rig {
    cluster: Cluster,
    sockets: usize,
}

/// A client with everything it can have: connections, callback threads, a producer, threads that check transactions, a
/// pull that is held.
struct Running {
    client: Client,
    producer: Producer,
    transactions: TransactionProducer,
}

fn message() -> Message {
    Message::new(TOPIC, "body")
}

impl Rig {
    fn builder(&self) -> ClientBuilder {
        Client::builder().name_servers(self.cluster.name_server()).request_timeout(millis(1000))
    }

    fn start(&self) -> Running {
        let client = self.builder().build().expect("a client");
        let producer = client.producer("threads").timeout(millis(1000)).start().expect("a producer");
        producer.send(message()).expect("a cluster that works");
        producer.send_oneway(message()).expect("a cluster that works");
        let (sender, answer) = mpsc::channel();
        let callback = move |end: Result<_, _>| assert!(sender.send(end.is_ok()).is_ok());
        producer.send_async(message(), callback).expect("it is accepted");
        assert_eq!(answer.recv(), Ok(true));
        // Threads name themselves when they begin to run.
        let checked = client.transaction_producer("transactions").check_threads(2);
        let transactions = checked.check(|_| TransactionResolution::Commit).start().expect("a producer");
        transactions.begin(message()).expect("a cluster that works").commit().expect("a connection");
        let all = ["mq-callback", "mq-check", "mq-read", "mq-schedule", "mq-write"];
        let named = within(millis(2000), || client_threads().keys().eq(all));
        assert!(named, "this test knows the threads' names: {:?}", client_threads());
        Running { client, producer, transactions }
    }

    fn broker(&self) -> rocketmq_blocking::embedded::Broker {
        self.cluster.broker("broker-a")
    }

    /// Nothing is left, at once.
    fn is_clean(&self, way: &str) {
        self.is_clean_within(way, SOON);
    }

    fn is_clean_within(&self, way: &str, limit: Duration) {
        let clean = within(limit, || client_threads().is_empty());
        assert!(clean, "{way}: {:?} left", client_threads());
        // The cluster keeps its own ends for a while; without them only the listeners are left, or what a client forgot.
        self.broker().disconnect();
        self.cluster.name_server_at(0).disconnect();
        let clean = within(SOON, || sockets() == self.sockets);
        assert!(clean, "{way}: {} sockets, and {} before", sockets(), self.sockets);
    }
}

fn closed(rig: &Rig) {
    let running = rig.start();
    assert!(running.client.close_within(millis(1000)).unwrap().complete);
    rig.is_clean("close");
}

fn dropped(rig: &Rig) {
    drop(rig.start());
    rig.is_clean("drop");
}

fn closed_twice(rig: &Rig) {
    let running = rig.start();
    running.producer.close().unwrap();
    running.producer.close().unwrap();
    running.client.close().unwrap();
    rig.is_clean("close, close");
    running.client.close().unwrap();
    drop(running);
    rig.is_clean("close, close, drop");
}

fn closed_by_two_threads(rig: &Rig) {
    let running = rig.start();
    let together = Barrier::new(2);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                together.wait();
                running.client.close().unwrap();
                // Both return when it is over, whoever came first.
                rig.is_clean("close from two threads");
            });
        }
    });
}

fn closed_by_a_callback(rig: &Rig) {
    let running = rig.start();
    let (client, (sender, called)) = (running.client.clone(), mpsc::channel());
    let callback = move |_| {
        client.close().unwrap();
        drop(client);
        let _ = sender.send(());
    };
    running.producer.send_async(message(), callback).unwrap();
    called.recv().unwrap();
    running.client.close().unwrap();
    rig.is_clean("close from a callback");
}

fn dropped_by_a_callback(rig: &Rig) {
    let Running { client, producer, transactions } = rig.start();
    let producer = Arc::new(producer);
    let (last, (sender, called)) = ((producer.clone(), transactions), mpsc::channel());
    let released = Arc::new(AtomicBool::new(false));
    let waits = released.clone();
    let callback = move |_| {
        within(millis(2000), || waits.load(Ordering::SeqCst));
        drop((last, client));
        let _ = sender.send(());
    };
    producer.send_async(message(), callback).unwrap();
    drop(producer);
    released.store(true, Ordering::SeqCst);
    called.recv().unwrap();
    // The one case in which nobody is left to join: they end by themselves.
    rig.is_clean_within("drop in a callback", millis(3000));
}

fn closed_by_a_check(rig: &Rig) {
    let Running { client, producer, transactions } = rig.start();
    transactions.close().unwrap();
    let held = Arc::new(Mutex::new(None::<TransactionProducer>));
    let (own, closing, (sender, called)) = (held.clone(), client.clone(), mpsc::channel());
    let builder = client.transaction_producer("transactions").check_threads(2).check(move |_| {
        // The first check drops the producer it belongs to.
        let mine = within(millis(2000), || own.lock().unwrap().is_some()).then(|| own.lock().unwrap().take());
        drop(mine);
        closing.close().unwrap();
        let _ = sender.send(());
        TransactionResolution::Commit
    });
    let checked = builder.start().unwrap();
    drop(checked.begin(message()).unwrap());
    *held.lock().unwrap() = Some(checked);
    called.recv().unwrap();
    client.close().unwrap();
    rig.is_clean("close from a check");
    drop((client, producer, transactions));
}

fn closed_while_busy(rig: &Rig) {
    let running = rig.start();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let producer = &running.producer;
            scope.spawn(move || {
                loop {
                    let ended = match number {
                        0 => producer.send_async(message(), |_| {}).is_err(),
                        1 => producer.send_oneway(message()).is_err(),
                        _ => producer.send(message()).is_err(),
                    };
                    if ended {
                        return;
                    }
                }
            });
        }
        let consumer = running.client.pull_consumer("threads").start().unwrap();
        let queue = MessageQueue::new(TOPIC, "broker-a", 0);
        let end = consumer.max_offset(&queue).unwrap();
        let held = consumer.prepare_pull(&queue, end + 1_000_000).wait(millis(5000));
        held.fetch_async(|_| {}).unwrap();
        running.client.close().unwrap();
    });
    rig.is_clean("close while busy");
}

fn closed_at_once(rig: &Rig) {
    let running = rig.start();
    let silent = rig.broker().fault(Fault::never_answer().on(RequestCode::SEND_MESSAGE_V2));
    let pending = running.producer.prepare(message()).submit().unwrap();
    std::thread::scope(|scope| {
        let blocked = scope.spawn(|| running.producer.send(message()).unwrap_err());
        assert!(within(millis(2000), || silent.fired() == 2));
        let started = Instant::now();
        running.client.close_within(Duration::ZERO).unwrap();
        assert!(started.elapsed() < millis(1500), "{:?}", started.elapsed());
        rig.is_clean("close_within(0)");
        blocked.join().unwrap();
    });
    assert!(pending.wait().is_err());
    silent.remove();
}

fn closed_when_disconnected(rig: &Rig) {
    let running = rig.start();
    rig.broker().kill();
    rig.cluster.name_server_kill();
    assert!(running.producer.send(message()).is_err());
    running.client.close().unwrap();
    let threads = within(SOON, || client_threads().is_empty());
    assert!(threads, "disconnected: {:?} left", client_threads());
    rig.broker().restart().unwrap();
    rig.cluster.name_server_restart().unwrap();
    rig.is_clean("close when disconnected");
}

fn closed_when_never_connected(rig: &Rig) {
    for addr in ["127.0.0.1:1", "name.invalid:9876"] {
        let client = rig.builder().name_servers(addr).build().unwrap();
        let producer = client.producer("threads").timeout(millis(50)).start().unwrap();
        assert!(producer.send(message()).is_err());
        let resolved = client.close_within(millis(100)).unwrap().complete;
        // A resolution cannot be cancelled; where it hangs, closing says so and it ends by itself.
        rig.is_clean_within(addr, if resolved { SOON } else { Duration::from_secs(30) });
    }
}

fn never_used(rig: &Rig) {
    drop(rig.builder().build().unwrap());
    rig.is_clean("drop unused");
}

type Way = fn(&Rig);

#[test]
fn no_thread_and_no_socket_survives_any_way_of_closing() {
    if !is_alone("no_thread_and_no_socket_survives_any_way_of_closing") {
        return;
    }
    let hurried = Cluster::builder().transaction_timeout(millis(1)).transaction_check_interval(millis(10));
    let cluster = hurried.topic(TOPIC, 4).start().unwrap();
    let mut rig = Rig { cluster, sockets: 0 };
    assert!(client_threads().is_empty());
    rig.sockets = sockets();
    let ways: &[(&str, Way)] = &[
        ("closed", closed),
        ("dropped", dropped),
        ("closed twice", closed_twice),
        ("closed by two threads", closed_by_two_threads),
        ("closed by a callback", closed_by_a_callback),
        ("dropped by a callback", dropped_by_a_callback),
        ("closed by a check", closed_by_a_check),
        ("closed while busy", closed_while_busy),
        ("closed at once", closed_at_once),
        ("closed when disconnected", closed_when_disconnected),
        ("closed when never connected", closed_when_never_connected),
        ("never used", never_used),
    ];
    let mut took = vec![Duration::ZERO; ways.len()];
    for round in 0..ROUNDS {
        let (_, way) = ways[round % ways.len()];
        let started = Instant::now();
        way(&rig);
        took[round % ways.len()] += started.elapsed();
    }
    ways.iter().zip(took).for_each(|((name, _), took)| println!("{name}: {took:.1?}"));
}
