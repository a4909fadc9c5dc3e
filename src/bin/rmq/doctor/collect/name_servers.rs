use std::time::{Duration, Instant};

use super::{Probe, client, net, servers};
use crate::doctor::facts::{NameServer, Reach};
use crate::doctor::trouble::Trouble;
use crate::failure::Failure;

const DEFAULT_PORT: u16 = 9876;

impl Probe<'_> {
    /// Looks at one name server, through a client of its own, so that no other answers in its place.
    pub(in crate::doctor) fn name_server(&self, addr: &str) -> Result<NameServer, Failure> {
        let reach = net::reach(addr, self.limit);
        let Reach::Connected { at, .. } = reach else {
            let known = Err(Trouble::Unanswered("it is not reached".to_owned()));
            return Ok(NameServer { addr: addr.to_owned(), reach, talk: None, known, took: Duration::ZERO });
        };
        let client = client(self.cluster, addr, self.limit)?;
        let began = Instant::now();
        let known = servers(&client.admin()).map_err(|error| Trouble::of(&error));
        let took = began.elapsed();
        // Nothing is under way that closing could wait for.
        client.close()?;
        let talk = if known.is_err() { Some(net::talk(at, self.limit, self.cluster.is_encrypted())) } else { None };
        Ok(NameServer { addr: addr.to_owned(), reach, talk, known, took })
    }
}

/// The addresses of a list in the forms that clients take.
pub(in crate::doctor) fn addresses(list: &str) -> Vec<String> {
    let list = if list.starts_with("http") { list.rsplit('/').next().unwrap_or(list) } else { list };
    let mut found: Vec<String> = Vec::new();
    for entry in list.split([';', ',']).map(str::trim).filter(|entry| !entry.is_empty()) {
        let addr = if entry.parse::<std::net::Ipv6Addr>().is_ok() {
            format!("[{entry}]:{DEFAULT_PORT}")
        } else if net::port(entry).is_some() {
            entry.to_owned()
        } else {
            format!("{entry}:{DEFAULT_PORT}")
        };
        if !found.contains(&addr) {
            found.push(addr);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_clients_read_them() {
        for (list, expected) in [
            ("a:1;b", &["a:1", "b:9876"][..]),
            (" a, a:9876 ;", &["a:9876"]),
            ("::1;[::1]:7", &["[::1]:9876", "[::1]:7"]),
            ("http://MQ_INST_1.mq.example.com:80/h:5", &["h:5"]),
        ] {
            assert_eq!(addresses(list), expected, "{list}");
        }
    }
}
