use clap::Args;
use rocketmq_blocking::CountedPeriod;
use serde::Serialize;

use super::address;
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::output::Output;
use crate::table::table;

/// Show what a broker counted, such as TOPIC_PUT_NUMS of a topic.
///
/// Names and what their keys are: TOPIC_PUT_NUMS and TOPIC_PUT_SIZE (topic), GROUP_GET_NUMS and GROUP_GET_SIZE (topic@group),
/// BROKER_PUT_NUMS and BROKER_GET_NUMS (cluster). Brokers take samples, so the last seconds are missing.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Broker: its name, NAME/ID or host:port.
    broker: String,

    /// What is counted.
    name: String,

    /// Of what.
    key: String,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Serialize)]
struct Shown {
    minute: ShownPeriod,
    hour: ShownPeriod,
    day: ShownPeriod,
}

#[derive(Debug, Serialize)]
struct ShownPeriod {
    sum: i64,
    rate: f64,
    average: f64,
}

impl Stats {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let addr = address(&client, &self.broker)?;
        let found = client.admin().broker_counter(&addr, &self.name, &self.key)?;
        client.close()?;
        let Some(counter) = found else {
            let Stats { broker, name, key, .. } = self;
            return Err(Failure::Failed(format!("{broker} never counted {name} of {key}")));
        };
        let shown = Shown { minute: period(counter.minute), hour: period(counter.hour), day: period(counter.day) };
        output.line(&shown, || {
            let periods = [("minute", &shown.minute), ("hour", &shown.hour), ("day", &shown.day)];
            let row = |(name, period): (&str, &ShownPeriod)| {
                [
                    name.to_owned(),
                    period.sum.to_string(),
                    format!("{:.2}", period.rate),
                    format!("{:.2}", period.average),
                ]
            };
            table(["LAST", "SUM", "A SECOND", "AT A TIME"], &periods.map(row))
        })?;
        output.flush()
    }
}

fn period(counted: CountedPeriod) -> ShownPeriod {
    ShownPeriod { sum: counted.sum, rate: counted.rate, average: counted.average }
}
