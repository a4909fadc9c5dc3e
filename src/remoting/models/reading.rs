//! The read half, which goes to and fro between the reader thread and a lone caller: every answer is read by somebody.

use super::*;
use crate::remoting::ending::Loss;

/// A connection on which calls have come one at a time, so that the half lies there, or is about to.
fn used(answered: usize) -> (Line, [JoinHandle<()>; 2]) {
    let line = Line::open(None, 2);
    line.pipe.answer_at_once(answered);
    let threads = [line.reader(), line.writer()];
    assert!(line.call(1, far()).is_ok());
    (line, threads)
}

fn end(line: &Line, threads: [JoinHandle<()>; 2]) {
    line.connection.lose(Loss::Closed);
    line.assert_ended(threads);
}

#[test]
fn a_lone_caller_gets_its_answers_whoever_has_the_half() {
    check("alone", || {
        let (line, threads) = used(3);
        for number in [2, 3] {
            assert_eq!(line.call(number, far()).unwrap().opaque, i32::from(number));
        }
        end(&line, threads);
    });
}

#[test]
fn a_call_that_is_not_waited_for_is_answered_after_the_half_was_used() {
    check("callback", || {
        let (line, threads) = used(3);
        assert!(line.call(2, far()).is_ok());
        let ends = line.submit(3, far());
        while ends.is_empty() {
            loom::thread::yield_now();
        }
        assert!(ends.only().is_ok());
        end(&line, threads);
    });
}

#[test]
fn a_caller_whose_answer_comes_late_gives_the_half_back_and_is_answered() {
    check("late", || {
        let (line, threads) = used(1);
        let peer = line.beside(|line| {
            line.pipe.await_frame(2);
            line.pipe.answer(&reply(2));
        });
        assert_eq!(line.call(2, far()).unwrap().opaque, 2);
        peer.join().unwrap();
        end(&line, threads);
    });
}

#[test]
fn two_callers_of_whom_one_has_the_half_both_get_their_answers() {
    for held in [false, true] {
        check(if held { "two, one held" } else { "two" }, move || {
            let (line, threads) = used(3);
            let other = line.beside(move |line| if held { line.submit_held(2) } else { line.submit(2, far()) });
            assert_eq!(line.call(3, far()).unwrap().opaque, 3);
            let ends = other.join().unwrap();
            while ends.is_empty() {
                loom::thread::yield_now();
            }
            assert_eq!(ends.only().unwrap().opaque, 2);
            end(&line, threads);
        });
    }
}

#[test]
fn a_caller_that_has_the_half_is_woken_when_the_connection_ends() {
    check("losing", || {
        let (line, threads) = used(1);
        let loser = line.beside(|line| line.connection.lose(Loss::Closed));
        assert!(line.call(2, far()).is_err());
        loser.join().unwrap();
        line.assert_ended(threads);
    });
}

#[test]
fn a_caller_that_reads_the_end_of_the_connection_ends_it_for_all() {
    check("cut off", || {
        let (line, threads) = used(1);
        let held = line.submit_held(2);
        let peer = line.beside(|line| {
            use crate::remoting::transport::Transport;
            line.pipe.shutdown();
        });
        assert!(line.call(3, far()).is_err());
        peer.join().unwrap();
        line.assert_ended(threads);
        assert!(held.only().is_err());
    });
}
