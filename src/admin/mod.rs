//! What operators do: looking at groups, and moving them.

mod accounts;
mod acls;
mod brokers;
mod cleaning;
mod cluster;
mod config;
mod consumption;
mod counters;
mod direct;
mod groups;
mod kv;
mod members;
mod on_brokers;
mod owners;
mod producers;
mod progress;
mod request;
mod reset;
mod running;
mod static_topic;
mod topic_change;
mod topic_stats;
mod topics;
mod track;
mod users;

use std::fmt;
use std::sync::Arc;

pub use accounts::{PlainAccount, PlainAccounts};
pub use acls::{Acl, AclAction, AclDecision, AclPolicy, AclRule};
pub use brokers::{BrokerRuntime, WorkQueue};
pub use cluster::{BrokerRole, ClusterBroker, ClusterView};
pub use config::{NameServerConfigs, ServerConfig};
pub use consumption::{KnownNames, QueueTimeSpan, TimeSpanReport};
pub use counters::{BrokerCounter, CountedPeriod};
pub use direct::{DirectConsumption, DirectOutcome};
pub use groups::{GroupConfig, GroupOffsets, RetryPolicy};
pub use members::{GroupMember, GroupMembers, GroupSubscription};
pub use on_brokers::{OnBroker, OnBrokers};
pub use producers::ProducerGroups;
pub use progress::{GroupProgress, QueueProgress};
pub use request::AdminResponse;
pub use reset::{GroupReset, ResetTo};
pub use running::{RunningMember, RunningPop, RunningQueue, RunningTopic};
pub use topic_change::TopicChange;
pub use topic_stats::{QueueStats, TopicStats};
pub use topics::{MappedPart, StaticMapping, TopicConfig, TopicConfigs};
pub use track::{MessageTrack, TrackStatus};
pub use users::{User, UserStatus, UserType};

use crate::client::{Client, Core, names};
use crate::error::Result;

impl Client {
    /// Returns the operators' side of the cluster (Java: `DefaultMQAdminExt`). It uses this client's connections and asks
    /// nobody before it is used.
    pub fn admin(&self) -> Admin {
        Admin { client: self.clone() }
    }
}

/// Looks at consumer groups and moves them; made by [`Client::admin`]. Clones are cheap.
///
/// Its calls ask the masters of all brokers that know the group, all at once, and block until these have answered, at most
/// for the request timeout (3 s by default).
#[derive(Clone)]
pub struct Admin {
    client: Client,
}

impl Admin {
    fn core(&self) -> &Arc<Core> {
        self.client.core()
    }
}

/// The topic that brokers make for every group that has consumed through them.
fn retry_topic(group: &str) -> Result<Arc<str>> {
    names::check_group(group)?;
    Ok(format!("%RETRY%{group}").into())
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("client", &self.client).finish()
    }
}
