use std::str::FromStr;

/// One translation of an advertised address: `10.0.0.5:10911=127.0.0.1:10911`, or of a host with all its ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapped {
    from: Place,
    to: Place,
}

/// A host, with its port or with any.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    host: String,
    port: Option<u16>,
}

impl FromStr for Mapped {
    type Err = String;

    fn from_str(text: &str) -> Result<Mapped, String> {
        let wrong = || {
            "ADVERTISED=REACHABLE is expected, such as 10.0.0.5:10911=127.0.0.1:10911 or 10.0.0.5=127.0.0.1".to_owned()
        };
        let (from, to) = text.split_once('=').ok_or_else(wrong)?;
        Ok(Mapped { from: Place::parse(from).ok_or_else(wrong)?, to: Place::parse(to).ok_or_else(wrong)? })
    }
}

impl Place {
    fn parse(text: &str) -> Option<Place> {
        let text = text.trim();
        let bare_ipv6 = text.matches(':').count() > 1 && !text.starts_with('[');
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !bare_ipv6 && !port.ends_with(']') => {
                (host, Some(port.parse().ok().filter(|port| *port != 0)?))
            }
            _ => (text, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let legal = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || "/@=[]".contains(c));
        legal.then(|| Place { host: host.to_ascii_lowercase(), port })
    }
}

/// The address to use in place of an advertised one. A translation of host and port wins over one of the host alone.
pub(crate) fn translate(map: &[Mapped], addr: &str) -> String {
    let Some(advertised) = Place::parse(addr) else { return addr.to_owned() };
    let same_host = |mapped: &&Mapped| mapped.from.host == advertised.host;
    let found =
        map.iter().filter(same_host).find(|mapped| mapped.from.port.is_some() && mapped.from.port == advertised.port);
    let found = found.or_else(|| map.iter().filter(same_host).find(|mapped| mapped.from.port.is_none()));
    match (found, advertised.port) {
        (Some(Mapped { to, .. }), port) => match (to.port.or(port), to.host.contains(':')) {
            (Some(port), true) => format!("[{}]:{port}", to.host),
            (Some(port), false) => format!("{}:{port}", to.host),
            (None, _) => to.host.clone(),
        },
        (None, _) => addr.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_translated_with_its_port_or_as_a_host() {
        let map: Vec<Mapped> = ["10.0.0.5=h", "10.0.0.5:10911=127.0.0.1:7", "Broker=[::1]", "[fe80::1]:9=b:1"]
            .map(|text| text.parse().unwrap())
            .into();
        for (advertised, reached) in [
            ("10.0.0.5:10911", "127.0.0.1:7"),
            ("10.0.0.5:10909", "h:10909"),
            ("broker:10911", "[::1]:10911"),
            ("[fe80::1]:9", "b:1"),
            ("10.0.0.6:10911", "10.0.0.6:10911"),
            ("", ""),
        ] {
            assert_eq!(translate(&map, advertised), reached, "{advertised}");
        }
    }

    #[test]
    fn a_translation_has_two_sides() {
        for wrong in ["", "a", "=b", "a=", "a:x=b", "a:0=b", "a b=c", "a=b=c", "http://a=b"] {
            assert!(wrong.parse::<Mapped>().is_err(), "{wrong}");
        }
    }
}
