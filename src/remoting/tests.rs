//! Connections against scripted peers: real sockets, no server.

mod retiring;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use super::{Deadline, Owner, Remoting, RemotingOptions, Resolve, ServerRequest};
use crate::code::ResponseCode;
use crate::error::{Error, Outcome, Result, Stage};
use crate::protocol::fields::NoFields;
use crate::protocol::frame::{self, Frame, FrameReader, Head, HeaderKind};
use crate::protocol::rpc::offset::{MaxOffset, OffsetReply};

/// An owner that serves nothing, and a resolver that knows one name.
#[derive(Default)]
pub(super) struct Nobody {
    pub(super) connected: AtomicUsize,
}

impl Owner for Nobody {
    fn connected(&self, _addr: &Arc<str>) {
        self.connected.fetch_add(1, Ordering::SeqCst);
    }

    fn request(&self, request: ServerRequest) -> Result<(), ServerRequest> {
        Err(request)
    }

    fn wake_at(&self, _at: Instant) {}
}

impl Resolve for Nobody {
    fn resolve(&self, host: &str, port: u16, _deadline: Deadline) -> std::io::Result<Vec<SocketAddr>> {
        match host {
            "two-addresses.test" => {
                Ok(vec!["127.0.0.9:1".parse().unwrap(), SocketAddr::new([127, 0, 0, 1].into(), port)])
            }
            _ => Err(std::io::ErrorKind::NotFound.into()),
        }
    }
}

pub(super) struct Rig {
    pub(super) remoting: Remoting,
    owner: Arc<Nobody>,
}

impl Rig {
    pub(super) fn new(options: RemotingOptions) -> Rig {
        let owner = Arc::new(Nobody::default());
        let as_owner: Arc<dyn Owner> = owner.clone();
        let weak: Weak<dyn Owner> = Arc::downgrade(&as_owner);
        Rig { remoting: Remoting::new(options, owner.clone(), weak), owner }
    }

    pub(super) fn ask(&self, addr: &Arc<str>, queue_id: i32, millis: u64) -> Result<i64> {
        let request = MaxOffset { topic: "T".into(), queue_id, broker_name: None };
        let deadline = Deadline::after(Duration::from_millis(millis));
        self.remoting.call(addr, &request, &[], deadline)?.header().map(|reply| reply.offset)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        assert_eq!(self.remoting.waiting(), 0, "something is left in a correlation map");
        self.remoting.close(Instant::now() + Duration::from_secs(1));
    }
}

pub(super) fn listen() -> (TcpListener, Arc<str>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string().into();
    (listener, addr)
}

/// Reads requests from a stream and hands each to `serve`, which may write.
fn serve(mut stream: TcpStream, mut serve: impl FnMut(&mut TcpStream, Frame) -> bool) {
    // As every server does: else two answers in a row wait for the client's delayed acknowledgement.
    stream.set_nodelay(true).unwrap();
    let mut frames = FrameReader::new(frame::MAX_FRAME);
    loop {
        let count = match stream.read(frames.space()) {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        frames.filled(count);
        while let Ok(Some(request)) = frames.next() {
            if !serve(&mut stream, request) {
                return;
            }
        }
    }
}

pub(super) fn answer(request: &Frame, offset: i64) -> Vec<u8> {
    let mut out = Vec::new();
    let head = Head::response(HeaderKind::Json, ResponseCode::SUCCESS, request.opaque, None);
    frame::encode_response(&mut out, &head, &OffsetReply { offset }, &[]).unwrap();
    out
}

/// A peer that answers each question with the number of the queue, on as many connections as are made.
fn echo(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                serve(stream, |stream, request| {
                    let asked: MaxOffset = request.header().unwrap();
                    stream.write_all(&answer(&request, i64::from(asked.queue_id))).is_ok()
                });
            });
        }
    });
}

#[test]
fn calls_of_many_threads_over_one_connection_get_their_own_answers() {
    let (listener, addr) = listen();
    echo(listener);
    let rig = Rig::new(RemotingOptions::default());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (rig, addr) = (&rig, &addr);
            scope.spawn(move || {
                for round in 0..200 {
                    let number = thread * 1000 + round;
                    assert_eq!(rig.ask(addr, number, 5000).unwrap(), i64::from(number));
                }
            });
        }
    });
    assert_eq!(rig.owner.connected.load(Ordering::SeqCst), 1);
    assert_eq!(rig.remoting.connected(), [addr]);
}

#[test]
fn a_lone_caller_gets_its_answers_one_after_another() {
    let (listener, addr) = listen();
    echo(listener);
    let rig = Rig::new(RemotingOptions::default());
    for number in 0..2000 {
        assert_eq!(rig.ask(&addr, number, 5000).unwrap(), i64::from(number));
    }
}

#[test]
fn an_asynchronous_call_beside_lone_callers_is_answered() {
    let (listener, addr) = listen();
    echo(listener);
    let rig = Rig::new(RemotingOptions::default());
    let (sender, receiver) = crossbeam_channel::unbounded();
    for number in 0..500 {
        assert_eq!(rig.ask(&addr, number, 5000).unwrap(), i64::from(number));
        let sender = sender.clone();
        let request = MaxOffset { topic: "T".into(), queue_id: number, broker_name: None };
        let deadline = Deadline::after(Duration::from_secs(5));
        rig.remoting.submit(&addr, &request, &[], deadline, move |answer| {
            sender.send(answer.unwrap().header().unwrap().offset).unwrap();
        });
    }
    let mut answered: Vec<_> = (0..500).map(|_| receiver.recv_timeout(Duration::from_secs(5)).unwrap()).collect();
    answered.sort_unstable();
    assert_eq!(answered, (0..500).collect::<Vec<i64>>());
}

#[test]
fn a_refused_connection_is_an_error_at_once_and_nothing_was_sent() {
    let (listener, addr) = listen();
    drop(listener);
    let rig = Rig::new(RemotingOptions::default());
    let error = rig.ask(&addr, 0, 3000).unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error}");
    assert_eq!(error.outcome(), Outcome::NotSent);
}

#[test]
fn a_server_that_never_answers_costs_the_deadline_and_the_outcome_is_unknown() {
    let (listener, addr) = listen();
    let rig = Rig::new(RemotingOptions::default());
    let started = Instant::now();
    let error = rig.ask(&addr, 0, 150).unwrap_err();
    assert!(matches!(error, Error::Timeout { stage: Stage::Reply, outcome: Outcome::Unknown, .. }), "{error}");
    assert!(started.elapsed() < Duration::from_millis(250), "{:?}", started.elapsed());
    drop(listener);
}

#[test]
fn the_second_address_of_a_name_is_tried() {
    let (listener, addr) = listen();
    echo(listener);
    let port = addr.rsplit_once(':').unwrap().1;
    let rig = Rig::new(RemotingOptions::default());
    assert_eq!(rig.ask(&format!("two-addresses.test:{port}").into(), 7, 3000).unwrap(), 7);
    let error = rig.ask(&format!("nowhere.test:{port}").into(), 7, 3000).unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error}");
}

#[test]
fn a_connection_cut_before_the_answer_leaves_the_outcome_unknown_and_is_replaced() {
    let (listener, addr) = listen();
    let cut = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        serve(stream, |_, _| false);
        // Whether it wants TLS.
        drop(listener.accept().unwrap());
        let (stream, _) = listener.accept().unwrap();
        serve(stream, |stream, request| stream.write_all(&answer(&request, 9)).is_ok());
    });
    let rig = Rig::new(RemotingOptions::default());
    let error = rig.ask(&addr, 0, 3000).unwrap_err();
    assert!(matches!(error, Error::Disconnected { outcome: Outcome::Unknown, .. }), "{error}");
    assert_eq!(rig.ask(&addr, 0, 3000).unwrap(), 9);
    rig.remoting.close(Instant::now() + Duration::from_secs(1));
    cut.join().unwrap();
}

#[test]
fn callers_with_less_time_than_the_pause_find_a_server_that_is_back() {
    let (listener, addr) = listen();
    drop(listener);
    let rig = Rig::new(RemotingOptions::default());
    let until = Instant::now() + Duration::from_secs(5);
    // After five failures in a row the pause is far longer than any of these callers would wait.
    while rig.remoting.pool.failures(&addr) < 5 && Instant::now() < until {
        rig.ask(&addr, 0, 1000).unwrap_err();
    }
    echo(TcpListener::bind(&*addr).unwrap());
    while rig.ask(&addr, 7, 100).is_err() {
        assert!(Instant::now() < until, "never connected again");
        std::thread::yield_now();
    }
}

#[test]
fn duplicate_and_foreign_answers_are_counted_and_dropped() {
    let (listener, addr) = listen();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        serve(stream, |stream, mut request| {
            let right = answer(&request, 1);
            request.opaque += 1000;
            let foreign = answer(&request, 2);
            [&foreign, &right, &right].iter().all(|bytes| stream.write_all(bytes).is_ok())
        });
    });
    let rig = Rig::new(RemotingOptions::default());
    for _ in 0..10 {
        assert_eq!(rig.ask(&addr, 0, 3000).unwrap(), 1);
    }
    // The duplicate of the last answer may still be under way.
    let until = Instant::now() + Duration::from_secs(5);
    let unmatched = || {
        let received = &rig.remoting.counters().received;
        (received.late.get(), received.duplicate.get(), received.foreign.get())
    };
    while unmatched().0 + unmatched().1 + unmatched().2 < 20 && Instant::now() < until {
        std::thread::yield_now();
    }
    assert_eq!(unmatched(), (0, 10, 10));
}

#[test]
fn garbage_ends_the_connection_and_the_call_with_it() {
    for garbage in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[0, 0, 0, 9, 7, 0, 0, 0, 0, 0, 0, 0, 0], &[0xFF; 64]] {
        let (listener, addr) = listen();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            serve(stream, |stream, _| stream.write_all(garbage).is_ok());
        });
        let rig = Rig::new(RemotingOptions::default());
        let error = rig.ask(&addr, 0, 3000).unwrap_err();
        assert!(matches!(error, Error::Disconnected { outcome: Outcome::Unknown, .. }), "{error}");
    }
}

#[test]
fn nothing_reported_not_sent_arrives_when_a_stopped_peer_reads_again() {
    let (listener, addr) = listen();
    let rig = Rig::new(RemotingOptions::default());
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let (resume, resumed) = crossbeam_channel::bounded::<()>(0);
    let peer = std::thread::spawn({
        let arrived = arrived.clone();
        move || {
            let (stream, _) = listener.accept().unwrap();
            let _ = resumed.recv();
            serve(stream, |_, request| {
                arrived.lock().unwrap().push(request.header::<MaxOffset>().unwrap().queue_id);
                true
            });
        }
    });
    let not_sent = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (rig, addr, not_sent) = (&rig, &addr, &not_sent);
            scope.spawn(move || {
                for round in 0..40 {
                    let queue_id = thread * 100 + round;
                    let request = MaxOffset { topic: "T".into(), queue_id, broker_name: None };
                    let deadline = Deadline::after(Duration::from_millis(20));
                    let error = rig.remoting.call(addr, &request, &[1; 200_000], deadline).unwrap_err();
                    if error.outcome() == Outcome::NotSent {
                        not_sent.lock().unwrap().push(queue_id);
                    }
                }
            });
        }
    });
    drop(resume);
    rig.remoting.close(Instant::now() + Duration::from_secs(5));
    peer.join().unwrap();
    let (not_sent, arrived) = (not_sent.into_inner().unwrap(), arrived.lock().unwrap());
    assert!(!not_sent.is_empty() && !arrived.is_empty(), "{} and {}", not_sent.len(), arrived.len());
    let both: Vec<_> = arrived.iter().filter(|queue_id| not_sent.contains(queue_id)).collect();
    assert!(both.is_empty(), "reported as not sent, and arrived: {both:?}");
}

#[test]
fn a_server_that_leaves_is_asked_once_more_on_a_new_connection() {
    let (listener, addr) = listen();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        std::thread::spawn(move || {
            serve(stream, |stream, request| {
                let mut out = Vec::new();
                frame::encode_error(&mut out, HeaderKind::Json, ResponseCode::GO_AWAY, request.opaque, "bye").unwrap();
                stream.write_all(&out).is_ok()
            });
        });
        echo(listener);
    });
    let rig = Rig::new(RemotingOptions::default());
    assert_eq!(rig.ask(&addr, 5, 3000).unwrap(), 5);
}

#[test]
fn a_silent_connection_is_probed_and_closed_when_the_probe_is_not_answered() {
    let (listener, addr) = listen();
    let limits = Duration::from_millis(100);
    let rig = Rig::new(RemotingOptions { silence_limit: limits, probe_timeout: limits, ..RemotingOptions::default() });
    let (rig_ref, addr_ref) = (&rig, &addr);
    std::thread::scope(|scope| {
        let call = scope.spawn(move || rig_ref.ask(addr_ref, 0, 10_000));
        let started = Instant::now();
        while !call.is_finished() && started.elapsed() < Duration::from_secs(5) {
            rig.remoting.tick(Instant::now());
            std::thread::yield_now();
        }
        let error = call.join().unwrap().unwrap_err();
        assert!(matches!(&error, Error::Disconnected { reason, .. } if reason.contains("probe")), "{error}");
    });
    drop(listener);
}

#[test]
fn a_request_of_the_server_that_nobody_serves_is_answered_as_unsupported() {
    let (listener, addr) = listen();
    let (report, reported) = crossbeam_channel::bounded(1);
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        serve(stream, |stream, frame| {
            if frame.is_response() {
                report.send((frame.code, frame.remark().into_owned(), frame.opaque)).unwrap();
                return true;
            }
            // The server counts its own opaques, which may be the same.
            let mut out = answer(&frame, 3);
            let head = Head::request(HeaderKind::Json, crate::code::RequestCode(9999), frame.opaque);
            frame::encode_request(&mut out, &head, &NoFields, &[]).unwrap();
            stream.write_all(&out).is_ok()
        });
    });
    let rig = Rig::new(RemotingOptions::default());
    assert_eq!(rig.ask(&addr, 0, 3000).unwrap(), 3);
    let (code, remark, _) = reported.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!((code, remark.as_str()), (3, " request type 9999 not supported"));
}

#[test]
fn closing_fails_what_waits_and_leaves_no_connection() {
    let (listener, addr) = listen();
    let rig = Rig::new(RemotingOptions::default());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| rig.ask(&addr, 0, 10_000));
        let (_stream, _) = listener.accept().unwrap();
        while rig.remoting.waiting() == 0 {
            std::thread::yield_now();
        }
        rig.remoting.close(Instant::now() + Duration::from_millis(100));
        let error = waiting.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::Closed { .. }), "{error}");
    });
    assert!(matches!(rig.ask(&addr, 0, 100), Err(Error::Closed { outcome: Outcome::NotSent })));
}

#[test]
fn a_oneway_request_is_in_the_kernels_hands_when_the_call_returns() {
    let (listener, addr) = listen();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let peer = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        serve(stream, |_, request| {
            assert!(request.is_oneway());
            counted.fetch_add(1, Ordering::SeqCst);
            true
        });
    });
    let rig = Rig::new(RemotingOptions::default());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for number in 0..100 {
                    let request = MaxOffset { topic: "T".into(), queue_id: number, broker_name: None };
                    let deadline = Deadline::after(Duration::from_secs(5));
                    rig.remoting.oneway(&addr, &request, &[], deadline, number % 2 == 0).unwrap();
                }
            });
        }
    });
    rig.remoting.close(Instant::now() + Duration::from_secs(5));
    peer.join().unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 400);
}
