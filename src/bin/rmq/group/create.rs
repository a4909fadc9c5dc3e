use std::time::Duration;

use clap::{ArgAction, Args};
use rocketmq_blocking::GroupConfig;

use crate::cluster::Cluster;
use crate::failure::{Failure, complain, told};
use crate::output::Output;

/// Create a group on all brokers, with Java's settings where nothing else is said.
///
/// One that exists gets these settings: use `change` to keep the others.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Consumer group.
    group: String,

    #[command(flatten)]
    settings: Settings,

    #[command(flatten)]
    cluster: Cluster,
}

/// Change settings of a group; those that are not named stay, on each broker as they are on the first.
#[derive(Debug, Args)]
pub(crate) struct Change {
    /// Consumer group.
    group: String,

    #[command(flatten)]
    settings: Settings,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Args)]
struct Settings {
    /// Whether its members get messages.
    #[arg(long, action = ArgAction::Set, value_name = "true|false")]
    consume: Option<bool>,

    /// Whether its members may begin at the first message.
    #[arg(long, action = ArgAction::Set, value_name = "true|false")]
    consume_from_min: Option<bool>,

    /// Whether its members may consume in broadcasting mode.
    #[arg(long, action = ArgAction::Set, value_name = "true|false")]
    broadcast: Option<bool>,

    /// Whether messages are given out in order (brokers 5.0 and later, through the proxy).
    #[arg(long, action = ArgAction::Set, value_name = "true|false")]
    orderly: Option<bool>,

    /// How often what fails is tried again.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    retries: Option<i32>,

    /// How many queues retries have on each broker; with 0 what fails is dropped.
    #[arg(long, value_name = "N")]
    retry_queues: Option<i32>,

    /// Server of a broker from which members pull: 0 for the master.
    #[arg(long, value_name = "ID")]
    broker_id: Option<i64>,

    /// Server from which members pull that are far behind.
    #[arg(long, value_name = "ID")]
    slow_broker_id: Option<i64>,

    /// Whether members are told at once when others come or go.
    #[arg(long, action = ArgAction::Set, value_name = "true|false")]
    notify_members: Option<bool>,

    /// How long members may consume one message, in whole minutes: 15m (brokers 5.0 and later).
    #[arg(long, value_name = "DURATION", value_parser = crate::duration::parse)]
    consume_timeout: Option<Duration>,
}

impl Settings {
    fn apply(&self, config: &mut GroupConfig) {
        let set = |to: &mut bool, given: Option<bool>| *to = given.unwrap_or(*to);
        set(&mut config.consume, self.consume);
        set(&mut config.consume_from_min, self.consume_from_min);
        set(&mut config.broadcast, self.broadcast);
        set(&mut config.orderly, self.orderly);
        set(&mut config.notify_members, self.notify_members);
        config.max_reconsume_times = self.retries.unwrap_or(config.max_reconsume_times);
        config.retry_queues = self.retry_queues.unwrap_or(config.retry_queues);
        config.broker_id = self.broker_id.unwrap_or(config.broker_id);
        config.slow_broker_id = self.slow_broker_id.unwrap_or(config.slow_broker_id);
        config.consume_timeout = self.consume_timeout.unwrap_or(config.consume_timeout);
    }
}

impl Create {
    pub(super) fn run(&self, _output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let mut config = GroupConfig::new(self.group.as_str());
        self.settings.apply(&mut config);
        client.admin().create_group(&config)?;
        client.close()?;
        complain(&format!("group {} is created", self.group));
        Ok(())
    }
}

impl Change {
    pub(super) fn run(&self, _output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let admin = client.admin();
        let found = admin.group_config(&self.group)?;
        let Some(config) = found.first() else {
            told(&found.failures)?;
            return Err(Failure::Failed(format!("no broker knows group {}: create it", self.group)));
        };
        let mut config = config.clone();
        self.settings.apply(&mut config);
        admin.create_group(&config)?;
        client.close()?;
        complain(&format!("group {} is changed", self.group));
        Ok(())
    }
}
