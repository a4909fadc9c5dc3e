use std::io::Read;
use std::net::TcpListener;

use rocketmq_blocking::embedded::ServerTls;
use rocketmq_blocking::{Error, Tls};

use super::*;

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/", $name)).as_slice()
    };
}

fn builder(name_server: &str, roots: &[u8]) -> ClientBuilder {
    Client::builder().name_servers(name_server).tls(Tls::new().roots_pem(roots))
}

fn used(rig: &Rig) -> (Client, Producer) {
    let client = builder(rig.cluster.name_server(), pem!("authority.pem")).build().unwrap();
    let producer = client.producer("threads").timeout(millis(5000)).start().unwrap();
    producer.send(message()).unwrap();
    (client, producer)
}

fn refused(rig: &Rig) {
    let client = builder(rig.cluster.name_server(), pem!("other-authority.pem")).build().unwrap();
    let producer = client.producer("threads").timeout(millis(5000)).start().unwrap();
    let failed = producer.send(message()).unwrap_err().error;
    assert!(matches!(failed, Error::Tls { .. }), "{failed}");
}

/// The server says nothing to the greeting.
fn closed_in_the_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let client = builder(&addr, pem!("authority.pem")).connect_timeout(Duration::from_secs(60)).build().unwrap();
    let producer = client.producer("threads").timeout(Duration::from_secs(60)).start().unwrap();
    let pending = producer.prepare(message()).submit().unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0]).unwrap();
    let began = Instant::now();
    client.close_within(millis(50)).unwrap();
    assert!(began.elapsed() < millis(1000), "{:?}", began.elapsed());
    assert!(pending.wait().is_err());
}

#[test]
fn no_thread_and_no_socket_survives_an_encrypted_client() {
    if !is_alone("tls::no_thread_and_no_socket_survives_an_encrypted_client") {
        return;
    }
    let tls = ServerTls::pem(pem!("server.pem"), pem!("server.key"));
    let cluster = Cluster::builder().tls(tls).topic(TOPIC, 1).start().unwrap();
    let rig = Rig { cluster, sockets: sockets() };
    for _ in 0..10 {
        let (client, _producer) = used(&rig);
        client.close().unwrap();
        rig.is_clean("close");
        drop(used(&rig));
        rig.is_clean("drop");
        refused(&rig);
        rig.is_clean("drop of one that was refused");
        closed_in_the_handshake();
        rig.is_clean("close in the handshake");
    }
}
