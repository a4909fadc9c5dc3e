//! Simple consumers, closed and dropped idle, while they wait, disconnected and twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, ConsumeFromWhere, Error, SimpleConsumer};

use super::{Rig, TOPIC, client_threads, is_alone, message, millis, sockets};

const MINUTE: Duration = Duration::from_secs(60);

/// A consumer that has received.
fn receiving(rig: &Rig) -> (Client, SimpleConsumer) {
    let client = rig.builder().build().expect("a client");
    client.producer("threads").start().unwrap().send(message()).expect("a cluster that works");
    let builder = client.simple_consumer("threads").subscribe(TOPIC, "*").await_duration(MINUTE);
    let consumer = builder.consume_from_where(ConsumeFromWhere::FirstOffset).start().expect("a consumer");
    let found = consumer.receive(32, MINUTE).expect("messages");
    consumer.ack_all(&found).unwrap();
    (client, consumer)
}

fn idle(rig: &Rig) {
    let (client, consumer) = receiving(rig);
    consumer.close().unwrap();
    consumer.close().unwrap();
    client.close().unwrap();
    rig.is_clean("consumer.close, client.close");
    drop(consumer);
}

fn dropped(rig: &Rig) {
    drop(receiving(rig));
    rig.is_clean("drop");
}

/// `end` closes one or the other while a receive waits.
fn waiting(rig: &Rig, end: impl FnOnce(&Client, &SimpleConsumer)) {
    let (client, consumer) = receiving(rig);
    let consumer = Arc::new(consumer);
    let waits = consumer.clone();
    let receiver = std::thread::spawn(move || {
        // What an earlier consumer of the group left.
        while let Ok(found) = waits.receive(32, MINUTE) {
            waits.ack_all(&found).unwrap();
        }
        waits.receive(1, MINUTE)
    });
    std::thread::park_timeout(millis(100));
    let began = Instant::now();
    end(&client, &consumer);
    let last = receiver.join().unwrap();
    assert!(matches!(last, Err(Error::Closed { .. })), "{last:?}");
    assert!(began.elapsed() < millis(3000), "it took {:?}", began.elapsed());
    client.close().unwrap();
    drop((client, consumer));
    rig.is_clean("closing while a receive waits");
}

fn disconnected(rig: &Rig) {
    let (client, consumer) = receiving(rig);
    rig.broker().kill();
    let began = Instant::now();
    consumer.close_within(millis(500)).unwrap();
    client.close_within(millis(500)).unwrap();
    assert!(began.elapsed() < millis(4000), "closing without a broker took {:?}", began.elapsed());
    rig.broker().restart().unwrap();
    rig.is_clean("close when disconnected");
}

#[test]
fn no_thread_and_no_socket_survives_a_simple_consumer() {
    if !is_alone("simple::no_thread_and_no_socket_survives_a_simple_consumer") {
        return;
    }
    let cluster = Cluster::builder().topic(TOPIC, 4).start().unwrap();
    let mut rig = Rig { cluster, sockets: 0 };
    assert!(client_threads().is_empty());
    rig.sockets = sockets();
    idle(&rig);
    dropped(&rig);
    waiting(&rig, |_, consumer| consumer.close().unwrap());
    waiting(&rig, |client, _| client.close().unwrap());
    disconnected(&rig);
}
