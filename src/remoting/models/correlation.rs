//! The correlation map: every call ends exactly once, whatever comes together.

use super::*;
use crate::error::Error;
use crate::remoting::ending::Loss;

/// What can end a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Answer,
    Time,
    Loss,
}

impl End {
    fn happen(self, line: &Line) {
        match self {
            End::Answer => line.deliver(1),
            End::Time => drop(line.connection.expire(far().at())),
            End::Loss => line.connection.lose(Loss::Lost("by this model".into())),
        }
    }
}

const PAIRS: [[End; 2]; 6] = [
    [End::Answer, End::Answer],
    [End::Answer, End::Time],
    [End::Answer, End::Loss],
    [End::Time, End::Time],
    [End::Time, End::Loss],
    [End::Loss, End::Loss],
];

#[test]
fn a_call_with_a_callback_ends_once_whichever_two_ends_meet() {
    for pair in PAIRS {
        check(&format!("callback: {pair:?}"), move || {
            let line = Line::open(None, 2);
            let ends = line.submit(1, Deadline::after(Duration::from_secs(3600)));
            let first = line.beside(move |line| pair[0].happen(line));
            pair[1].happen(&line);
            first.join().unwrap();
            match ends.only() {
                Ok(frame) => assert!(pair.contains(&End::Answer) && frame.opaque == 1),
                Err(Error::Timeout { .. }) => assert!(pair.contains(&End::Time)),
                Err(error) => assert!(pair.contains(&End::Loss), "{error}"),
            }
            assert_eq!((line.connection.pending.len(), line.connection.pending.in_flight()), (0, 0));
        });
    }
}

#[test]
fn a_call_with_a_callback_ends_once_when_answer_time_and_loss_meet() {
    check("callback: all", || {
        let line = Line::open(None, 2);
        let ends = line.submit(1, Deadline::after(Duration::from_secs(3600)));
        let others = [End::Answer, End::Time].map(|end| line.beside(move |line| end.happen(line)));
        End::Loss.happen(&line);
        others.into_iter().for_each(|other| other.join().unwrap());
        drop(ends.only());
        assert_eq!((line.connection.pending.len(), line.connection.pending.in_flight()), (0, 0));
    });
}

/// A blocked caller asks, with its time over at once or never, and something else ends it. Then it asks again: nothing of
/// the first call may end the second.
fn blocked(end: End, deadline: Deadline) {
    let line = Line::open(None, 2);
    // Registered before the answer can come, as it is before the frame goes out.
    let (ticket, slot) = line.ask(1, deadline).unwrap();
    let other = line.beside(move |line| end.happen(line));
    let result = ticket.end(&slot, deadline);
    match (&result, end) {
        (Ok(frame), End::Answer) => assert_eq!(frame.opaque, 1),
        (Err(Error::Timeout { .. }), _) => assert!(deadline.at() < far().at()),
        (Err(Error::Disconnected { .. }), End::Loss) => {}
        (result, end) => panic!("{end:?} gave {result:?}"),
    }
    assert!(slot.take().is_none(), "a second end");
    drop(slot);
    if end == End::Answer {
        assert!(matches!(line.call(2, over()), Err(Error::Timeout { .. })));
    }
    other.join().unwrap();
    assert_eq!((line.connection.pending.len(), line.connection.pending.in_flight()), (0, 0));
}

#[test]
fn a_blocked_call_ends_once_and_is_woken() {
    for end in [End::Answer, End::Loss] {
        check(&format!("blocked: {end:?}"), move || blocked(end, far()));
        check(&format!("blocked: {end:?} or its time"), move || blocked(end, over()));
    }
}

#[test]
fn a_call_begun_while_the_connection_is_lost_ends_once() {
    check("beginning", || {
        let line = Line::open(None, 2);
        let loser = line.beside(|line| line.connection.lose(Loss::Closed));
        let ends = line.submit(1, far());
        loser.join().unwrap();
        assert!(ends.only().is_err());
        assert_eq!((line.connection.pending.len(), line.connection.pending.in_flight()), (0, 0));
    });
}
