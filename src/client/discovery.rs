//! Asking an address server over HTTP where the name servers are.

use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::core::Core;
use super::name_server;
use crate::channel;
use crate::error::{Error, Outcome, Result, Stage};
use crate::remoting::Deadline;

const DEFAULT_DOMAIN: &str = "jmenv.tbsite.net";
const DEFAULT_SUBGROUP: &str = "nsaddr";
const DEFAULT_PORT: u16 = 8080;
/// The whole answer, head and body.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Where to ask: `http://<domain>:8080/rocketmq/<subgroup>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Discovery {
    host: String,
    port: u16,
    path: String,
}

impl fmt::Display for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}{}", self.host, self.port, self.path)
    }
}

impl Discovery {
    /// A domain with a port uses it instead of 8080. A unit name is appended as Java does.
    pub(super) fn new(domain: Option<&str>, subgroup: Option<&str>, unit_name: Option<&str>) -> Result<Discovery> {
        let given = |value: Option<&str>, default: &str| {
            value.map(str::trim).filter(|value| !value.is_empty()).unwrap_or(default).to_owned()
        };
        let domain = given(domain, DEFAULT_DOMAIN);
        let subgroup = given(subgroup, DEFAULT_SUBGROUP);
        let wrong =
            |what: &str| Error::invalid(format!("discovery at domain {domain:?}, subgroup {subgroup:?}: {what}"));
        let (host, port) = match domain.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| wrong("the port is not a number"))?),
            None => (&*domain, DEFAULT_PORT),
        };
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
        if host.is_empty() || !plain(host) || host.contains('/') {
            return Err(wrong("a host name, with a port if need be, is expected"));
        }
        let path = match unit_name {
            Some(unit) => format!("/rocketmq/{subgroup}-{unit}?nofix=1"),
            None => format!("/rocketmq/{subgroup}"),
        };
        if !plain(&path) {
            return Err(wrong("blanks and control characters cannot stand in a URL"));
        }
        Ok(Discovery { host: host.to_owned(), port, path })
    }

    /// Asks and returns the addresses. Blocks, and name resolution may exceed `deadline`.
    fn fetch(&self, deadline: Deadline) -> Result<Vec<Arc<str>>> {
        let line = self.get(deadline).map_err(|reason| self.failed(&reason))?;
        let addrs = name_server::parse(&line).map_err(|error| self.failed(&error))?;
        if addrs.is_empty() {
            return Err(self.failed(&"the answer names none"));
        }
        Ok(addrs)
    }

    fn failed(&self, reason: &dyn fmt::Display) -> Error {
        Error::NoNameServer { reason: format!("none was given, and {self} says: {reason}").into() }
    }

    fn get(&self, deadline: Deadline) -> Result<String, String> {
        let text = |error: std::io::Error| error.to_string();
        let addrs = (&*self.host, self.port).to_socket_addrs().map_err(text)?;
        let mut stream = connect(addrs, deadline)?;
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}:{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
            self.path, self.host, self.port
        );
        stream.set_write_timeout(Some(left(deadline)?)).map_err(text)?;
        stream.write_all(request.as_bytes()).map_err(text)?;
        let mut answer = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            stream.set_read_timeout(Some(left(deadline)?)).map_err(text)?;
            let count = match stream.read(&mut chunk) {
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                    return Err("no whole answer in time".into());
                }
                Err(error) => return Err(text(error)),
            };
            answer.extend_from_slice(&chunk[..count]);
            if answer.len() > ANSWER_LIMIT {
                return Err(format!("an answer above {ANSWER_LIMIT} bytes"));
            }
            if let Some(line) = first_line(&answer, count == 0)? {
                return Ok(line);
            }
        }
    }
}

fn left(deadline: Deadline) -> Result<std::time::Duration, String> {
    let left = deadline.left(Instant::now());
    if left.is_zero() { Err("no answer in time".into()) } else { Ok(left) }
}

fn connect(addrs: impl Iterator<Item = SocketAddr>, deadline: Deadline) -> Result<TcpStream, String> {
    let mut reason = "the name has no address".to_owned();
    for addr in addrs {
        match TcpStream::connect_timeout(&addr, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => reason = format!("cannot connect to {addr}: {error}"),
        }
    }
    Err(reason)
}

/// Reads the first line of the body of an HTTP answer; `None` when more bytes are needed. Pure.
pub(crate) fn first_line(answer: &[u8], ended: bool) -> Result<Option<String>, String> {
    let Some(head_len) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return if ended { Err("the answer ends within its head".into()) } else { Ok(None) };
    };
    let head = String::from_utf8_lossy(&answer[..head_len]);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let mut words = status.split_ascii_whitespace();
    if !words.next().is_some_and(|word| word.starts_with("HTTP/")) {
        return Err("not an HTTP answer".into());
    }
    let code = words.next().unwrap_or_default();
    if code != "200" {
        return Err(format!("status {code:.40}; 200 is expected"));
    }
    let (mut length, mut chunked) = (None, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.parse::<usize>().map_err(|_| format!("Content-Length {value:.40}"))?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = value.to_ascii_lowercase().ends_with("chunked");
        }
    }
    let rest = &answer[head_len + 4..];
    let body = if chunked {
        dechunk(rest)?
    } else {
        match length {
            Some(length) if rest.len() >= length => Some(rest[..length].to_vec()),
            None if ended => Some(rest.to_vec()),
            _ => None,
        }
    };
    match body {
        Some(body) => {
            let text = String::from_utf8_lossy(&body);
            Ok(Some(text.trim().lines().next().unwrap_or_default().trim().to_owned()))
        }
        None if ended => Err("the answer ends within its body".into()),
        None => Ok(None),
    }
}

/// Joins the chunks of a body; `None` when the last one has not come yet.
fn dechunk(mut rest: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|bytes| bytes == b"\r\n") else { return Ok(None) };
        let line = String::from_utf8_lossy(&rest[..end]);
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| format!("chunk size {size:.40}"))?;
        if size == 0 {
            return Ok(Some(body));
        }
        if size > ANSWER_LIMIT {
            return Err(format!("a chunk of {size} bytes"));
        }
        rest = &rest[end + 2..];
        let Some(chunk) = rest.get(..size) else { return Ok(None) };
        body.extend_from_slice(chunk);
        match rest.get(size..size + 2) {
            Some(b"\r\n") => rest = &rest[size + 2..],
            Some(_) => return Err("a chunk longer than its size".into()),
            None => return Ok(None),
        }
    }
}

impl Core {
    /// Waits until name servers are discovered. Fails when there is nowhere to ask.
    pub(super) fn discover(&self, deadline: Deadline) -> Result<()> {
        let core = self.me().ok_or(Error::Closed { outcome: Outcome::NotSent })?;
        let (done, found) = channel::bounded(1);
        core.discover_async(deadline, move |result| drop(done.try_send(result)));
        match found.recv_deadline(deadline.at()) {
            Ok(result) => result,
            Err(channel::RecvTimeoutError::Timeout) => Err(deadline.missed(Stage::Route, None, Outcome::NotSent)),
            Err(channel::RecvTimeoutError::Disconnected) => Err(Error::Closed { outcome: Outcome::NotSent }),
        }
    }

    /// Discovers name servers on the resolver's thread, unless another call did meanwhile.
    pub(super) fn discover_async(&self, deadline: Deadline, done: impl FnOnce(Result<()>) + Send + 'static) {
        let Some(discovery) = self.options().discovery.clone() else {
            return done(Err(Error::NoNameServer { reason: "none was given".into() }));
        };
        let done = Completion::new(done);
        let (core, by_job) = (self.me(), done.clone());
        let job = move || {
            let Some(core) = core else { return };
            if core.name_servers().is_empty() {
                match discovery.fetch(deadline) {
                    Ok(addrs) => core.take_name_servers(addrs),
                    Err(error) => return by_job.call(Err(error)),
                }
            }
            by_job.call(Ok(()));
        };
        if let Err(error) = self.resolver().run(job) {
            done.call(Err(error));
        }
    }

    /// The periodic look for name servers; a failure leaves the list as it is.
    pub(super) fn rediscover(&self) {
        let (Some(core), Some(discovery)) = (self.me(), self.options().discovery.clone()) else { return };
        let looked =
            self.resolver().run(move || match discovery.fetch(Deadline::after(core.options().request_timeout)) {
                Ok(addrs) => core.take_name_servers(addrs),
                Err(error) => log::debug!("{error}"),
            });
        if let Err(error) = looked {
            log::debug!("looking for name servers: {error}");
        }
    }

    fn take_name_servers(&self, addrs: Vec<Arc<str>>) {
        let text = addrs.join(";");
        if self.name_servers().replace(addrs, fastrand::usize(..)) {
            log::info!("name servers: {text}");
        }
    }
}

type Done = Box<dyn FnOnce(Result<()>) + Send>;

/// A completion that one of two places calls, and that says `Closed` when both drop it.
struct Completion(Mutex<Option<Done>>);

impl Completion {
    fn new(done: impl FnOnce(Result<()>) + Send + 'static) -> Arc<Completion> {
        Arc::new(Completion(Mutex::new(Some(Box::new(done)))))
    }

    fn call(&self, result: Result<()>) {
        let done = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(done) = done {
            done(result);
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        self.call(Err(Error::Closed { outcome: Outcome::NotSent }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_javas_with_its_overrides() {
        let cases = [
            (None, None, None, "http://jmenv.tbsite.net:8080/rocketmq/nsaddr"),
            (Some("addr.example"), Some("mine"), None, "http://addr.example:8080/rocketmq/mine"),
            (Some("addr.example:80"), None, Some("u1"), "http://addr.example:80/rocketmq/nsaddr-u1?nofix=1"),
            (Some(" "), Some(""), None, "http://jmenv.tbsite.net:8080/rocketmq/nsaddr"),
        ];
        for (domain, subgroup, unit, url) in cases {
            assert_eq!(Discovery::new(domain, subgroup, unit).unwrap().to_string(), url);
        }
        for (domain, subgroup) in [("a:b", "s"), ("a b", "s"), ("http://a", "s"), (":80", "s"), ("a", "s\r\nX: y")] {
            assert!(Discovery::new(Some(domain), Some(subgroup), None).is_err(), "{domain} {subgroup:?}");
        }
    }

    #[test]
    fn the_first_line_is_found_however_the_body_is_delimited() {
        let cases: &[(&str, bool, &str)] = &[
            ("HTTP/1.0 200 OK\r\n\r\na:1;b:2\n", true, "a:1;b:2"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\na:1;b:2and the next answer", false, "a:1;b:2"),
            ("HTTP/1.1 200\r\ncontent-length:9\r\n\r\n\n a:1\r\nx\n", false, "a:1"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na:1;\r\n3;x=y\r\nb:2\r\n0\r\n\r\n",
                false,
                "a:1;b:2",
            ),
            ("HTTP/1.1 200 OK\r\n\r\n", true, ""),
        ];
        for (answer, ended, line) in cases {
            assert_eq!(first_line(answer.as_bytes(), *ended).unwrap().as_deref(), Some(*line), "{answer:?}");
            let split_anywhere = (0..answer.len()).map(|end| first_line(&answer.as_bytes()[..end], false));
            for early in split_anywhere {
                assert!(early.is_ok(), "{answer:?}");
            }
        }
    }

    #[test]
    fn an_answer_that_is_not_whole_or_not_good_is_refused_with_a_reason() {
        let cases: &[(&str, &str)] = &[
            ("", "within its head"),
            ("HTTP/1.1 200 OK\r\nContent-", "within its head"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\na:1", "within its body"),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\na:1", "Content-Length"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk size"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n", "chunk of"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", "longer than its size"),
            ("HTTP/1.1 404 Not Found\r\n\r\n", "404"),
            ("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "302"),
            ("SSH-2.0\r\n\r\n", "not an HTTP answer"),
        ];
        for (answer, reason) in cases {
            let Err(error) = first_line(answer.as_bytes(), true) else { panic!("{answer:?} was accepted") };
            assert!(error.contains(reason), "{answer:?}: {error}");
        }
    }

    fn fetch(millis: u64, peer: impl FnOnce(TcpStream) + Send + 'static) -> Result<Vec<Arc<str>>> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let domain = listener.local_addr().unwrap().to_string();
        let serving = std::thread::spawn(move || peer(listener.accept().unwrap().0));
        let discovery = Discovery::new(Some(&domain), None, None).unwrap();
        let found = discovery.fetch(Deadline::after(std::time::Duration::from_millis(millis)));
        serving.join().unwrap();
        found
    }

    #[test]
    fn an_endless_answer_is_cut_off() {
        let error = fetch(5000, |mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            while stream.write_all(&[b'x'; 4096]).is_ok() {}
        });
        assert!(error.unwrap_err().to_string().contains("above 65536 bytes"));
    }

    #[test]
    fn a_slow_answer_ends_at_the_deadline_however_it_dribbles() {
        let started = Instant::now();
        let error = fetch(200, |mut stream| {
            while stream.write_all(b"H").is_ok() {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        });
        assert!(error.unwrap_err().to_string().contains("in time"));
        assert!(started.elapsed().as_millis() < 1500, "{:?}", started.elapsed());
    }
}
