use clap::{Args, Subcommand};
use rocketmq_blocking::TopicRoute;
use serde::Serialize;
use std::collections::BTreeMap;

use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::output::Output;

/// Create topics, and show where they lie.
#[derive(Debug, Subcommand)]
pub(crate) enum Topic {
    Create(Create),
    Route(Route),
}

/// Create a topic, or change how many queues it has.
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

    #[command(flatten)]
    cluster: Cluster,
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
        }
    }
}

impl Create {
    fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        client.create_topic(&self.key_topic, &self.name, self.queues)?;
        let route = client.topic_route(&self.name)?;
        show(output, &route)?;
        Ok(client.close()?)
    }
}

impl Route {
    fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        show(output, &client.topic_route(&self.name)?)?;
        Ok(client.close()?)
    }
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    topic: &'a str,
    brokers: Vec<ShownBroker<'a>>,
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

fn show(output: &mut Output, route: &TopicRoute) -> Result<(), Failure> {
    let brokers = route.brokers().iter().map(|broker| ShownBroker {
        broker_name: broker.name(),
        cluster: broker.cluster(),
        addresses: broker.addresses(),
        read_queues: broker.read_queues(),
        write_queues: broker.write_queues(),
        readable: broker.is_readable(),
        writable: broker.is_writable(),
    });
    let shown = Shown { topic: route.topic(), brokers: brokers.collect() };
    output.line(&shown, || route.to_string())?;
    output.flush()
}
