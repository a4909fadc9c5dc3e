//! Trouble with traces, which is none of the sender's.

use std::time::{Duration, Instant};

use rocketmq_blocking::{Producer, Trace};

use crate::judge::timed;
use crate::proxy::eventually;
use crate::rig::{Rig, message, millis};

const TRACES: &str = "RMQ_SYS_TRACE_TOPIC";
const SENDS: usize = 300;

/// Sends to the first broker; returns how long each send took, sorted.
fn latencies(producer: &Producer, rig: &Rig, name: &str) -> Vec<Duration> {
    let send = |number: usize| {
        let message = message(&format!("{name}-{number}"));
        let began = Instant::now();
        let sent =
            timed("send", millis(1000), || producer.prepare(message).queue(&rig.queue(0)).timeout(millis(1000)).send());
        sent.expect("a send to a broker that works");
        began.elapsed()
    };
    let mut all: Vec<Duration> = (0..SENDS).map(send).collect();
    all.sort_unstable();
    all
}

/// Traces live on another broker than messages. When that one stalls, sends go on as before, closing ends within its grace
/// period, and nothing is left behind.
pub(crate) fn a_stalled_trace_broker() {
    let mut rig = Rig::new(2);
    rig.cluster.broker("broker-a").remove_topic(TRACES);
    let client = rig.client();
    let trace = Trace::default().batch(1).interval(millis(50));
    let producer = client.producer("faults").trace(trace).start().unwrap();
    let usual = latencies(&producer, &rig, "usual");
    eventually("traces arrive", || rig.cluster.stored_count(TRACES) == SENDS);
    rig.brokers[1].pause();
    let stalled = latencies(&producer, &rig, "stalled");
    let (usual, stalled) = (usual[SENDS / 2], stalled[SENDS / 2]);
    assert!(stalled < usual * 3 + millis(1), "a send took {usual:?}, beside a stalled trace broker {stalled:?}");
    // Leaving the brokers may take another second, because the stalled one does not answer that either.
    let grace = millis(500);
    let report = timed("close_within", grace + millis(1000), || producer.close_within(grace)).unwrap();
    assert!(!report.complete, "{report}: not all traces can have been sent");
    assert_eq!(rig.times_stored("stalled-0"), 1);
    rig.brokers[1].resume();
}
