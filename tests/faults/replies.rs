//! Answers that come wrongly, or not at all.

use std::sync::atomic::Ordering;

use rocketmq_blocking::{Error, Outcome};

use crate::proxy::{Fault, eventually};
use crate::rig::{
    Rig, all_unknown, all_well, every_way, message, millis, nothing_waits, producer, recovers, send, send_async, warm,
};
use crate::wire::SEND;

/// What is done to an answer ends its connection, for calls of every way; then a send with retries succeeds.
fn loses_the_connection(fault: Fault) {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let producer = producer(&client);
    warm(&producer, &rig);
    rig.brokers[0].fault(fault.clone(), Some(SEND), 1);
    let ends = every_way(&client, &producer, &rig.queue(0), millis(2000));
    let lost: Vec<_> = ends.iter().filter_map(|(way, end)| Some((way, end.as_ref().err()?))).collect();
    assert!(!lost.is_empty(), "{ends:?}");
    for (way, error) in lost {
        let stored = rig.times_stored(way);
        assert!(matches!(error, Error::Disconnected { .. }), "{fault:?}: {way}: {error}");
        assert!(error.outcome() == Outcome::Unknown || stored == 0, "{fault:?}: {way}: {error}, stored {stored} times");
    }
    rig.brokers[0].clear();
    recovers(&producer);
    let fired = rig.brokers[0].fault(fault.clone(), Some(SEND), 1);
    let sent = send(&producer, "retried", millis(3000)).expect("the second attempt succeeds");
    assert_eq!((fired.load(Ordering::SeqCst), sent.attempts(), sent.may_be_duplicated()), (1, 2, true), "{fault:?}");
    assert_eq!(rig.times_stored("retried"), 2, "{fault:?}: carried out, and again");
}

pub(crate) fn a_reset_before_the_answer() {
    loses_the_connection(Fault::Reset);
}

pub(crate) fn a_connection_that_ends_within_the_answer() {
    for bytes in [0, 3, 4, 20] {
        loses_the_connection(Fault::Cut(bytes));
    }
}

pub(crate) fn half_an_answer_and_silence() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let producer = producer(&client);
    warm(&producer, &rig);
    rig.brokers[0].fault(Fault::Half, Some(SEND), 1);
    all_unknown(&vec![(
        "sync",
        producer.prepare(message("half")).retries(0).timeout(millis(300)).send().map(Some).map_err(Error::from),
    )]);
    // The connection is beyond use: probed, closed, replaced.
    recovers(&producer);
    assert_eq!(rig.times_stored("half"), 1);
}

pub(crate) fn answers_of_single_bytes() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let producer = producer(&client);
    rig.name_server.fault(Fault::Dribble, None, usize::MAX);
    rig.brokers[0].fault(Fault::Dribble, None, usize::MAX);
    for _ in 0..5 {
        all_well(&every_way(&client, &producer, &rig.queue(0), millis(3000)));
    }
    eventually("oneway sends are stored", || rig.times_stored("oneway") == 5);
    assert_eq!(rig.times_stored("sync"), 5);
}

pub(crate) fn an_answer_with_a_foreign_number() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let producer = producer(&client);
    warm(&producer, &rig);
    rig.brokers[0].fault(Fault::Foreign, Some(SEND), 3);
    all_unknown(&every_way(&client, &producer, &rig.queue(0), millis(400)));
    let accepted = rig.brokers[0].accepted();
    all_well(&every_way(&client, &producer, &rig.queue(0), millis(2000)));
    assert_eq!(rig.brokers[0].accepted(), accepted, "calls that time out do not cost the connection");
}

pub(crate) fn an_answer_on_another_connection() {
    let mut rig = Rig::new(2);
    let client = rig.client();
    let producer = producer(&client);
    warm(&producer, &rig);
    let [a, b] = &rig.brokers[..] else { unreachable!() };
    a.fault(Fault::Hold, Some(SEND), 1);
    let limit = millis(500);
    let error = std::thread::scope(|scope| {
        let call = scope.spawn(|| producer.prepare(message("astray")).queue(&rig.queue(0)).timeout(limit).send());
        eventually("the answer is held", || a.held() == 1);
        a.take_held().iter().for_each(|answer| b.inject(answer));
        call.join().unwrap().unwrap_err().error
    });
    assert!(matches!(error, Error::Timeout { outcome: Outcome::Unknown, .. }), "{error}");
    for broker in [0, 1] {
        all_well(&every_way(&client, &producer, &rig.queue(broker), millis(2000)));
    }
}

pub(crate) fn answers_that_come_twice() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let producer = producer(&client);
    rig.name_server.fault(Fault::Twice, None, usize::MAX);
    rig.brokers[0].fault(Fault::Twice, None, usize::MAX);
    for number in 0..50 {
        let key = format!("twice-{number}");
        let answer = send_async(&producer, &format!("async-{number}"), millis(2000));
        let sent = send(&producer, &key, millis(2000)).unwrap();
        let view = rig.cluster.stored(crate::rig::TOPIC).into_iter().find(|view| view.keys().any(|other| other == key));
        assert_eq!(view.expect("it is stored").message_id(), sent.message_id(), "an answer of its own");
        answer.recv().unwrap().unwrap();
    }
}

pub(crate) fn answers_that_come_too_late() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let producer = producer(&client);
    warm(&producer, &rig);
    rig.brokers[0].fault(Fault::Hold, Some(SEND), 3);
    all_unknown(&every_way(&client, &producer, &rig.queue(0), millis(300)));
    assert_eq!(rig.brokers[0].release(), 3);
    for number in 0..20 {
        let sent = send(&producer, &format!("next-{number}"), millis(2000)).unwrap();
        assert_eq!((sent.attempts(), sent.may_be_duplicated()), (1, false));
    }
    assert_eq!(rig.times_stored("sync"), 1);
}

pub(crate) fn answers_for_others_do_not_prolong_a_call() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let producer = producer(&client);
    warm(&producer, &rig);
    let broker = &rig.brokers[0];
    broker.fault(Fault::Hold, Some(SEND), 1);
    assert_eq!(send(&producer, "first", millis(300)).unwrap_err().outcome(), Outcome::Unknown);
    let astray = broker.take_held().remove(0);
    nothing_waits(&client);
    // The answer that nobody waits for is repeated again and again while another caller, who is alone, waits for his own.
    std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            // Right after other answers a lone caller reads for himself.
            (0..30).for_each(|_| drop(producer.send(message("hot")).unwrap()));
            broker.fault(Fault::Hold, Some(SEND), 1);
            send(&producer, "second", millis(500))
        });
        while !call.is_finished() {
            broker.inject(&astray);
            std::thread::park_timeout(millis(20));
        }
        assert_eq!(call.join().unwrap().unwrap_err().outcome(), Outcome::Unknown);
    });
}

pub(crate) fn garbage_and_impossible_lengths() {
    let lengths = [[0x7F, 0xFF, 0xFF, 0xFF], [0xFF; 4], [0, 0, 0, 0], [0, 0, 0, 3], [1, 0, 0, 1]];
    let garbage = lengths.iter().map(|length| [&length[..], &[0; 64]].concat());
    // Last a frame whose header is said to be longer than the frame, and one whose header is no JSON.
    let frames = [&[0, 0, 0, 8, 0, 0, 0xFF, 0xFF, 1, 2, 3, 4][..], &[0, 0, 0, 8, 0, 0, 0, 4, b'n', b'o', b'p', b'e']];
    let text = [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..]];
    let all = garbage.chain(frames.iter().chain(&text).map(|bytes| bytes.to_vec()));
    for garbage in all {
        loses_the_connection(Fault::Garbage(garbage));
    }
}

pub(crate) fn a_server_that_goes_away() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let producer = producer(&client);
    warm(&producer, &rig);
    let broker = &rig.brokers[0];
    let accepted = broker.accepted();
    for way in ["sync", "async"] {
        broker.fault(Fault::Refuse(1500, "please go away"), Some(SEND), 1);
        let sent = match way {
            "sync" => send(&producer, way, millis(2000)),
            _ => send_async(&producer, way, millis(2000)).recv().unwrap(),
        };
        let sent = sent.expect("it is sent once more, over a new connection");
        assert!(!sent.may_be_duplicated());
        assert_eq!(rig.times_stored(way), 1);
    }
    assert_eq!(broker.accepted(), accepted + 2);
    broker.fault(Fault::Refuse(1500, "please go away"), Some(SEND), usize::MAX);
    let answer = send_async(&producer, "refused", millis(1000));
    let error = send(&producer, "refused", millis(1000)).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Rejected, "{error}");
    assert_eq!(answer.recv().unwrap().unwrap_err().outcome(), Outcome::Rejected);
    assert_eq!(rig.times_stored("refused"), 0);
    broker.clear();
    recovers(&producer);
}
