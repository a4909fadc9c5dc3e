use clap::Args;
use rocketmq_blocking::{BrokerRuntime, ClusterBroker, Error};
use serde::Serialize;

use crate::cluster::Cluster;
use crate::failure::{Failure, complain, explain};
use crate::output::Output;

/// List all brokers that the name server knows, with what they say of themselves.
///
/// IN and OUT are messages a second that were stored and handed out lately, DISK is how full the disk of the messages is. A
/// broker that cannot be asked is listed without them, and the exit status is 1.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    cluster: &'a str,
    broker_name: &'a str,
    id: i64,
    role: String,
    address: &'a str,
    advertised: &'a str,
    version: Option<String>,
    put_rate: Option<f64>,
    get_rate: Option<f64>,
    puts_today: Option<u64>,
    gets_today: Option<u64>,
    disk_usage: Option<f64>,
}

impl List {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let admin = client.admin();
        let view = admin.cluster()?;
        let asked: Vec<(&ClusterBroker, Result<BrokerRuntime, Error>)> =
            view.brokers.iter().map(|broker| (broker, admin.broker_runtime(&broker.addr))).collect();
        client.close()?;
        output.list(
            ["CLUSTER", "BROKER", "ID", "ROLE", "ADDRESS", "VERSION", "IN", "OUT", "DISK"],
            &asked,
            |(broker, runtime)| shown(broker, runtime.as_ref().ok()),
            |(broker, runtime)| row(broker, runtime.as_ref().ok()),
        )?;
        output.flush()?;
        let mut all = Ok(());
        for (broker, runtime) in asked {
            if let Err(error) = runtime {
                complain(&format!("{broker} could not be asked: {}", explain(&error)));
                all = Err(Failure::Reported);
            }
        }
        all
    }
}

fn shown<'a>(broker: &'a ClusterBroker, runtime: Option<&BrokerRuntime>) -> Shown<'a> {
    Shown {
        cluster: &broker.cluster,
        broker_name: &broker.name,
        id: broker.id,
        role: broker.role().to_string(),
        address: &broker.addr,
        advertised: &broker.advertised,
        version: runtime.and_then(BrokerRuntime::version),
        put_rate: runtime.and_then(BrokerRuntime::put_rate),
        get_rate: runtime.and_then(BrokerRuntime::get_rate),
        puts_today: runtime.and_then(BrokerRuntime::puts_today),
        gets_today: runtime.and_then(BrokerRuntime::gets_today),
        disk_usage: runtime.and_then(BrokerRuntime::disk_usage),
    }
}

fn row(broker: &ClusterBroker, runtime: Option<&BrokerRuntime>) -> [String; 9] {
    let Shown { version, put_rate, get_rate, disk_usage, .. } = shown(broker, runtime);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let rate = |rate: Option<f64>| or_dash(rate.map(|rate| format!("{rate:.1}")));
    [
        broker.cluster.to_string(),
        broker.name.to_string(),
        broker.id.to_string(),
        broker.role().to_string(),
        broker.addr.to_string(),
        or_dash(version),
        rate(put_rate),
        rate(get_rate),
        or_dash(disk_usage.map(|usage| format!("{:.0}%", usage * 100.0))),
    ]
}
