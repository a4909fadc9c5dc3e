mod list;
mod track;

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use rocketmq_blocking::{Error, MessageView};

use crate::cluster::Cluster;
use crate::failure::{Failure, complain, explain};
use crate::output::{Output, Received};
use crate::text;

/// Characters of a body that are shown for people.
const SHOWN: usize = 2000;

/// Look stored messages up, and what became of them.
#[derive(Debug, Subcommand)]
pub(crate) enum Message {
    #[command(visible_alias = "show")]
    View(View),
    Find(Find),
    List(list::List),
    Track(track::Track),
    Consume(track::Consume),
    Recheck(Recheck),
}

/// Show a message by its id.
///
/// An offset message id is enough by itself; a message id that the producer gave needs the topic.
#[derive(Debug, Args)]
pub(crate) struct View {
    /// Offset message id, or with --topic the message id as well.
    id: String,

    /// Topic of the message.
    #[arg(long, short)]
    topic: Option<String>,

    #[command(flatten)]
    cluster: Cluster,
}

/// Show the messages of a topic that carry a key, the one stored first at the front.
///
/// Brokers take up to a second to list a new message under its keys.
#[derive(Debug, Args)]
pub(crate) struct Find {
    /// Topic of the messages.
    #[arg(long, short)]
    topic: String,

    /// Key they carry.
    #[arg(long, short)]
    key: String,

    /// At most so many, the newest; brokers have a limit of their own, 64 by default.
    #[arg(long, value_name = "N", default_value_t = 64)]
    max: usize,

    #[command(flatten)]
    cluster: Cluster,
}

/// Have a broker ask the producers again what became of the transaction of a message, also when it has given up asking.
#[derive(Debug, Args)]
pub(crate) struct Recheck {
    /// Offset message id of the message as it was sent, or of its copy in TRANS_CHECK_MAX_TIME_TOPIC.
    id: String,

    #[command(flatten)]
    cluster: Cluster,
}

impl Message {
    pub(crate) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        match self {
            Message::View(view) => view.run(output),
            Message::Find(find) => find.run(output),
            Message::List(list) => list.run(output),
            Message::Track(track) => track.run(output),
            Message::Consume(consume) => consume.run(output),
            Message::Recheck(recheck) => recheck.run(),
        }
    }
}

impl View {
    fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let found = match &self.topic {
            Some(topic) => client.find_message(topic, &self.id)?,
            None => match client.view_message(&self.id) {
                Err(error @ Error::Invalid { .. }) => {
                    let hint = "to look a producer's message id up, name the --topic";
                    return Err(Failure::Failed(format!("{error}; {hint}")));
                }
                found => found?,
            },
        };
        let Some(message) = found else { return Err(Failure::Failed(format!("no message has the id {}", self.id))) };
        show(output, &message)?;
        output.flush()?;
        Ok(client.close()?)
    }
}

impl Find {
    fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let found = client.query_messages(&self.topic, &self.key, self.max, ..)?;
        for (number, message) in found.messages.iter().enumerate() {
            if number > 0 && !output.json() {
                output.line(&(), String::new)?;
            }
            show(output, message)?;
        }
        output.flush()?;
        for attempt in &found.failures {
            complain(&format!("{} could not be asked: {}", attempt.broker_name, explain(&attempt.error)));
        }
        client.close()?;
        match (found.messages.is_empty(), found.failures.is_empty()) {
            (_, false) => Err(Failure::Reported),
            (true, true) => {
                Err(Failure::Failed(format!("no message of topic {} has the key {}", self.topic, self.key)))
            }
            (false, true) => Ok(()),
        }
    }
}

impl Recheck {
    fn run(&self) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        client.admin().resume_check(&self.id)?;
        Ok(client.close()?)
    }
}

fn show(output: &mut Output, message: &MessageView) -> Result<(), Failure> {
    output.line(&Received::of(message), || people(message))
}

fn people(message: &MessageView) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        // Formatting into a string cannot fail.
        let _ = writeln!(text, "{name:<19}{}", text::line(value.chars()));
    };
    row("message id", &message.message_id());
    row("offset message id", &message.offset_message_id().to_string());
    row("topic", message.topic());
    let queue = message.queue();
    let separator = if queue.broker_name().is_empty() { "" } else { "/" };
    let place = format!("{}{separator}{}, offset {}", queue.broker_name(), queue.queue_id(), message.queue_offset());
    row("queue", &place);
    row("born", &format!("{} UTC at {}", text::time(message.born_timestamp()), message.born_host()));
    row("stored", &format!("{} UTC at {}", text::time(message.store_timestamp()), message.store_host()));
    row("tag", message.tag().unwrap_or("-"));
    let keys: Vec<&str> = message.keys().collect();
    row("keys", if keys.is_empty() { "-" } else { message.property("KEYS").unwrap_or("-") });
    row("reconsumed", &format!("{} times", message.reconsume_times()));
    for (name, value) in message.properties().iter().filter(|(name, _)| !matches!(*name, "TAGS" | "KEYS" | "UNIQ_KEY"))
    {
        row("property", &format!("{name} = {value}"));
    }
    let size = message.body().len();
    match message.check_body() {
        Ok(()) => row("body", &format!("{}{}", text::counted(size as u64, "byte"), if size == 0 { "" } else { ":" })),
        Err(error) => row("body", &error.to_string()),
    }
    if size > 0 {
        text += &text::body(message.body(), SHOWN);
    }
    text.trim_end().to_owned()
}
