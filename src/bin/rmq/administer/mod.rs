mod change;
mod clean;
mod config;
mod kv;
mod list;
mod show;
mod stats;
mod writes;

use clap::Subcommand;
use rocketmq_blocking::{Client, ClusterBroker};

use crate::failure::Failure;
use crate::output::Output;

/// Show brokers and name servers, and change their settings.
///
/// BROKER is the name of a broker, which stands for its master, NAME/ID for one of its slaves, or an address (host:port).
#[derive(Debug, Subcommand)]
pub(crate) enum Administer {
    List(list::List),
    Show(show::Show),
    Config(config::Config),
    Change(change::Change),
    Stats(stats::Stats),
    Clean(clean::Clean),
    StopWrites(writes::Stop),
    AllowWrites(writes::Allow),
    #[command(subcommand)]
    Kv(kv::Kv),
}

impl Administer {
    pub(crate) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        match self {
            Administer::List(list) => list.run(output),
            Administer::Show(show) => show.run(output),
            Administer::Config(config) => config.run(output),
            Administer::Change(change) => change.run(output),
            Administer::Stats(stats) => stats.run(output),
            Administer::Clean(clean) => clean.run(output),
            Administer::StopWrites(stop) => stop.run(output),
            Administer::AllowWrites(allow) => allow.run(output),
            Administer::Kv(kv) => kv.run(output),
        }
    }
}

/// The address of a server that was named as users name it.
fn address(client: &Client, named: &str) -> Result<String, Failure> {
    if named.contains(':') {
        return Ok(named.to_owned());
    }
    let (name, id) = match named.rsplit_once('/') {
        None => (named, 0),
        Some((name, id)) => match id.parse() {
            Ok(id) => (name, id),
            Err(_) => return Err(Failure::Usage(format!("{named}: NAME, NAME/ID or host:port is expected"))),
        },
    };
    let view = client.admin().cluster()?;
    let wanted = |broker: &&ClusterBroker| *broker.name == *name && broker.id == id;
    match view.brokers.iter().find(wanted) {
        Some(broker) => Ok(broker.addr.to_string()),
        None => {
            let known: Vec<String> = view.brokers.iter().map(named_as).collect();
            Err(Failure::Failed(format!("the name server knows no broker {named}, but {}", known.join(", "))))
        }
    }
}

/// How users name a server of a broker.
fn named_as(broker: &ClusterBroker) -> String {
    if broker.id == 0 { broker.name.to_string() } else { format!("{}/{}", broker.name, broker.id) }
}

/// A pair of a name and a value, as `NAME=VALUE`.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("NAME=VALUE is expected".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_a_name_and_any_value() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(pair("a="), Ok(("a".to_owned(), String::new())));
        assert!(pair("a").is_err() && pair("=b").is_err());
    }
}
