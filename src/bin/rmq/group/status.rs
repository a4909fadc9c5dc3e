use std::fmt::Write as _;

use clap::Args;
use rocketmq_blocking::{RunningMember, RunningQueue};
use serde::Serialize;

use super::unless_unknown;
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::output::Output;
use crate::table::table;
use crate::text;

/// Show what a member of a group says about itself: what it is set to, and how far its queues are.
///
/// A line has the queue, the offset it has committed, how many messages wait, when it was pulled and consumed last (UTC), and
/// whether it is locked or about to be given away.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Consumer group.
    group: String,

    /// The member's client id, as `rmq group members` shows it.
    client: String,

    /// Show the stacks of its threads, if it tells them; clients in Java do.
    #[arg(long)]
    stacks: bool,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    client_id: &'a str,
    started: Option<u64>,
    consume_type: Option<&'a str>,
    orderly: Option<bool>,
    threads: Option<u32>,
    version: Option<&'a str>,
    properties: &'a std::collections::BTreeMap<String, String>,
    queues: Vec<ShownQueue<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownQueue<'a> {
    topic: &'a str,
    broker_name: &'a str,
    queue_id: i32,
    commit_offset: i64,
    cached: u64,
    cached_mib: u64,
    last_pulled: Option<u64>,
    last_consumed: Option<u64>,
    locked: bool,
    leaving: bool,
}

impl Status {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let admin = client.admin();
        let unknown = |error| unless_unknown(&self.group, error);
        if self.stacks {
            let stacks = admin.member_stacks(&self.group, &self.client).map_err(unknown)?;
            client.close()?;
            let stacks = stacks.ok_or_else(|| Failure::Failed(format!("{} does not tell its stacks", self.client)))?;
            let lines: Vec<_> = stacks.lines().map(|line| text::line(line.chars())).collect();
            output.line(&stacks, || lines.join("\n"))?;
            return output.flush();
        }
        let found = admin.group_member(&self.group, &self.client).map_err(unknown)?;
        client.close()?;
        let missing = || Failure::Failed(format!("{} is not connected for group {}", self.client, self.group));
        let found = found.ok_or_else(missing)?;
        output.line(&shown(&self.client, &found), || people(&found))?;
        if !output.json() && !found.queues.is_empty() {
            let rows: Vec<_> = found.queues.iter().map(row).collect();
            let names = ["TOPIC", "QUEUE", "COMMITTED", "WAITING", "LAST PULLED", "LAST CONSUMED", "STATE"];
            output.line(&(), || format!("\n{}", table(names, &rows)))?;
        }
        output.flush()
    }
}

fn shown<'a>(client_id: &'a str, found: &'a RunningMember) -> Shown<'a> {
    let queue = |queue: &'a RunningQueue| ShownQueue {
        topic: queue.queue.topic(),
        broker_name: queue.queue.broker_name(),
        queue_id: queue.queue.queue_id(),
        commit_offset: queue.commit_offset,
        cached: queue.cached,
        cached_mib: queue.cached_mib,
        last_pulled: queue.last_pulled.map(text::millis),
        last_consumed: queue.last_consumed.map(text::millis),
        locked: queue.locked,
        leaving: queue.leaving,
    };
    Shown {
        client_id,
        started: found.started.map(text::millis),
        consume_type: found.consume_type.as_deref(),
        orderly: found.orderly,
        threads: found.threads,
        version: found.version.as_deref(),
        properties: &found.properties,
        queues: found.queues.iter().map(queue).collect(),
    }
}

fn people(found: &RunningMember) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        // Formatting into a string cannot fail.
        let _ = writeln!(text, "{name:<28}{}", text::line(value.chars()));
    };
    row("started", &found.started.map_or("-".to_owned(), text::time));
    row("type", found.consume_type.as_deref().unwrap_or("-"));
    row("in order", found.orderly.map_or("-", |orderly| if orderly { "yes" } else { "no" }));
    row("threads", &found.threads.map_or("-".to_owned(), |threads| threads.to_string()));
    row("version", found.version.as_deref().unwrap_or("-"));
    for one in &found.subscriptions {
        row("subscription", &format!("{} {} {}", one.topic, one.expression_type, one.expression));
    }
    for (name, value) in &found.properties {
        row(name, value);
    }
    text.trim_end().to_owned()
}

fn row(queue: &RunningQueue) -> [String; 7] {
    let time = |time: Option<std::time::SystemTime>| time.map_or("-".to_owned(), text::time);
    let state = match (queue.leaving, queue.locked) {
        (true, _) => "leaving",
        (false, true) => "locked",
        (false, false) => "-",
    };
    [
        text::line(queue.queue.topic().chars()),
        format!("{}/{}", queue.queue.broker_name(), queue.queue.queue_id()),
        queue.commit_offset.to_string(),
        queue.cached.to_string(),
        time(queue.last_pulled),
        time(queue.last_consumed),
        state.to_owned(),
    ]
}
