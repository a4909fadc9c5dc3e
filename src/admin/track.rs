use std::fmt;
use std::sync::Arc;

use super::members::{self, Connected};
use super::{Admin, cluster};
use crate::client::Core;
use crate::error::{Error, Result};
use crate::message::MessageView;
use crate::protocol::json;
use crate::protocol::rpc::inspect::{ConsumeStats, ConsumeStatsBody};
use crate::remoting::Deadline;

/// What became of a message in a group (Java: `TrackType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TrackStatus {
    /// The group is past it.
    Consumed,
    /// The group is past it, and did not want it: its tag is none of those subscribed to.
    ConsumedButFiltered,
    /// Each member of the group has its own place, which brokers do not know.
    ConsumedBroadcasting,
    /// The group consumes, and is not there yet.
    NotConsumedYet,
    /// The group pulls, which brokers know too little of.
    Pull,
    /// Nobody of the group is connected.
    NotOnline,
    /// It cannot be said; [`MessageTrack::reason`] may tell why.
    Unknown,
}

/// What became of a message in one group (Java: `MessageTrack`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageTrack {
    /// The group.
    pub group: Arc<str>,
    /// What became of the message there.
    pub status: TrackStatus,
    /// Why nothing better can be said.
    pub reason: Option<String>,
}

/// Java's word.
impl fmt::Display for TrackStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            TrackStatus::Consumed => "CONSUMED",
            TrackStatus::ConsumedButFiltered => "CONSUMED_BUT_FILTERED",
            TrackStatus::ConsumedBroadcasting => "CONSUME_BROADCASTING",
            TrackStatus::NotConsumedYet => "NOT_CONSUME_YET",
            TrackStatus::Pull => "PULL",
            TrackStatus::NotOnline => "NOT_ONLINE",
            TrackStatus::Unknown => "UNKNOWN",
        })
    }
}

impl Admin {
    /// Returns what became of a message in each group that consumes its topic, or has, sorted by group (`mqadmin queryMsgById`;
    /// Java: `messageTrackDetail`).
    ///
    /// A group is past a message when the offset it committed is: that is all brokers know. What pops messages is
    /// [`TrackStatus::Unknown`].
    ///
    /// Blocks at most for the request timeout (3 s by default), and as long again for each group.
    ///
    /// # Errors
    /// [`Error::NoRoute`] when the message's topic does not exist any more; else when no broker says which groups there are, or
    /// none is known to hold the message. What fails for one group makes it [`TrackStatus::Unknown`].
    ///
    /// ```no_run
    /// # fn main() -> rocketmq_blocking::Result<()> {
    /// # let client = rocketmq_blocking::Client::connect("127.0.0.1:9876")?;
    /// if let Some(message) = client.find_message("OrderTopic", "7F00000100002A9F0000000000000000")? {
    ///     for track in client.admin().track_message(&message)? {
    ///         println!("{}: {}", track.group, track.status);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn track_message(&self, message: &MessageView) -> Result<Vec<MessageTrack>> {
        let core = self.core();
        let groups = self.topic_groups(message.topic())?.names;
        let (broker_name, addr) = holder(core, message, core.request_deadline())?;
        let track = |group: Arc<str>| {
            let found = track(core, message, &group, &broker_name, &addr, core.request_deadline());
            let (status, reason) = found.unwrap_or_else(|error| (TrackStatus::Unknown, Some(error.to_string())));
            MessageTrack { group, status, reason }
        };
        Ok(groups.into_iter().map(track).collect())
    }
}

/// The master that holds a message: its name and its address.
pub(super) fn holder(core: &Arc<Core>, message: &MessageView, deadline: Deadline) -> Result<(Arc<str>, Arc<str>)> {
    let brokers = cluster::cluster(core, deadline)?;
    let name = message.queue().broker_name();
    let store_host = message.store_host().to_string();
    // A message that was looked up by its offset id may not say the broker's name.
    let found = brokers.masters().find(|broker| match name {
        "" => *broker.advertised == *store_host,
        name => *broker.name == *name,
    });
    let missing = || Error::NoBroker {
        what: format!("message {}", message.message_id()).into(),
        reason: format!("no master of the cluster is the one that stored it, {store_host}").into(),
    };
    found.map(|broker| (broker.name.clone(), broker.addr.clone())).ok_or_else(missing)
}

fn track(
    core: &Arc<Core>,
    message: &MessageView,
    group: &Arc<str>,
    broker_name: &str,
    addr: &str,
    deadline: Deadline,
) -> Result<(TrackStatus, Option<String>)> {
    let (connected, failures) = members::connected(core, group, deadline)?;
    let Some(Connected { body, .. }) = connected.iter().find(|at| !at.body.connection_set.is_empty()) else {
        return Ok(match failures.into_iter().next() {
            Some(failure) => (TrackStatus::Unknown, Some(failure.error.to_string())),
            None => (TrackStatus::NotOnline, None),
        });
    };
    match (&*body.consume_type, &*body.message_model) {
        ("CONSUME_ACTIVELY", _) => return Ok((TrackStatus::Pull, None)),
        ("CONSUME_PASSIVELY", "BROADCASTING") => return Ok((TrackStatus::ConsumedBroadcasting, None)),
        ("CONSUME_PASSIVELY", _) => {}
        (other, _) => return Ok((TrackStatus::Unknown, Some(format!("the group is of type {other}")))),
    }
    let topic: Arc<str> = message.topic().into();
    let request = ConsumeStats { consumer_group: group.clone(), topic: Some(topic.clone()) };
    let answer = core.ask_server(addr, &request, &[], deadline)?;
    let stats: ConsumeStatsBody = json::decode("group's progress", answer.frame.body())?;
    let is_past = stats.offset_table.0.iter().any(|(queue, progress)| {
        *queue.broker_name == *broker_name
            && queue.queue_id == message.queue().queue_id()
            && core.own_name(&queue.topic) == *topic
            && progress.consumer_offset > message.queue_offset()
    });
    let subscription = body.subscription_table.values().find(|one| core.own_name(&one.topic) == *topic);
    let wanted = subscription.is_none_or(|one| wants(&one.tags_set, message.tag()));
    Ok(match (is_past, wanted) {
        (false, _) => (TrackStatus::NotConsumedYet, None),
        (true, true) => (TrackStatus::Consumed, None),
        (true, false) => (TrackStatus::ConsumedButFiltered, None),
    })
}

/// Whether tags subscribed to let a message pass. A condition in SQL has none.
fn wants(tags: &[String], tag: Option<&str>) -> bool {
    tags.is_empty() || tags.iter().any(|own| own == "*" || Some(own.as_str()) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_filter_as_in_java() {
        let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        for (subscribed, tag, wanted) in [
            (tags(&[]), None, true),
            (tags(&[]), Some("a"), true),
            (tags(&["*"]), None, true),
            (tags(&["a", "b"]), Some("b"), true),
            (tags(&["a", "b"]), Some("c"), false),
            (tags(&["a"]), None, false),
        ] {
            assert_eq!(wants(&subscribed, tag), wanted, "{subscribed:?} {tag:?}");
        }
    }
}
