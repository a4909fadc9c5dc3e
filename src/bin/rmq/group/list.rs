use clap::Args;
use rocketmq_blocking::GroupConfig;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::failure::{Failure, complain, told};
use crate::output::Output;
use crate::text;

/// List consumer groups, or those that consume a topic.
///
/// A line has the group, the brokers that know it, whether it may consume, how often what fails is tried again, and how many
/// queues that has. Settings that differ from broker to broker have a line each.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only groups that consume this topic, or have.
    #[arg(long, short)]
    topic: Option<String>,

    /// The brokers' own groups as well.
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    group: &'a str,
    brokers: Vec<&'a str>,
    consume: bool,
    broadcast: bool,
    max_reconsume_times: i32,
    retry_queues: i32,
}

impl List {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let admin = client.admin();
        let mut found = admin.groups()?;
        if let Some(topic) = &self.topic {
            let consuming = admin.topic_groups(topic)?;
            found.found.retain(|group| consuming.names.contains(&group.value.name));
            found.failures.extend(consuming.failures);
        }
        client.close()?;
        found.found.retain(|group| self.all || !group.value.is_system());
        let distinct = found.distinct();
        output.list(
            ["GROUP", "BROKERS", "CONSUMES", "RETRIES", "RETRY QUEUES"],
            &distinct,
            |(group, brokers)| shown(group, brokers.clone()),
            |(group, brokers)| row(group, brokers),
        )?;
        if !output.json() {
            let mut names: Vec<_> = found.found.iter().map(|group| &group.value.name).collect();
            names.dedup();
            complain(&text::counted(names.len() as u64, "group"));
        }
        output.flush()?;
        told(&found.failures)
    }
}

fn shown<'a>(group: &'a GroupConfig, brokers: Vec<&'a str>) -> Shown<'a> {
    Shown {
        group: &group.name,
        brokers,
        consume: group.consume,
        broadcast: group.broadcast,
        max_reconsume_times: group.max_reconsume_times,
        retry_queues: group.retry_queues,
    }
}

fn row(group: &GroupConfig, brokers: &[&str]) -> [String; 5] {
    [
        text::line(group.name.chars()),
        brokers.join(","),
        if group.consume { "yes" } else { "no" }.to_owned(),
        group.max_reconsume_times.to_string(),
        group.retry_queues.to_string(),
    ]
}
