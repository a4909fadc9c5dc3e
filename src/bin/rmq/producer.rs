use clap::{Args, Subcommand};
use rocketmq_blocking::GroupMember;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::failure::{Failure, complain, told};
use crate::output::Output;
use crate::text;

/// Show who is connected as a producer.
#[derive(Debug, Subcommand)]
pub(crate) enum Producer {
    List(List),
}

/// List the clients of producer groups that are connected, or those of one group.
///
/// A line has the group, the client's id, the address it is connected from, its language, the version of RocketMQ it says to be,
/// and the brokers it is connected to.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only this group.
    group: Option<String>,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    group: &'a str,
    client_id: &'a str,
    address: &'a str,
    language: Option<&'a str>,
    version: i32,
    version_name: Option<String>,
    brokers: Vec<&'a str>,
}

impl Producer {
    pub(crate) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        match self {
            Producer::List(list) => list.run(output),
        }
    }
}

impl List {
    fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let admin = client.admin();
        let found = match &self.group {
            Some(group) => admin.producers(group)?,
            None => admin.producer_groups()?,
        };
        client.close()?;
        let members = found.groups.iter().flat_map(|(group, members)| members.iter().map(move |one| (group, one)));
        let members: Vec<_> = members.collect();
        output.list(
            ["GROUP", "CLIENT", "ADDRESS", "LANGUAGE", "VERSION", "BROKERS"],
            &members,
            |(group, member)| shown(group, member),
            |(group, member)| row(group, member),
        )?;
        if !output.json() {
            complain(&text::counted(members.len() as u64, "producer"));
        }
        output.flush()?;
        told(&found.failures)
    }
}

fn shown<'a>(group: &'a str, member: &'a GroupMember) -> Shown<'a> {
    Shown {
        group,
        client_id: &member.client_id,
        address: &member.address,
        language: member.language.as_deref(),
        version: member.version,
        version_name: member.version_name(),
        brokers: member.brokers.iter().map(|name| &**name).collect(),
    }
}

fn row(group: &str, member: &GroupMember) -> [String; 6] {
    [
        text::line(group.chars()),
        text::line(member.client_id.chars()),
        text::line(member.address.chars()),
        member.language.clone().unwrap_or_else(|| "-".to_owned()),
        member.version_name().unwrap_or_else(|| member.version.to_string()),
        member.brokers.join(","),
    ]
}
