use clap::Args;
use rocketmq_blocking::{GroupMember, GroupMembers};
use serde::Serialize;

use super::unless_unknown;
use crate::cluster::Cluster;
use crate::failure::{Failure, complain, told};
use crate::output::Output;
use crate::table::table;
use crate::text;

/// Show the clients of a group that are connected, and what the group consumes.
///
/// A line has the client's id, the address it is connected from, its language, the version of RocketMQ it says to be, and the
/// brokers it is connected to.
#[derive(Debug, Args)]
pub(crate) struct Members {
    /// Consumer group.
    group: String,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    client_id: &'a str,
    address: &'a str,
    language: Option<&'a str>,
    version: i32,
    version_name: Option<String>,
    brokers: Vec<&'a str>,
    consume_type: &'a str,
    message_model: &'a str,
    subscriptions: Vec<ShownSubscription<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownSubscription<'a> {
    topic: &'a str,
    expression: &'a str,
    expression_type: &'a str,
}

impl Members {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let found = client.admin().group_members(&self.group);
        let found = found.map_err(|error| unless_unknown(&self.group, error))?;
        client.close()?;
        if output.json() || !found.members.is_empty() {
            let names = ["CLIENT", "ADDRESS", "LANGUAGE", "VERSION", "BROKERS"];
            output.list(names, &found.members, |member| shown(&found, member), row)?;
        }
        if !output.json() && !found.members.is_empty() {
            let rows: Vec<_> = found
                .subscriptions
                .iter()
                .map(|one| [&*one.topic, &one.expression_type, &one.expression].map(|cell| text::line(cell.chars())))
                .collect();
            output.line(&(), || format!("\n{}", table(["TOPIC", "BY", "EXPRESSION"], &rows)))?;
        }
        output.flush()?;
        if !output.json() {
            let members = text::counted(found.members.len() as u64, "member");
            let how = [&found.consume_type, &found.message_model, &found.consume_from_where];
            let how: Vec<_> = how.into_iter().filter(|part| !part.is_empty()).map(|part| format!(", {part}")).collect();
            complain(&format!("{members}{}", how.concat()));
        }
        told(&found.failures)
    }
}

fn shown<'a>(found: &'a GroupMembers, member: &'a GroupMember) -> Shown<'a> {
    let subscriptions = found.subscriptions.iter().map(|one| ShownSubscription {
        topic: &one.topic,
        expression: &one.expression,
        expression_type: &one.expression_type,
    });
    Shown {
        client_id: &member.client_id,
        address: &member.address,
        language: member.language.as_deref(),
        version: member.version,
        version_name: member.version_name(),
        brokers: member.brokers.iter().map(|name| &**name).collect(),
        consume_type: &found.consume_type,
        message_model: &found.message_model,
        subscriptions: subscriptions.collect(),
    }
}

fn row(member: &GroupMember) -> [String; 5] {
    [
        text::line(member.client_id.chars()),
        text::line(member.address.chars()),
        member.language.clone().unwrap_or_else(|| "-".to_owned()),
        member.version_name().unwrap_or_else(|| member.version.to_string()),
        member.brokers.join(","),
    ]
}
