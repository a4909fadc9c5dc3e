//! Servers that cannot be reached.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

use rocketmq_blocking::{Error, Message, Outcome, Stage};

use crate::judge::timed;
use crate::proxy::eventually;
use crate::rig::{
    Rig, all_not_sent, all_unknown, every_way, message, millis, producer, recovers, send, send_async, warm,
};

pub(crate) fn a_server_that_refuses() {
    let mut rig = Rig::new(1);
    let (client, other) = (rig.client(), rig.client());
    let (producer, otherwise) = (producer(&client), producer(&other));
    warm(&otherwise, &rig);
    rig.brokers[0].refuse();
    // A client that never had a connection, and one that has lost its own.
    all_not_sent(&every_way(&client, &producer, &rig.queue(0), millis(400)));
    eventually("the loss is noticed", || {
        send(&otherwise, "lost", millis(300)).unwrap_err().outcome() == Outcome::NotSent
    });
    let error = send(&producer, "sync", millis(700)).unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
    rig.brokers[0].accept();
    recovers(&producer);
    recovers(&otherwise);
    assert!(!rig.stored().contains(&"sync".to_owned()));
}

pub(crate) fn a_server_that_never_accepts() {
    let mut rig = Rig::new(1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = HashMap::from([(0, listener.local_addr().unwrap())]);
    let client = rig.look_after(rig.builder_with(&silent));
    let producer = producer(&client);
    let ends = every_way(&client, &producer, &rig.queue(0), millis(400));
    all_unknown(&ends);
    for (way, end) in &ends {
        match *way {
            "oneway" => assert!(end.is_ok(), "the kernel took it: {end:?}"),
            _ => assert!(matches!(end, Err(Error::Timeout { stage: Stage::Reply, .. })), "{way}: {end:?}"),
        }
    }
    // With retries on the only broker, sync and async.
    let answer = send_async(&producer, "more", millis(600));
    assert_eq!(send(&producer, "more", millis(600)).unwrap_err().outcome(), Outcome::Unknown);
    assert_eq!(answer.recv().unwrap().unwrap_err().outcome(), Outcome::Unknown);
}

/// Connects until nothing more can: the listener's backlog is full then, and the kernel drops further attempts.
fn fill(addr: SocketAddr) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    loop {
        match TcpStream::connect_timeout(&addr, millis(200)) {
            Ok(stream) => streams.push(stream),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return streams,
            Err(error) => panic!("after {} connections: {error}", streams.len()),
        }
    }
}

pub(crate) fn connecting_that_hangs() {
    let mut rig = Rig::new(1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let _streams = fill(addr);
    let client = rig.look_after(rig.builder_with(&HashMap::from([(0, addr)])));
    let producer = producer(&client);
    let ends = every_way(&client, &producer, &rig.queue(0), millis(400));
    all_not_sent(&ends);
    for (way, end) in &ends {
        assert!(matches!(end, Err(Error::Timeout { stage: Stage::Connect, .. })), "{way}: {end:?}");
    }
    // Longer than connecting may take.
    let error = send(&producer, "long", millis(1500)).unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
}

pub(crate) fn a_name_that_cannot_be_resolved() {
    let mut rig = Rig::new(1);
    let client = rig.look_after(rig.builder().name_servers("name.invalid:9876"));
    let producer = producer(&client);
    let answer = send_async(&producer, "async", millis(500));
    assert_eq!(send(&producer, "sync", millis(500)).unwrap_err().outcome(), Outcome::NotSent);
    assert_eq!(answer.recv().unwrap().unwrap_err().outcome(), Outcome::NotSent);
}

pub(crate) fn a_name_server_that_comes_up_later() {
    let mut rig = Rig::new(1);
    rig.name_server.refuse();
    let client = rig.client();
    let producer = producer(&client);
    all_not_sent(&every_way(&client, &producer, &rig.queue(0), millis(400)));
    rig.name_server.accept();
    recovers(&producer);
    let stored = rig.stored();
    assert!(stored.iter().all(|key| key.starts_with("again-")), "reported as not sent: {stored:?}");
}

pub(crate) fn a_name_server_that_dies_later() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let producer = producer(&client);
    warm(&producer, &rig);
    rig.name_server.refuse();
    send(&producer, "known", millis(1000)).expect("the route is known");
    let unknown =
        || timed("send", millis(400), || producer.prepare(Message::new("Other", "body")).timeout(millis(400)).send());
    let error = unknown().unwrap_err().error;
    assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
    rig.name_server.accept();
    eventually("the name server is asked again", || unknown().is_ok());
    producer.send(message("known")).unwrap();
}

pub(crate) fn a_silent_name_server_beside_one_that_answers() {
    let mut rig = Rig::new(1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = listener.local_addr().unwrap();
    let both = format!("{silent};{}", rig.name_server.addr());
    // Which one is asked first is chosen by chance.
    for _ in 0..6 {
        let client = rig.look_after(rig.builder().name_servers(&both));
        send(&producer(&client), "found", millis(1000)).expect("the second name server answers");
    }
    assert_eq!(rig.times_stored("found"), 6);
}
