//! What a queue remembers of its messages.

use super::*;
use crate::consumer::tests::{damaged, tagged};

fn filled(offsets: std::ops::Range<i64>) -> ProcessQueue {
    let mut queue = ProcessQueue::new(offsets.start);
    queue.put(offsets.clone().map(|offset| tagged("", offset)).collect(), offsets.end);
    queue
}

fn taken(queue: &mut ProcessQueue, max: usize) -> Vec<i64> {
    queue.take(max, Instant::now()).iter().map(MessageView::queue_offset).collect()
}

#[test]
fn the_commit_offset_is_the_lowest_that_is_not_finished() {
    let mut queue = filled(10..15);
    assert_eq!(queue.commit_offset(), 10);
    assert_eq!(taken(&mut queue, 3), [10, 11, 12]);
    queue.finish(11);
    assert_eq!(queue.commit_offset(), 10);
    queue.finish(10);
    assert_eq!(queue.commit_offset(), 12);
    queue.hand_back(12);
    assert_eq!(queue.commit_offset(), 12, "the broker does not have it yet");
    queue.finish(12);
    assert_eq!(taken(&mut queue, 9), [13, 14]);
    queue.finish(14);
    queue.finish(13);
    assert_eq!(queue.commit_offset(), 15);
}

#[test]
fn a_message_with_a_damaged_body_is_handed_out_alone() {
    let mut queue = ProcessQueue::new(10);
    let mut messages: Vec<_> = (10..15).map(|offset| tagged("", offset)).collect();
    messages[2] = damaged(12);
    queue.put(messages, 15);
    assert_eq!(taken(&mut queue, 9), [10, 11]);
    assert_eq!(taken(&mut queue, 9), [12]);
    assert_eq!(taken(&mut queue, 9), [13, 14]);
}

#[test]
fn what_no_filter_wants_is_passed_once_everything_before_is_finished() {
    let mut queue = filled(10..12);
    queue.put(Vec::new(), 40);
    assert_eq!((queue.commit_offset(), queue.next_offset()), (10, 40));
    queue.finish(10);
    queue.finish(11);
    assert_eq!(queue.commit_offset(), 40);
}

#[test]
fn messages_given_back_are_the_next_to_be_taken() {
    let mut queue = filled(0..4);
    assert_eq!(taken(&mut queue, 2), [0, 1]);
    assert_eq!(queue.give_back(1), Some(1));
    assert_eq!(queue.give_back(0), Some(1));
    assert_eq!(taken(&mut queue, 3), [0, 1, 2]);
    assert_eq!(queue.give_back(1), Some(2));
    assert_eq!((queue.running(), queue.waiting()), (2, 2));
}

#[test]
fn a_message_that_is_pulled_twice_is_there_once() {
    let mut queue = filled(5..8);
    queue.put(vec![tagged("", 6), tagged("", 8)], 9);
    assert_eq!((queue.len(), queue.bytes()), (4, 20));
    assert_eq!(taken(&mut queue, 9), [5, 6, 7, 8]);
}

#[test]
fn bounds_must_be_exceeded() {
    let limits = Limits { messages: 3, bytes: 15, span: Some(2) };
    assert_eq!(filled(0..3).full(&limits), None);
    assert_eq!(filled(0..4).full(&limits), Some(Full::Messages));
    assert_eq!(filled(0..4).full(&Limits { messages: 9, ..limits }), Some(Full::Bytes));
    let mut sparse = filled(0..1);
    sparse.put(vec![tagged("", 2)], 3);
    assert_eq!(sparse.full(&limits), None);
    sparse.put(vec![tagged("", 3)], 4);
    assert_eq!(sparse.full(&limits), Some(Full::Span));
    assert_eq!(sparse.full(&Limits { span: None, ..limits }), None);
    (2..=3).for_each(|offset| sparse.finish(offset));
    assert_eq!(sparse.full(&limits), Some(Full::Span), "what is finished counts as long as the first is not");
    sparse.put(Vec::new(), 90);
    sparse.finish(0);
    assert_eq!(sparse.full(&limits), None);
}

#[test]
fn listeners_that_take_too_long_are_found() {
    let mut queue = filled(0..3);
    let now = Instant::now();
    queue.take(1, now);
    queue.take(1, now + Duration::from_secs(5));
    assert_eq!(queue.overdue(Duration::from_secs(10), now + Duration::from_secs(9)), [0; 0]);
    assert_eq!(queue.overdue(Duration::from_secs(10), now + Duration::from_secs(10)), [0]);
    assert!(queue.is_running(0) && queue.is_running(1) && !queue.is_running(2));
}

#[test]
fn whatever_happens_the_commit_offset_passes_nothing_unfinished_and_never_goes_back() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..crate::rounds(200) {
        let (mut queue, mut finished, mut before) = (ProcessQueue::new(0), vec![false; 400], 0);
        let mut held = Vec::new();
        for _ in 0..300 {
            let next = queue.next_offset();
            match random.u8(0..6) {
                0 if next < 360 => {
                    let wanted: Vec<_> = (next..next + 10).filter(|_| random.u8(0..4) > 0).collect();
                    for offset in (next..next + 10).filter(|offset| !wanted.contains(offset)) {
                        finished[offset as usize] = true;
                    }
                    queue.put(wanted.into_iter().map(|offset| tagged("", offset)).collect(), next + 10);
                }
                1 => held.extend(taken(&mut queue, random.usize(1..5))),
                2 | 3 if !held.is_empty() => {
                    let offset = held.swap_remove(random.usize(..held.len()));
                    queue.finish(offset);
                    finished[offset as usize] = true;
                }
                4 if !held.is_empty() => {
                    queue.give_back(held.swap_remove(random.usize(..held.len())));
                }
                5 if !held.is_empty() => {
                    queue.hand_back(held[random.usize(..held.len())]);
                }
                _ => {}
            }
            let commit = queue.commit_offset();
            assert!(commit >= before, "it went back from {before} to {commit}");
            assert!(finished[..commit as usize].iter().all(|finished| *finished), "{commit} passes an unfinished one");
            before = commit;
        }
    }
}
