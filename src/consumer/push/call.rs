//! One call of a listener, and everything around it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crate::consumer::around::{Around, consumed_of};
use crate::consumer::engine::{Batch, Event, Spell, Verdict};
use crate::consumer::runner::{Direct, Shared};
use crate::consumer::{ConsumeResult, Consumption};
use crate::message::MessageView;

/// User code that consumes messages.
pub(super) type Listener = Arc<dyn Fn(&[MessageView]) -> ConsumeResult + Send + Sync>;

/// The listener, and what wants to know of it.
pub(super) struct Call {
    pub(super) shared: Arc<Shared>,
    pub(super) listener: Listener,
    pub(super) around: Around,
}

impl Call {
    /// Has a batch consumed; the engine is to be told how that went.
    pub(super) fn batch(&self, batch: Batch) -> Event {
        let Batch { spell, mut messages } = batch;
        let dropped = self.around.filter(&self.shared.counters, &mut messages, |message| message);
        if !dropped.is_empty() {
            let offsets = dropped.iter().map(MessageView::queue_offset).collect();
            self.tell(Event::Dropped { spell: spell.clone(), offsets });
        }
        let verdict = if messages.is_empty() { Verdict::Success } else { self.consume(&spell, &messages).into() };
        let offsets = messages.iter().map(MessageView::queue_offset).collect();
        Event::Consumed { spell, offsets, verdict }
    }

    pub(super) fn tell(&self, event: Event) {
        // Nobody listens any more once the consumer has ended.
        let _ = self.shared.tell(event);
    }

    fn consume(&self, spell: &Spell, messages: &[MessageView]) -> ConsumeResult {
        let consuming = self.around.before(&spell.queue, messages);
        let end = self.listen(messages);
        if end.panicked {
            let (group, queue) = (&self.shared.group, &spell.queue);
            log::error!("consumer {group}: a listener panicked over {queue}; its messages come again");
        }
        self.around.after(&self.shared.counters, &spell.queue, messages, consuming, &end);
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
