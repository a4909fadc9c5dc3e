use clap::Args;
use rocketmq_blocking::{Client, DirectOutcome, MessageTrack, MessageView};
use serde::Serialize;

use crate::cluster::Cluster;
use crate::failure::{Failure, complain};
use crate::output::Output;
use crate::text;

/// Show what became of a message in each group that consumes its topic.
///
/// A line has the group and one of CONSUMED, CONSUMED_BUT_FILTERED, CONSUME_BROADCASTING, NOT_CONSUME_YET, PULL, NOT_ONLINE and
/// UNKNOWN, which may have a reason.
#[derive(Debug, Args)]
pub(crate) struct Track {
    /// Message id of either kind.
    id: String,

    /// Topic of the message.
    #[arg(long, short)]
    topic: String,

    #[command(flatten)]
    cluster: Cluster,
}

/// Have a member of a group consume a message now, out of turn, and show what its listener makes of it.
///
/// Nothing else follows from that: the message is not given out again, and no offset is moved.
#[derive(Debug, Args)]
pub(crate) struct Consume {
    /// Message id of either kind.
    id: String,

    /// Topic of the message.
    #[arg(long, short)]
    topic: String,

    /// Consumer group.
    #[arg(long, short)]
    group: String,

    /// The member's client id, as `rmq group members` shows it. [default: the only member]
    #[arg(long)]
    client: Option<String>,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Serialize)]
struct ShownTrack<'a> {
    group: &'a str,
    status: String,
    reason: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownOutcome<'a> {
    group: &'a str,
    client_id: &'a str,
    outcome: String,
    remark: Option<&'a str>,
    took_ms: u64,
    orderly: bool,
}

impl Track {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let message = find(&client, &self.topic, &self.id)?;
        let tracks = client.admin().track_message(&message)?;
        client.close()?;
        output.list(
            ["GROUP", "STATUS", "REASON"],
            &tracks,
            |track| ShownTrack {
                group: &track.group,
                status: track.status.to_string(),
                reason: track.reason.as_deref(),
            },
            row,
        )?;
        if !output.json() {
            complain(&text::counted(tracks.len() as u64, "group"));
        }
        output.flush()
    }
}

fn row(track: &MessageTrack) -> [String; 3] {
    let reason = track.reason.as_deref().unwrap_or_default();
    [text::line(track.group.chars()), track.status.to_string(), text::line(reason.chars())]
}

impl Consume {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let admin = client.admin();
        let message = find(&client, &self.topic, &self.id)?;
        let member = match &self.client {
            Some(member) => member.clone(),
            None => {
                let members = admin.group_members(&self.group)?.members;
                let [only] = &members[..] else {
                    let found = text::counted(members.len() as u64, "member");
                    return Err(Failure::Failed(format!("group {} has {found}: say which --client", self.group)));
                };
                only.client_id.to_string()
            }
        };
        let done = admin.consume_message(&message, &self.group, &member)?;
        client.close()?;
        let shown = ShownOutcome {
            group: &self.group,
            client_id: &member,
            outcome: done.outcome.to_string(),
            remark: done.remark.as_deref(),
            took_ms: u64::try_from(done.took.as_millis()).unwrap_or(u64::MAX),
            orderly: done.orderly,
        };
        output.line(&shown, || {
            let remark = done.remark.as_deref().map(|remark| format!(": {}", text::line(remark.chars())));
            format!("{} after {}{}", done.outcome, text::duration(done.took), remark.unwrap_or_default())
        })?;
        output.flush()?;
        if matches!(done.outcome, DirectOutcome::Success | DirectOutcome::Commit) {
            Ok(())
        } else {
            Err(Failure::Reported)
        }
    }
}

fn find(client: &Client, topic: &str, id: &str) -> Result<MessageView, Failure> {
    let found = client.find_message(topic, id)?;
    found.ok_or_else(|| Failure::Failed(format!("no message of topic {topic} has the id {id}")))
}
