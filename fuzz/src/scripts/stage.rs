use rocketmq_blocking::MessageView;
use rocketmq_blocking::embedded::{Broker, Cluster, NameServer};

use super::script::{Deed, Server};
use super::{QUEUES, TOPIC, millis};

/// The servers.
pub(super) struct Stage {
    cluster: Cluster,
    name_server: NameServer,
    brokers: Vec<Broker>,
}

/// Calls the same method of a server of either kind.
macro_rules! at {
    ($stage:ident, $server:expr, $method:ident $(, $argument:expr)?) => {
        match $server {
            Server::Name => $stage.name_server.$method($($argument)?),
            Server::First => $stage.brokers[0].$method($($argument)?),
            Server::Last => $stage.brokers[$stage.brokers.len() - 1].$method($($argument)?),
        }
    };
}

impl Stage {
    pub(super) fn new(brokers: usize) -> Stage {
        let cluster = Cluster::builder()
            .brokers(brokers)
            .topic(TOPIC, QUEUES)
            .transaction_timeout(millis(100))
            .transaction_check_interval(millis(50))
            .start()
            .expect("a cluster");
        let brokers = cluster.broker_names().iter().map(|name| cluster.broker(name)).collect();
        Stage { name_server: cluster.name_server_at(0), brokers, cluster }
    }

    pub(super) fn name_servers(&self) -> String {
        self.cluster.name_server().to_owned()
    }

    pub(super) fn broker_names(&self) -> Vec<String> {
        self.cluster.broker_names()
    }

    pub(super) fn play(&self, server: Server, deed: &Deed) {
        match deed {
            Deed::Fault(mishap) => drop(at!(self, server, fault, mishap.fault())),
            Deed::Kill => at!(self, server, kill),
            // Its port may be taken by now; then it stays down.
            Deed::Restart => drop(at!(self, server, restart)),
            Deed::Disconnect => at!(self, server, disconnect),
            Deed::GoAway => at!(self, server, go_away),
            Deed::Refuse => at!(self, server, refuse_connections),
            Deed::NeverAccept => drop(at!(self, server, never_accept)),
            Deed::StopReading => at!(self, server, stop_reading),
            Deed::ResumeReading => at!(self, server, resume_reading),
            Deed::ClearFaults => at!(self, server, clear_faults),
        }
    }

    /// Makes everything well again.
    pub(super) fn heal(&self) {
        for server in [Server::Name, Server::First, Server::Last] {
            at!(self, server, clear_faults);
            at!(self, server, resume_reading);
            let _ = at!(self, server, restart);
        }
    }

    pub(super) fn connections(&self) -> usize {
        self.cluster.connections()
    }

    pub(super) fn stored(&self) -> Vec<MessageView> {
        self.cluster.stored(TOPIC)
    }

    pub(super) fn close(self) {
        self.cluster.close();
    }
}
