//! Connections that are given up while calls begin on them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Rig, echo, listen};
use crate::remoting::RemotingOptions;

#[test]
fn calls_that_begin_while_their_connection_is_retired_are_answered_all_the_same() {
    let (listener, addr) = listen();
    echo(listener);
    let rig = Rig::new(RemotingOptions::default());
    let over = AtomicBool::new(false);
    let until = Instant::now() + Duration::from_secs(1);
    std::thread::scope(|scope| {
        let askers = [0, 1, 2, 3].map(|queue_id| {
            let (rig, addr) = (&rig, &addr);
            scope.spawn(move || {
                let mut asked = 0;
                while Instant::now() < until {
                    assert_eq!(rig.ask(addr, queue_id, 10_000).unwrap(), i64::from(queue_id));
                    asked += 1;
                }
                asked
            })
        });
        let retiring = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                rig.remoting.retain(|_| false);
                rig.remoting.tick(Instant::now());
            }
        });
        let asked = askers.map(|asker| asker.join());
        over.store(true, Ordering::Relaxed);
        retiring.join().unwrap();
        assert!(asked.into_iter().all(|count| count.unwrap() > 0));
    });
}
