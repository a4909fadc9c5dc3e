use clap::Args;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::output::Output;

/// Show how many queues an ordered topic has on each broker, by the word of the name servers, or fix it.
///
/// Producers then do not spread messages over other brokers while one is down. Name servers hand it out with
/// orderMessageEnable=true. It asks before it changes anything.
#[derive(Debug, Args)]
pub(crate) struct Order {
    /// Name of the topic.
    name: String,

    /// Fix the number of queues on a broker; for all brokers of the topic, one after the other.
    #[arg(long = "set", value_name = "BROKER=QUEUES", value_parser = queues)]
    queues: Vec<(String, i32)>,

    /// Forget what was fixed.
    #[arg(long, conflicts_with = "queues")]
    forget: bool,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    cluster: Cluster,
}

fn queues(text: &str) -> Result<(String, i32), String> {
    let wrong = || "BROKER=QUEUES is expected".to_owned();
    let (broker, count) = text.split_once('=').ok_or_else(wrong)?;
    let count: i32 = count.parse().ok().filter(|count| *count > 0).ok_or_else(wrong)?;
    if broker.is_empty() { Err(wrong()) } else { Ok((broker.to_owned(), count)) }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    topic: &'a str,
    broker_name: &'a str,
    queues: i32,
}

impl Order {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let name = &self.name;
        if self.forget || !self.queues.is_empty() {
            let what = format!("Change on which queues producers keep the order of topic {name}?");
            self.confirm.ask(&what, "Messages under way can be overtaken")?;
        }
        let client = self.cluster.connect()?;
        let admin = client.admin();
        if self.forget {
            admin.delete_topic_order(name)?;
            return Ok(client.close()?);
        }
        if !self.queues.is_empty() {
            let queues: Vec<(&str, i32)> =
                self.queues.iter().map(|(broker, count)| (broker.as_str(), *count)).collect();
            admin.change_topic_order(name, &queues)?;
        }
        let order = admin.topic_order(name)?.unwrap_or_default();
        client.close()?;
        if order.is_empty() && !output.json() {
            output.line(&(), || "nothing is fixed".to_owned())?;
        } else {
            output.list(
                ["BROKER", "QUEUES"],
                &order,
                |(broker_name, queues)| Shown { topic: name, broker_name, queues: *queues },
                |(broker, queues)| [broker.clone(), queues.to_string()],
            )?;
        }
        output.flush()
    }
}
