//! Encrypted connections that break, stall and come back.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rocketmq_blocking::embedded::{Cluster, ClusterBuilder, Fault};
use rocketmq_blocking::{
    ClientBuilder, ConnectionState, ConnectionStats, Credentials, Error, Message, Outcome, Producer, RequestCode,
};

use super::site::{server_tls, tls};
use crate::support::{PATIENCE, client_builder, eventually, noise, unique};

const SEND: RequestCode = RequestCode::SEND_MESSAGE_V2;

fn builder() -> ClusterBuilder {
    Cluster::builder().tls(server_tls()).topic("T", 1)
}

fn towards(cluster: &Cluster) -> ClientBuilder {
    client_builder().name_servers(cluster.name_server()).tls(tls())
}

fn message(body: impl Into<Vec<u8>>) -> Message {
    Message::new("T", body.into())
}

#[test]
fn a_client_connects_again_after_a_restart() {
    let cluster = builder().start().unwrap();
    let client = towards(&cluster).build().unwrap();
    let producer = client.producer(unique("tls")).start().unwrap();
    producer.send(message("before")).unwrap();
    let broker = cluster.broker("broker-a");
    let addr = broker.addr().to_string();
    for _ in 0..3 {
        broker.kill();
        // Until the client has seen the end of its connection, it may write there, and cannot know what became of it.
        eventually(PATIENCE, || {
            let connections = client.stats().connections;
            let is_lost = |each: &ConnectionStats| *each.addr != *addr || each.state == ConnectionState::Closed;
            if connections.iter().all(is_lost) { Ok(()) } else { Err(format!("{connections:?}")) }
        });
        assert_eq!(producer.prepare(message("lost")).retries(0).send().unwrap_err().error.outcome(), Outcome::NotSent);
        broker.restart().unwrap();
        eventually(PATIENCE, || producer.send(message("after")));
    }
    assert_eq!(cluster.stored_count("T"), 4);
}

#[test]
fn faults_of_the_embedded_cluster_work_over_tls() {
    let cluster = builder().start().unwrap();
    let client = towards(&cluster).build().unwrap();
    let producer = client.producer(unique("tls")).timeout(PATIENCE).start().unwrap();
    let broker = cluster.broker("broker-a");
    for (fault, ok) in [
        (Fault::byte_by_byte(), true),
        (Fault::delay(Duration::from_millis(50)), true),
        (Fault::duplicate_reply(), true),
        (Fault::cut(5), false),
        (Fault::disconnect(), false),
        (Fault::garbage(vec![0x7f; 300]), false),
        (Fault::oversized(), false),
    ] {
        let what = format!("{fault:?}");
        let fault = broker.fault(fault.on(SEND).times(1));
        let sent = producer.prepare(message("x")).retries(0).send();
        assert_eq!((sent.is_ok(), fault.fired()), (ok, 1), "{what}: {sent:?}");
        if let Err(failed) = sent {
            assert_eq!(failed.error.outcome(), Outcome::Unknown, "{what}: {}", failed.error);
        }
        eventually(PATIENCE, || producer.send(message("and again")));
    }
}

#[test]
fn what_waited_while_the_server_did_not_read_arrives_whole() {
    let cluster = builder().start().unwrap();
    let client = towards(&cluster).build().unwrap();
    let producer = client.producer(unique("tls")).timeout(PATIENCE).compress_above(usize::MAX).start().unwrap();
    producer.send(message("first")).unwrap();
    let bodies: Vec<Vec<u8>> = (0..24).map(|seed| noise(1 << 20, seed)).collect();
    let broker = cluster.broker("broker-a");
    broker.stop_reading();
    // More than the kernel takes.
    let send = |body: &Vec<u8>| producer.prepare(message(body.clone())).submit().unwrap();
    let pending: Vec<_> = bodies.iter().map(send).collect();
    broker.resume_reading();
    for pending in pending {
        pending.wait().unwrap();
    }
    let stored = cluster.stored("T");
    let expected: HashSet<Vec<u8>> = bodies.into_iter().collect();
    let found: HashSet<Vec<u8>> = stored[1..].iter().map(|view| view.body().to_vec()).collect();
    assert!(found == expected, "{} stored", stored.len());
}

/// How forty messages, more than the kernel takes, are sent to a server that does not read; with the outcome of each.
type SendAll = fn(&Producer) -> Vec<Option<Outcome>>;

fn large(number: u8) -> Message {
    message([vec![number], noise(400_000, 1)].concat())
}

fn from_forty_threads(producer: &Producer) -> Vec<Option<Outcome>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..40)
            .map(|number| scope.spawn(move || producer.send(large(number)).err().map(|failed| failed.error.outcome())))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn without_waiting(producer: &Producer) -> Vec<Option<Outcome>> {
    let pending: Vec<_> = (0..40).map(|number| producer.prepare(large(number)).submit().unwrap()).collect();
    pending.into_iter().map(|pending| pending.wait().err().map(|failed| Error::from(failed).outcome())).collect()
}

#[test]
fn what_never_left_for_a_server_that_does_not_read_is_reported_as_not_sent_and_never_arrives() {
    let plain = || (Cluster::builder().topic("T", 1), client_builder());
    let encrypted = || (builder(), client_builder().tls(tls()));
    let ways: [(&str, SendAll); 2] = [("blocked", from_forty_threads), ("submitted", without_waiting)];
    for (how, send) in ways {
        for (cluster, client) in [plain(), encrypted()] {
            let cluster = cluster.start().unwrap();
            let client = client.name_servers(cluster.name_server()).build().unwrap();
            let producer = client
                .producer(unique("tls"))
                .retries(0)
                .async_retries(0)
                .compress_above(usize::MAX)
                .timeout(Duration::from_millis(1500))
                .start()
                .unwrap();
            producer.send(message("first")).unwrap();
            let broker = cluster.broker("broker-a");
            broker.stop_reading();
            let outcomes = send(&producer);
            broker.resume_reading();
            eventually(PATIENCE, || producer.prepare(message("last")).timeout(Duration::from_secs(5)).send());
            let stored: HashSet<u8> =
                cluster.stored("T").iter().filter(|view| view.body().len() > 9).map(|view| view.body()[0]).collect();
            let numbers = |wanted: Outcome| {
                let numbered = (0_u8..).zip(&outcomes);
                numbered.filter(move |(_, outcome)| **outcome == Some(wanted)).map(|(number, _)| number)
            };
            let what = format!("{how}: {outcomes:?}, stored {stored:?}");
            assert!(numbers(Outcome::NotSent).all(|number| !stored.contains(&number)), "{what}");
            // One that the kernel has the beginning of, and one of which the encryption has.
            let in_doubt = numbers(Outcome::Unknown).filter(|number| !stored.contains(number)).count();
            assert!(in_doubt <= 2 && stored.len() < 38, "{in_doubt} that did not arrive are in doubt: {what}");
        }
    }
}

#[test]
fn a_server_that_never_reads_again_is_given_up() {
    let cluster = builder().start().unwrap();
    let client = towards(&cluster).stall_limit(Duration::from_millis(600)).build().unwrap();
    let producer = client
        .producer(unique("tls"))
        .retries(0)
        .async_retries(0)
        .timeout(PATIENCE)
        .compress_above(usize::MAX)
        .start()
        .unwrap();
    producer.send(message("first")).unwrap();
    cluster.broker("broker-a").stop_reading();
    let body = noise(1 << 20, 1);
    let began = Instant::now();
    // More than the kernel takes.
    let pending: Vec<_> = (0..24).map(|_| producer.prepare(message(body.clone())).submit().unwrap()).collect();
    for pending in pending {
        pending.wait().unwrap_err();
    }
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    cluster.broker("broker-a").resume_reading();
    eventually(PATIENCE, || producer.send(message("again")));
}

#[test]
fn names_ipv6_second_ports_and_signatures_go_together_with_tls() {
    let cluster = builder().vip_channel(true).credentials("access", "secret").start().unwrap();
    let port = cluster.name_server().rsplit(':').next().unwrap();
    let client = client_builder()
        .name_servers(format!("localhost:{port}"))
        .tls(tls())
        .vip_channel(true)
        .credentials(Credentials::new("access", "secret"))
        .connect()
        .unwrap();
    client.producer(unique("tls")).start().unwrap().send(message("x")).unwrap();
    assert!(cluster.requests_of(SEND).iter().all(|request| request.server.ends_with("/vip")));

    let ip: std::net::IpAddr = "::1".parse().unwrap();
    if std::net::TcpListener::bind((ip, 0)).is_ok() {
        let cluster = builder().name_server("[::1]:0").broker_ip(ip).start().unwrap();
        towards(&cluster).build().unwrap().producer(unique("tls")).start().unwrap().send(message("x")).unwrap();
    }
}
