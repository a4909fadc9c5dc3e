//! Says what is wrong and what to do, from what was found. Pure.

pub(super) mod brokers;
pub(super) mod group;
pub(super) mod name_servers;
pub(super) mod queues;
pub(super) mod topic;

use super::facts::{Reach, Talk};
use super::trouble::{Access, Signer, Trouble, advice};
use crate::text;

/// What all judgements need to know of the one who asks.
#[derive(Debug, Clone, Default)]
pub(super) struct Asker {
    pub(super) signer: Option<Signer>,
    /// Whether it encrypts.
    pub(super) tls: bool,
}

impl Asker {
    fn on_access(&self, access: Access) -> String {
        advice(access, self.signer.as_ref())
    }
}

/// Why an address was not reached, in one phrase; and what to do on the way there.
fn unreached(reach: &Reach, what: &str) -> Option<(String, String)> {
    Some(match reach {
        Reach::Connected { .. } => return None,
        Reach::Unresolved(why) => (
            format!("its name was looked up and has no address here: {why}"),
            "check the spelling, and the DNS and hosts file of this machine; names of containers are known in their own network only"
                .to_owned(),
        ),
        Reach::Refused => (
            "connecting was refused: nothing listens there".to_owned(),
            format!("see whether the {what} runs, and at which port it listens (listenPort in its configuration)"),
        ),
        Reach::TimedOut(after) => (
            format!("connecting was tried for {} and nothing answered", text::duration(*after)),
            "a firewall or a security group drops the packets, or the machine is down: open the port for this machine".to_owned(),
        ),
        Reach::Failed(why) => (
            format!("connecting failed: {why}"),
            "check the network of this machine, and the address".to_owned(),
        ),
    })
}

/// What answers in place of what was expected, and what to do.
fn misspoken(talk: &Talk, tls: bool, what: &str) -> (String, String) {
    match talk {
        Talk::Tls if !tls => (
            "it speaks TLS, and was asked without".to_owned(),
            "encrypt: --tls, with --tls-ca FILE for an authority of your own; in a program ClientBuilder::tls".to_owned(),
        ),
        Talk::Tls => (
            "it speaks TLS, and the handshake failed".to_owned(),
            "give the authority that signed its certificate (--tls-ca), the name in the certificate (--tls-server-name), and a \
             certificate of your own if it demands one (--tls-cert, --tls-key)"
                .to_owned(),
        ),
        Talk::RocketMq if tls => (
            "it does not speak TLS".to_owned(),
            "leave --tls away, or start the servers with tls.server.mode=enforcing and a certificate".to_owned(),
        ),
        Talk::RocketMq => (
            "it speaks RocketMQ's protocol".to_owned(),
            format!("see whether this is the {what}, and its log for what it did with the request"),
        ),
        Talk::Http => (
            "it speaks HTTP".to_owned(),
            format!("this is no {what}: the dashboard, a proxy or a load balancer, perhaps; name servers listen at 9876, brokers at 10911"),
        ),
        Talk::Other(first) => (
            format!("it speaks another protocol; its answer begins {first:?}"),
            format!("this is no {what}: check host and port; name servers listen at 9876, brokers at 10911"),
        ),
        Talk::Closed => (
            "it takes the connection and closes it without an answer, to TLS as well".to_owned(),
            "a proxy without a server behind it, a server that admits only some addresses, or one that demands a client's \
             certificate (--tls-cert, --tls-key)"
                .to_owned(),
        ),
        Talk::Silent => (
            "it takes the connection and does not answer".to_owned(),
            format!("the {what} hangs (halted, out of memory, its disk does not answer), or a port forwarding leads nowhere"),
        ),
    }
}

/// `a`, `a and b`, `a, b and 3 more`.
fn listed(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [one, other] => format!("{one} and {other}"),
        [one, other, more @ ..] => format!("{one}, {other} and {} more", more.len()),
    }
}

/// The part of a reason that is the same for all questions a server does not answer.
fn troubled(trouble: &Trouble, asker: &Asker) -> (String, Option<String>) {
    let advice = match trouble {
        Trouble::Access(access, _) => Some(asker.on_access(*access)),
        _ => None,
    };
    (trouble.words(), advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_not_being_reached_has_its_advice() {
        for (reach, found, advice) in [
            (Reach::Unresolved("no such name".into()), "no address here: no such name", "DNS"),
            (Reach::Refused, "refused", "listenPort"),
            (Reach::TimedOut(std::time::Duration::from_secs(3)), "tried for 3.0 s", "firewall"),
            (Reach::Failed("network is unreachable".into()), "network is unreachable", "network"),
        ] {
            let (told, what) = unreached(&reach, "name server").unwrap();
            assert!(told.contains(found) && what.contains(advice), "{told}: {what}");
        }
    }

    #[test]
    fn what_speaks_another_protocol_is_named() {
        for (talk, tls, found, advice) in [
            (Talk::Tls, false, "speaks TLS", "--tls"),
            (Talk::Tls, true, "handshake failed", "--tls-ca"),
            (Talk::RocketMq, true, "does not speak TLS", "leave --tls away"),
            (Talk::Http, false, "HTTP", "dashboard"),
            (Talk::Other("SSH-2.0".into()), false, "\"SSH-2.0\"", "9876"),
            (Talk::Closed, false, "closes", "--tls-cert"),
            (Talk::Silent, false, "does not answer", "hangs"),
        ] {
            let (told, what) = misspoken(&talk, tls, "name server");
            assert!(told.contains(found) && what.contains(advice), "{told}: {what}");
        }
    }

    #[test]
    fn lists_stay_short() {
        let names =
            |count: usize| ["a", "b", "c", "d"][..count].iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let told: Vec<String> = (0..=4).map(|count| listed(&names(count))).collect();
        assert_eq!(told, ["none", "a", "a and b", "a, b and 1 more", "a, b and 2 more"]);
    }
}
