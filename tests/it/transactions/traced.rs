//! What transactions leave in traces. It is here because on Apache's server transactions have a broker of their own.

use rocketmq_blocking::{Message, OffsetMessageId, TransactionResolution};

use super::scene;
use crate::support::{PATIENCE, eventually};
use crate::trace::{SYSTEM, at_once, found_in};

#[test]
fn a_transaction_leaves_records_of_its_half_message_and_its_end() {
    let (scene, _up) = scene(1);
    let producer = scene
        .client
        .transaction_producer(&*scene.group)
        .check(|_| TransactionResolution::Unknown)
        .producer(|producer| producer.timeout(PATIENCE).trace(at_once()))
        .start()
        .unwrap();
    let message = |key: &str| Message::builder(&*scene.topic, "x").tag("t").key(key);
    let committed = producer.begin(message("k1")).unwrap().commit().unwrap();
    let rolled_back = producer.send(message("k2"), |_| TransactionResolution::Rollback).unwrap();
    for (sent, keys, state) in [(&committed, "k1", "COMMIT_MESSAGE"), (rolled_back.sent(), "k2", "ROLLBACK_MESSAGE")] {
        let id = sent.message_id();
        let records = eventually(PATIENCE, || {
            let mut found = found_in(&scene.client, SYSTEM, id);
            found.sort();
            if found.len() == 2 { Ok(found) } else { Err(format!("{found:?}")) }
        });
        let [end, half] = &records[..] else { panic!("{records:?}") };
        assert_eq!((&*half[0], &*half[11], &*half[13]), ("Pub", "1", "true"), "{half:?}");
        let place: OffsetMessageId = sent.offset_message_id().parse().unwrap();
        let place = place.store_host.to_string();
        let transaction = sent.transaction_id().unwrap_or(id);
        let expected = ["t", keys, &place, "2", transaction, state, "false"];
        assert_eq!((&*end[0], &*end[3], &*end[4], &*end[5]), ("EndTransaction", &*scene.group, &*scene.topic, id));
        assert_eq!(end[6..], expected, "{end:?}");
    }
}
