use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::RemotingOptions;
use super::super::tests::{Rig, answer, listen};
use super::*;
use crate::error::Outcome;

/// The beginning of a server's own greeting, and an alert.
const HELLO: [u8; 6] = [0x16, 3, 3, 0, 1, 2];
const ALERT: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 70];

/// What a server does with the first bytes on a connection.
#[derive(Debug, Clone, Copy)]
enum Does {
    Hang,
    Say(&'static [u8]),
    Wait,
    /// Answers what was asked.
    Answer,
}

/// A server that does the one with what is encrypted, the other with what is plain, the last again and again.
struct Peer {
    connections: Arc<AtomicUsize>,
    addr: Arc<str>,
}

impl Peer {
    fn start(encrypted: Does, plain: &'static [Does]) -> Peer {
        let (listener, addr) = listen();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        std::thread::spawn(move || Peer::serve(&listener, &counter, encrypted, plain));
        Peer { connections, addr }
    }

    fn serve(listener: &TcpListener, counter: &AtomicUsize, encrypted: Does, plain: &[Does]) {
        let (mut plain, kept) = (plain.iter().copied(), Mutex::new(Vec::new()));
        let mut last = Does::Hang;
        for mut stream in listener.incoming().map_while(Result::ok) {
            counter.fetch_add(1, Ordering::SeqCst);
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).unwrap();
            let does = if is_tls(&bytes[..count]) {
                encrypted
            } else {
                last = plain.next().unwrap_or(last);
                last
            };
            match does {
                Does::Hang => continue,
                Does::Say(what) => stream.write_all(what).unwrap(),
                Does::Answer => stream.write_all(&answer(&frame::decode_whole(&bytes[..count]).unwrap(), 7)).unwrap(),
                Does::Wait => {}
            }
            kept.lock().unwrap().push(stream);
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn rig(connect_timeout: Duration) -> Rig {
    Rig::new(RemotingOptions { connect_timeout, ..RemotingOptions::default() })
}

#[test]
fn a_server_that_takes_only_tls_is_known_by_its_greeting_and_asked_once() {
    for says in [&HELLO[..], &ALERT[..]] {
        let peer = Peer::start(Does::Say(says), &[Does::Hang]);
        let rig = rig(Duration::from_secs(3));
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(500) {
            let error = rig.ask(&peer.addr, 1, 3000).unwrap_err();
            assert!(matches!(&error, Error::Tls { reason, .. } if reason.contains("ClientBuilder::tls")), "{error}");
            assert_eq!((error.outcome(), error.is_retryable()), (Outcome::NotSent, false));
        }
        assert_eq!(peer.connections(), 3, "one of its own, and two to ask why");
    }
}

#[test]
fn a_server_that_takes_both_may_have_carried_the_request_out() {
    let peer = Peer::start(Does::Say(&HELLO), &[Does::Hang, Does::Answer]);
    let rig = rig(Duration::from_secs(3));
    let error = rig.ask(&peer.addr, 1, 3000).unwrap_err();
    assert!(matches!(&error, Error::Disconnected { outcome: Outcome::Unknown, .. }), "{error}");
    assert_eq!(rig.ask(&peer.addr, 7, 3000).unwrap(), 7);
}

#[test]
fn a_server_that_hangs_up_on_everything_is_asked_once_and_is_not_called_encrypted() {
    let peer = Peer::start(Does::Hang, &[Does::Hang]);
    let rig = rig(Duration::from_secs(3));
    for asked in 1..=3 {
        let error = rig.ask(&peer.addr, 1, 3000).unwrap_err();
        assert!(matches!(&error, Error::Disconnected { outcome: Outcome::Unknown, .. }), "{error}");
        assert_eq!(peer.connections(), asked + 1);
    }
}

#[test]
fn nobody_is_asked_who_has_answered_before() {
    let peer = Peer::start(Does::Say(&HELLO), &[Does::Answer, Does::Hang]);
    let rig = rig(Duration::from_secs(3));
    assert_eq!(rig.ask(&peer.addr, 7, 3000).unwrap(), 7);
    rig.remoting.pool.all().iter().for_each(|connection| connection.lose(Loss::Closed));
    assert!(matches!(rig.ask(&peer.addr, 7, 3000), Err(Error::Disconnected { .. })));
    assert_eq!(peer.connections(), 2);
}

#[test]
fn asking_ends_soon_and_at_once_when_the_connection_is_closed() {
    let peer = Peer::start(Does::Wait, &[Does::Hang]);
    let (began, quick) = (Instant::now(), rig(Duration::from_millis(400)));
    let error = quick.ask(&peer.addr, 1, 3000).unwrap_err();
    assert!(matches!(&error, Error::Disconnected { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    let patient = rig(Duration::from_secs(60));
    std::thread::scope(|scope| {
        let call = scope.spawn(|| patient.ask(&peer.addr, 1, 60_000));
        while peer.connections() < 4 {
            std::thread::yield_now();
        }
        let began = Instant::now();
        patient.remoting.close(Instant::now());
        assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
        assert_eq!(call.join().unwrap().unwrap_err().outcome(), Outcome::Unknown);
    });
}

#[test]
fn lengths_stand_before_what_they_count() {
    let hello = greeting("broker.example");
    assert!(is_tls(&hello) && hello.len() == 5 + usize::from(u16::from_be_bytes([hello[3], hello[4]])));
    assert_eq!(usize::from(hello[8]), hello.len() - 9, "the handshake message fills the record");
    let named = |host: &str| greeting(host).windows(6).any(|part| part == b"broker");
    assert!(named("broker.example") && !named("10.0.0.1") && !named("[::1]"));
}
