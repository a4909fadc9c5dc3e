use super::*;
use crate::embedded::{Cluster, Fault};

const SEND: RequestCode = RequestCode::SEND_MESSAGE_V2;

fn start(fault: Fault) -> (Cluster, Wire, crate::embedded::Injected) {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let fault = cluster.broker("broker-a").fault(fault);
    let (_, wire) = broker(&cluster);
    (cluster, wire, fault)
}

fn silence() -> Duration {
    Duration::from_millis(100)
}

#[test]
fn an_error_code_comes_before_or_after_storing() {
    let busy = |remark| Fault::error(ResponseCode::SYSTEM_BUSY, remark).on(SEND).after(1).times(1);
    let (cluster, mut wire, fault) = start(busy("[REJECTREQUEST]busy"));
    wire.send(&message("T"), "1").unwrap();
    assert_eq!(wire.send(&message("T"), "2").unwrap_err(), (ResponseCode::SYSTEM_BUSY, "[REJECTREQUEST]busy".into()));
    wire.send(&message("T"), "3").unwrap();
    assert_eq!((fault.fired(), cluster.stored_count("T")), (1, 2));
    let (cluster, mut wire, _) = start(Fault::error_after(ResponseCode::SYSTEM_ERROR, "odd"));
    assert_eq!(wire.send(&message("T"), "1").unwrap_err().0, ResponseCode::SYSTEM_ERROR);
    assert_eq!(cluster.stored_count("T"), 1);
}

#[test]
fn answers_can_be_missing_while_the_message_is_stored_or_not() {
    for (fault, stored) in [(Fault::drop_reply(), 1), (Fault::never_answer(), 0), (Fault::half_reply(), 1)] {
        let (cluster, mut wire, fault) = start(fault.times(1));
        wire.write(SEND, &message("T"), &[], b"x");
        assert!(wire.read_within(silence()).is_none());
        assert_eq!((fault.fired(), cluster.stored_count("T")), (1, stored));
    }
}

#[test]
fn an_answer_can_come_late_twice_or_byte_by_byte() {
    let (_cluster, mut wire, _) = start(Fault::delay(Duration::from_millis(150)).times(1));
    let begun = Instant::now();
    let late = wire.write(SEND, &message("T"), &[], b"x");
    let soon = wire.write(SEND, &message("T"), &[], b"x");
    assert_eq!(wire.read().opaque, soon, "others are not delayed");
    assert_eq!(wire.read().opaque, late);
    assert!(begun.elapsed() >= Duration::from_millis(150));
    let (_cluster, mut wire, _) = start(Fault::duplicate_reply().times(1));
    wire.send(&message("T"), "x").unwrap();
    assert_eq!(wire.read().opaque, 1);
    let (_cluster, mut wire, _) = start(Fault::byte_by_byte());
    for _ in 0..3 {
        wire.send(&message("T"), "x").unwrap();
    }
}

#[test]
fn a_connection_can_be_cut_anywhere() {
    for (fault, stored) in
        [(Fault::disconnect(), 0), (Fault::cut(0), 1), (Fault::cut(9), 1), (Fault::cut(usize::MAX), 1)]
    {
        let (cluster, mut wire, _) = start(fault.times(1));
        wire.write(SEND, &message("T"), &[], b"x");
        let mut received = Vec::new();
        // A reset ends it as well.
        let _ = wire.stream.read_to_end(&mut received);
        assert!(matches!(received.len(), 0 | 9) || received.len() > 100, "{}", received.len());
        assert_eq!(cluster.stored_count("T"), stored);
    }
}

#[test]
fn an_answer_can_be_nonsense() {
    let (_cluster, mut wire, _) = start(Fault::garbage(b"HTTP/1.1 400 Bad Request".to_vec()));
    wire.write(SEND, &message("T"), &[], b"x");
    let mut received = [0; 24];
    wire.stream.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"HTTP/1.1 400 Bad Request");
    let (_cluster, mut wire, _) = start(Fault::oversized());
    wire.write(SEND, &message("T"), &[], b"x");
    let mut received = [0; 4];
    wire.stream.read_exact(&mut received).unwrap();
    assert_eq!(i32::from_be_bytes(received), i32::MAX);
    let (cluster, mut wire, _) = start(Fault::wrong_opaque());
    let opaque = wire.write(SEND, &message("T"), &[], b"x");
    assert_ne!(wire.read().opaque, opaque);
    assert_eq!(cluster.stored_count("T"), 1);
}

#[test]
fn an_answer_can_go_to_another_connection() {
    let (cluster, mut wire, _) = start(Fault::other_connection().times(1));
    let mut other = Wire::to(cluster.broker("broker-a").addr());
    eventually("both are connected", || cluster.broker("broker-a").connections() == 2);
    let opaque = wire.write(SEND, &message("T"), &[], b"x");
    assert_eq!(other.read().opaque, opaque);
    assert!(wire.read_within(silence()).is_none());
}

#[test]
fn a_server_that_leaves_says_so() {
    let (_cluster, mut wire, _) = start(Fault::go_away().times(1));
    assert_eq!(wire.send(&message("T"), "x").unwrap_err(), (ResponseCode::GO_AWAY, "please go away".into()));
    wire.send(&message("T"), "x").unwrap();
}

#[test]
fn a_server_that_stops_reading_goes_on_where_it_stopped() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    cluster.broker("broker-a").stop_reading();
    for _ in 0..5 {
        wire.write(SEND, &message("T"), &[], b"x");
    }
    assert!(wire.read_within(silence()).is_none());
    assert_eq!(cluster.stored_count("T"), 0);
    cluster.broker("broker-a").resume_reading();
    for opaque in 1..=5 {
        assert_eq!(wire.read().opaque, opaque);
    }
}

#[test]
fn connecting_can_be_refused_ignored_or_made_to_hang() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let (addr, mut wire) = broker(&cluster);
    let master = cluster.broker("broker-a");
    wire.send(&message("T"), "x").unwrap();
    master.refuse_connections();
    let error = TcpStream::connect_timeout(&addr, LONG).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    wire.send(&message("T"), "open ones go on").unwrap();
    master.never_accept().unwrap();
    let mut silent = Wire::to(addr);
    silent.write(SEND, &message("T"), &[], b"x");
    assert!(silent.read_within(silence()).is_none());
    master.fill_backlog().unwrap();
    let error = TcpStream::connect_timeout(&addr, Duration::from_millis(300)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    wire.send(&message("T"), "open ones still go on").unwrap();
    master.restart().unwrap();
    Wire::to(addr).send(&message("T"), "x").unwrap();
}

#[test]
fn faults_pick_requests_by_field_and_oneway_requests_are_recorded() {
    let (cluster, mut wire, fault) = start(Fault::error(ResponseCode::SYSTEM_BUSY, "busy").on_field("b", "U"));
    wire.send(&message("T"), "x").unwrap();
    assert!(wire.send(&message("U"), "x").is_err());
    wire.write_oneway(SEND, &message("T"), b"oneway");
    eventually("it is stored", || cluster.stored_count("T") == 2);
    assert!(wire.read_within(silence()).is_none(), "nobody answers it");
    let recorded = cluster.requests_of(SEND);
    assert_eq!((fault.fired(), recorded.len(), cluster.requests().len()), (1, 3, 3));
    let last = &recorded[2];
    assert!(last.oneway && &*last.server == "broker-a" && last.body_len == 6);
    assert_eq!((last.field("b"), last.opaque), (Some("T"), 3));
    cluster.clear_requests();
    assert!(cluster.requests().is_empty());
}
