//! What wants to know of consumption, for consumers of every kind: hooks, filters, traces and counts.

use std::sync::Arc;
use std::time::Duration;

use super::hooks::{ConsumeContext, Consumption, Hooks};
use super::result::ConsumeResult;
use super::stats::Counters;
use crate::client::Core;
use crate::error::Result;
use crate::message::{MessageQueue, MessageView};
use crate::remoting::Deadline;
use crate::trace::{Consuming, Side, Tracer};

/// What sending the last traces may take.
const TRACES: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Around {
    group: Arc<str>,
    hooks: Hooks,
    tracer: Option<Tracer>,
}

impl Around {
    pub(super) fn start(hooks: Hooks, core: &Arc<Core>, group: &Arc<str>, counters: &Counters) -> Result<Around> {
        let start = |settings| Tracer::start(core, settings, group, Side::Consume);
        let tracer = hooks.trace.as_ref().map(start).transpose()?;
        if let Some(tracer) = &tracer {
            let _ = counters.trace.set(tracer.counters().clone());
        }
        Ok(Around { group: group.clone(), hooks, tracer })
    }

    /// Takes out what a filter drops, and returns that.
    pub(super) fn filter<T>(
        &self,
        counters: &Counters,
        messages: &mut Vec<T>,
        message_of: impl Fn(&T) -> &MessageView,
    ) -> Vec<T> {
        let dropped = self.hooks.filter(messages, message_of);
        counters.filtered.add(dropped.len() as u64);
        dropped
    }

    /// Messages of one queue are about to be consumed.
    pub(super) fn before(&self, queue: &MessageQueue, messages: &[MessageView]) -> Option<Consuming> {
        self.hooks.before(&self.context(queue, messages));
        self.tracer.as_ref()?.consuming(messages)
    }

    /// They are, or not.
    pub(super) fn after(
        &self,
        counters: &Counters,
        queue: &MessageQueue,
        messages: &[MessageView],
        consuming: Option<Consuming>,
        end: &Consumption,
    ) {
        let consumed = consumed_of(end.result, messages.len());
        counters.panics.add(u64::from(end.panicked));
        counters.called(queue.shared_topic(), consumed, messages.len() - consumed, end.took);
        if let (Some(tracer), Some(consuming)) = (&self.tracer, consuming) {
            tracer.consumed(&consuming, end.took, consumed == messages.len(), end.panicked);
        }
        self.hooks.after(&self.context(queue, messages), end);
    }

    /// Messages, perhaps of several queues, go to a caller who is to say of each by itself what became of it.
    pub(super) fn received(&self, messages: &[MessageView]) {
        for of_queue in messages.chunk_by(|one, other| one.queue() == other.queue()) {
            self.hooks.before(&self.context(of_queue[0].queue(), of_queue));
        }
        if let Some(tracer) = &self.tracer {
            tracer.received(messages);
        }
    }

    /// What became of one of them.
    pub(super) fn settled(&self, counters: &Counters, message: &MessageView, result: ConsumeResult, took: Duration) {
        let consumed = consumed_of(result, 1);
        counters.called(message.shared_topic(), consumed, 1 - consumed, took);
        if let Some(tracer) = &self.tracer {
            tracer.settled(message, took, consumed == 1);
        }
        let context = self.context(message.queue(), std::slice::from_ref(message));
        self.hooks.after(&context, &Consumption { result, took, panicked: false });
    }

    fn context<'a>(&'a self, queue: &'a MessageQueue, messages: &'a [MessageView]) -> ConsumeContext<'a> {
        ConsumeContext { group: &self.group, queue, messages }
    }

    /// Sends the traces that wait, which takes a second at most.
    pub(super) fn close(&self) {
        if let Some(tracer) = &self.tracer {
            tracer.close(Some(Deadline::after(TRACES)));
        }
    }
}

/// How many of so many messages are consumed.
pub(super) fn consumed_of(result: ConsumeResult, messages: usize) -> usize {
    match result {
        ConsumeResult::Success => messages,
        ConsumeResult::RetryFrom(consumed) => consumed.min(messages),
        _ => 0,
    }
}
