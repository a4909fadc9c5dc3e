use super::{Admin, cluster};
use crate::error::{Error, Result};
use crate::protocol::request::Request;
use crate::protocol::rpc::brokers::{CleanExpiredQueues, CleanUnusedTopics, DeleteExpiredCommitLog};
use crate::protocol::rpc::name_server::{AddWritePermission, WipeWritePermission};

/// What brokers do by themselves now and then, done now: for all masters and slaves that the name server knows. Each call
/// blocks until all have answered, at most for the request timeout (3 s by default), and fails when one of them did; the
/// others have done it then. Calling again is harmless.
impl Admin {
    /// Lets all brokers delete the files of topics they do not have any more (`mqadmin cleanUnusedTopic`; Java:
    /// `cleanUnusedTopic`).
    pub fn clean_unused_topics(&self) -> Result<()> {
        self.tell_brokers(&CleanUnusedTopics)
    }

    /// Lets all brokers delete the files of queues whose messages are gone (`mqadmin cleanExpiredCQ`; Java:
    /// `cleanExpiredConsumerQueue`).
    pub fn clean_expired_queues(&self) -> Result<()> {
        self.tell_brokers(&CleanExpiredQueues)
    }

    /// Lets all brokers delete messages older than they keep them (`fileReservedTime`, 72 h by default), without waiting for the
    /// hour they do it at (`mqadmin deleteExpiredCommitLog`; Java: `deleteExpiredCommitLog`). What is deleted can never be
    /// consumed again.
    ///
    /// # Errors
    /// [`Error::Unsupported`] from brokers that do not know it.
    pub fn delete_expired_commit_log(&self) -> Result<()> {
        self.tell_brokers(&DeleteExpiredCommitLog)
    }

    fn tell_brokers<R: Request + Send + 'static>(&self, request: &R) -> Result<()> {
        let core = self.core();
        core.check_open()?;
        let deadline = core.request_deadline();
        let servers = cluster::servers(core, |_| true, deadline)?;
        core.ask_servers(&servers, request, &[], deadline).all().map(drop)
    }

    /// Makes all name servers say that no topic of a broker takes messages, so that producers leave it, as before a restart
    /// (`mqadmin wipeWritePerm`; Java: `wipeWritePermOfBroker`). Returns of how many topics. Consumers go on. A topic that is
    /// created or changed on the broker afterwards takes messages again.
    ///
    /// # Errors
    /// [`Error::NoBroker`] when the name server knows no such broker; when one of several name servers fails the others have
    /// done it.
    pub fn wipe_write_permission(&self, broker_name: &str) -> Result<usize> {
        self.check_broker(broker_name)?;
        let core = self.core();
        let request = WipeWritePermission { broker_name: broker_name.into() };
        let answers = core.ask_name_servers(&request, &[], core.request_deadline())?.all()?;
        let counts = answers.iter().map(|from| from.answer.header().map(|reply| reply.count));
        most(counts)
    }

    /// Undoes [`wipe_write_permission`](Admin::wipe_write_permission) (`mqadmin addWritePerm`; Java: `addWritePermOfBroker`).
    /// Returns of how many topics. **All** topics of the broker can be read and written then, by the name servers' word,
    /// whatever they were before.
    ///
    /// # Errors
    /// As there; [`Error::Unsupported`] from name servers before 4.9.
    pub fn add_write_permission(&self, broker_name: &str) -> Result<usize> {
        self.check_broker(broker_name)?;
        let core = self.core();
        let request = AddWritePermission { broker_name: broker_name.into() };
        let answers = core.ask_name_servers(&request, &[], core.request_deadline())?.all()?;
        let counts = answers.iter().map(|from| from.answer.header().map(|reply| reply.count));
        most(counts)
    }

    /// Name servers say that they did it for every name.
    fn check_broker(&self, name: &str) -> Result<()> {
        if self.cluster()?.brokers.iter().any(|broker| *broker.name == *name) {
            return Ok(());
        }
        Err(Error::NoBroker { what: name.into(), reason: "the name server knows no broker of that name".into() })
    }
}

fn most(mut counts: impl Iterator<Item = Result<i32>>) -> Result<usize> {
    counts.try_fold(0, |most, count| Ok(usize::try_from(count?).unwrap_or(0).max(most)))
}
