use clap::{Args, ValueEnum};
use rocketmq_blocking::MessageRequestMode;

use crate::cluster::Cluster;
use crate::failure::{Failure, complain};
use crate::output::Output;

/// Set how members read a topic whose queues brokers share out among them (brokers 5.0 and later).
#[derive(Debug, Args)]
pub(crate) struct SetMode {
    /// Consumer group.
    group: String,

    /// How its members read the topic.
    #[arg(value_enum)]
    mode: Mode,

    /// Topic they read.
    #[arg(long, short)]
    topic: String,

    /// With how many further members a queue is shared that is popped; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 0)]
    share: i32,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Each queue belongs to one member.
    Pull,
    /// Queues are shared, and messages acknowledged one by one.
    Pop,
}

impl SetMode {
    pub(super) fn run(&self, _output: &mut Output) -> Result<(), Failure> {
        let mode = match self.mode {
            Mode::Pull => MessageRequestMode::Pull,
            Mode::Pop => MessageRequestMode::Pop,
        };
        let client = self.cluster.connect()?;
        client.admin().set_message_request_mode(&self.topic, &self.group, mode, self.share)?;
        client.close()?;
        complain(&format!("group {} reads topic {} by {mode}", self.group, self.topic));
        Ok(())
    }
}
