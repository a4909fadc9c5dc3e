use std::sync::{Arc, Weak};
use std::time::Duration;

use super::PullConsumer;
use super::prepare::{check_max, check_max_bytes};
use super::shared::Shared;
use crate::client::{Client, CloseReport, GroupKind, Member, names};
use crate::error::{Error, Result};
use crate::protocol::rpc::heartbeat::ConsumerBody;
use crate::remoting::Deadline;

/// What holds for all pulls of a consumer.
#[derive(Debug, Clone, Copy)]
pub(super) struct PullOptions {
    /// How long a broker may hold a pull that waits.
    pub(super) hold: Duration,
    /// For a pull that does not wait.
    pub(super) timeout: Duration,
    /// What a pull that waits gets beyond its hold.
    pub(super) hold_margin: Duration,
    pub(super) max: usize,
    pub(super) max_bytes: Option<usize>,
    pub(super) window: usize,
}

impl Default for PullOptions {
    fn default() -> PullOptions {
        PullOptions {
            hold: Duration::from_secs(20),
            timeout: Duration::from_secs(10),
            hold_margin: Duration::from_secs(10),
            max: 32,
            max_bytes: None,
            window: 256,
        }
    }
}

/// Settings of a [`PullConsumer`]; ends in [`start`](PullConsumerBuilder::start).
#[derive(Debug)]
#[must_use = "the consumer does not exist before start"]
pub struct PullConsumerBuilder {
    client: Client,
    group: Arc<str>,
    options: PullOptions,
}

impl Client {
    /// Prepares a pull consumer of a group (Java: `DefaultMQPullConsumer`). Nothing is sent before [`start`](PullConsumerBuilder::start).
    pub fn pull_consumer(&self, group: impl Into<Arc<str>>) -> PullConsumerBuilder {
        let options = PullOptions::default();
        PullConsumerBuilder { client: self.clone(), group: group.into(), options }
    }
}

impl PullConsumerBuilder {
    /// Sets how long the broker may hold a [`pull_waiting`](PullConsumer::pull_waiting); 20 s by default
    /// (Java: `brokerSuspendMaxTimeMillis`).
    pub fn hold(mut self, hold: Duration) -> PullConsumerBuilder {
        self.options.hold = hold;
        self
    }

    /// Sets by when a pull that does not wait ends; 10 s by default (Java: `consumerPullTimeoutMillis`).
    pub fn timeout(mut self, timeout: Duration) -> PullConsumerBuilder {
        self.options.timeout = timeout;
        self
    }

    /// Sets how much later than its hold a pull that waits ends at the latest; 10 s by default. Brokers may be late by
    /// more than 5 s. (Java: `consumerTimeoutMillisWhenSuspend`, which is the sum of both.)
    pub fn hold_margin(mut self, margin: Duration) -> PullConsumerBuilder {
        self.options.hold_margin = margin;
        self
    }

    /// Sets how many messages a pull returns at most, 1 to 1024; 32 by default. See
    /// [`PreparedPull::max`](super::PreparedPull::max).
    pub fn max(mut self, messages: usize) -> PullConsumerBuilder {
        self.options.max = messages;
        self
    }

    /// Sets how many bytes a broker is asked to return at most, up to 16 MiB; it decides by default. See
    /// [`PreparedPull::max_bytes`](super::PreparedPull::max_bytes).
    pub fn max_bytes(mut self, bytes: usize) -> PullConsumerBuilder {
        self.options.max_bytes = Some(bytes);
        self
    }

    /// Sets how many asynchronous pulls may be under way, 1 or more; 256 by default. A pull counts until its callback
    /// begins.
    pub fn window(mut self, pulls: usize) -> PullConsumerBuilder {
        self.options.window = pulls;
        self
    }

    /// Starts the consumer: its group joins the client, and brokers learn of it with the next heartbeats. It does not
    /// block.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a setting out of its range, or a group whose name is blank, too long, reserved, or has
    /// characters other than letters, digits and `% | _ -`. [`Error::GroupInUse`] when this client already has a
    /// consumer of this group. [`Error::Closed`] when the client is closed.
    pub fn start(self) -> Result<PullConsumer> {
        let PullConsumerBuilder { client, group, options } = self;
        names::check_group(&group)?;
        check(&options, client.core().options().callback_queue)?;
        let core = client.core();
        let shared = Arc::new(Shared::new(core, &group, options));
        let weak = Arc::downgrade(&shared);
        let body = ConsumerBody {
            group_name: group.clone(),
            consume_type: "CONSUME_ACTIVELY".into(),
            message_model: "CLUSTERING".into(),
            consume_from_where: "CONSUME_FROM_LAST_OFFSET".into(),
            // Pulls carry their subscription themselves.
            subscription_data_set: Vec::new(),
            unit_mode: core.options().unit_mode,
        };
        let close = Box::new(move || close_with_client(&weak));
        let member =
            Member { kind: GroupKind::Consumer, group, consumer: Some(body), mailbox: None, checks: None, close };
        shared.joined(core.groups().join(core, member)?);
        Ok(PullConsumer::new(client, shared))
    }
}

fn close_with_client(shared: &Weak<Shared>) -> CloseReport {
    let Some(shared) = shared.upgrade() else { return CloseReport::default() };
    let deadline = shared.core().close_deadline().unwrap_or_else(|| Deadline::after(super::DEFAULT_GRACE));
    shared.close(deadline)
}

fn check(options: &PullOptions, callback_queue: usize) -> Result<()> {
    check_max(options.max)?;
    options.max_bytes.map_or(Ok(()), check_max_bytes)?;
    if options.timeout.is_zero() || options.hold.is_zero() {
        return Err(Error::invalid("timeout and hold of a pull consumer must be above zero"));
    }
    if !(1..=callback_queue).contains(&options.window) {
        let window = options.window;
        let range = format!("1 to {callback_queue}, the length of the client's callback queue, are possible");
        return Err(Error::invalid(format!("a window of {window} asynchronous pulls: {range}")));
    }
    Ok(())
}
