use clap::Args;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::output::Output;
use crate::text;

/// List topics by name.
///
/// Those that belong to groups (%RETRY%, %DLQ%) and to the system only with --all.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those that lie on brokers of this cluster.
    #[arg(long, value_name = "NAME")]
    of_cluster: Option<String>,

    /// Only those whose name contains this.
    #[arg(long, short, value_name = "TEXT")]
    filter: Option<String>,

    /// Also those that belong to groups and to the system.
    #[arg(long, short)]
    all: bool,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    topic: &'a str,
}

impl List {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let admin = client.admin();
        let mut topics = match &self.of_cluster {
            Some(cluster) => admin.cluster_topics(cluster)?,
            None => admin.topics()?,
        };
        if !self.all {
            let system = admin.system_topics()?;
            topics.retain(|topic| !is_others(topic) && system.binary_search(topic).is_err());
        }
        client.close()?;
        topics.retain(|topic| self.filter.as_ref().is_none_or(|part| topic.contains(part)));
        for topic in &topics {
            output.line(&Shown { topic }, || text::line(topic.chars()))?;
        }
        output.flush()
    }
}

fn is_others(topic: &str) -> bool {
    ["%RETRY%", "%DLQ%", "rmq_sys_"].iter().any(|prefix| topic.starts_with(prefix))
}
