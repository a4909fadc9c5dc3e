use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;

use super::super::transport::{Plain, Transport};
use super::super::{Deadline, TlsOptions, Trust};
use super::Secure;
use crate::protocol::pem;
use crate::protocol::tls::{Inbox, Session};

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/", $name)).as_slice()
    };
}

const PATIENCE: Duration = Duration::from_secs(10);

/// A server's side: what it encrypts leaves in writes of `piece` bytes.
struct Peer {
    stream: TcpStream,
    session: Session,
    inbox: Inbox,
    piece: usize,
}

impl Peer {
    fn accept(listener: &TcpListener, piece: usize) -> Peer {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(pem::certificates(pem!("server.pem")).unwrap(), pem::key(pem!("server.key")).unwrap())
            .unwrap();
        let session = Session::server(Arc::new(config)).unwrap();
        let mut peer = Peer { stream, session, inbox: Inbox::default(), piece };
        loop {
            let complete = peer.session.shake_hands(&mut peer.inbox).unwrap();
            let mut out = Vec::new();
            peer.session.flush(&mut out).unwrap();
            peer.send(&out);
            if complete {
                return peer;
            }
            let count = peer.stream.read(peer.inbox.space()).unwrap();
            peer.inbox.filled(count);
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        bytes.chunks(self.piece).for_each(|piece| self.stream.write_all(piece).unwrap());
    }

    fn encrypted(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        assert_eq!(self.session.encrypt(plain, &mut out).unwrap(), plain.len());
        out
    }

    /// Everything until the other side says goodbye.
    fn read_to_end(&mut self) -> Vec<u8> {
        let (mut all, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
        loop {
            match self.session.decrypt(&mut self.inbox, &mut buffer).unwrap() {
                Some(0) => return all,
                Some(count) => all.extend_from_slice(&buffer[..count]),
                None => {
                    let count = self.stream.read(self.inbox.space()).unwrap();
                    assert!(count > 0, "the end must be said, not only happen");
                    self.inbox.filled(count);
                }
            }
        }
    }
}

fn connected<T: Send + 'static>(
    piece: usize,
    serve: impl FnOnce(Peer) -> T + Send + 'static,
) -> (Secure, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || serve(Peer::accept(&listener, piece)));
    let roots = Some(pem::certificates(pem!("authority.pem")).unwrap());
    let options = TlsOptions::new(Trust { roots, identity: None, server_name: None }).unwrap();
    let socket = Arc::new(Plain::connect(addr, PATIENCE).unwrap());
    let session = options.session(&addr.to_string()).unwrap();
    (Secure::shake_hands(socket, session, Deadline::after(PATIENCE)).unwrap(), server)
}

fn read_exact(secure: &Secure, len: usize) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 1000]);
    while all.len() < len {
        match secure.read(&mut buffer) {
            Ok(0) => panic!("the end after {} bytes", all.len()),
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
        }
    }
    all
}

#[test]
fn a_stream_that_comes_byte_by_byte_is_read() {
    let (secure, server) = connected(1, |mut peer| {
        let bytes = [peer.encrypted(b"first"), peer.encrypted(&[7; 3000])].concat();
        peer.send(&bytes);
        peer.read_to_end()
    });
    assert_eq!(read_exact(&secure, 3005), [&b"first"[..], &[7; 3000]].concat());
    assert_eq!(secure.write(b"done").unwrap(), 4);
    secure.shutdown();
    assert_eq!(server.join().unwrap(), b"done");
}

#[test]
fn a_read_with_a_time_limit_does_not_wait_for_the_rest_of_a_record() {
    let (go, wait) = mpsc::channel();
    let (secure, server) = connected(usize::MAX, move |mut peer| {
        let record = peer.encrypted(b"in two parts");
        peer.send(&record[..9]);
        wait.recv_timeout(PATIENCE).unwrap();
        peer.send(&record[9..]);
        peer.read_to_end();
    });
    secure.read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; 100];
    // The first reads may meet the server's session tickets.
    assert_eq!(secure.read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
    go.send(()).unwrap();
    assert_eq!(read_exact(&secure, 12), b"in two parts");
    secure.shutdown();
    server.join().unwrap();
}

#[test]
fn what_was_taken_arrives_although_the_kernel_had_no_room_for_it() {
    let (go, wait) = mpsc::channel();
    let (secure, server) = connected(usize::MAX, move |mut peer| {
        wait.recv_timeout(PATIENCE).unwrap();
        peer.read_to_end()
    });
    let text: Vec<u8> = (0..1 << 20).map(|at: u32| (at % 251) as u8).collect();
    let mut taken = Vec::new();
    let full = loop {
        match secure.write(&text) {
            Ok(count) => taken.extend_from_slice(&text[..count]),
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock, "{full}");
    assert!(secure.backlog() > 0, "what is taken has left, or is kept");
    go.send(()).unwrap();
    while secure.backlog() > 0 {
        assert_eq!(secure.write(&[]).unwrap(), 0);
    }
    secure.shutdown();
    assert!(server.join().unwrap() == taken);
    assert!(secure.write(b"x").is_err(), "it is over");
}
