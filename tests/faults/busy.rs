//! Brokers that say they have no time.

use std::sync::atomic::Ordering;

use rocketmq_blocking::{Error, Outcome};

use crate::proxy::Fault;
use crate::rig::{Rig, millis, producer, recovers, send, send_async, warm};
use crate::wire::SEND;

const BUSY: [(i64, &str); 2] = [(2, "[REJECTREQUEST]system busy"), (14, "service not available now")];

pub(crate) fn one_of_two_brokers_is_busy() {
    for (code, remark) in BUSY {
        let mut rig = Rig::new(2);
        let client = rig.client();
        let producer = producer(&client);
        warm(&producer, &rig);
        let fired = rig.brokers[0].fault(Fault::Refuse(code, remark), Some(SEND), usize::MAX);
        for number in 0..10 {
            let before = fired.load(Ordering::SeqCst);
            let (key, other) = (format!("sync-{number}"), format!("async-{number}"));
            let sent = send(&producer, &key, millis(1000)).expect("the other broker takes it");
            let refused = fired.load(Ordering::SeqCst) - before;
            assert_eq!(sent.queue().broker_name(), "broker-b");
            assert_eq!((sent.attempts() as usize, sent.may_be_duplicated()), (1 + refused, false), "{sent}");
            let sent = send_async(&producer, &other, millis(1000)).recv().unwrap().expect("the other broker takes it");
            assert!(!sent.may_be_duplicated());
            assert_eq!((rig.times_stored(&key), rig.times_stored(&other)), (1, 1));
        }
        assert!((1..=2).contains(&fired.load(Ordering::SeqCst)), "a busy broker is avoided: {fired:?}");
    }
}

pub(crate) fn the_only_broker_is_busy() {
    for (code, remark) in BUSY {
        let mut rig = Rig::new(1);
        let client = rig.client();
        let producer = producer(&client);
        warm(&producer, &rig);
        let fired = rig.brokers[0].fault(Fault::Refuse(code, remark), Some(SEND), usize::MAX);
        let error = send(&producer, "refused", millis(2000)).unwrap_err();
        assert_eq!((error.outcome(), fired.load(Ordering::SeqCst)), (Outcome::Rejected, 3), "{error}");
        let Error::Exhausted { attempts, .. } = &error else { panic!("{error}") };
        assert!(attempts.iter().all(|attempt| i64::from(attempt.error.code().unwrap().0) == code), "{error}");
        let error = send_async(&producer, "refused", millis(2000)).recv().unwrap().unwrap_err();
        assert_eq!((error.outcome(), fired.load(Ordering::SeqCst)), (Outcome::Rejected, 6), "{error}");
        // Twice busy, then not: the third attempt succeeds and duplicates nothing.
        rig.brokers[0].clear();
        rig.brokers[0].fault(Fault::Refuse(code, remark), Some(SEND), 2);
        let sent = send(&producer, "taken", millis(2000)).unwrap();
        assert_eq!((sent.attempts(), sent.may_be_duplicated()), (3, false));
        recovers(&producer);
        assert_eq!((rig.times_stored("refused"), rig.times_stored("taken")), (0, 1));
    }
}
