//! Pull consumers that pull on a schedule, closed and dropped while they wait, disconnected, twice and by their own callback.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Client, MessageModel, PullSchedule};

use super::{Rig, SOON, TOPIC, client_threads, is_alone, millis, sockets, within};

const GROUP: &str = "pull_schedule";

/// One whose callbacks wait for messages that do not come, its offsets in a file or at the broker.
fn waiting(rig: &Rig, model: MessageModel) -> (Client, PullSchedule) {
    let client = rig.builder().build().expect("a client");
    let waiting = Arc::new(AtomicUsize::new(0));
    let waits = waiting.clone();
    let mut builder = client.pull_consumer(GROUP).register_topic(TOPIC).message_model(model);
    if model == MessageModel::Broadcasting {
        builder = builder.offset_folder(std::env::temp_dir().join(format!("pull_schedule_{}", std::process::id())));
    }
    let schedule = builder.start_scheduled(4, move |consumer, queue| {
        consumer.update_offset(queue, 0)?;
        waits.fetch_add(1, Ordering::SeqCst);
        consumer.pull_waiting(queue, 0).map(drop)
    });
    let schedule = schedule.expect("a schedule");
    assert!(within(millis(10_000), || waiting.load(Ordering::SeqCst) >= 4), "{waiting:?}");
    (client, schedule)
}

fn closed(rig: &Rig, model: MessageModel) {
    let (client, schedule) = waiting(rig, model);
    let began = Instant::now();
    assert!(schedule.close_within(millis(3000)).unwrap().complete);
    schedule.close().unwrap();
    client.close().unwrap();
    assert!(began.elapsed() < millis(2000), "closing took {:?}", began.elapsed());
    rig.is_clean("schedule.close, client.close");
}

fn closed_with_its_client(rig: &Rig) {
    let (client, schedule) = waiting(rig, MessageModel::Broadcasting);
    assert!(client.close_within(millis(3000)).unwrap().complete);
    rig.is_clean("client.close");
    drop(schedule);
}

fn dropped(rig: &Rig) {
    drop(waiting(rig, MessageModel::Clustering));
    rig.is_clean("drop");
}

fn disconnected(rig: &Rig) {
    let (client, schedule) = waiting(rig, MessageModel::Clustering);
    rig.broker().kill();
    let began = Instant::now();
    schedule.close_within(millis(500)).unwrap();
    client.close_within(millis(500)).unwrap();
    assert!(began.elapsed() < millis(8000), "closing without a broker took {:?}", began.elapsed());
    rig.broker().restart().unwrap();
    rig.is_clean_within("close when disconnected", Duration::from_secs(5));
}

fn dropped_in_its_callback(rig: &Rig) {
    let client = rig.builder().build().expect("a client");
    let (slot, done) = (Arc::new(Mutex::new(None::<PullSchedule>)), Arc::new(AtomicUsize::new(0)));
    let (own, ended) = (slot.clone(), done.clone());
    let builder = client.pull_consumer(GROUP).register_topic(TOPIC);
    let schedule = builder.start_scheduled(2, move |_, _| {
        if let Some(schedule) = own.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(schedule);
            ended.fetch_add(1, Ordering::SeqCst);
        }
        millis(10)
    });
    *slot.lock().unwrap() = Some(schedule.expect("a schedule"));
    assert!(within(millis(10_000), || done.load(Ordering::SeqCst) == 1));
    client.close().unwrap();
    drop(client);
    rig.is_clean_within("drop in the callback", SOON * 4);
}

#[test]
fn no_thread_and_no_socket_survives_scheduled_pulling() {
    if !is_alone("pull_schedule::no_thread_and_no_socket_survives_scheduled_pulling") {
        return;
    }
    let cluster = Cluster::builder().topic(TOPIC, 4).start().unwrap();
    let mut rig = Rig { cluster, sockets: 0 };
    assert!(client_threads().is_empty());
    rig.sockets = sockets();
    closed(&rig, MessageModel::Clustering);
    closed(&rig, MessageModel::Broadcasting);
    closed_with_its_client(&rig);
    dropped(&rig);
    disconnected(&rig);
    dropped_in_its_callback(&rig);
}
