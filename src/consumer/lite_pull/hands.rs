//! What callers have taken and not finished. Pure, but for the thread it is called on.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::thread::ThreadId;

use crate::consumer::engine::{Held, Spell};
use crate::sorted::SortedMap;

thread_local! {
    /// Dropped with the thread.
    static ALIVE: Arc<()> = Arc::new(());
}

/// A thread that takes messages, while it lives.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    id: ThreadId,
    alive: Weak<()>,
}

impl Caller {
    /// The calling thread.
    pub(super) fn current() -> Caller {
        let alive = ALIVE.try_with(Arc::downgrade).unwrap_or_default();
        Caller { id: std::thread::current().id(), alive }
    }

    /// Whether it is the calling thread.
    pub(super) fn is_current(&self) -> bool {
        self.id == std::thread::current().id()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.alive.strong_count() == 0
    }
}

/// The lowest and the highest unfinished offset of each queue. What lies between may be somebody else's.
type Spans = SortedMap<Spell, (i64, i64)>;

#[derive(Debug)]
struct Hand {
    alive: Weak<()>,
    /// Nobody waits for it to be finished.
    abandoned: bool,
    spans: Spans,
}

impl Hand {
    fn is_busy(&self) -> bool {
        !self.abandoned && self.alive.strong_count() > 0
    }
}

/// Bounded: one span for each thread and queue, however many messages they are.
#[derive(Debug, Default)]
pub(super) struct Hands {
    hands: HashMap<ThreadId, Hand>,
    /// What threads had that have ended. It stays unfinished.
    left: Spans,
}

impl Hands {
    /// `caller` takes messages, the lowest of which has the offset `first`.
    pub(super) fn take(&mut self, caller: &Caller, spell: &Spell, first: i64, last: i64) {
        if !self.hands.contains_key(&caller.id) {
            self.fold_ended();
        }
        let hand = self.hands.entry(caller.id).or_insert_with(|| Hand {
            alive: caller.alive.clone(),
            abandoned: false,
            spans: Spans::new(),
        });
        widen(&mut hand.spans, spell, first, last);
    }

    /// Puts what ended threads had in one place, so that they do not pile up.
    fn fold_ended(&mut self) {
        let left = &mut self.left;
        self.hands.retain(|_, hand| {
            let alive = hand.alive.strong_count() > 0;
            if !alive {
                hand.spans.iter().for_each(|(spell, (first, last))| widen(left, spell, *first, *last));
            }
            alive
        });
    }

    /// A message that nobody has and nobody will finish here.
    pub(super) fn leave(&mut self, spell: &Spell, offset: i64) {
        widen(&mut self.left, spell, offset, offset);
    }

    /// `caller` has finished what it had; returns of which queues.
    pub(super) fn finish(&mut self, caller: &Caller) -> Vec<Spell> {
        let spans = self.hands.get_mut(&caller.id).map(|hand| std::mem::take(&mut hand.spans));
        spans.unwrap_or_default().into_keys().collect()
    }

    /// Everything below `offset` is finished, whoever has it.
    pub(super) fn pass(&mut self, spell: &Spell, offset: i64) {
        for spans in self.hands.values_mut().map(|hand| &mut hand.spans).chain([&mut self.left]) {
            match spans.get_mut(spell) {
                Some((_, last)) if *last < offset => drop(spans.remove(spell)),
                Some((first, _)) => *first = (*first).max(offset),
                None => {}
            }
        }
    }

    /// Nobody waits for `caller` any more, or for anybody; returns the queues that this concerns.
    pub(super) fn abandon(&mut self, caller: Option<&Caller>) -> Vec<Spell> {
        let mut spells = Vec::new();
        for (id, hand) in &mut self.hands {
            if caller.is_none_or(|caller| caller.id == *id) {
                hand.abandoned = true;
            }
            // Those whose thread has ended count too.
            spells.extend(hand.spans.keys().filter(|_| !hand.is_busy()).cloned());
        }
        spells
    }

    /// Forgets a spell that is over, and those of its queue before it.
    pub(super) fn forget(&mut self, spell: &Spell) {
        let is_over = |other: &Spell| other.queue == spell.queue && other.epoch <= spell.epoch;
        self.left.retain(|other, _| !is_over(other));
        self.hands.values_mut().for_each(|hand| hand.spans.retain(|other, _| !is_over(other)));
    }

    pub(super) fn held(&self, spell: &Spell) -> Held {
        let hands = self.hands.values();
        let of = |spans: &Spans| spans.get(spell).map(|(first, _)| *first);
        let floor = hands.clone().filter_map(|hand| of(&hand.spans)).chain(of(&self.left)).min();
        Held { floor, busy: hands.into_iter().any(|hand| hand.is_busy() && hand.spans.contains_key(spell)) }
    }

    /// How many threads have something.
    pub(super) fn count(&self) -> usize {
        self.hands.values().filter(|hand| !hand.spans.is_empty()).count() + usize::from(!self.left.is_empty())
    }
}

fn widen(spans: &mut Spans, spell: &Spell, first: i64, last: i64) {
    match spans.get_mut(spell) {
        Some(span) => *span = (span.0.min(first), span.1.max(last)),
        None => drop(spans.insert(spell.clone(), (first, last))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MessageQueue;

    fn spell(epoch: u64) -> Spell {
        Spell { queue: MessageQueue::new("T", "b", 0), epoch }
    }

    /// A thread that lives as long as the second value.
    fn caller() -> (Caller, Arc<()>) {
        let (id, alive) = (std::thread::spawn(|| std::thread::current().id()).join().unwrap(), Arc::new(()));
        (Caller { id, alive: Arc::downgrade(&alive) }, alive)
    }

    fn held(floor: i64, busy: bool) -> Held {
        Held { floor: Some(floor), busy }
    }

    #[test]
    fn the_floor_is_the_lowest_that_somebody_has() {
        let (mut hands, (one, _one), (two, _two)) = (Hands::default(), caller(), caller());
        hands.take(&one, &spell(1), 10, 19);
        hands.take(&two, &spell(1), 20, 29);
        hands.take(&one, &spell(1), 30, 39);
        assert_eq!(hands.held(&spell(1)), held(10, true));
        assert_eq!(hands.finish(&one), [spell(1)]);
        assert_eq!(hands.held(&spell(1)), held(20, true));
        assert!(hands.finish(&one).is_empty());
        hands.finish(&two);
        assert_eq!((hands.held(&spell(1)), hands.count()), (Held::default(), 0));
    }

    #[test]
    fn what_an_ended_thread_had_stays_unfinished_and_nobody_waits_for_it() {
        let (mut hands, (one, end), (two, _two)) = (Hands::default(), caller(), caller());
        hands.take(&one, &spell(1), 10, 19);
        drop(end);
        assert_eq!(hands.held(&spell(1)), held(10, false));
        hands.take(&two, &spell(1), 20, 29);
        assert_eq!((hands.hands.len(), hands.held(&spell(1))), (1, held(10, true)));
        hands.finish(&two);
        assert_eq!(hands.held(&spell(1)), held(10, false));
        hands.forget(&spell(1));
        assert_eq!(hands.held(&spell(1)), Held::default());
    }

    #[test]
    fn an_offset_given_by_hand_finishes_what_lies_below() {
        let (mut hands, (one, _one), (two, _two)) = (Hands::default(), caller(), caller());
        hands.take(&one, &spell(1), 10, 19);
        hands.take(&two, &spell(1), 20, 29);
        hands.pass(&spell(1), 15);
        assert_eq!(hands.held(&spell(1)), held(15, true));
        hands.pass(&spell(1), 20);
        assert_eq!((hands.held(&spell(1)), hands.count()), (held(20, true), 1));
    }

    #[test]
    fn who_closes_is_not_waited_for_others_are() {
        let (mut hands, (one, _one), (two, _two)) = (Hands::default(), caller(), caller());
        hands.take(&one, &spell(1), 10, 19);
        hands.take(&two, &spell(2), 5, 5);
        assert_eq!(hands.abandon(Some(&one)), [spell(1)]);
        assert_eq!((hands.held(&spell(1)), hands.held(&spell(2))), (held(10, false), held(5, true)));
        assert_eq!(hands.abandon(None).len(), 2);
        assert_eq!(hands.held(&spell(2)), held(5, false));
    }
}
