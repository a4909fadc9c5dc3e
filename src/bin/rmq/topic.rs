mod change;
mod delete;
mod list;
mod order;
mod show;
mod stats;

use clap::{Args, Subcommand, ValueEnum};
use rocketmq_blocking::{Error, TopicRoute, TopicType};
use serde::Serialize;
use std::collections::BTreeMap;

use crate::cluster::Cluster;
use crate::failure::{Failure, complain};
use crate::output::Output;

/// List topics, show where they lie and what they hold, create, change and delete them.
#[derive(Debug, Subcommand)]
pub(crate) enum Topic {
    List(list::List),
    Show(show::Show),
    Route(Route),
    Stats(stats::Stats),
    Create(Create),
    Change(change::Change),
    Allow(change::Allow),
    Order(order::Order),
    Delete(delete::Delete),
}

/// Create a topic, or change how many queues and which attributes it has.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Name of the topic: letters, digits, % | - and _, at most 127.
    name: String,

    /// Number of queues on each broker, 1 to 65536.
    #[arg(long, short, value_name = "N", default_value_t = 4, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i32).range(1..=65_536))]
    queues: i32,

    /// Create it on the brokers of this topic. TBW102 lies on all that create topics on first use; where none does, name
    /// an existing topic, or the cluster, such as DefaultCluster.
    #[arg(long, value_name = "TOPIC", default_value = "TBW102")]
    key_topic: String,

    /// What kind of messages it takes (brokers 5.0 and later). It cannot be changed later. [default: normal]
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    kind: Option<Kind>,

    /// Attribute of the topic (brokers 5.0 and later), such as cleanup.policy=COMPACTION; -NAME takes one away. May be
    /// repeated.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute, allow_hyphen_values = true)]
    attributes: Vec<(String, String)>,

    /// Make it a static topic (brokers 5.0 and later): one with so many queues in all, numbered through over the masters of all
    /// brokers. Clients in Java can use it; this program only where there is a single broker.
    #[arg(long = "static", value_name = "N", conflicts_with_all = ["queues", "key_topic", "kind", "attributes"],
          value_parser = clap::value_parser!(i32).range(1..=65_536))]
    static_queues: Option<i32>,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Normal,
    /// In order.
    Fifo,
    /// Delivered later.
    Delay,
    /// Sent in transactions.
    Transaction,
    /// Any of these, if the broker allows it.
    Mixed,
    /// With a priority (5.4 and later).
    Priority,
}

impl Kind {
    fn topic_type(self) -> TopicType {
        match self {
            Kind::Normal => TopicType::Normal,
            Kind::Fifo => TopicType::Fifo,
            Kind::Delay => TopicType::Delay,
            Kind::Transaction => TopicType::Transaction,
            Kind::Mixed => TopicType::Mixed,
            Kind::Priority => TopicType::Priority,
        }
    }
}

fn attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        None if text.len() > 1 && text.starts_with('-') => Ok((text.to_owned(), String::new())),
        _ => Err("NAME=VALUE or -NAME is expected".to_owned()),
    }
}

/// Show the brokers and queues of a topic.
#[derive(Debug, Args)]
pub(crate) struct Route {
    /// Name of the topic.
    name: String,

    #[command(flatten)]
    cluster: Cluster,
}

impl Topic {
    pub(crate) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        match self {
            Topic::Create(create) => create.run(output),
            Topic::Route(route) => route.run(output),
            Topic::List(list) => list.run(output),
            Topic::Show(show) => show.run(output),
            Topic::Stats(stats) => stats.run(output),
            Topic::Change(change) => change.run(output),
            Topic::Allow(allow) => allow.run(output),
            Topic::Order(order) => order.run(output),
            Topic::Delete(delete) => delete.run(output),
        }
    }
}

impl Create {
    fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        if let Some(queues) = self.static_queues {
            client.admin().create_static_topic(&self.name, queues)?;
            show(output, &client.topic_route(&self.name)?, None)?;
            return Ok(client.close()?);
        }
        let mut topic = client.prepare_topic(self.name.as_str()).key_topic(self.key_topic.as_str()).queues(self.queues);
        for (name, value) in &self.attributes {
            topic = topic.attribute(name, value);
        }
        if let Some(kind) = self.kind {
            topic = topic.kind(kind.topic_type());
        }
        topic.create()?;
        let route = client.topic_route(&self.name)?;
        let attributes = if self.kind.is_some() || !self.attributes.is_empty() {
            match client.topic_attributes(&self.name) {
                Err(Error::Unsupported { .. }) => {
                    complain("these brokers know no attributes and no types: the topic was created without them");
                    None
                }
                attributes => Some(attributes?),
            }
        } else {
            None
        };
        show(output, &route, attributes)?;
        Ok(client.close()?)
    }
}

impl Route {
    fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        show(output, &client.topic_route(&self.name)?, None)?;
        Ok(client.close()?)
    }
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    topic: &'a str,
    brokers: Vec<ShownBroker<'a>>,
    /// Only when some were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownBroker<'a> {
    broker_name: &'a str,
    cluster: &'a str,
    addresses: &'a BTreeMap<i64, String>,
    read_queues: i32,
    write_queues: i32,
    readable: bool,
    writable: bool,
}

fn show(output: &mut Output, route: &TopicRoute, attributes: Option<BTreeMap<String, String>>) -> Result<(), Failure> {
    let brokers = route.brokers().iter().map(|broker| ShownBroker {
        broker_name: broker.name(),
        cluster: broker.cluster(),
        addresses: broker.addresses(),
        read_queues: broker.read_queues(),
        write_queues: broker.write_queues(),
        readable: broker.is_readable(),
        writable: broker.is_writable(),
    });
    let shown = Shown { topic: route.topic(), brokers: brokers.collect(), attributes };
    output.line(&shown, || {
        let attributes = shown.attributes.iter().flatten();
        let attributes: Vec<String> = attributes.map(|(name, value)| format!("\n{name} = {value}")).collect();
        route.to_string().trim_end().to_owned() + &attributes.concat()
    })?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_set_or_taken_away() {
        let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(attribute("cleanup.policy=DELETE"), pair("cleanup.policy", "DELETE"));
        assert_eq!(attribute("+a=b"), pair("+a", "b"));
        assert_eq!(attribute("-cleanup.policy"), pair("-cleanup.policy", ""));
        for wrong in ["", "-", "=b", "name"] {
            assert!(attribute(wrong).is_err(), "{wrong}");
        }
    }
}
