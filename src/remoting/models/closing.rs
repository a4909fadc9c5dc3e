//! Closing: whoever waits is woken, the threads end, the socket is shut.

use super::*;
use crate::remoting::ending::Loss;

#[test]
fn a_drained_connection_ends_with_the_answer_to_its_last_call() {
    check("draining", || {
        let line = Line::open(None, 2);
        let threads = [line.reader(), line.writer()];
        let ends = line.submit(1, far());
        let drainer = line.beside(|line| line.connection.drain());
        line.pipe.answer(&reply(1));
        drainer.join().unwrap();
        line.assert_ended(threads);
        assert!(ends.only().is_ok() && line.pipe.is_shut());
    });
}

#[test]
fn a_call_begun_while_the_connection_drains_is_refused_or_carried_out_and_the_threads_end() {
    check("beginning while draining", || {
        let line = Line::open(None, 2).crowded();
        let writer = line.writer();
        let caller = line.beside(|line| line.call(1, over()));
        line.connection.drain();
        let end = caller.join().unwrap();
        line.assert_ended([writer]);
        assert!(end.is_err() && line.pipe.is_shut());
        if outcome(&end) == Some(Outcome::NotSent) {
            assert!(line.pipe.arrived().is_empty());
        }
    });
}

#[test]
fn a_blocked_caller_is_woken_when_the_connection_ends() {
    check("blocked", || {
        let line = Line::open(None, 2);
        let threads = [line.reader(), line.writer()];
        let caller = line.beside(|line| line.call(1, far()));
        line.connection.lose(Loss::Closed);
        assert!(caller.join().unwrap().is_err());
        line.assert_ended(threads);
        assert!(line.pipe.is_shut());
    });
}

#[test]
fn a_caller_whose_frame_waits_to_be_written_is_woken_when_it_is_or_when_the_connection_ends() {
    for bite in [None, Some(0), Some(1)] {
        check(&format!("oneway, {bite:?}"), move || {
            let line = Line::open(bite, 2);
            let writer = line.writer();
            let sender = line.beside(|line| line.send(1));
            line.connection.lose(Loss::Closed);
            let sent = sender.join().unwrap();
            line.assert_ended([writer]);
            let arrived = line.pipe.arrived();
            match outcome(&sent) {
                None => assert_eq!(arrived, [1; LEN]),
                Some(Outcome::NotSent) => assert!(arrived.is_empty()),
                _ => {}
            }
        });
    }
}

#[test]
fn a_oneway_sender_returns_when_the_writer_has_written_its_frame() {
    check("oneway, opening", || {
        let line = Line::closed(Some(1), 2);
        let writer = line.writer();
        let opener = line.beside(Line::establish);
        line.send(1).unwrap();
        assert_eq!(line.pipe.arrived(), [1; LEN]);
        opener.join().unwrap();
        line.connection.drain();
        line.assert_ended([writer]);
    });
}

#[test]
fn a_sender_waiting_for_room_goes_on_when_there_is_some() {
    for bite in [None, Some(0), Some(1)] {
        check(&format!("room, {bite:?}"), move || {
            let line = Line::open(bite, 1).crowded();
            let writer = line.writer();
            // Room for one frame only.
            let other = line.beside(|line| line.submit(1, far()));
            let own = line.submit(2, far());
            let other = other.join().unwrap();
            [1, 2].iter().for_each(|number| line.pipe.await_frame(*number));
            line.connection.lose(Loss::Closed);
            line.assert_ended([writer]);
            assert!(own.only().is_err() && other.only().is_err());
        });
    }
}

#[test]
fn a_sender_waiting_for_room_goes_on_when_what_took_it_has_expired() {
    check("room, expired", || {
        let line = Line::open(None, 2).crowded();
        let expired = [1, 2].map(|number| line.submit(number, over()));
        let waiting = line.beside(|line| line.submit(3, far()));
        let writer = line.writer();
        let waited = waiting.join().unwrap();
        line.pipe.await_frame(3);
        assert_eq!(line.pipe.arrived(), [3; LEN]);
        line.connection.lose(Loss::Closed);
        line.assert_ended([writer]);
        expired.iter().chain([&waited]).for_each(|end| assert!(end.only().is_err()));
    });
}

#[test]
fn a_sender_waiting_for_room_is_woken_when_the_connection_ends() {
    check("room, losing", || {
        // Never opened: nothing makes room.
        let line = Line::closed(None, 1);
        let writer = line.writer();
        let first = line.submit(1, far());
        let waiting = line.beside(|line| line.submit(2, far()));
        line.connection.lose(Loss::Closed);
        for end in [first, waiting.join().unwrap()] {
            assert_eq!(outcome(&end.only()), Some(Outcome::NotSent));
        }
        line.assert_ended([writer]);
        assert!(line.pipe.arrived().is_empty());
    });
}

#[test]
fn a_connection_closed_while_it_opens_is_shut() {
    for drain in [true, false] {
        check(if drain { "opening, draining" } else { "opening, losing" }, move || {
            let line = Line::closed(None, 2);
            let writer = line.writer();
            let opener = line.beside(Line::establish);
            if drain {
                line.connection.drain()
            } else {
                line.connection.lose(Loss::Closed)
            }
            opener.join().unwrap();
            line.assert_ended([writer]);
            assert!(line.pipe.is_shut());
        });
    }
}

#[test]
fn a_connection_that_drains_ends_when_the_time_of_its_last_call_is_over() {
    check("draining, expiring", || {
        let line = Line::open(None, 2);
        let writer = line.writer();
        let ends = line.submit(1, Deadline::after(Duration::from_secs(3600)));
        let drainer = line.beside(|line| line.connection.drain());
        line.connection.expire(far().at());
        drainer.join().unwrap();
        line.assert_ended([writer]);
        assert!(matches!(ends.only(), Err(Error::Timeout { .. })));
    });
}

#[test]
fn a_connection_that_drains_ends_when_its_last_caller_gives_up() {
    check("draining, giving up", || {
        let line = Line::open(None, 2);
        let writer = line.writer();
        let (ticket, _slot) = line.ask(1, far()).unwrap();
        let drainer = line.beside(|line| line.connection.drain());
        assert!(ticket.abandon().is_some());
        drainer.join().unwrap();
        line.assert_ended([writer]);
    });
}

#[test]
fn a_sender_waiting_for_room_is_woken_when_the_connection_drains() {
    check("room, draining", || {
        // No writer: nothing makes room.
        let line = Line::open(None, 1).crowded();
        let first = line.submit(1, far());
        let waiting = line.beside(|line| line.submit(2, far()));
        line.connection.drain();
        assert_eq!(outcome(&waiting.join().unwrap().only()), Some(Outcome::NotSent));
        line.connection.lose(Loss::Closed);
        assert_eq!(outcome(&first.only()), Some(Outcome::NotSent));
    });
}

#[test]
fn a_call_given_up_while_its_connection_is_lost_that_was_never_open_was_not_sent() {
    check("never open", || {
        let line = Line::closed(None, 2);
        let (ticket, slot) = line.ask(1, far()).unwrap();
        let losing = line.beside(|line| line.connection.lose(Loss::Closed));
        let given_up = ticket.abandon().map(|(_, outcome)| outcome);
        losing.join().unwrap();
        let told = slot.take().and_then(|(_, end)| outcome(&end));
        assert_eq!(given_up.or(told), Some(Outcome::NotSent));
    });
}
