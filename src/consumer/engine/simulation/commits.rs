//! One engine whose answers come in any order, some twice, some never: no commit passes a message that is not finished, and
//! none goes back unless the queue was moved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::super::*;
use super::clock::Clock;
use super::options;
use crate::consumer::tests::tagged;

/// What is true about a queue.
#[derive(Debug, Default)]
struct Truth {
    finished: BTreeSet<i64>,
    committed: Option<i64>,
    /// How often the queue was moved; what was handed out before does not count any more.
    moved: u32,
    may_go_back: bool,
    /// Where an operator wants it to go on; a queue that is leaving just commits that.
    reset: Option<i64>,
}

impl Truth {
    fn go_to(&mut self, to: i64) {
        self.finished.split_off(&to);
        self.finished.extend(0..to);
        (self.may_go_back, self.reset) = (true, None);
        self.moved += 1;
    }

    fn commit(&mut self, offset: i64) {
        if self.reset == Some(offset) {
            self.go_to(offset);
        }
        let before = self.committed.unwrap_or(0);
        assert!(offset >= before || self.may_go_back, "it went back from {before} to {offset}");
        let passed = (0..offset).find(|offset| !self.finished.contains(offset));
        assert_eq!(passed, None, "the commit of {offset} passes it");
        (self.committed, self.may_go_back) = (Some(offset), false);
    }
}

struct Trial {
    engine: Engine,
    clock: Clock<()>,
    random: Rng,
    truths: BTreeMap<MessageQueue, Truth>,
    /// Actions that were not answered yet, and batches of listeners, with what `moved` was.
    open: Vec<(Action, u32)>,
}

impl Trial {
    fn new(seed: u64, order: Order) -> Trial {
        let options = EngineOptions {
            client_id: "me".into(),
            batch: 3,
            slots: 5,
            limits: Limits { messages: 40, bytes: 1 << 20, span: None },
            persist_interval: Duration::from_secs(1),
            consume_timeout: Duration::from_secs(20),
            max_reconsume: Some(3),
            handover: Duration::ZERO,
            ..options(order)
        };
        let clock = Clock::new();
        let engine = Engine::new(options, clock.now);
        let mut trial =
            Trial { engine, clock, random: Rng::with_seed(seed), truths: BTreeMap::new(), open: Vec::new() };
        let queues = (0..3).map(|id| MessageQueue::new("T", "b", id)).collect();
        trial.tell(Event::Topics(vec![("T".into(), Some(queues))]));
        trial
    }

    fn tell(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.engine.handle(event, self.clock.now, &mut actions);
        for action in actions {
            let moved = match &action {
                Action::Commit { spell, offset } => {
                    let truth = self.truths.entry(spell.queue.clone()).or_default();
                    truth.commit(*offset);
                    truth.moved
                }
                Action::Moved { queue, to, .. } => {
                    self.truths.entry(queue.clone()).or_default().go_to(*to);
                    continue;
                }
                Action::FindStart { spell } => {
                    self.truths.entry(spell.queue.clone()).or_default().reset = None;
                    0
                }
                Action::Consume(batch) => self.truths.entry(batch.spell.queue.clone()).or_default().moved,
                Action::HandBack { spell, .. } => self.truths.entry(spell.queue.clone()).or_default().moved,
                _ => 0,
            };
            self.open.push((action, moved));
        }
    }

    fn finish(&mut self, queue: &MessageQueue, moved: u32, offsets: impl IntoIterator<Item = i64>) {
        let truth = self.truths.entry(queue.clone()).or_default();
        if truth.moved == moved {
            truth.finished.extend(offsets);
        }
    }

    /// Answers anything that is open; now and then it stays so, and is answered again.
    fn answer(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let at = self.random.usize(..self.open.len());
        let (action, moved) =
            if self.random.u8(0..20) == 0 { self.open[at].clone() } else { self.open.swap_remove(at) };
        let done = self.random.u8(0..10) > 0;
        let event = match action {
            Action::FetchMembers { topic } => {
                let others = ["a", "me", "z"].into_iter().filter(|id| *id == "me" || self.random.bool());
                Event::Members { topic, members: Ok(others.map(Arc::from).collect()) }
            }
            Action::FindStart { spell } => {
                let stored = self.truths.entry(spell.queue.clone()).or_default().committed;
                Event::Started { spell, start: Ok(Start { offset: stored.unwrap_or(0), stored }) }
            }
            Action::Lock { spell } => Event::Locked { spell, given: self.random.bool().then_some(done) },
            Action::Pull { spell, offset, ticket } => {
                let next = offset + self.random.i64(0..8);
                let (wanted, passed): (Vec<_>, Vec<_>) = (offset..next).partition(|_| self.random.u8(0..4) > 0);
                let moved = self.truths.entry(spell.queue.clone()).or_default().moved;
                // Only what the engine takes is passed; of what it does not, nothing is finished in truth either.
                self.finish(&spell.queue, moved, passed);
                let messages = wanted.into_iter().map(|offset| tagged("", offset)).collect();
                Event::Pulled { spell, ticket, pulled: Pulled::Found { messages, next } }
            }
            Action::Consume(Batch { spell, messages }) => {
                let offsets: Vec<_> = messages.iter().map(crate::message::MessageView::queue_offset).collect();
                let verdict = match self.random.u8(0..6) {
                    0 => Verdict::Later { consumed: 1, delay_level: 0 },
                    1 => Verdict::Suspend(None),
                    _ => Verdict::Success,
                };
                match (verdict, self.engine.options.order) {
                    (Verdict::Success, _) => self.finish(&spell.queue, moved, offsets.clone()),
                    (Verdict::Later { .. }, Order::Concurrent) => self.finish(&spell.queue, moved, [offsets[0]]),
                    _ => {}
                }
                Event::Consumed { spell, offsets, verdict }
            }
            Action::HandBack { spell, message, .. } => {
                let offset = message.queue_offset();
                if done {
                    self.finish(&spell.queue, moved, [offset]);
                }
                Event::HandedBack { spell, offset, done }
            }
            Action::Commit { spell, .. } => Event::Committed {
                spell,
                result: if done { Ok(()) } else { Err(crate::error::Error::invalid("lost")) },
            },
            _ => Event::Tick,
        };
        self.tell(event);
    }

    fn step(&mut self) {
        match self.random.u32(0..100) {
            0 => {
                let queue = MessageQueue::new("T", "b", self.random.i32(0..3));
                let to = self.random.i64(0..60);
                if self.engine.queues.contains(&queue) {
                    self.truths.entry(queue.clone()).or_default().reset = Some(to);
                }
                self.tell(Event::Reset(vec![(queue, to)]));
            }
            1..3 => self.tell(Event::Disturbed),
            3 => self.tell(Event::Refiltered { topic: "T".into() }),
            4..20 => {
                self.clock.now += Duration::from_millis(self.random.u64(1..1500));
                self.tell(Event::Tick);
            }
            _ => self.answer(),
        }
    }
}

#[cfg_attr(miri, ignore = "it takes too many steps")]
#[test]
fn whatever_the_order_of_answers_no_commit_passes_an_unfinished_message_or_goes_back() {
    let mut commits = 0;
    for seed in 0..150 {
        for order in [Order::Concurrent, Order::Orderly] {
            let trial = std::panic::catch_unwind(|| {
                let mut trial = Trial::new(seed, order);
                (0..600).for_each(|_| trial.step());
                trial.truths.values().filter(|truth| truth.committed > Some(5)).count()
            });
            match trial {
                Ok(count) => commits += count,
                Err(panic) => {
                    eprintln!("it was seed {seed}, {order:?}");
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }
    assert!(commits > 200, "hardly anything was committed: {commits}");
}
