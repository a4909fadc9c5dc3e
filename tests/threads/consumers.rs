//! Consumers of every kind, closed and dropped idle, busy, disconnected, twice, and by their own listener.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{
    Client, ConsumeFromWhere, MessageModel, MessageRequestMode, MessageView, PushConsumer, Result,
};

use super::{Rig, SOON, TOPIC, client_threads, is_alone, message, millis, sockets, within};

/// Calls a listener got, and what each is to do.
type Listener = Arc<dyn Fn(&[MessageView]) + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Concurrent,
    Orderly,
    Broadcasting,
    /// Its messages are handed out by the broker.
    Popping,
}

const KINDS: [Kind; 4] = [Kind::Concurrent, Kind::Orderly, Kind::Broadcasting, Kind::Popping];

/// Where members that broadcast keep their offsets: those of a former run would be another cluster's.
fn folder() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("threads_{}", std::process::id()))
}

impl Kind {
    fn start(self, client: &Client, listener: Listener) -> Result<PushConsumer> {
        let group = if self == Kind::Popping { "popping" } else { "threads" };
        let builder = client.push_consumer(group).subscribe(TOPIC, "*").threads(3);
        let builder = builder.consume_from_where(ConsumeFromWhere::FirstOffset).hold(millis(500));
        let listener = move |messages: &[MessageView]| listener(messages);
        match self {
            Kind::Concurrent => builder.start(listener),
            Kind::Orderly => builder.start_orderly(listener),
            Kind::Broadcasting => {
                builder.message_model(MessageModel::Broadcasting).offset_folder(folder()).start(listener)
            }
            Kind::Popping => {
                client.set_message_request_mode(TOPIC, group, MessageRequestMode::Pop, 0)?;
                builder.allocation_by_broker().start(listener)
            }
        }
    }
}

/// A consumer that has consumed, and how many messages.
struct Consuming {
    client: Client,
    consumer: PushConsumer,
    consumed: Arc<AtomicUsize>,
}

fn consuming(rig: &Rig, kind: Kind) -> Consuming {
    let client = rig.builder().heartbeat_interval(millis(200)).build().expect("a client");
    let producer = client.producer("threads").start().expect("a producer");
    let consumed = Arc::new(AtomicUsize::new(0));
    let counted = consumed.clone();
    let count = move |messages: &[MessageView]| _ = counted.fetch_add(messages.len(), Ordering::SeqCst);
    let consumer = kind.start(&client, Arc::new(count)).expect("a consumer");
    let began = Instant::now();
    // Where an earlier consumer of the group committed, or at the first message: this one comes in any case.
    producer.send(message()).expect("a cluster that works");
    let comes = within(millis(10_000), || consumed.load(Ordering::SeqCst) > 0);
    assert!(comes, "{kind:?}: nothing came for {:?}", began.elapsed());
    Consuming { client, consumer, consumed }
}

fn idle(rig: &Rig, kind: Kind) {
    let Consuming { client, consumer, .. } = consuming(rig, kind);
    assert!(consumer.close_within(millis(2000)).unwrap().complete);
    consumer.close().unwrap();
    client.close().unwrap();
    rig.is_clean("consumer.close, client.close");
    drop(consumer);
}

fn by_its_client(rig: &Rig, kind: Kind) {
    let Consuming { client, consumer, .. } = consuming(rig, kind);
    assert!(client.close_within(millis(2000)).unwrap().complete);
    rig.is_clean("client.close");
    consumer.close().unwrap();
}

fn dropped(rig: &Rig, kind: Kind) {
    drop(consuming(rig, kind));
    rig.is_clean("drop");
}

fn busy(rig: &Rig, kind: Kind) {
    let Consuming { client, consumer, consumed } = consuming(rig, kind);
    let producer = client.producer("busy").start().expect("a producer");
    std::thread::scope(|scope| {
        scope.spawn(|| while producer.send(message()).is_ok() {});
        let before = consumed.load(Ordering::SeqCst);
        assert!(within(millis(5000), || consumed.load(Ordering::SeqCst) > before + 20));
        consumer.close().unwrap();
        client.close().unwrap();
    });
    rig.is_clean("close while messages come");
}

fn disconnected(rig: &Rig, kind: Kind) {
    let Consuming { client, consumer, .. } = consuming(rig, kind);
    rig.broker().kill();
    let began = Instant::now();
    consumer.close_within(millis(500)).unwrap();
    client.close_within(millis(500)).unwrap();
    assert!(began.elapsed() < millis(6000), "closing without a broker took {:?}", began.elapsed());
    let threads = within(SOON, || client_threads().is_empty());
    assert!(threads, "disconnected: {:?} left", client_threads());
    rig.broker().restart().unwrap();
    rig.is_clean("close when disconnected");
}

/// The listener owns the consumer, and closes or drops it and its client.
fn by_its_listener(rig: &Rig, kind: Kind, drops: bool) {
    let client = rig.builder().build().expect("a client");
    let own = Arc::new(Mutex::new(None::<(PushConsumer, Client)>));
    let (held, closed) = (own.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = closed.clone();
    let listener = move |_: &[MessageView]| {
        let mine = || held.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((consumer, client)) = mine() else { return };
        if !drops {
            consumer.close().unwrap();
            client.close().unwrap();
        }
        drop((consumer, client));
        counted.fetch_add(1, Ordering::SeqCst);
    };
    let consumer = kind.start(&client, Arc::new(listener)).expect("a consumer");
    let producer = client.producer("threads").start().expect("a producer");
    *own.lock().unwrap() = Some((consumer, client.clone()));
    // Until the listener that closes has run; earlier ones find nothing to close.
    let sends = within(millis(10_000), || {
        let sent = producer.send(message()).is_ok();
        !sent || closed.load(Ordering::SeqCst) == 1
    });
    assert!(sends, "{kind:?}: no message came");
    assert!(within(millis(10_000), || closed.load(Ordering::SeqCst) == 1), "{kind:?}: the listener hangs");
    client.close().unwrap();
    drop((producer, client));
    rig.is_clean_within("close by a listener", millis(3000));
}

fn while_a_listener_hangs(rig: &Rig, kind: Kind) {
    let client = rig.builder().build().expect("a client");
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let (gate, begun) = (Mutex::new(gate), Arc::new(AtomicUsize::new(0)));
    let counted = begun.clone();
    let listener = move |_: &[MessageView]| {
        counted.fetch_add(1, Ordering::SeqCst);
        // Ends when the test lets go of the other side.
        let _ = gate.lock().unwrap_or_else(PoisonError::into_inner).recv();
    };
    let consumer = kind.start(&client, Arc::new(listener)).expect("a consumer");
    let producer = client.producer("threads").start().expect("a producer");
    assert!(within(millis(10_000), || producer.send(message()).is_ok() && begun.load(Ordering::SeqCst) > 0));
    let began = Instant::now();
    let report = consumer.close_within(millis(200)).unwrap();
    assert!(!report.complete && report.abandoned > 0, "{kind:?}: {report}");
    assert!(!client.close_within(millis(200)).unwrap().complete);
    // Both grace periods, a second for the threads of each, and what a busy machine needs.
    assert!(began.elapsed() < millis(3400), "{kind:?}: closing took {:?}", began.elapsed());
    drop(release);
    drop((consumer, producer, client));
    rig.is_clean_within("a listener that hung", Duration::from_secs(5));
}

type Way = fn(&Rig, Kind);

#[test]
fn no_thread_and_no_socket_survives_a_consumer() {
    if !is_alone("consumers::no_thread_and_no_socket_survives_a_consumer") {
        return;
    }
    let cluster = Cluster::builder().topic(TOPIC, 4).start().unwrap();
    let mut rig = Rig { cluster, sockets: 0 };
    assert!(client_threads().is_empty());
    rig.sockets = sockets();
    let ways: &[(&str, Way)] = &[
        ("idle", idle),
        ("by its client", by_its_client),
        ("dropped", dropped),
        ("busy", busy),
        ("disconnected", disconnected),
        ("closed by its listener", |rig, kind| by_its_listener(rig, kind, false)),
        ("dropped by its listener", |rig, kind| by_its_listener(rig, kind, true)),
        ("while a listener hangs", while_a_listener_hangs),
    ];
    for (name, way) in ways {
        for kind in KINDS {
            let began = Instant::now();
            way(&rig, kind);
            println!("{name}, {kind:?}: {:.1?}", began.elapsed());
        }
    } // Whether it was there or not.
    let _ = std::fs::remove_dir_all(folder());
}
