use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::{Inbox, SPACE, Session};
use crate::protocol::pem;

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/", $name)).as_slice()
    };
}

fn client(version: &'static SupportedProtocolVersion) -> Session {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(pem::certificates(pem!("authority.pem")).unwrap());
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Session::client(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap()
}

fn server() -> Session {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(pem::certificates(pem!("server.pem")).unwrap(), pem::key(pem!("server.key")).unwrap())
        .unwrap();
    Session::server(Arc::new(config)).unwrap()
}

/// A session and what is on its way to it.
struct End {
    session: Session,
    inbox: Inbox,
    wire: Vec<u8>,
}

impl End {
    fn new(session: Session) -> End {
        End { session, inbox: Inbox::default(), wire: Vec::new() }
    }

    /// Lets so many bytes arrive, in one read.
    fn receive(&mut self, most: usize) {
        let count = most.min(self.wire.len());
        self.inbox.space()[..count].copy_from_slice(&self.wire[..count]);
        self.inbox.filled(count);
        self.wire.drain(..count);
    }

    /// Everything that arrives, in reads of `piece` bytes into a buffer of `room`.
    fn read(&mut self, piece: usize, room: usize) -> Vec<u8> {
        let (mut all, mut buffer) = (Vec::new(), vec![0; room]);
        loop {
            match self.session.decrypt(&mut self.inbox, &mut buffer).unwrap() {
                Some(0) => return all,
                Some(count) => all.extend_from_slice(&buffer[..count]),
                None if self.wire.is_empty() => return all,
                None => self.receive(piece),
            }
        }
    }

    fn write(&mut self, mut plain: &[u8], to: &mut End) {
        while !plain.is_empty() {
            let count = self.session.encrypt(plain, &mut to.wire).unwrap();
            plain = &plain[count..];
        }
    }
}

/// A client and a server that have shaken hands, with `piece` bytes a read.
fn pair(version: &'static SupportedProtocolVersion, piece: usize) -> (End, End) {
    let (mut client, mut server) = (End::new(client(version)), End::new(server()));
    loop {
        let ready = client.session.shake_hands(&mut client.inbox).unwrap();
        client.session.flush(&mut server.wire).unwrap();
        let served = server.session.shake_hands(&mut server.inbox).unwrap();
        server.session.flush(&mut client.wire).unwrap();
        if ready && served {
            return (client, server);
        }
        if !served && server.inbox.is_empty() {
            server.receive(piece);
        }
        if !ready && client.inbox.is_empty() {
            client.receive(piece);
        }
    }
}

fn body(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 % 251) as u8).collect()
}

#[test]
fn records_may_be_split_anywhere_and_come_together() {
    for version in [&TLS12, &TLS13] {
        for piece in [1, 2, 5, 1000, 16 * 1024, SPACE] {
            let (mut client, mut server) = pair(version, piece);
            for len in [1, 100, if piece < 1000 { 4000 } else { 200_000 }, 16 * 1024 + 1] {
                let body = body(len);
                client.write(&body, &mut server);
                assert!(server.read(piece, 4096) == body, "{len} bytes in pieces of {piece}");
                let short = &body[..len.min(200)];
                short.chunks(1).for_each(|byte| server.write(byte, &mut client));
                assert!(client.read(piece, SPACE) == short, "{len} records in pieces of {piece}");
            }
        }
    }
}

#[test]
fn keys_may_be_renewed_in_the_middle() {
    let (mut client, mut server) = pair(&TLS13, SPACE);
    for _ in 0..3 {
        server.session.connection.refresh_traffic_keys().unwrap();
        server.write(b"there", &mut client);
        assert_eq!(client.read(7, SPACE), b"there");
        client.write(b"back", &mut server);
        assert_eq!(server.read(7, SPACE), b"back");
    }
}

#[test]
fn what_came_before_the_end_or_a_failure_is_delivered_first() {
    let (mut client, mut server) = pair(&TLS13, SPACE);
    server.write(b"last words", &mut client);
    server.session.close(&mut client.wire).unwrap();
    client.receive(SPACE);
    let mut buffer = [0; 100];
    assert_eq!(client.session.decrypt(&mut client.inbox, &mut buffer).unwrap(), Some(10));
    assert_eq!(client.session.decrypt(&mut client.inbox, &mut buffer).unwrap(), Some(0));

    let (mut client, mut server) = pair(&TLS13, SPACE);
    client.read(SPACE, SPACE);
    server.write(b"last words", &mut client);
    let whole = client.wire.len();
    server.write(b"damaged", &mut client);
    client.wire[whole + 9] ^= 1;
    client.receive(SPACE);
    assert_eq!(client.session.decrypt(&mut client.inbox, &mut buffer).unwrap(), Some(10));
    assert_eq!(
        client.session.decrypt(&mut client.inbox, &mut buffer).unwrap_err().kind(),
        std::io::ErrorKind::InvalidData
    );
}

#[test]
fn something_else_than_tls_fails_the_handshake_with_a_reason() {
    let mut client = End::new(client(&TLS13));
    client.wire = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
    client.receive(SPACE);
    let error = client.session.shake_hands(&mut client.inbox).unwrap_err();
    assert!(matches!(error, rustls::Error::InvalidMessage(_)), "{error:?}");
}
