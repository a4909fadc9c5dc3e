use std::process::Command;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use rocketmq_blocking::{Client, ClientBuilder, MessageQueue, embedded};

use super::{Operator, PATIENCE, eventually, live_variable};

const CONSUMER_OFFSET: i32 = 14;
const MAX_OFFSET: i32 = 30;

/// Slaves 5.x ask for offsets every 63 s, and may miss a turn when their master was restarted before.
const OFFSETS: Duration = Duration::from_secs(240);

/// A master with a slave that it suggests to consumers, and a topic of four queues that both know. On Apache's server
/// others use it too, so a test looks at its own messages only.
pub(crate) struct Pair {
    pub(crate) name_server: String,
    pub(crate) topic: String,
    /// The cluster, if it is an embedded one.
    pub(crate) embedded: Option<embedded::Cluster>,
    /// Keeps others from ending the master, or from relying on it.
    _held: Held,
}

#[expect(dead_code, reason = "they are only held")]
enum Held {
    Nothing,
    Together(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

static MASTER: RwLock<()> = RwLock::new(());

/// A pair whose master stays up.
pub(crate) fn pair() -> Pair {
    Pair::new(|| Held::Together(MASTER.read().unwrap_or_else(PoisonError::into_inner)))
}

/// A pair whose master the test may end.
pub(crate) fn pair_alone() -> Pair {
    Pair::new(|| Held::Alone(MASTER.write().unwrap_or_else(PoisonError::into_inner)))
}

fn needed(name: &str) -> String {
    live_variable(name).unwrap_or_else(|| panic!("the live tier must set ROCKETMQ_LIVE_{name}"))
}

impl Pair {
    fn new(hold: impl FnOnce() -> Held) -> Pair {
        if live_variable("NAME_SERVER").is_some() {
            let (name_server, topic) = (needed("SLAVE_NAME_SERVER"), needed("SLAVE_TOPIC"));
            return Pair { name_server, topic, embedded: None, _held: hold() };
        }
        let builder = embedded::Cluster::builder().slaves(1).topic("SlaveRead", 4);
        let cluster = builder.start().expect("an embedded cluster");
        cluster.broker("broker-a").suggest(1);
        let name_server = cluster.name_server().to_owned();
        Pair { name_server, topic: "SlaveRead".to_owned(), embedded: Some(cluster), _held: Held::Nothing }
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        super::client_builder().name_servers(&self.name_server)
    }

    /// Waits until the slave has all that the master has.
    #[track_caller]
    pub(crate) fn replicated(&self, client: &Client) {
        // An embedded slave has what its master has.
        if self.embedded.is_some() {
            return;
        }
        let route = client.topic_route(&self.topic).expect("a route");
        let slave = &route.brokers()[0].addresses()[&1];
        let queues = client.subscribe_queues(&self.topic).expect("the topic exists");
        let at_slave = |queue: &MessageQueue| {
            let fields = [("topic", self.topic.as_str()), ("queueId", &queue.queue_id().to_string())];
            Operator::at(slave).ask(MAX_OFFSET, &fields).header
        };
        let consumer = client.pull_consumer(super::unique("reader")).start().expect("a pull consumer");
        for queue in queues {
            let expected = format!(r#""offset":"{}""#, consumer.max_offset(&queue).expect("the master is up"));
            eventually(PATIENCE, || match at_slave(&queue) {
                header if header.contains(&expected) => Ok(()),
                header => Err(format!("{expected} is not in {header}")),
            });
        }
    }

    /// Waits until the slave has the offsets that a group has committed.
    #[track_caller]
    pub(crate) fn knows_offsets(&self, client: &Client, group: &str, queues: &[MessageQueue]) {
        if self.embedded.is_some() {
            return;
        }
        let slave = client.topic_route(&self.topic).expect("a route").brokers()[0].addresses()[&1].clone();
        let consumer = client.pull_consumer(group).start().expect("a pull consumer");
        for queue in queues {
            let Some(committed) = consumer.committed_offset(queue).expect("the master is up") else { continue };
            let expected = format!(r#""offset":"{committed}""#);
            let id = queue.queue_id().to_string();
            let fields = [("consumerGroup", group), ("topic", self.topic.as_str()), ("queueId", &id)];
            eventually(OFFSETS, || match Operator::at(&slave).ask(CONSUMER_OFFSET, &fields).header {
                header if header.contains(&expected) => Ok(()),
                header => Err(format!("{expected} is not in {header}")),
            });
        }
    }

    /// Ends the master without notice.
    pub(crate) fn kill_master(&self) {
        match &self.embedded {
            Some(cluster) => cluster.broker("broker-a").kill(),
            None => {
                let pid = std::fs::read_to_string(format!("{}/broker-pair.pid", needed("DATA"))).expect("its number");
                let done = Command::new("kill").args(["-KILL", pid.trim()]).status().expect("it can be called");
                assert!(done.success(), "the master is there");
            }
        }
    }

    /// Starts the master again, and returns when it can be used.
    pub(crate) fn restart_master(&self) {
        match &self.embedded {
            Some(cluster) => cluster.broker("broker-a").restart().expect("its own port"),
            None => {
                let done = Command::new(needed("RESTART")).arg("broker-pair").output().expect("it runs");
                assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            }
        }
    }
}
