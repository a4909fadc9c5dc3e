//! Lite pull consumers, closed and dropped idle, while threads poll, disconnected, twice, and by their own listener.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, ConsumeFromWhere, LitePullConsumer, MessageQueue};

use super::{Rig, SOON, TOPIC, client_threads, is_alone, message, millis, sockets, within};

/// A consumer from which a message was taken.
fn consuming(rig: &Rig) -> (Client, LitePullConsumer) {
    let client = rig.builder().heartbeat_interval(millis(200)).build().expect("a client");
    let producer = client.producer("threads").start().expect("a producer");
    producer.send(message()).expect("a cluster that works");
    let builder = client.lite_pull_consumer("threads").subscribe(TOPIC, "*");
    let consumer = builder.consume_from_where(ConsumeFromWhere::FirstOffset).start().expect("a consumer");
    assert!(!consumer.poll(millis(10_000)).expect("it is open").is_empty());
    (client, consumer)
}

fn closed(rig: &Rig) {
    let (client, consumer) = consuming(rig);
    assert!(consumer.close_within(millis(2000)).unwrap().complete);
    consumer.close().unwrap();
    client.close().unwrap();
    rig.is_clean("consumer.close, client.close");
    drop(consumer);
}

fn by_its_client(rig: &Rig) {
    let (client, consumer) = consuming(rig);
    let began = Instant::now();
    assert!(client.close_within(millis(4000)).unwrap().complete);
    assert!(began.elapsed() < millis(3000), "nobody waits for who closes: {:?}", began.elapsed());
    rig.is_clean("client.close");
    assert!(consumer.iter().next().is_none());
    consumer.close().unwrap();
}

fn dropped(rig: &Rig) {
    drop(consuming(rig));
    rig.is_clean("drop");
}

fn while_threads_poll(rig: &Rig) {
    let (client, consumer) = consuming(rig);
    std::thread::scope(|scope| {
        let polling: Vec<_> = (0..3).map(|_| scope.spawn(|| consumer.iter().map(Result::unwrap).count())).collect();
        let producer = client.producer("busy").start().expect("a producer");
        for _ in 0..50 {
            producer.send(message()).unwrap();
        }
        consumer.close().unwrap();
        polling.into_iter().for_each(|thread| assert!(thread.join().is_ok()));
        client.close().unwrap();
    });
    rig.is_clean("close while threads poll");
}

fn disconnected(rig: &Rig) {
    let (client, consumer) = consuming(rig);
    rig.broker().kill();
    let began = Instant::now();
    consumer.close_within(millis(500)).unwrap();
    client.close_within(millis(500)).unwrap();
    assert!(began.elapsed() < millis(6000), "closing without a broker took {:?}", began.elapsed());
    assert!(within(SOON, || client_threads().is_empty()), "disconnected: {:?} left", client_threads());
    rig.broker().restart().unwrap();
    rig.is_clean("close when disconnected");
}

/// The listener of queues owns the consumer.
fn by_its_listener(rig: &Rig) {
    let client = rig.builder().build().expect("a client");
    let own = Arc::new(Mutex::new(None::<LitePullConsumer>));
    let held = own.clone();
    let listener = move |_: &str, _: &[MessageQueue], _: &[MessageQueue]| {
        let mine = || held.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(mine());
    };
    let consumer = client.lite_pull_consumer("threads").subscribe(TOPIC, "*").start().expect("a consumer");
    // It hears of the first rebalance, or of the one that the next topic leads to.
    consumer.queue_listener(listener);
    let name: Arc<str> = "Other".into();
    client.create_topic("TBW102", &name, 2).unwrap();
    consumer.subscribe(name, "*").unwrap();
    *own.lock().unwrap() = Some(consumer);
    let gone = || own.lock().unwrap_or_else(PoisonError::into_inner).is_none();
    if !within(millis(10_000), gone) {
        panic!("the listener was not called");
    }
    client.close().unwrap();
    drop(client);
    rig.is_clean_within("dropped by a listener", Duration::from_secs(3));
}

type Way = fn(&Rig);

#[test]
fn no_thread_and_no_socket_survives_a_lite_pull_consumer() {
    if !is_alone("lite_pull::no_thread_and_no_socket_survives_a_lite_pull_consumer") {
        return;
    }
    let cluster = Cluster::builder().topic(TOPIC, 4).start().unwrap();
    let mut rig = Rig { cluster, sockets: 0 };
    assert!(client_threads().is_empty());
    rig.sockets = sockets();
    let ways: [(&str, Way); 6] = [
        ("closed", closed),
        ("by its client", by_its_client),
        ("dropped", dropped),
        ("while threads poll", while_threads_poll),
        ("disconnected", disconnected),
        ("by its listener", by_its_listener),
    ];
    for (name, way) in ways {
        let began = Instant::now();
        way(&rig);
        println!("{name}: {:.1?}", began.elapsed());
    }
}
