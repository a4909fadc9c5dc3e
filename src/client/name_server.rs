//! The addresses of the name servers, and which of them is asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};

/// The port of an address that names none.
const DEFAULT_PORT: u16 = 9876;

/// Reads a list of addresses in Java's forms: `host:port;host:port`, also with commas, with blanks, without ports, and
/// with IPv6 addresses in brackets or bare; or `http://anything/host:port`, which names one.
pub(crate) fn parse(list: &str) -> Result<Vec<Arc<str>>> {
    let list = list.trim();
    if list.starts_with("http://") || list.starts_with("https://") {
        let last = list.rsplit('/').next().unwrap_or_default();
        return address(last).map(|addr| vec![addr]);
    }
    let mut addrs: Vec<Arc<str>> = Vec::new();
    for entry in list.split([';', ',']).map(str::trim).filter(|entry| !entry.is_empty()) {
        let addr = address(entry)?;
        if !addrs.contains(&addr) {
            addrs.push(addr);
        }
    }
    Ok(addrs)
}

/// Brings one address into the form `host:port`, with the brackets an IPv6 address needs.
fn address(entry: &str) -> Result<Arc<str>> {
    let wrong = |what: &str| Error::invalid(format!("name server address {entry:?}: {what}; host:port is expected"));
    let bare_ipv6 = entry.parse::<std::net::Ipv6Addr>().is_ok();
    let (host, port) = match entry.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(|| wrong("the bracket is not closed"))?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong("not an IPv6 address"))?;
            match port.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if port.is_empty() => (host, None),
                None => return Err(wrong("text after the bracket")),
            }
        }
        None if bare_ipv6 => (entry, None),
        None => entry.rsplit_once(':').map_or((entry, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some(port) => port
            .parse::<u16>()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| wrong("the port is not a number from 1 to 65535"))?,
        None => DEFAULT_PORT,
    };
    let ipv6 = host.contains(':');
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control() || "/@;,".contains(c)) {
        return Err(wrong("not a host name"));
    }
    if ipv6 && host.parse::<std::net::Ipv6Addr>().is_err() {
        return Err(wrong("too many colons"));
    }
    Ok(if ipv6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") }.into())
}

/// The list, and the one that is asked until it fails.
#[derive(Debug)]
pub(super) struct NameServers {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    list: Vec<Arc<str>>,
    chosen: usize,
}

impl NameServers {
    /// `start` chooses the first one to ask, at random, so that not all clients ask the same.
    pub(super) fn new(list: Vec<Arc<str>>, start: usize) -> NameServers {
        let chosen = start % list.len().max(1);
        NameServers { state: Mutex::new(State { list, chosen }) }
    }

    /// All of them in the order to try: the chosen one first.
    pub(super) fn in_order(&self) -> Vec<Arc<str>> {
        let state = self.lock();
        let (before, from) = state.list.split_at(state.chosen);
        from.iter().chain(before).cloned().collect()
    }

    pub(super) fn contains(&self, addr: &str) -> bool {
        self.lock().list.iter().any(|known| &**known == addr)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().list.is_empty()
    }

    /// Makes the next one the choice, when `addr` still is it.
    pub(super) fn failed(&self, addr: &str) {
        let mut state = self.lock();
        if state.list.get(state.chosen).is_some_and(|chosen| &**chosen == addr) {
            state.chosen = (state.chosen + 1) % state.list.len();
        }
    }

    /// Takes a new list and says whether it differs; the choice stays when it is still listed.
    pub(super) fn replace(&self, list: Vec<Arc<str>>, start: usize) -> bool {
        let mut state = self.lock();
        let same = list.len() == state.list.len() && list.iter().all(|addr| state.list.contains(addr));
        if same || list.is_empty() {
            return false;
        }
        let chosen = state.list.get(state.chosen);
        let kept = chosen.and_then(|chosen| list.iter().position(|addr| addr == chosen));
        let chosen = kept.unwrap_or(start % list.len());
        *state = State { list, chosen };
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_list_is_read() {
        let cases: &[(&str, &[&str])] = &[
            ("127.0.0.1:9876", &["127.0.0.1:9876"]),
            ("127.0.0.1", &["127.0.0.1:9876"]),
            (" a:1 ; b:2;", &["a:1", "b:2"]),
            ("a:1,b:2, ;c", &["a:1", "b:2", "c:9876"]),
            ("a:1;a:1;b:1;a", &["a:1", "b:1", "a:9876"]),
            ("::1", &["[::1]:9876"]),
            ("[::1]", &["[::1]:9876"]),
            ("[fe80::2]:1234;2001:db8::7", &["[fe80::2]:1234", "[2001:db8::7]:9876"]),
            ("http://MQ_INST_123_abc.cn-hangzhou.example.com:80", &["MQ_INST_123_abc.cn-hangzhou.example.com:80"]),
            ("http://host/path/name:1", &["name:1"]),
            ("", &[]),
            (" ; , ", &[]),
        ];
        for (list, expected) in cases {
            let parsed = parse(list).unwrap();
            assert_eq!(parsed.iter().map(|addr| &**addr).collect::<Vec<_>>(), *expected, "{list:?}");
        }
    }

    #[test]
    fn a_wrong_address_is_refused_with_a_reason() {
        for (list, reason) in [
            ("a:b", "port"),
            ("a:0", "port"),
            ("a:65536", "port"),
            ("a:", "port"),
            (":1", "host name"),
            ("a b:1", "host name"),
            ("a\u{14}:1", "host name"),
            ("http://host/a:1;b:1", "host name"),
            ("[::1", "bracket"),
            ("[::1]x", "bracket"),
            ("[a]:1", "IPv6"),
            ("a:b:1", "colons"),
            ("http://host/", "host name"),
        ] {
            let Err(error) = parse(list) else { panic!("{list:?} was accepted") };
            assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(reason), "{list:?}: {error}");
        }
    }

    #[test]
    fn the_choice_sticks_until_it_fails_and_the_order_begins_with_it() {
        let list: Vec<Arc<str>> = vec!["a:1".into(), "b:1".into(), "c:1".into()];
        let servers = NameServers::new(list.clone(), 4);
        let first = || servers.in_order()[0].to_string();
        assert_eq!(first(), "b:1");
        servers.failed("a:1");
        assert_eq!(first(), "b:1", "only the chosen one moves the choice");
        servers.failed("b:1");
        assert_eq!(servers.in_order(), vec!["c:1".into(), "a:1".into(), "b:1".into()] as Vec<Arc<str>>);
        servers.failed("c:1");
        assert_eq!(first(), "a:1");
    }

    #[test]
    fn a_new_list_keeps_the_choice_when_it_can() {
        let servers = NameServers::new(vec!["a:1".into(), "b:1".into()], 1);
        assert!(!servers.replace(vec!["b:1".into(), "a:1".into()], 0), "the order does not matter");
        assert!(!servers.replace(vec![], 0), "an empty list is no news");
        assert!(servers.replace(vec!["c:1".into(), "b:1".into()], 0));
        assert_eq!(&*servers.in_order()[0], "b:1");
        assert!(servers.replace(vec!["d:1".into(), "e:1".into()], 3));
        assert_eq!(&*servers.in_order()[0], "e:1");
    }
}
