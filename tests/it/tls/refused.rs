//! Connections that must not come about: each says why, soon, and nothing is sent.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rocketmq_blocking::embedded::{Cluster, ServerTls};
use rocketmq_blocking::{Client, ClientBuilder, Error, Message, Outcome, Tls};

use super::site::{Door, name_servers, pem, server_tls, site, tls};
use crate::support::{Cable, PATIENCE, SilentServer, client_builder, eventually, unique};

/// Why nothing can be sent by way of this name server: said soon, and again and again without a storm of connections.
#[track_caller]
fn reason(name_server: &str, tls: Tls) -> String {
    let why = first_reason(client_builder().name_servers(name_server).tls(tls.clone()));
    // By others than the client, which counts its own connections.
    let cable = Cable::new();
    let client = cable.builder_to(name_server).tls(tls).build().unwrap();
    let producer = client.producer(unique("tls")).start().unwrap();
    let (began, mut calls) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_millis(300) {
        of_tls(&producer.send(message()).unwrap_err().error);
        calls += 1;
        assert!(calls > 1 || cable.connections() == 1, "a call does not try the same address again");
    }
    let made = cable.connections();
    assert!(made <= 6, "{made} connections for {calls} calls in {:?}", began.elapsed());
    why
}

/// The reason of a send that failed for TLS.
#[track_caller]
fn first_reason(builder: ClientBuilder) -> String {
    let began = Instant::now();
    let client = builder.connect_timeout(Duration::from_secs(3)).build().unwrap();
    let producer = client.producer(unique("tls")).timeout(Duration::from_secs(6)).start().unwrap();
    let failed = producer.send(message()).unwrap_err().error;
    assert!(began.elapsed() < Duration::from_secs(3), "after {:?}: {failed}", began.elapsed());
    of_tls(&failed)
}

/// The same, which says at which server.
#[track_caller]
fn of_tls(failed: &Error) -> String {
    assert_eq!((failed.outcome(), failed.is_retryable()), (Outcome::NotSent, false), "{failed}");
    match failed {
        Error::Tls { addr, reason } => {
            assert!(addr.contains(':'), "{addr}");
            reason.to_string()
        }
        Error::Exhausted { attempts, .. } => of_tls(&attempts.last().unwrap().error),
        other => panic!("not for TLS: {other:?}"),
    }
}

fn cluster(tls: ServerTls) -> Cluster {
    Cluster::builder().tls(tls).topic("T", 1).start().unwrap()
}

fn towards(cluster: &Cluster) -> ClientBuilder {
    client_builder().name_servers(cluster.name_server())
}

fn message() -> Message {
    Message::new("T", "x")
}

#[test]
fn an_unknown_authority_and_another_name_are_refused() {
    let site = site(Door::Enforcing);
    let unknown = Tls::new().roots_pem(pem!("other-authority.pem"));
    let why = reason(site.name_server(), unknown);
    assert!(why.contains("issued by an authority that is not among the roots"), "{why}");
    let why = reason(site.name_server(), tls().server_name("elsewhere.example"));
    assert!(why.contains("other names") && why.contains("elsewhere.example"), "{why}");
}

#[test]
fn a_client_without_an_acceptable_certificate_is_refused() {
    let site = site(Door::Certificate);
    let stranger = tls().identity_pem(pem!("stranger.pem"), pem!("stranger.key"));
    for tls in [tls(), stranger] {
        let client = site.builder().tls(tls).build().unwrap();
        let producer = client.producer(unique("tls")).retries(0).timeout(PATIENCE).start().unwrap();
        let prepared = producer.prepare(Message::new(site.queue().topic(), "x")).queue(&site.queue());
        let began = Instant::now();
        let failed = prepared.send().unwrap_err().error;
        let why = of_tls(&failed);
        assert!(why.contains("client") && why.contains("certificate"), "{why}");
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    }
}

#[test]
fn an_expired_certificate_is_refused() {
    let cluster = cluster(ServerTls::pem(pem!("expired.pem"), pem!("expired.key")));
    for name_server in name_servers(&cluster, "TLS_EXPIRED_NAME_SERVER") {
        let why = reason(&name_server, tls());
        assert!(why.contains("expired"), "{why}");
        // Nothing else is wrong with that server.
        let blind = client_builder().name_servers(&name_server).tls(Tls::new().insecure_accept_any_server());
        has_no_such_topic(&blind.build().unwrap());
    }
}

/// What a name server says that can be asked.
#[track_caller]
fn has_no_such_topic(client: &Client) {
    let refused = client.publish_queues(&unique("none")).unwrap_err();
    assert!(matches!(refused, Error::NoRoute { .. }) && refused.to_string().contains("TOPIC_NOT_EXIST"), "{refused}");
}

#[test]
fn another_host_and_a_stranger_are_refused() {
    let elsewhere = cluster(ServerTls::pem(pem!("elsewhere.pem"), pem!("elsewhere.key")));
    let why = reason(elsewhere.name_server(), tls());
    assert!(why.contains("127.0.0.1") && why.contains("elsewhere.example") && why.contains("server_name"), "{why}");
    let client = towards(&elsewhere).tls(tls().server_name("elsewhere.example")).connect().unwrap();
    client.producer(unique("tls")).start().unwrap().send(message()).unwrap();

    let stranger = cluster(ServerTls::pem(pem!("stranger.pem"), pem!("stranger.key")));
    let why = reason(stranger.name_server(), tls());
    assert!(why.contains("authority"), "{why}");
}

#[test]
fn the_platforms_roots_do_not_vouch_for_a_tests_authority() {
    let cluster = cluster(server_tls());
    match towards(&cluster).tls(Tls::new()).build() {
        Ok(client) => {
            let failed = client.producer(unique("tls")).start().unwrap().send(message()).unwrap_err().error;
            assert!(of_tls(&failed).contains("authority"), "{failed}");
        }
        Err(error) => assert!(error.to_string().contains("no root certificates"), "{error}"),
    }
}

#[test]
fn a_server_that_does_not_speak_tls_is_told_from_one_that_is_down() {
    let plain = Cluster::builder().topic("T", 1).start().unwrap();
    for name_server in name_servers(&plain, "TLS_PLAIN_NAME_SERVER") {
        let why = reason(&name_server, tls());
        assert!(why.contains("does it speak TLS?"), "{why}");
        assert_eq!(plain.requests().len(), 0, "nothing was sent in plain");
    }
    for name_server in name_servers(&plain, "TLS_PLAIN_NAME_SERVER") {
        has_no_such_topic(&client_builder().name_servers(name_server).build().unwrap());
    }
    plain.name_server_kill();
    let client = towards(&plain).tls(tls()).build().unwrap();
    let failed = client.producer(unique("tls")).start().unwrap().send(message()).unwrap_err().error;
    assert!(matches!(failed, Error::Connect { .. }), "{failed:?}");
}

#[test]
fn a_plain_client_learns_soon_that_the_server_takes_only_tls_and_makes_no_storm_of_connections() {
    let (site, cable) = (site(Door::Enforcing), Cable::new());
    let client = site.plain_client_over(&cable);
    let producer = client.producer(unique("tls")).start().unwrap();
    let began = Instant::now();
    let mut failures = 0;
    let send = || producer.prepare(Message::new(site.queue().topic(), "never")).queue(&site.queue());
    while failures == 0 || began.elapsed() < Duration::from_secs(2) {
        let why = of_tls(&send().send().unwrap_err().error);
        assert!(why.contains("the server speaks TLS") && why.contains("ClientBuilder::tls"), "{why}");
        // Within the connect timeout.
        assert!(failures > 0 || began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        failures += 1;
    }
    let pending = send().submit().unwrap().wait().unwrap_err();
    of_tls(&pending.into());
    let made = cable.connections();
    assert!(made <= 8, "{made} connections for {failures} sends in {:?}", began.elapsed());
}

#[test]
fn a_server_that_answers_a_plain_client_with_an_alert_is_known_for_what_it_is() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // A fatal alert, `unexpected_message`.
        std::io::Write::write_all(&mut stream, &[0x15, 0x03, 0x03, 0, 2, 2, 10]).unwrap();
        // Until the client hangs up.
        let _ = std::io::Read::read(&mut stream, &mut [0; 1024]);
    });
    let client = client_builder().name_servers(addr.to_string()).build().unwrap();
    let failed = client.producer(unique("tls")).start().unwrap().send(message()).unwrap_err().error;
    assert!(of_tls(&failed).contains("speaks TLS"), "{failed}");
    client.close().unwrap();
    server.join().unwrap();
}

#[test]
fn a_stalled_handshake_ends_with_the_connect_timeout() {
    let server = SilentServer::start();
    stalls(|| client_builder().name_servers(server.addr()));
}

#[test]
fn a_handshake_that_stalls_half_way_ends_with_the_connect_timeout() {
    // The head of the server's first record, and the begin of its greeting.
    let cable = Cable::silent_after(20);
    stalls(|| cable.builder_to(site(Door::Enforcing).name_server()));
    assert_eq!(cable.connections(), 2, "each call makes one");
    assert!(cable.withheld() > 0, "the server has said more");
}

#[track_caller]
fn stalls(builder: impl Fn() -> ClientBuilder) {
    let builder = || builder().tls(tls());
    let began = Instant::now();
    let client = builder().connect_timeout(Duration::from_millis(500)).build().unwrap();
    let failed = client.producer(unique("tls")).start().unwrap().send(message()).unwrap_err().error;
    assert!(of_tls(&failed).contains("did not complete the handshake"), "{failed}");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    // Also with the defaults, where a call waits no longer than a connection.
    let failed = builder().connect().unwrap_err();
    assert!(of_tls(&failed).contains("did not complete the handshake"), "{failed}");
}

#[test]
fn closing_does_not_wait_for_a_stalled_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let client = client_builder().name_servers(addr).tls(tls()).connect_timeout(PATIENCE).build().unwrap();
    let producer = client.producer(unique("tls")).timeout(PATIENCE).start().unwrap();
    let pending = producer.prepare(message()).submit().unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    // The first byte of the greeting: the handshake has begun.
    std::io::Read::read_exact(&mut stream, &mut [0]).unwrap();
    let began = Instant::now();
    client.close_within(Duration::from_millis(100)).unwrap();
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    let failed = Error::from(pending.wait().unwrap_err());
    assert_eq!(failed.outcome(), Outcome::NotSent, "{failed}");
}

#[test]
fn a_certificate_that_is_refused_makes_no_storm_of_connections() {
    let counted = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let seen = counted.clone();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            seen.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    let client = client_builder().name_servers(addr).tls(tls()).build().unwrap();
    let producer = client.producer(unique("tls")).timeout(Duration::from_secs(2)).start().unwrap();
    of_tls(&producer.send(message()).unwrap_err().error);
    assert_eq!(counted.load(Ordering::SeqCst), 1, "a call does not try the same address again");
    let until = Instant::now() + Duration::from_secs(2);
    let mut calls = 0;
    while Instant::now() < until {
        of_tls(&producer.send(message()).unwrap_err().error);
        calls += 1;
    }
    let made = counted.load(Ordering::SeqCst);
    assert!(made <= 12, "{made} connections for {calls} calls in two seconds");
    eventually(PATIENCE, || if made >= 2 { Ok(()) } else { Err("it is tried again later") });
}
