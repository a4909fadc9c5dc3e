//! A broker that dies and comes back while many send.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rocketmq_blocking::{Outcome, Result, SendResult};

use crate::proxy::eventually;
use crate::rig::{Rig, millis, producer, send, send_async, warm};

/// Lets the senders end, also when the test fails.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

pub(crate) fn kill_and_restart_under_sixteen_threads() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let producer = producer(&client);
    warm(&producer, &rig);
    let ends = Mutex::new(Vec::<(String, Result<SendResult>)>::new());
    let (done, sent, failed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let (producer, ends, done, sent, failed) = (&producer, &ends, &done, &sent, &failed);
            scope.spawn(move || {
                for round in 0.. {
                    if done.load(Ordering::SeqCst) {
                        return;
                    }
                    let key = format!("k-{thread}-{round}");
                    let end = match thread % 4 {
                        0 => send_async(producer, &key, millis(600)).recv().expect("the callback is called"),
                        _ => send(producer, &key, millis(600)),
                    };
                    let count = if end.is_ok() { sent } else { failed };
                    count.fetch_add(1, Ordering::SeqCst);
                    ends.lock().unwrap().push((key, end));
                }
            });
        }
        let _done = OnDrop(&done);
        let grows = |what: &str, count: &AtomicUsize, by: usize| {
            let before = count.load(Ordering::SeqCst);
            eventually(what, || count.load(Ordering::SeqCst) >= before + by);
        };
        let broker = rig.cluster.broker("broker-a");
        for round in 0..6 {
            grows("messages are sent", &sent, 200);
            // In turn the broker dies, only its connections do, and it cannot be reached.
            match round % 3 {
                0 => {
                    broker.kill();
                    grows("sends fail", &failed, 20);
                    broker.restart().unwrap();
                }
                1 => broker.disconnect(),
                _ => {
                    rig.brokers[0].refuse();
                    grows("sends fail", &failed, 20);
                    rig.brokers[0].accept();
                }
            }
        }
        grows("messages are sent again", &sent, 200);
    });
    let stored = rig.stored_times();
    for (key, end) in ends.into_inner().unwrap() {
        let times = stored.get(&key).copied().unwrap_or(0);
        match end {
            Ok(sent) => assert!(times == 1 || times > 1 && sent.may_be_duplicated(), "{sent}: stored {times} times"),
            Err(error) if error.outcome() == Outcome::Unknown => {}
            Err(error) => assert_eq!(times, 0, "{key}: {error}"),
        }
    }
}
