use clap::{Args, ValueEnum};
use rocketmq_blocking::{Admin, Client};

use super::attribute;
use crate::cluster::Cluster;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::output::Output;

/// Change a topic that exists: its queues, whether order matters, its attributes. What is not named stays as it is.
///
/// It asks before queues are taken away from consumers: messages in them cannot be read then.
#[derive(Debug, Args)]
pub(crate) struct Change {
    /// Name of the topic.
    name: String,

    /// Number of queues on each broker, for reading and writing.
    #[arg(long, short, value_name = "N", conflicts_with_all = ["read_queues", "write_queues"],
          value_parser = clap::value_parser!(i32).range(1..=65_536))]
    queues: Option<i32>,

    /// Number of queues that consumers see.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=65_536))]
    read_queues: Option<i32>,

    /// Number of queues that producers see.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=65_536))]
    write_queues: Option<i32>,

    /// Whether order matters more than that it can be written.
    #[arg(long, value_name = "true|false")]
    order: Option<bool>,

    /// Attribute of the topic (brokers 5.0 and later); -NAME takes one away. May be repeated.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute, allow_hyphen_values = true)]
    attributes: Vec<(String, String)>,

    /// Only on this broker.
    #[arg(long, value_name = "NAME")]
    broker: Option<String>,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    cluster: Cluster,
}

/// Say what may be done with a topic: read and write it, one of them, or nothing.
///
/// It asks before anything is forbidden.
#[derive(Debug, Args)]
pub(crate) struct Allow {
    /// Name of the topic.
    name: String,

    /// What may be done.
    #[arg(value_enum)]
    what: What,

    /// Only on this broker.
    #[arg(long, value_name = "NAME")]
    broker: Option<String>,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Both.
    Both,
    /// Consuming only.
    Read,
    /// Sending only.
    Write,
    /// Nothing.
    None,
}

impl Change {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let Change { name, queues, read_queues, write_queues, order, attributes, .. } = self;
        let nothing = queues.is_none() && read_queues.is_none() && write_queues.is_none() && order.is_none();
        if nothing && attributes.is_empty() {
            return Err(Failure::Usage("nothing to change was named".to_owned()));
        }
        let client = self.cluster.connect()?;
        if let Some(queues) = queues.or(*read_queues) {
            if self.loses(&client.admin(), queues)? {
                let what = format!("Leave topic {name} {queues} queues on each broker?");
                self.confirm.ask(&what, "Messages in the others cannot be read any more")?;
            }
        }
        let admin = client.admin();
        let mut change = admin.change_topic(name.as_str());
        if let Some(queues) = queues.or(*read_queues) {
            change = change.read_queues(queues);
        }
        if let Some(queues) = queues.or(*write_queues) {
            change = change.write_queues(queues);
        }
        if let Some(order) = order {
            change = change.order(*order);
        }
        for (attribute, value) in attributes {
            change = change.attribute(attribute, value);
        }
        if let Some(broker) = &self.broker {
            change = change.broker(broker.as_str());
        }
        change.apply()?;
        show(output, &client, name)
    }

    /// Whether a broker has more queues to read now.
    fn loses(&self, admin: &Admin, queues: i32) -> Result<bool, Failure> {
        let found = admin.topic_config(&self.name)?;
        let mut configs = found.configs.iter();
        let concerned = |name: &str| self.broker.as_deref().is_none_or(|broker| broker == name);
        Ok(configs.any(|config| concerned(&config.broker_name) && config.read_queues > queues))
    }
}

impl Allow {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let name = &self.name;
        let (read, write) = match self.what {
            What::Both => (true, true),
            What::Read => (true, false),
            What::Write => (false, true),
            What::None => (false, false),
        };
        let why = match (read, write) {
            (true, true) => None,
            (true, false) => Some("Sending to it fails then"),
            (false, true) => Some("Nobody can consume it then"),
            (false, false) => Some("Nobody can send to it or consume it then"),
        };
        if let Some(why) = why {
            self.confirm.ask(&format!("Forbid something for topic {name}?"), why)?;
        }
        let client = self.cluster.connect()?;
        let admin = client.admin();
        let mut change = admin.change_topic(name.as_str()).read(read).write(write);
        if let Some(broker) = &self.broker {
            change = change.broker(broker.as_str());
        }
        change.apply()?;
        show(output, &client, name)
    }
}

fn show(output: &mut Output, client: &Client, topic: &str) -> Result<(), Failure> {
    super::show(output, &client.topic_route(topic)?, None)?;
    Ok(client.close()?)
}
