//! Carrying out what members want: requests travel, brokers answer, and answers travel back, unless they get lost.

use std::time::Duration;

use super::super::*;
use super::broker::SimQueue;
use super::world::{Delivery, World, retry_queue};
use crate::error::Error;
use crate::message::MessageView;

fn failure() -> Error {
    Error::Malformed { what: "lost".into(), addr: None }
}

impl World {
    pub(super) fn perform(&mut self, member: usize, action: Action) {
        match action {
            Action::Consume(batch) => self.consume(member, batch),
            Action::Changed { .. }
            | Action::Left { .. }
            | Action::FetchAssignment { .. }
            | Action::Leftovers { .. }
            | Action::Pop(_) => {}
            // Nobody polls here.
            Action::Recall { .. } | Action::Answer { .. } | Action::Refused { .. } => {}
            Action::Moved { queue, to, .. } => self.queue(&queue).reached = to,
            Action::Closed => self.closed(member),
            request => self.soon(member, 1..100, Delivery::Request(request)),
        }
    }

    /// A listener begins.
    fn consume(&mut self, member: usize, batch: Batch) {
        let (order, name) = (self.order, &batch.spell.queue);
        let queue = self.queue(name);
        let offsets: Vec<_> = batch.messages.iter().map(MessageView::queue_offset).collect();
        assert!(offsets.is_sorted(), "{name}: {offsets:?}");
        if order == Order::Orderly {
            assert!(queue.consuming.is_empty(), "{name} has two owners at once");
            assert!(offsets[0] <= queue.reached, "{name}: {} comes before {}", offsets[0], queue.reached);
            let gapless = offsets.windows(2).all(|pair| pair[0] + 1 == pair[1]);
            assert!(gapless, "{name}: {offsets:?} leaves something out");
        }
        *queue.consuming.entry((member, batch.spell.epoch)).or_default() += 1;
        // Otherwise shorter than the grace that the listeners of a revoked queue have.
        let is_slow = self.chance(self.weather.slow_listeners);
        self.queue(&batch.spell.queue).doubts += u32::from(is_slow);
        let time = match self.random.u32(0..10) {
            _ if is_slow => 1_000..7_000,
            0 => 1..800,
            _ => 1..80,
        };
        let failing = self.chance(self.weather.failing_listeners);
        let verdict = match order {
            _ if !failing => Verdict::Success,
            Order::Concurrent | Order::Elsewhere => {
                Verdict::Later { consumed: self.random.usize(0..=batch.messages.len()), delay_level: 0 }
            }
            Order::Orderly | Order::Polled { .. } => Verdict::Suspend(Some(Duration::from_millis(200))),
        };
        self.soon(member, time, Delivery::End(batch, verdict));
    }

    /// A listener has ended.
    fn end(&mut self, member: usize, batch: Batch, verdict: Verdict) {
        let Batch { spell, messages } = batch;
        let queue = self.queue(&spell.queue);
        *queue.consuming.entry((member, spell.epoch)).or_default() -= 1;
        queue.consuming.retain(|_, running| *running > 0);
        let consumed = match verdict {
            Verdict::Success => messages.len(),
            Verdict::Later { consumed, .. } => consumed,
            Verdict::Suspend(_) => 0,
        };
        messages[..consumed].iter().for_each(|message| self.consumed(&spell.queue, message));
        let offsets = messages.iter().map(MessageView::queue_offset).collect();
        self.tell(member, Event::Consumed { spell, offsets, verdict });
    }

    pub(super) fn deliver(&mut self, member: usize, delivery: Delivery) {
        let state = &self.members[member];
        match delivery {
            Delivery::Return(identity, tries) => self.queue(&retry_queue()).push(identity, tries),
            _ if state.crashed => {}
            Delivery::End(batch, verdict) => self.end(member, batch, verdict),
            // What a member sent before it closed arrives.
            Delivery::Request(request) => self.request(member, request),
            _ if !state.alive => {}
            Delivery::Tick => self.tell(member, Event::Tick),
            Delivery::Event(event) => self.tell(member, event),
        }
    }

    /// A broker gets a request, or not, and answers it, or not.
    fn request(&mut self, member: usize, request: Action) {
        let lost = self.chance(self.weather.lost_answers);
        let late = self.chance(self.weather.late_answers);
        let (arrives, now) = (!lost || self.random.bool(), self.clock.now);
        let doubtful = u32::from(lost || late);
        let answer = match request {
            Action::FetchMembers { topic } => {
                // Whoever does not know that a queue is not its own any more goes on with it, unless there are locks.
                let everything = self.queues.values_mut().filter(|_| self.order == Order::Concurrent);
                everything.for_each(|queue| queue.doubts += doubtful);
                let known = self.members.iter().enumerate().filter(|(_, member)| member.registered);
                let members =
                    if lost { Err(failure()) } else { Ok(known.map(|(id, _)| format!("c{id}").into()).collect()) };
                Event::Members { topic, members }
            }
            Action::Heartbeat => return self.register(member),
            Action::FindStart { spell } => {
                let stored = self.queue(&spell.queue).start();
                let start = if lost { Err(failure()) } else { Ok(Start { offset: stored.unwrap_or(0), stored }) };
                Event::Started { spell, start }
            }
            Action::Lock { spell } => {
                let queue = self.queue(&spell.queue);
                queue.doubts += doubtful;
                let given = if arrives { Some(queue.lock(member, now)) } else { None };
                Event::Locked { spell, given: given.filter(|_| !lost) }
            }
            Action::Unlock { queue } => {
                if arrives {
                    self.queue(&queue).unlock(member);
                }
                Event::Unlocked { queue, done: arrives && !lost }
            }
            Action::Pull { spell, offset, ticket } => {
                assert!(offset >= 0, "a negative offset was pulled");
                let queue = self.queue(&spell.queue);
                let pulled = if lost { Pulled::Failed(failure()) } else { queue.pull(&spell.queue, offset) };
                Event::Pulled { spell, ticket, pulled }
            }
            Action::FindBounds { spell } => {
                let bounds = Bounds { min: 0, max: self.queue(&spell.queue).len() };
                Event::Bounds { spell, bounds: (!lost).then_some(bounds) }
            }
            Action::HandBack { spell, message, repeats, .. } => {
                let offset = message.queue_offset();
                let queue = self.queue(&spell.queue);
                queue.doubts += doubtful;
                if arrives {
                    self.take_back(&spell.queue, offset, repeats);
                }
                Event::HandedBack { spell, offset, done: !lost }
            }
            Action::Commit { spell, offset } => {
                let queue = self.queue(&spell.queue);
                queue.doubts += doubtful;
                if arrives {
                    queue.commit(&spell.queue, offset);
                }
                Event::Committed { spell, result: if lost { Err(Error::invalid("lost")) } else { Ok(()) } }
            }
            _ => return,
        };
        self.soon(member, if late { 100..20_000 } else { 1..50 }, Delivery::Event(answer));
    }

    fn register(&mut self, member: usize) {
        let state = &mut self.members[member];
        if state.alive && !std::mem::replace(&mut state.registered, true) {
            self.disturb();
        }
    }

    /// The broker has a message back, and delivers it again a little later.
    fn take_back(&mut self, queue: &MessageQueue, offset: i64, repeats: i32) {
        let SimQueue { messages, .. } = self.queue(queue);
        let message = &mut messages[offset as usize];
        message.is_finished = true;
        let (identity, tries) = (message.identity, message.tries + 1 + repeats);
        self.soon(0, 1..200, Delivery::Return(identity, tries));
    }
}
