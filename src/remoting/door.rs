//! Whether a server that hangs up on plain connections takes only TLS: it says so to nobody who does not ask for TLS.
//!
//! Asking is two short connections. One greets as TLS does, and is answered as TLS does. The other asks something plain, and
//! is hung up on: a server that takes both answers that one. Only then is it known that the requests of the lost connection
//! were not carried out.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::Deadline;
use super::connection::{Connection, Out, Phase};
use super::ending::Loss;
use super::sync::OnceLock;
use super::transport::{Plain, Transport, is_timeout};
use crate::code::RequestCode;
use crate::error::Error;
use crate::protocol::frame::{self, Head, HeaderKind};
use crate::protocol::rpc::route::GetRoute;

/// For how long what was learned of an address holds, and nothing plain is sent to one that takes only TLS.
const FRESH: Duration = Duration::from_secs(5);
/// How long asking may take: the calls of the lost connection wait for it.
const LIMIT: Duration = Duration::from_secs(1);

/// What is known of the server's door.
#[derive(Debug, Default)]
pub(super) struct Door {
    /// Where a plain connection was made to.
    peer: OnceLock<SocketAddr>,
    /// Whether it takes only TLS, and since when that is known.
    known: OnceLock<(bool, Instant)>,
}

impl Door {
    /// Takes over what the connection before has learned.
    pub(super) fn learn(&self, known: Option<(bool, Instant)>) {
        if let Some(known) = known {
            let _ = self.known.set(known);
        }
    }

    pub(super) fn takes_only_tls(&self) -> bool {
        self.known.get().is_some_and(|(only_tls, _)| *only_tls)
    }
}

/// The first bytes of a TLS record: an alert or a handshake message, of any version. As the length of a frame they are
/// more than any limit.
pub(super) fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15 | 0x16, 0x03, ..])
}

/// How a server answers the first bytes on a connection.
#[derive(Debug, PartialEq)]
enum Answer {
    Tls,
    HangsUp,
    /// Something else, or nothing in time.
    Other,
}

impl Connection {
    /// Notes that a plain connection was made to `addr`.
    pub(super) fn entered(&self, addr: SocketAddr) {
        if !self.is_encrypted() {
            let _ = self.door.peer.set(addr);
        }
    }

    /// What the next connection to the same address need not ask.
    pub(super) fn learned(&self) -> Option<(bool, Instant)> {
        if self.has_received() {
            return Some((false, Instant::now()));
        }
        self.door.known.get().copied().filter(|(_, since)| since.elapsed() < FRESH)
    }

    /// The end of a plain client's connection to a server that takes only TLS.
    pub(super) fn refused_as_plain(&self) -> Loss {
        let reason =
            "the server speaks TLS, and this client does not (turn the feature `tls` on and give ClientBuilder::tls)";
        self.door.learn(Some((true, Instant::now())));
        Loss::NotConnected(Error::Tls { addr: self.addr.clone(), reason: reason.into() })
    }

    /// Whether a lost connection's end is for the reader to judge, who asks why. Nothing is written meanwhile.
    pub(super) fn doubt(&self, out: &mut Out) -> bool {
        let unknown = self.door.peer.get().is_some() && self.door.known.get().is_none() && !self.has_received();
        if out.phase == Phase::Open && unknown {
            out.phase = Phase::Doubted;
        }
        out.phase == Phase::Doubted
    }

    /// Asks a server that hung up without a word, on the reader's thread. Closing the connection ends it.
    pub(super) fn asks_for_tls(&self) -> bool {
        let doubted = self.doubt(&mut self.out());
        let Some(peer) = self.door.peer.get().filter(|_| doubted) else { return false };
        let deadline = Deadline::after(LIMIT.min(self.options.connect_timeout / 2));
        let host = self.addr.rsplit_once(':').map_or(&*self.addr, |(host, _)| host);
        let only_tls = self.first_answer(*peer, &greeting(host), deadline) == Answer::Tls
            && self.first_answer(*peer, &question(), deadline) == Answer::HangsUp;
        self.door.learn(Some((only_tls, Instant::now())));
        only_tls
    }

    /// What the server answers these bytes on a connection of their own.
    fn first_answer(&self, peer: SocketAddr, bytes: &[u8], deadline: Deadline) -> Answer {
        let left = || Some(deadline.left(Instant::now())).filter(|left| !left.is_zero());
        let answer = || -> io::Result<Answer> {
            let socket = Arc::new(Plain::connect(peer, left().ok_or(io::ErrorKind::TimedOut)?)?);
            *self.handshake.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket.clone());
            if self.is_gone() || socket.write(bytes)? < bytes.len() {
                return Ok(Answer::Other);
            }
            socket.read_timeout(left())?;
            let mut first = [0; 2];
            match socket.read(&mut first) {
                Ok(0) => Ok(Answer::HangsUp),
                Ok(count) if is_tls(&first[..count]) => Ok(Answer::Tls),
                Err(error) if !is_timeout(&error) => Ok(Answer::HangsUp),
                _ => Ok(Answer::Other),
            }
        };
        let answer = answer().unwrap_or(Answer::Other);
        let socket = self.handshake.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It was taken out already by whoever closes the connection, who is no server that hangs up.
        let Some(socket) = socket else { return Answer::Other };
        socket.shutdown();
        answer
    }
}

/// Something plain that every server answers somehow.
fn question() -> Vec<u8> {
    let mut bytes = Vec::new();
    let head = Head::request(HeaderKind::Json, RequestCode::GET_ROUTEINFO_BY_TOPIC, 0);
    let request = GetRoute { standard_json: Some(true), topic: "TBW102".into() };
    match frame::encode(&mut bytes, &head, &request, &[], 0) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}

/// The greeting of a client of TLS 1.2, to which a server answers with its own or with an alert.
fn greeting(host: &str) -> Vec<u8> {
    const SUITES: [u16; 10] = [0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC009, 0xC013, 0x009C, 0x002F];
    const CURVES: [u16; 3] = [29, 23, 24];
    const SIGNATURES: [u16; 8] = [0x0403, 0x0503, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0201];
    let numbers =
        |numbers: &[u16]| sized(2, &numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<_>>());
    let extension = |kind: u16, content: &[u8]| [&kind.to_be_bytes()[..], &sized(2, content)].concat();
    let name = match host.parse::<IpAddr>() {
        // Servers behind one address are told apart by name.
        Err(_) if !host.starts_with('[') => extension(0, &sized(2, &[&[0][..], &sized(2, host.as_bytes())].concat())),
        _ => Vec::new(),
    };
    let extensions =
        [name, extension(10, &numbers(&CURVES)), extension(11, &[1, 0]), extension(13, &numbers(&SIGNATURES))];
    let random: [u8; 32] = std::array::from_fn(|_| fastrand::u8(..));
    let hello =
        [&[3, 3][..], &random, &sized(1, &[]), &numbers(&SUITES), &sized(1, &[0]), &sized(2, &extensions.concat())];
    let message = [&[1][..], &sized(3, &hello.concat())].concat();
    [&[0x16, 3, 1][..], &sized(2, &message)].concat()
}

/// The content after its length in so many bytes.
fn sized(len_bytes: usize, content: &[u8]) -> Vec<u8> {
    let len = (content.len() as u32).to_be_bytes();
    [&len[4 - len_bytes..], content].concat()
}

#[cfg(test)]
mod tests;
