//! The adaptive writer: no frame is forgotten, none is written twice, and what was not sent really was not.

use std::time::Instant;

use super::*;
use crate::remoting::ending::Loss;
use crate::remoting::together;

/// The ways in which the system takes the first bytes: all, none, within a frame, beyond the first.
const BITES: [Option<usize>; 4] = [None, Some(0), Some(1), Some(LEN + 1)];

/// Runs a model with all bites, and with room for both frames and for one.
fn check_all(what: &str, model: impl Fn(Line) + Clone + Send + Sync + 'static) {
    for (bite, room) in BITES.into_iter().flat_map(|bite| [(bite, 2), (bite, 1)]) {
        let model = model.clone();
        check(&format!("{what}, first bite {bite:?}, room for {room}"), move || model(Line::open(bite, room)));
    }
}

/// Which of the frames have arrived; fails on one that is torn or came twice.
fn frames(arrived: &[u8]) -> Vec<u8> {
    assert_eq!(arrived.len() % LEN, 0, "half a frame: {arrived:?}");
    let mut frames: Vec<u8> = arrived
        .chunks(LEN)
        .map(|frame| {
            assert!(frame.iter().all(|byte| *byte == frame[0]), "torn: {arrived:?}");
            frame[0]
        })
        .collect();
    frames.sort_unstable();
    assert!(frames.windows(2).all(|pair| pair[0] != pair[1]), "twice: {arrived:?}");
    frames
}

fn two_callers_and_the_writer(line: Line) {
    let writer = line.writer();
    let other = line.beside(|line| line.submit(1, far()));
    let own = line.submit(2, far());
    // Nobody else is going to wake the writer: a frame that was forgotten never arrives.
    [1, 2].iter().for_each(|number| line.pipe.await_frame(*number));
    let other = other.join().unwrap();
    assert_eq!(frames(&line.pipe.arrived()), [1, 2]);
    assert!(line.connection.out().outbox.is_empty());
    line.connection.lose(Loss::Closed);
    line.assert_ended([writer]);
    for end in [own.only(), other.only()] {
        assert_eq!(outcome(&end), Some(Outcome::Unknown));
    }
}

#[test]
fn frames_of_callers_who_may_write_themselves_all_arrive_once() {
    check_all("alone", |line| two_callers_and_the_writer(line));
}

#[test]
fn frames_left_to_the_writer_all_arrive_once() {
    check_all("crowded", |line| two_callers_and_the_writer(line.crowded()));
}

#[test]
fn frames_of_senders_that_wait_until_they_are_written_all_arrive_once() {
    check_all("oneway", |line| {
        let writer = line.writer();
        let other = line.beside(|line| line.send(1));
        line.send(2).unwrap();
        other.join().unwrap().unwrap();
        assert_eq!(frames(&line.pipe.arrived()), [1, 2]);
        line.connection.lose(Loss::Closed);
        line.assert_ended([writer]);
    });
}

#[test]
fn a_sender_is_not_told_that_the_frame_was_written_of_which_it_had_given_up_another() {
    check_all("oneway, giving up", |line| {
        let line = line.crowded();
        let writer = line.writer();
        let other = line.beside(|line| line.submit(1, far()));
        let given_up = line.send_until(2, over());
        line.send(3).unwrap();
        assert!(frames(&line.pipe.arrived()).contains(&3), "it says so and it is not true");
        let other = other.join().unwrap();
        line.connection.lose(Loss::Closed);
        line.assert_ended([writer]);
        assert!(other.only().is_err());
        if outcome(&given_up) == Some(Outcome::NotSent) {
            assert!(!line.pipe.arrived().contains(&2));
        }
    });
}

#[test]
fn frames_of_one_turn_leave_at_its_end_beside_those_of_others() {
    check_all("together", |line| {
        let writer = line.writer();
        let other = line.beside(|line| together(|| line.submit(1, far())));
        let own = line.submit(2, far());
        [1, 2].iter().for_each(|number| line.pipe.await_frame(*number));
        assert_eq!(frames(&line.pipe.arrived()), [1, 2]);
        let ends = [own, other.join().unwrap()];
        line.connection.lose(Loss::Closed);
        line.assert_ended([writer]);
        ends.iter().for_each(|end| assert!(end.only().is_err()));
    });
}

#[test]
fn frames_handed_over_before_the_connection_is_open_all_arrive_once() {
    check("opening", || {
        let line = Line::closed(Some(1), 2);
        let opener = line.beside(Line::establish);
        two_callers_and_the_writer(line);
        opener.join().unwrap();
    });
}

/// A caller gives up while its frame and another's are being written.
fn giving_up(line: &Line, deadline: Deadline) {
    let writer = line.writer();
    let other = line.beside(|line| line.submit(1, far()));
    let given_up = match line.ask(2, deadline) {
        Ok((ticket, _slot)) => ticket.abandon().expect("nobody answered").1,
        // There was no room, and no time to wait for some.
        Err(error) => error.outcome(),
    };
    let other = other.join().unwrap();
    let in_time = deadline.at() > Instant::now();
    line.pipe.await_frame(1);
    // Once it is in somebody's hands it arrives, unless its time is over when they put it back.
    if in_time && given_up == Outcome::Unknown {
        line.pipe.await_frame(2);
    }
    line.connection.lose(Loss::Closed);
    line.assert_ended([writer]);
    assert_eq!(outcome(&other.only()), Some(Outcome::Unknown));
    let arrived = frames(&line.pipe.arrived());
    assert!(arrived.contains(&1));
    if given_up == Outcome::NotSent {
        assert_eq!(arrived, [1], "what was not sent has arrived");
    }
}

#[test]
fn a_call_that_reports_not_sent_never_arrives() {
    check_all("giving up", |line| giving_up(&line.crowded(), far()));
}

#[test]
fn a_call_whose_time_was_over_before_it_was_written_never_arrives_after_reporting_not_sent() {
    check_all("expiring", |line| giving_up(&line.crowded(), over()));
}

/// The connection is lost while two frames are being written.
fn losing(line: &Line) {
    let writer = line.writer();
    let other = line.beside(|line| line.submit(1, far()));
    let loser = line.beside(|line| line.connection.lose(Loss::Lost("by this model".into())));
    let own = line.submit(2, far());
    let ends = [other.join().unwrap(), own];
    loser.join().unwrap();
    line.assert_ended([writer]);
    let arrived = line.pipe.arrived();
    for (opaque, end) in (1..).zip(ends) {
        match outcome(&end.only()) {
            Some(Outcome::NotSent) => assert!(!arrived.contains(&opaque), "{opaque} was not sent: {arrived:?}"),
            Some(Outcome::Unknown) => {}
            end => panic!("{opaque} ended with {end:?}"),
        }
    }
}

#[test]
fn a_call_lost_with_its_connection_reports_not_sent_only_if_nothing_of_it_arrived() {
    check_all("losing", |line| losing(&line.crowded()));
}
