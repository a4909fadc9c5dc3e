use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::embedded::Cluster;

#[test]
fn a_restarted_broker_has_its_messages_unless_told_otherwise() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let (addr, mut wire) = broker(&cluster);
    let master = cluster.broker("broker-a");
    wire.send(&message("T"), "x").unwrap();
    wire.send(&message("Auto"), "x").unwrap();
    master.kill();
    assert!(wire.is_cut() && !master.is_up());
    assert!(TcpStream::connect_timeout(&addr, LONG).is_err());
    master.restart().unwrap();
    master.restart().unwrap();
    let mut wire = Wire::to(addr);
    assert_eq!(wire.send(&message("T"), "y").unwrap().queue_offset, 1);
    master.restart_empty().unwrap();
    assert_eq!((cluster.stored_count("T"), cluster.stored_count("Auto")), (0, 0));
    assert_eq!(Wire::to(addr).send(&message("T"), "z").unwrap().queue_offset, 0);
}

#[test]
fn the_name_server_goes_down_and_comes_back() {
    let cluster = Cluster::builder().name_servers(2).start().unwrap();
    let addrs: Vec<&str> = cluster.name_server().split(';').collect();
    assert_eq!(addrs.len(), 2);
    cluster.name_server_at(0).kill();
    assert!(TcpStream::connect(addrs[0]).is_err() && TcpStream::connect(addrs[1]).is_ok());
    cluster.name_server_kill();
    assert!(TcpStream::connect(addrs[1]).is_err());
    cluster.name_server_restart().unwrap();
    assert!(TcpStream::connect(addrs[0]).is_ok() && TcpStream::connect(addrs[1]).is_ok());
}

#[test]
fn everything_acknowledged_is_there_after_kills_under_load() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let addr = cluster.broker("broker-a").addr();
    let (acknowledged, stop) = (Mutex::new(HashSet::new()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (acknowledged, stop) = (&acknowledged, &stop);
            scope.spawn(move || {
                let mut number = 0;
                while !stop.load(Ordering::SeqCst) {
                    let Ok(mut wire) = TcpStream::connect(addr).map(Wire::over) else { continue };
                    loop {
                        number += 1;
                        let body = format!("{thread}-{number}");
                        let mut out = Vec::new();
                        let head = Head::request(HeaderKind::Json, RequestCode::SEND_MESSAGE_V2, number);
                        frame::encode_request(&mut out, &head, &message("T"), body.as_bytes()).unwrap();
                        if wire.stream.write_all(&out).is_err() || wire.read_within(LONG).is_none() {
                            break;
                        }
                        acknowledged.lock().unwrap().insert(body);
                        if stop.load(Ordering::SeqCst) {
                            break;
                        }
                    }
                }
            });
        }
        for round in 1..=5 {
            let goal = round * 200;
            eventually("messages flow", || acknowledged.lock().unwrap().len() > goal);
            cluster.broker("broker-a").kill();
            cluster.broker("broker-a").restart().unwrap();
        }
        stop.store(true, Ordering::SeqCst);
    });
    let stored: HashSet<String> =
        cluster.stored("T").iter().map(|message| message.body_text().unwrap_or_default().to_owned()).collect();
    let missing: Vec<String> =
        acknowledged.into_inner().unwrap().into_iter().filter(|body| !stored.contains(body)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn closing_cuts_everybody_and_restarting_is_refused() {
    let cluster = Cluster::start().unwrap();
    let (_, mut wire) = broker(&cluster);
    let mut names = Wire::to(cluster.name_server());
    wire.send(&message("T"), "x").unwrap();
    let held = PullMessage { sys_flag: 6, suspend_timeout: Duration::from_secs(60), ..pull_from("T", 1) };
    wire.write(RequestCode::PULL_MESSAGE, &held, &[], &[]);
    let master = cluster.broker("broker-a");
    cluster.close();
    cluster.close();
    assert!(wire.is_cut() && names.is_cut());
    assert!(matches!(master.restart(), Err(crate::Error::Closed { .. })));
    assert_eq!((cluster.connections(), cluster.stored_count("T")), (0, 1));
}

#[test]
fn a_cluster_starts_in_milliseconds_and_ports_can_be_given() {
    let begun = Instant::now();
    let cluster = Cluster::start().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let port = cluster.broker("broker-a").addr().port();
    let names = cluster.name_server().to_owned();
    assert!(Cluster::builder().name_server(names.as_str()).start().is_err(), "the port is taken");
    drop(cluster);
    let again = Cluster::builder().name_server(names.as_str()).broker_port(port).start().unwrap();
    assert_eq!((again.name_server(), again.broker("broker-a").addr().port()), (names.as_str(), port));
    for wrong in
        [Cluster::builder().brokers(0), Cluster::builder().name_server("nowhere"), Cluster::builder().topic("a b", 1)]
    {
        assert!(matches!(wrong.start(), Err(crate::Error::Invalid { .. })));
    }
}

#[test]
fn malformed_frames_end_their_connection_and_too_many_are_refused() {
    let cluster = Cluster::builder().connection_limit(2).start().unwrap();
    let (addr, mut wire) = broker(&cluster);
    wire.stream.write_all(&[0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1, b'{']).unwrap();
    assert!(wire.is_cut());
    eventually("it has gone", || cluster.broker("broker-a").connections() == 0);
    let mut kept: Vec<Wire> = (0..2).map(|_| Wire::to(addr)).collect();
    for wire in &mut kept {
        wire.send(&message("T"), "x").unwrap();
    }
    assert!(Wire::to(addr).is_cut());
}
