use std::ops::Range;

use super::*;
use crate::code::ResponseCode;
use crate::consumer::tests::tagged;

fn spell(id: i32) -> Spell {
    Spell { queue: MessageQueue::new("T", "b", id), epoch: 1 }
}

struct Stage {
    inbox: Inbox,
    events: crossbeam_channel::Receiver<Event>,
}

impl Stage {
    fn new(auto_commit: bool) -> Stage {
        let (sender, events, _) = Events::channel();
        Stage { inbox: Inbox::new(sender, auto_commit), events }
    }

    fn put(&self, id: i32, offsets: Range<i64>) {
        let messages = offsets.map(|offset| tagged("", offset)).collect();
        self.inbox.put(Batch { spell: spell(id), messages });
    }

    fn take(&self, max: usize) -> Vec<(i32, i64)> {
        let taken = self.inbox.take(max, Some(Instant::now())).unwrap();
        taken.into_iter().map(|(spell, message)| (spell.queue.queue_id(), message.queue_offset())).collect()
    }

    /// What the engine was told: the queue, what was taken of it, and the lowest that is unfinished.
    fn told(&self) -> Vec<(i32, Vec<i64>, Option<i64>)> {
        let told = |event| match event {
            Event::Taken { spell, offsets, held } => Some((spell.queue.queue_id(), offsets, held.floor)),
            _ => None,
        };
        self.events.try_iter().filter_map(told).collect()
    }
}

#[test]
fn asking_for_more_finishes_what_was_taken() {
    let stage = Stage::new(true);
    stage.put(0, 10..13);
    stage.put(1, 5..6);
    assert_eq!(stage.take(2), [(0, 10), (0, 11)]);
    assert_eq!(stage.told(), [(0, vec![10, 11], Some(10))]);
    assert_eq!(stage.take(9), [(0, 12), (1, 5)]);
    assert_eq!(stage.told(), [(0, vec![12], Some(12)), (1, vec![5], Some(5))]);
    assert_eq!(stage.take(9), []);
    assert_eq!(stage.told(), [(0, vec![], None), (1, vec![], None)]);
}

#[test]
fn without_automatic_commits_only_saying_so_finishes() {
    let stage = Stage::new(false);
    stage.put(0, 10..20);
    for _ in 0..3 {
        stage.take(2);
    }
    assert_eq!(stage.told().pop(), Some((0, vec![14, 15], Some(10))));
    stage.inbox.pass(&spell(0).queue, 12);
    assert_eq!(stage.told(), [(0, vec![], Some(12))]);
    stage.inbox.finish();
    assert_eq!(stage.told(), [(0, vec![], None)]);
}

#[test]
fn paused_queues_are_passed_over() {
    let stage = Stage::new(true);
    stage.put(0, 10..12);
    stage.put(1, 5..7);
    stage.inbox.pause(&[spell(0).queue], true);
    assert_eq!(stage.take(9), [(1, 5), (1, 6)]);
    stage.inbox.pause(&[spell(0).queue], false);
    assert_eq!(stage.take(9), [(0, 10), (0, 11)]);
}

#[test]
fn what_is_given_back_is_unfinished_and_comes_first() {
    let stage = Stage::new(true);
    stage.put(0, 10..12);
    let taken = stage.inbox.take(1, Some(Instant::now())).unwrap().remove(0);
    stage.told();
    stage.inbox.give_back(taken.clone());
    assert_eq!(stage.told(), [(0, vec![], Some(10))]);
    assert_eq!(stage.take(9), [(0, 10), (0, 11)]);
    // A queue that is not here any more takes nothing back.
    stage.inbox.moved(&spell(0).queue);
    stage.inbox.give_back(taken);
    assert_eq!(stage.take(9), []);
}

#[test]
fn a_queue_that_is_given_up_leaves_nothing_to_take_and_says_what_callers_have() {
    let stage = Stage::new(true);
    stage.put(0, 10..14);
    stage.take(1);
    stage.told();
    stage.inbox.recall(&spell(0));
    let Ok(Event::Recalled { held, .. }) = stage.events.try_recv() else { panic!("it is answered") };
    assert_eq!(held, Held { floor: Some(10), busy: true });
    assert_eq!(stage.take(9), []);
}

#[test]
fn a_refusal_is_told_once_until_messages_come_again() {
    let stage = Stage::new(true);
    let refuse = || {
        let (addr, remark): (Arc<str>, Arc<str>) = ("a:1".into(), "".into());
        stage.inbox.refused(&spell(0).queue, Error::Rejected { addr, code: ResponseCode::NO_PERMISSION, remark });
        stage.inbox.take(1, Some(Instant::now())).is_err()
    };
    assert!(refuse() && !refuse());
    stage.put(0, 10..11);
    assert!(refuse());
}

#[test]
fn who_waits_for_an_answer_hears_of_the_end() {
    let stage = Stage::new(true);
    let ask = || stage.inbox.ask(|ask| Event::Seek { queue: spell(0).queue, offset: 1, ask });
    let (answered, open) = (ask().unwrap(), ask().unwrap());
    stage.inbox.answer(1, Answer::Done);
    stage.inbox.end();
    assert!(matches!(answered.recv(), Ok(Answer::Done)));
    assert!(open.recv().is_err() && ask().is_err());
    assert!(matches!(stage.inbox.take(1, None), Err(Error::Closed { .. })));
}
