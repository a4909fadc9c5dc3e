//! Sockets, looked at without the crate's client.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use crate::doctor::facts::{Reach, Talk};

/// Connects, and closes again.
pub(in crate::doctor) fn reach(addr: &str, limit: Duration) -> Reach {
    let found = match addr.to_socket_addrs() {
        Ok(found) => found.collect::<Vec<_>>(),
        Err(error) => return Reach::Unresolved(error.to_string()),
    };
    let mut last = Reach::Unresolved("the name has no address".to_owned());
    for at in found {
        let began = Instant::now();
        last = match TcpStream::connect_timeout(&at, limit) {
            Ok(_) => return Reach::Connected { at, took: began.elapsed() },
            Err(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => Reach::Refused,
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Reach::TimedOut(limit),
                _ => Reach::Failed(error.to_string()),
            },
        };
    }
    last
}

/// The host of `host:port`.
pub(in crate::doctor) fn host(addr: &str) -> &str {
    addr.rsplit_once(':').map_or(addr, |(host, _)| host)
}

pub(in crate::doctor) fn port(addr: &str) -> Option<u16> {
    addr.rsplit_once(':')?.1.parse().ok()
}

/// A question that every server of RocketMQ answers, if only that it does not know it: GET_BROKER_CLUSTER_INFO.
const QUESTION: &str =
    r#"{"code":106,"flag":0,"language":"OTHER","opaque":1,"serializeTypeCurrentRPC":"JSON","version":401}"#;

/// Asks in plain words and with the beginning of TLS, and says what answers. A server that speaks both is what the client wants
/// of it: `encrypted` or not.
pub(in crate::doctor) fn talk(at: SocketAddr, limit: Duration, encrypted: bool) -> Talk {
    let header = u32::try_from(QUESTION.len()).unwrap_or_default();
    let mut frame = (header + 4).to_be_bytes().to_vec();
    frame.extend(header.to_be_bytes());
    frame.extend(QUESTION.as_bytes());
    let speaks_tls = || matches!(exchange(at, &client_hello(), limit), Answer::Bytes(bytes) if is_tls(&bytes));
    if encrypted && speaks_tls() {
        return Talk::Tls;
    }
    match exchange(at, &frame, limit) {
        Answer::Bytes(bytes) => recognise(&bytes),
        _ if !encrypted && speaks_tls() => Talk::Tls,
        Answer::Silence => Talk::Silent,
        Answer::End => Talk::Closed,
    }
}

/// What comes back for some bytes.
enum Answer {
    Bytes(Vec<u8>),
    End,
    Silence,
}

/// Writes, and reads the first bytes of the answer.
fn exchange(at: SocketAddr, bytes: &[u8], limit: Duration) -> Answer {
    let until = Instant::now() + limit;
    let Ok(mut stream) = TcpStream::connect_timeout(&at, limit) else { return Answer::End };
    if stream.set_write_timeout(Some(limit)).is_err() || stream.write_all(bytes).is_err() {
        return Answer::End;
    }
    let mut read = Vec::new();
    let mut part = [0; 64];
    while read.len() < 16 {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            break;
        }
        match stream.read(&mut part) {
            Ok(0) if read.is_empty() => return Answer::End,
            Ok(0) => break,
            Ok(count) => read.extend_from_slice(&part[..count]),
            Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => break,
            Err(_) if read.is_empty() => return Answer::End,
            Err(_) => break,
        }
    }
    // Nobody waits for the rest of the answer.
    let _ = stream.shutdown(Shutdown::Both);
    if read.is_empty() { Answer::Silence } else { Answer::Bytes(read) }
}

/// What the first bytes of an answer belong to.
fn recognise(bytes: &[u8]) -> Talk {
    if is_tls(bytes) {
        return Talk::Tls;
    }
    if bytes.starts_with(b"HTTP/") {
        return Talk::Http;
    }
    if let [a, b, c, d, kind, e, f, g, ..] = *bytes {
        let (length, header) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([0, e, f, g]));
        if kind <= 1 && length < 1 << 24 && header > 0 && header.checked_add(4).is_some_and(|least| least <= length) {
            return Talk::RocketMq;
        }
    }
    let text: String =
        String::from_utf8_lossy(bytes).chars().take_while(|c| !matches!(c, '\r' | '\n')).take(16).collect();
    Talk::Other(text)
}

/// A record of a handshake or an alert, of any version.
fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15 | 0x16, 3, 0..=4, ..])
}

/// The first record of a handshake, complete enough to be answered: with a certificate or with an alert.
fn client_hello() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([0x5a; 32]);
    body.push(0);
    let suites = [0xc0, 0x2f, 0xc0, 0x30, 0xc0, 0x2b, 0xc0, 0x2c, 0x00, 0x9c, 0x00, 0x2f];
    body.extend([0, suites.len() as u8]);
    body.extend(suites);
    body.extend([1, 0]);
    // Groups, point formats, signature algorithms.
    let extensions: [u8; 30] =
        [0, 10, 0, 6, 0, 4, 0, 29, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 10, 0, 8, 4, 1, 4, 3, 8, 4, 5, 1];
    body.extend([0, extensions.len() as u8]);
    body.extend(extensions);
    let mut record = vec![0x16, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
    record.extend(body);
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    #[test]
    fn what_answers_is_known_by_its_first_bytes() {
        let cases: [(&[u8], Talk); 8] = [
            (b"\0\0\0\x69\0\0\0\x65{\"code\":0", Talk::RocketMq),
            (b"\0\0\0\x20\x01\0\0\x15\0\0\0\0", Talk::RocketMq),
            (b"\x15\x03\x01\0\x02\x02\x46", Talk::Tls),
            (b"\x16\x03\x03\0\x7a\x02", Talk::Tls),
            (b"HTTP/1.1 400 Bad Request", Talk::Http),
            (b"SSH-2.0-OpenSSH_9.6\r\n", Talk::Other("SSH-2.0-OpenSSH_".into())),
            (b"\0\0\0\x04\0\0\0\x65{\"", Talk::Other("\0\0\0\u{4}\0\0\0e{\"".into())),
            (b"hi\nthere", Talk::Other("hi".into())),
        ];
        for (bytes, talk) in cases {
            assert_eq!(recognise(bytes), talk, "{bytes:?}");
        }
    }

    #[test]
    fn lengths_in_the_hello_agree() {
        let hello = client_hello();
        assert_eq!(usize::from(hello[4]) + 5, hello.len());
        assert_eq!(usize::from(hello[8]) + 9, hello.len());
    }

    /// Answers every connection with these bytes; without any it closes, or says nothing.
    fn server(answer: Option<&'static [u8]>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                let mut stream = stream;
                let mut asked = [0; 256];
                let _ = stream.read(&mut asked);
                match answer {
                    Some(bytes) => drop(stream.write_all(bytes)),
                    None => kept.push(stream),
                }
            }
        });
        at
    }

    #[test]
    fn servers_of_all_kinds_are_recognised() {
        let limit = Duration::from_millis(300);
        for (answer, talk) in [
            (Some(&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..]), Talk::Http),
            (Some(b"\x15\x03\x01\0\x02\x02\x46"), Talk::Tls),
            (Some(b""), Talk::Closed),
            (None, Talk::Silent),
        ] {
            assert_eq!(super::talk(server(answer), limit, false), talk);
        }
    }

    #[test]
    fn connecting_says_how_it_failed() {
        let limit = Duration::from_millis(300);
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(reach(&free.to_string(), limit), Reach::Refused);
        assert!(matches!(reach("no-such-host.invalid:1", limit), Reach::Unresolved(_)));
        assert!(reach(&server(None).to_string(), limit).is_connected());
        assert_eq!((host("[::1]:9876"), port("[::1]:9876"), port("h")), ("[::1]", Some(9876), None));
    }
}
