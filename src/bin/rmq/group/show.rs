use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use rocketmq_blocking::{GroupConfig, RetryPolicy};
use serde::Serialize;

use crate::cluster::Cluster;
use crate::failure::{Failure, told};
use crate::output::Output;
use crate::text;

/// Show the settings of a group, and the topics it has consumed.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Consumer group.
    group: String,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    group: &'a str,
    brokers: Vec<&'a str>,
    consume: bool,
    consume_from_min: bool,
    broadcast: bool,
    orderly: bool,
    retry_queues: i32,
    max_reconsume_times: i32,
    retry_policy: String,
    broker_id: i64,
    slow_broker_id: i64,
    notify_members: bool,
    consume_timeout_minutes: u64,
    attributes: &'a BTreeMap<String, String>,
    topics: Vec<&'a str>,
}

impl Show {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let admin = client.admin();
        let found = admin.group_config(&self.group)?;
        if found.found.is_empty() && found.failures.is_empty() {
            return Err(Failure::Failed(format!("no broker knows group {}", self.group)));
        }
        let topics = admin.group_topics(&self.group)?;
        client.close()?;
        let topics: Vec<&str> = topics.names.iter().map(|name| &**name).collect();
        for (number, (config, brokers)) in found.distinct().into_iter().enumerate() {
            let shown = shown(config, brokers, topics.clone());
            if number > 0 && !output.json() {
                output.line(&(), String::new)?;
            }
            output.line(&shown, || people(&shown))?;
        }
        output.flush()?;
        told(&found.failures)
    }
}

fn shown<'a>(config: &'a GroupConfig, brokers: Vec<&'a str>, topics: Vec<&'a str>) -> Shown<'a> {
    Shown {
        group: &config.name,
        brokers,
        consume: config.consume,
        consume_from_min: config.consume_from_min,
        broadcast: config.broadcast,
        orderly: config.orderly,
        retry_queues: config.retry_queues,
        max_reconsume_times: config.max_reconsume_times,
        retry_policy: policy(&config.retry_policy),
        broker_id: config.broker_id,
        slow_broker_id: config.slow_broker_id,
        notify_members: config.notify_members,
        consume_timeout_minutes: config.consume_timeout.as_secs() / 60,
        attributes: &config.attributes,
        topics,
    }
}

fn policy(policy: &RetryPolicy) -> String {
    let seconds = |time: &Duration| format!("{}s", time.as_secs_f64());
    match policy {
        RetryPolicy::Customized(delays) if delays.is_empty() => "by delay level".to_owned(),
        RetryPolicy::Customized(delays) => delays.iter().map(seconds).collect::<Vec<_>>().join(" "),
        RetryPolicy::Exponential { initial, max, multiplier } => {
            format!("{} x{multiplier} up to {}", seconds(initial), seconds(max))
        }
        other => format!("{other:?}"),
    }
}

fn people(shown: &Shown<'_>) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        // Formatting into a string cannot fail.
        let _ = writeln!(text, "{name:<22}{}", text::line(value.chars()));
    };
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    row("group", shown.group.to_owned());
    row("brokers", shown.brokers.join(", "));
    row("consumes", yes(shown.consume));
    row("from first message", yes(shown.consume_from_min));
    row("broadcasting", yes(shown.broadcast));
    row("in order", yes(shown.orderly));
    row(
        "retries",
        format!("{} in {}", shown.max_reconsume_times, text::counted(shown.retry_queues.max(0) as u64, "queue")),
    );
    row("retried after", shown.retry_policy.clone());
    row("reads from", format!("server {}, far behind from {}", shown.broker_id, shown.slow_broker_id));
    row("members are told", yes(shown.notify_members));
    row("consume timeout", text::counted(shown.consume_timeout_minutes, "minute"));
    for (name, value) in shown.attributes {
        row("attribute", format!("{name} = {value}"));
    }
    row("topics", if shown.topics.is_empty() { "-".to_owned() } else { shown.topics.join(", ") });
    text.trim_end().to_owned()
}
