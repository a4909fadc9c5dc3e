//! One call of a listener, and everything around it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::hooks::{ConsumeContext, Consumption, Hooks};
use super::result::ConsumeResult;
use crate::consumer::engine::{Batch, Event, Spell, Verdict};
use crate::consumer::runner::{Direct, Shared};
use crate::message::MessageView;
use crate::trace::Tracer;

/// User code that consumes messages.
pub(super) type Listener = Arc<dyn Fn(&[MessageView]) -> ConsumeResult + Send + Sync>;

/// The listener, and what wants to know of it.
pub(super) struct Call {
    pub(super) shared: Arc<Shared>,
    pub(super) listener: Listener,
    pub(super) hooks: Hooks,
    pub(super) tracer: Option<Tracer>,
}

impl Call {
    /// Has a batch consumed, and tells the engine how that went.
    pub(super) fn batch(&self, batch: Batch) {
        let Batch { spell, mut messages } = batch;
        let dropped = self.hooks.filter(&mut messages);
        if !dropped.is_empty() {
            self.shared.counters.filtered.add(dropped.len() as u64);
            self.tell(Event::Dropped { spell: spell.clone(), offsets: dropped });
        }
        let verdict = if messages.is_empty() { Verdict::Success } else { self.consume(&spell, &messages).into() };
        let offsets = messages.iter().map(MessageView::queue_offset).collect();
        self.tell(Event::Consumed { spell, offsets, verdict });
    }

    fn tell(&self, event: Event) {
        // Nobody listens any more once the consumer has ended.
        let _ = self.shared.tell(event);
    }

    fn consume(&self, spell: &Spell, messages: &[MessageView]) -> ConsumeResult {
        let context = ConsumeContext { group: &self.shared.group, queue: &spell.queue, messages };
        self.hooks.before(&context);
        let consuming = self.tracer.as_ref().and_then(|tracer| tracer.consuming(messages));
        let end = self.listen(messages);
        if end.panicked {
            let (group, queue) = (&self.shared.group, &spell.queue);
            log::error!("consumer {group}: a listener panicked over {queue}; its messages come again");
        }
        let consumed = consumed_of(end.result, messages.len());
        let counters = &self.shared.counters;
        counters.panics.add(u64::from(end.panicked));
        counters.called(spell.queue.shared_topic(), consumed, messages.len() - consumed, end.took);
        if let (Some(tracer), Some(consuming)) = (&self.tracer, consuming) {
            tracer.consumed(&consuming, end.took, consumed == messages.len(), end.panicked);
        }
        self.hooks.after(&context, &end);
        end.result
    }

    fn listen(&self, messages: &[MessageView]) -> Consumption {
        let started = Instant::now();
        if let Some(Err(error)) = messages.first().map(MessageView::check_body) {
            // It comes alone. Listeners that do not look would take it for an empty message.
            let (group, message) = (&self.shared.group, &messages[0]);
            log::error!(
                "consumer {group}: offset {} of {} is damaged: {error}",
                message.queue_offset(),
                message.queue()
            );
            return Consumption { result: ConsumeResult::Retry, took: started.elapsed(), panicked: false };
        }
        let result = catch_unwind(AssertUnwindSafe(|| (self.listener)(messages)));
        let panicked = result.is_err();
        Consumption { result: result.unwrap_or(ConsumeResult::Retry), took: started.elapsed(), panicked }
    }

    /// Has the message consumed that an operator wants to be consumed here, and answers. Nothing is committed: the message may be
    /// one that was consumed long ago.
    pub(super) fn direct(&self, direct: Direct) {
        let message = match direct.message(&self.shared) {
            Ok(message) => message,
            Err(error) => return direct.refuse(&error.to_string()),
        };
        self.shared.counters.direct.one();
        let end = self.listen(std::slice::from_ref(&message));
        if end.panicked {
            log::error!("consumer {}: a listener panicked over a message an operator sent", self.shared.group);
        }
        direct.answer(consumed_of(end.result, 1) == 1, end.panicked, end.took);
    }
}

/// How many of so many messages are consumed.
fn consumed_of(result: ConsumeResult, messages: usize) -> usize {
    match result {
        ConsumeResult::Success => messages,
        ConsumeResult::RetryFrom(consumed) => consumed.min(messages),
        _ => 0,
    }
}
