use std::sync::Arc;
use std::time::Duration;

use super::Producer;
use super::accumulator::AutoBatch;
use super::prepare::Limits;
use super::shared::{Settings, Shared};
use super::window::Window;
use crate::client::hooks::{Hooks, SendContext, SendHook};
use crate::client::send::SendSettings;
use crate::client::{CheckQueue, Client, CloseReport, GroupKind, Member, names};
use crate::error::{Error, Result};
use crate::protocol::compress::Compression;
use crate::remoting::Deadline;
use crate::trace::{Side, Trace, Tracer};

impl Client {
    /// Prepares a producer of a group (Java: `DefaultMQProducer`). Nothing is sent before
    /// [`start`](ProducerBuilder::start). A group may be started once per client identity.
    pub fn producer(&self, group: impl Into<Arc<str>>) -> ProducerBuilder {
        ProducerBuilder::new(self.clone(), group.into())
    }
}

/// The settings of a producer; made by [`Client::producer`], finished by [`start`](ProducerBuilder::start).
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is started"]
pub struct ProducerBuilder {
    client: Client,
    settings: Settings,
    hooks: Hooks,
    window: (usize, usize),
    topics: Vec<Arc<str>>,
    trace: Option<Trace>,
}

impl ProducerBuilder {
    fn new(client: Client, group: Arc<str>) -> ProducerBuilder {
        let unit_mode = client.core().options().unit_mode;
        let settings = Settings {
            send: SendSettings { group, template_topic: "TBW102".into(), default_queues: 4, unit_mode },
            limits: Limits {
                max_message_size: 4 * 1024 * 1024,
                compress_above: 4096,
                compression: Compression::Zlib,
                compress_level: None,
                namespace: client.core().namespace().cloned(),
            },
            timeout: Duration::from_secs(3),
            retries: 2,
            async_retries: 2,
            retry_unknown: true,
            attempt_timeout: None,
            avoid_faulty: true,
            avoid_slow: false,
            retry_when_not_ok: false,
            auto_batch: None,
        };
        ProducerBuilder {
            client,
            settings,
            hooks: Hooks::default(),
            window: (10_000, 100 << 20),
            topics: Vec::new(),
            trace: None,
        }
    }

    /// Sets the time a send may take in all, its attempts, connecting and the route included. 3 s by default (Java:
    /// `sendMsgTimeout`, which covers less).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// Sets how often a failed synchronous send is tried again, within its timeout. 2 by default, so three attempts in all
    /// (Java: `retryTimesWhenSendFailed`). Sends to a given or selected queue are not tried again, unless
    /// [`PreparedSend::retries`](crate::PreparedSend::retries) says so.
    pub fn retries(mut self, retries: u32) -> Self {
        self.settings.retries = retries;
        self
    }

    /// Sets how often a failed asynchronous send is tried again. 2 by default (Java: `retryTimesWhenSendAsyncFailed`).
    pub fn async_retries(mut self, retries: u32) -> Self {
        self.settings.async_retries = retries;
        self
    }

    /// Sets whether an attempt whose outcome is unknown is tried again, which may duplicate the message. On by default, as
    /// in Java; [`SendResult::may_be_duplicated`](crate::SendResult::may_be_duplicated) tells when it can have happened.
    pub fn retry_unknown(mut self, retry: bool) -> Self {
        self.settings.retry_unknown = retry;
        self
    }

    /// Sets how long an attempt may take before another is begun beside it. By default 60 % of the time left while another
    /// broker can be tried, and at least 200 ms (Java since 5.3.3: `sendMsgMaxTimeoutPerRequest`).
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.settings.attempt_timeout = Some(timeout);
        self
    }

    /// Sets whether a message that was stored with a status other than `SEND_OK` is sent to another broker as well. Off by
    /// default (Java: `retryAnotherBrokerWhenNotStoreOK`, which concerns synchronous sends only). When no broker does better,
    /// the result is the one with that status.
    pub fn retry_when_not_ok(mut self, retry: bool) -> Self {
        self.settings.retry_when_not_ok = retry;
        self
    }

    /// Sets whether brokers that refused or timed out are avoided until they answer a probe. On by default.
    pub fn avoid_faulty_brokers(mut self, avoid: bool) -> Self {
        self.settings.avoid_faulty = avoid;
        self
    }

    /// Sets whether brokers that answer slowly are avoided for a while too, from 550 ms on (Java: `sendLatencyFaultEnable`).
    /// Off by default.
    pub fn avoid_slow_brokers(mut self, avoid: bool) -> Self {
        self.settings.avoid_slow = avoid;
        self
    }

    /// Sets the largest body, and the largest batch, in bytes. 4 MiB by default, as brokers have it.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.settings.limits.max_message_size = bytes;
        self
    }

    /// Sets how bodies are compressed. With zlib by default, which every consumer reads; see [`Compression`] for who reads
    /// the others.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.settings.limits.compression = compression;
        self
    }

    /// Sets from which size on bodies are compressed, in bytes, when that makes them smaller. 4096 by default; `usize::MAX`
    /// turns it off. Batches are never compressed.
    pub fn compress_above(mut self, bytes: usize) -> Self {
        self.settings.limits.compress_above = bytes;
        self
    }

    /// Sets the level, from 1 (fast) to 9 (small) for zlib and to 22 for zstd. 5 by default; lz4 has no levels.
    pub fn compress_level(mut self, level: u32) -> Self {
        self.settings.limits.compress_level = Some(level);
        self
    }

    /// Bounds the asynchronous sends under way by number and by bytes of their bodies. 10 000 and 100 MiB by default, at
    /// least 1 each. (Java: `enableBackpressureForAsyncMode`, `backPressureForAsyncSendNum` and
    /// `backPressureForAsyncSendSize`, there off by default and at least 10 and 1 MiB.)
    ///
    /// At the bound `send_async` and `submit` wait within the send's timeout, and then fail with an
    /// [`Error::Timeout`](crate::Error::Timeout) at [`Stage::Admission`](crate::Stage::Admission); their `try_` forms fail
    /// with [`Error::Busy`] at once. Within a callback they do not wait either. A body larger than the bound is sent when
    /// nothing else is under way, which smaller ones wait for (in Java it never is). A place is given back when the callback
    /// has ended (in Java before it begins).
    pub fn async_window(mut self, messages: usize, bytes: usize) -> Self {
        self.window = (messages, bytes);
        self
    }

    /// Gathers messages that are sent one by one into batches. Off by default; [`AutoBatch`] says what it does and to which
    /// messages, [`PreparedSend::auto_batch`](crate::PreparedSend::auto_batch) decides for a single one.
    pub fn auto_batch(mut self, settings: AutoBatch) -> Self {
        self.settings.auto_batch = Some(settings);
        self
    }

    /// Names the topic whose settings a topic created by a first send takes over. `TBW102` by default (Java:
    /// `createTopicKey`).
    pub fn template_topic(mut self, topic: impl Into<Arc<str>>) -> Self {
        self.settings.send.template_topic = topic.into();
        self
    }

    /// Sets how many queues a topic created by a first send gets on each broker, at most. 4 by default.
    pub fn default_queues(mut self, queues: i32) -> Self {
        self.settings.send.default_queues = queues;
        self
    }

    /// Names topics whose routes are looked up at the start, so that the first send does not have to.
    pub fn topics<T: Into<Arc<str>>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        self.topics.extend(topics.into_iter().map(Into::into));
        self
    }

    /// Adds a hook that is told of every send, before and after.
    pub fn hook(mut self, hook: impl SendHook + 'static) -> Self {
        self.hooks.sends.push(Arc::new(hook));
        self
    }

    /// Adds a check that can refuse a send with an error text; the send then fails with [`Error::Vetoed`].
    pub fn check_hook(
        mut self,
        name: impl Into<Arc<str>>,
        check: impl Fn(&SendContext<'_>) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.hooks.checks.push((name.into(), Arc::new(check)));
        self
    }

    /// Traces what is sent (Java: `enableTrace`): one record for each message, those of a batch included, once its result is
    /// known. Off by default. A failed send is recorded as such unless nothing was sent; a oneway send has no result and no
    /// record. Closing the producer sends what waits, within its grace period.
    pub fn trace(mut self, trace: Trace) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Starts the producer: registers the group, and tells the brokers once they are known.
    ///
    /// Does not block, except for the routes of [`topics`](ProducerBuilder::topics).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a setting out of range, [`Error::GroupInUse`] when this identity has a producer of the group
    /// already, [`Error::Closed`] when the client is closed; an unknown route of a named topic is logged, not an error.
    pub fn start(self) -> Result<Producer> {
        self.launch(None, |_, _| CloseReport::default())
    }

    /// As [`start`](ProducerBuilder::start), for a producer that may be asked about transactions: where the questions go,
    /// and what ends first, by a deadline, when the client closes.
    pub(super) fn launch(
        self,
        checks: Option<Arc<CheckQueue>>,
        end_first: impl Fn(&Shared, Deadline) -> CloseReport + Send + Sync + 'static,
    ) -> Result<Producer> {
        self.check()?;
        let core = self.client.core().clone();
        let is_asked = checks.is_some();
        let window = Window::new(self.window.0, self.window.1);
        let tracer = |trace| Tracer::start(&core, trace, &self.settings.send.group, Side::Produce);
        let trace = self.trace.as_ref().map(tracer).transpose()?;
        let shared = Shared::new(core.clone(), self.settings, self.hooks, window, trace);
        let closing = Arc::downgrade(&shared);
        let member = Member {
            kind: GroupKind::Producer,
            group: shared.settings.send.group.clone(),
            consumer: None,
            mailbox: None,
            checks,
            close: Box::new(move || {
                let Some(shared) = closing.upgrade() else { return CloseReport::default() };
                let mut report = end_first(&shared, shared.close_deadline());
                report.add(&shared.close_with_client());
                report
            }),
        };
        shared.joined(core.groups().join(&core, member)?);
        let producer = Producer { shared, client: self.client };
        if is_asked {
            // Brokers ask over connections that heartbeats keep, and only known brokers get them.
            producer.shared.watch(&self.topics);
        }
        for topic in &self.topics {
            let deadline = Deadline::after(core.options().request_timeout);
            if let Err(error) = producer.shared.route(topic, deadline) {
                log::warn!("producer {}: {error}", producer.group());
            }
        }
        Ok(producer)
    }

    pub(super) fn group(&self) -> &str {
        &self.settings.send.group
    }

    fn check(&self) -> Result<()> {
        let Settings { send, limits, timeout, .. } = &self.settings;
        names::check_group(&send.group)?;
        names::check_topic(&send.template_topic)?;
        self.topics.iter().try_for_each(|topic| names::check_topic(topic))?;
        let wrong = |what: &str| Err(Error::invalid(format!("producer {}: {what}", send.group)));
        if timeout.is_zero() {
            return wrong("timeout is zero");
        }
        if self.settings.attempt_timeout.is_some_and(|timeout| timeout.is_zero()) {
            return wrong("attempt_timeout is zero");
        }
        match (limits.compress_level, limits.compression.levels()) {
            (Some(level), Some(levels)) if !levels.contains(&level) => {
                let (kind, least, most) = (limits.compression, levels.start(), levels.end());
                return wrong(&format!("compress_level is {level}, {least} to {most} are allowed with {kind}"));
            }
            (Some(_), None) => {
                return wrong(&format!("compress_level is set, and {} has no levels", limits.compression));
            }
            _ => {}
        }
        // One frame also holds the header, of which the properties are the most.
        const LARGEST: usize = 16 * 1024 * 1024 - 128 * 1024;
        if !(1..=LARGEST).contains(&limits.max_message_size) {
            return wrong(&format!("max_message_size is {}, 1 to {LARGEST} are allowed", limits.max_message_size));
        }
        self.settings.auto_batch.as_ref().map_or(Ok(()), AutoBatch::check)?;
        if self.window.0 == 0 || self.window.1 == 0 {
            return wrong("async_window lets nothing in");
        }
        if !(1..=65_536).contains(&send.default_queues) {
            return wrong(&format!("default_queues is {}, 1 to 65536 are allowed", send.default_queues));
        }
        Ok(())
    }
}
