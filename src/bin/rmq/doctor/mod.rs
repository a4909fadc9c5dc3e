//! Finds out why nothing works. What was found ([`facts`]) is collected apart from what it means ([`judge`]).

mod check;
mod collect;
mod facts;
mod judge;
mod report;
mod trouble;

use std::time::{Duration, Instant};

use clap::Args;

use self::check::Check;
use self::collect::{Probe, name_servers, net};
use self::facts::{Copying, NameServer, Reach, Server};
use self::judge::Asker;
use self::report::Report;
use self::trouble::Signer;
use crate::cluster::Cluster;
use crate::duration;
use crate::failure::Failure;
use crate::output::Output;

/// How long a slave has to copy what its master had.
const COPY_TIME: Duration = Duration::from_secs(1);

/// Find out why nothing works, and what to do about it.
///
/// Looks at the name servers, the brokers, and a topic and a group if they are given; says of each check whether it is ok, to be
/// looked at (warning), failed, or could not be done (skipped), and what to do. It changes nothing: no message is stored, no
/// consumer joins the group. The exit status is 1 if anything failed.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Also look at this topic: whether it is there, and may be written and read.
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,

    /// Also look at this consumer group: its members, what they subscribe to, and whether it gets on.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,

    /// Also look whether brokers hand messages out (pop), as SimpleConsumer needs.
    #[arg(long)]
    pop: bool,

    /// How long each answer may take.
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = duration::parse_positive)]
    timeout: Duration,

    /// Time between the two looks at a group that tell whether its queues move.
    #[arg(long, value_name = "DURATION", default_value = "4s", value_parser = duration::parse_positive)]
    watch: Duration,

    #[command(flatten)]
    cluster: Cluster,
}

impl Doctor {
    pub(crate) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let keys = self.cluster.keys()?;
        let signer = keys.map(|found| Signer { access_key: found.access_key, from: found.from });
        let asker = Asker { signer, tls: self.cluster.is_encrypted() };
        let mut report = Report::new(output);
        let probe = Probe::new(&self.cluster, self.timeout)?;
        self.examine(&probe, &asker, &mut report)?;
        probe.client.close()?;
        report.end()
    }

    fn examine(&self, probe: &Probe<'_>, asker: &Asker, report: &mut Report<'_>) -> Result<(), Failure> {
        let mut name_servers = Vec::new();
        for addr in name_servers::addresses(self.cluster.name_servers()) {
            let facts = probe.name_server(&addr)?;
            report.say(&judge::name_servers::one(&facts, asker))?;
            name_servers.push(facts);
        }
        report.say_all(judge::name_servers::together(&name_servers))?;
        let servers = union(&name_servers);
        if servers.is_empty() {
            let why = "not looked at: without a name server that knows brokers nothing else can be found";
            return report.say(&Check::skipped("brokers", "brokers, topics and groups", why));
        }
        self.brokers(probe, asker, report, &servers, &near(&name_servers))?;
        if let Some(topic) = &self.topic {
            report.say_all(judge::topic::all(&probe.topic(topic, &servers), asker))?;
        }
        if let Some(group) = &self.group {
            let facts = probe.group(group, self.topic.as_deref(), &servers, self.watch);
            report.say_all(judge::group::all(&facts, asker))?;
        }
        Ok(())
    }

    fn brokers(
        &self,
        probe: &Probe<'_>,
        asker: &Asker,
        report: &mut Report<'_>,
        servers: &[Server],
        near: &[String],
    ) -> Result<(), Failure> {
        let mut stored = Vec::new();
        for server in servers {
            let facts = probe.broker(server, near, self.pop);
            report.say_all(judge::brokers::one(&facts, asker))?;
            let max_offset = facts.runtime.as_ref().ok().and_then(|runtime| runtime.max_offset);
            stored.push((server, facts.reach.is_connected(), max_offset, Instant::now()));
        }
        report.say_all(judge::brokers::masters(servers))?;
        let master = |name: &str| stored.iter().find(|(server, ..)| server.is_master() && server.name == name);
        for (slave, reached, ..) in &stored {
            let Some((_, true, max_offset, at)) = master(&slave.name).filter(|_| !slave.is_master() && *reached) else {
                continue;
            };
            collect::pause(COPY_TIME.saturating_sub(at.elapsed()));
            let copied = probe.max_offset(&slave.addr);
            let facts = Copying { slave: slave.title(), master: *max_offset, copied, between: at.elapsed() };
            report.say(&judge::brokers::copying(&facts))?;
        }
        Ok(())
    }
}

/// What any of the name servers knows.
fn union(name_servers: &[NameServer]) -> Vec<Server> {
    let mut all: Vec<Server> = name_servers.iter().flat_map(|one| one.known.iter().flatten().cloned()).collect();
    all.sort();
    all.dedup();
    all
}

/// Hosts where a broker might be that is not where it says: those of the name servers, and this machine.
fn near(name_servers: &[NameServer]) -> Vec<String> {
    let mut hosts = Vec::new();
    for one in name_servers {
        if let Reach::Connected { at, .. } = one.reach {
            hosts.push(net::host(&one.addr).to_owned());
            hosts.push(net::host(&at.to_string()).to_owned());
        }
    }
    hosts.push("127.0.0.1".to_owned());
    let mut seen = std::collections::HashSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    hosts
}
