use std::collections::BTreeMap;

use clap::Args;
use rocketmq_blocking::{StaticMapping, TopicConfig};
use serde::Serialize;

use crate::cluster::Cluster;
use crate::failure::{Failure, told};
use crate::output::Output;
use crate::text;

/// Show the settings of a topic on each broker: queues, permissions, order, attributes.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Name of the topic.
    name: String,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    topic: &'a str,
    broker_name: &'a str,
    read_queues: i32,
    write_queues: i32,
    permissions: i32,
    readable: bool,
    writable: bool,
    order: bool,
    attributes: &'a BTreeMap<String, String>,
    /// Numbers of queues over all brokers, of a static topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    static_queues: Option<Vec<i32>>,
}

impl Show {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let found = client.admin().topic_config(&self.name)?;
        client.close()?;
        let names = ["BROKER", "READ QUEUES", "WRITE QUEUES", "PERMISSION", "ORDER", "ATTRIBUTES"];
        output.list(names, &found.configs, shown, row)?;
        output.flush()?;
        told(&found.failures)
    }
}

fn shown(config: &TopicConfig) -> Shown<'_> {
    let queues = |mapping: &StaticMapping| mapping.queues.keys().copied().collect();
    Shown {
        topic: &config.topic,
        broker_name: &config.broker_name,
        read_queues: config.read_queues,
        write_queues: config.write_queues,
        permissions: config.permissions,
        readable: config.is_readable(),
        writable: config.is_writable(),
        order: config.order,
        attributes: &config.attributes,
        static_queues: config.mapping.as_ref().map(queues),
    }
}

fn row(config: &TopicConfig) -> [String; 6] {
    let permission = match (config.is_readable(), config.is_writable()) {
        (true, true) => "read write",
        (true, false) => "read",
        (false, true) => "write",
        (false, false) => "none",
    };
    let attributes: Vec<String> = config.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    [
        config.broker_name.to_string(),
        config.read_queues.to_string(),
        config.write_queues.to_string(),
        permission.to_owned(),
        if config.order { "yes" } else { "no" }.to_owned(),
        text::line(attributes.join(" ").chars()),
    ]
}
