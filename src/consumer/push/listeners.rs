//! The threads on which listeners run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use super::result::ConsumeResult;
use crate::consumer::engine::{Batch, Event};
use crate::consumer::runner::Sink;
use crate::error::Result;
use crate::message::MessageView;
use crate::thread::Thread;

/// User code that consumes messages.
pub(super) type Listener = Arc<dyn Fn(&[MessageView]) -> ConsumeResult + Send + Sync>;

/// A pool of threads, and the channel they take batches from. The engine hands out as many batches as there are threads.
pub(super) struct Listeners {
    batches: Sender<Batch>,
    work: Receiver<Batch>,
    events: Sender<Event>,
    listener: Listener,
    group: Arc<str>,
    threads: Mutex<Vec<Thread>>,
}

impl Listeners {
    pub(super) fn new(group: Arc<str>, listener: Listener, events: Sender<Event>) -> Listeners {
        // Never fuller than the number of slots that the engine has.
        let (batches, work) = crossbeam_channel::unbounded();
        Listeners { batches, work, events, listener, group, threads: Mutex::default() }
    }

    /// Makes sure that `count` threads run.
    pub(super) fn grow(&self, count: usize) -> Result<()> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        while threads.len() < count {
            let (work, events, listener) = (self.work.clone(), self.events.clone(), self.listener.clone());
            let name = format!("mq-listen {} {}", self.group, threads.len() + 1);
            let group = self.group.clone();
            threads.push(Thread::spawn(name, move || run(&work, &events, &listener, &group))?);
        }
        Ok(())
    }
}

impl Sink for Listeners {
    fn consume(&self, batch: Batch) {
        // The threads hold the other end for as long as this lives.
        let _ = self.batches.send(batch);
    }

    fn stop(self: Box<Self>, deadline: Instant) -> Vec<Thread> {
        let Listeners { batches, work, threads, .. } = *self;
        drop(batches);
        drop(work);
        let threads = threads.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (ended, left): (Vec<_>, Vec<_>) = threads.into_iter().partition(|thread| thread.wait_until(deadline));
        ended.into_iter().for_each(Thread::join);
        left
    }
}

fn run(work: &Receiver<Batch>, events: &Sender<Event>, listener: &Listener, group: &str) {
    for Batch { spell, messages } in work {
        let result = match messages.first().map(MessageView::check_body) {
            // It comes alone. Listeners that do not look would take it for an empty message.
            Some(Err(error)) => {
                let offset = messages[0].queue_offset();
                log::error!("consumer {group}: offset {offset} of {} is damaged: {error}", spell.queue);
                ConsumeResult::Retry
            }
            _ => catch_unwind(AssertUnwindSafe(|| listener(&messages))).unwrap_or_else(|_| {
                log::error!("consumer {group}: a listener panicked over {}; its messages come again", spell.queue);
                ConsumeResult::Retry
            }),
        };
        let offsets = messages.iter().map(MessageView::queue_offset).collect();
        // Nobody listens any more once the consumer has ended.
        let _ = events.send(Event::Consumed { spell, offsets, verdict: result.into() });
    }
}
