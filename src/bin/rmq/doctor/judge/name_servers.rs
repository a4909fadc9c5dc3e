use std::collections::BTreeSet;

use super::{Asker, listed, misspoken, troubled, unreached};
use crate::doctor::check::Check;
use crate::doctor::facts::{NameServer, Server, Talk};
use crate::doctor::trouble::Trouble;
use crate::text;

const NAME: &str = "name-server";

pub(in crate::doctor) fn one(facts: &NameServer, asker: &Asker) -> Check {
    let subject = format!("name server {}", facts.addr);
    if let Some((found, advice)) = unreached(&facts.reach, "name server") {
        return Check::failed(NAME, subject, found)
            .advise(advice)
            .advise("the address is -n host:port, or NAMESRV_ADDR; in a program ClientBuilder::name_servers");
    }
    match (&facts.known, &facts.talk) {
        (Ok(servers), _) if servers.is_empty() => Check::failed(NAME, subject, "answers, and knows no broker").advise(format!(
            "start a broker with namesrvAddr={}, or see in its log (broker.log) why it cannot register there",
            facts.addr
        )),
        (Ok(servers), _) => Check::ok(NAME, subject, format!("answers in {}, knows {}", text::duration(facts.took), known(servers))),
        (Err(Trouble::Unsupported(_)), _) => {
            Check::failed(NAME, subject, "it is a server of RocketMQ, but no name server: it does not know the question for brokers")
                .advise("this is a broker's address, perhaps: give that of the name server, whose port is 9876 unless configured otherwise")
        }
        (Err(trouble @ (Trouble::Access(..) | Trouble::Rejected(..))), _) => {
            let (found, advice) = troubled(trouble, asker);
            advice.into_iter().fold(Check::failed(NAME, subject, found), Check::advise)
        }
        (Err(trouble), talk) => {
            let (found, advice) = misspoken(talk.as_ref().unwrap_or(&Talk::Silent), asker.tls, "name server");
            let found = match talk {
                Some(Talk::RocketMq) if !asker.tls => format!("{found}, but: {}", trouble.words()),
                Some(Talk::Tls) if asker.tls => format!("{found}: {}", trouble.words()),
                _ => found,
            };
            Check::failed(NAME, subject, found).advise(advice)
        }
    }
}

/// `2 brokers of DefaultCluster`.
fn known(servers: &[Server]) -> String {
    let brokers: BTreeSet<&str> = servers.iter().map(|server| &*server.name).collect();
    let clusters: BTreeSet<&str> = servers.iter().map(|server| &*server.cluster).collect();
    let clusters: Vec<String> = clusters.into_iter().map(str::to_owned).collect();
    format!("{} of {}", text::counted(brokers.len() as u64, "broker"), listed(&clusters))
}

/// Clients ask one of the name servers and believe it, so all must know the same.
pub(in crate::doctor) fn together(all: &[NameServer]) -> Option<Check> {
    let answered: Vec<(&str, BTreeSet<String>)> = all
        .iter()
        .filter_map(|one| {
            let known = one.known.as_ref().ok()?;
            let known = known.iter().map(|server| format!("{} at {}", server.title(), server.advertised));
            Some((&*one.addr, known.collect()))
        })
        .collect();
    if answered.len() < 2 {
        return None;
    }
    let union: BTreeSet<&String> = answered.iter().flat_map(|(_, known)| known).collect();
    let lacking: Vec<String> = answered
        .iter()
        .filter_map(|(addr, known)| {
            let lacks: Vec<String> =
                union.iter().filter(|server| !known.contains(**server)).map(|server| (*server).clone()).collect();
            (!lacks.is_empty()).then(|| format!("{addr} does not know {}", listed(&lacks)))
        })
        .collect();
    let (name, subject) = ("name-servers-agree", "name servers among each other");
    if lacking.is_empty() {
        return Some(Check::ok(name, subject, format!("all {} know the same brokers", answered.len())));
    }
    let check = Check::failed(name, subject, format!("they disagree: {}", lacking.join("; ")));
    Some(check.advise(
        "clients ask any one of them and find or miss a topic by chance: give every broker all of them (namesrvAddr=a:9876;b:9876), \
         and see in the broker's log why it does not register; or they belong to different clusters, and are not to be named together",
    ))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;
    use crate::doctor::check::Verdict;
    use crate::doctor::facts::Reach;
    use crate::doctor::trouble::Access;

    fn server(name: &str, advertised: &str) -> Server {
        let (addr, advertised) = (advertised.to_owned(), advertised.to_owned());
        Server { cluster: "C".into(), name: name.into(), id: 0, addr, advertised }
    }

    fn facts(known: Result<Vec<Server>, Trouble>, talk: Option<Talk>) -> NameServer {
        let at = SocketAddr::from(([127, 0, 0, 1], 9876));
        let took = Duration::from_millis(1);
        NameServer { addr: "h:9876".into(), reach: Reach::Connected { at, took }, talk, known, took }
    }

    #[test]
    fn a_name_server_is_judged_by_what_it_answers() {
        let silence = || Err(Trouble::Unanswered("timed out".into()));
        let refused = || Err(Trouble::Access(Access::NoKeys, "username cannot be null.".into()));
        for (known, talk, verdict, found, advice) in [
            (Ok(vec![server("a", "h:1"), server("b", "h:2")]), None, Verdict::Ok, "1 ms, knows 2 brokers of C", ""),
            (Ok(vec![]), None, Verdict::Failed, "knows no broker", "namesrvAddr=h:9876"),
            (
                Err(Trouble::Unsupported("106".into())),
                Some(Talk::RocketMq),
                Verdict::Failed,
                "no name server",
                "broker's address",
            ),
            (refused(), Some(Talk::RocketMq), Verdict::Failed, "username cannot be null", "--credentials-file"),
            (silence(), Some(Talk::Http), Verdict::Failed, "HTTP", "dashboard"),
            (silence(), Some(Talk::Tls), Verdict::Failed, "TLS", "--tls"),
            (silence(), Some(Talk::Silent), Verdict::Failed, "does not answer", "hangs"),
            (silence(), Some(Talk::RocketMq), Verdict::Failed, "timed out", "log"),
        ] {
            let check = one(&facts(known, talk), &Asker::default());
            assert_eq!(check.verdict, verdict, "{check:?}");
            assert!(check.found.contains(found) && check.advice.join(" ").contains(advice), "{check:?}");
        }
        let mut lost = facts(silence(), None);
        lost.reach = Reach::Refused;
        let check = one(&lost, &Asker::default());
        assert!(check.verdict == Verdict::Failed && check.advice.join(" ").contains("NAMESRV_ADDR"), "{check:?}");
    }

    #[test]
    fn name_servers_that_disagree_are_told_apart() {
        let (a, b) = (server("a", "h:1"), server("b", "h:2"));
        let one = |known: Vec<Server>, addr: &str| NameServer { addr: addr.into(), ..facts(Ok(known), None) };
        assert_eq!(together(&[one(vec![a.clone()], "x")]), None);
        let same = together(&[one(vec![a.clone(), b.clone()], "x"), one(vec![b.clone(), a.clone()], "y")]).unwrap();
        assert_eq!(same.verdict, Verdict::Ok);
        let differ = together(&[one(vec![a.clone(), b], "x"), one(vec![a], "y")]).unwrap();
        assert_eq!((differ.verdict, &*differ.found), (Verdict::Failed, "they disagree: y does not know b at h:2"));
    }
}
