//! The file in which a broadcasting consumer keeps its offsets, on a disk that does wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rocketmq_blocking::{
    Client, ConsumeFromWhere, Error, LocalFileOffsetStore, Message, MessageModel, MessageQueue, MessageView,
    OffsetStore, PushConsumer,
};

use crate::proxy::eventually;
use crate::rig::{Rig, TOPIC, millis, producer};

const GROUP: &str = "offset_file";

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("offset_file_{name}_{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn with(path: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", path.display()))
}

/// What a file says after a restart.
fn loaded(path: &Path, queue: &MessageQueue) -> Result<Option<i64>, Error> {
    Ok(LocalFileOffsetStore::open(path)?.load(queue).expect("reading what is in memory"))
}

pub(crate) fn half_written_at_every_byte() {
    let folder = Folder::new("half");
    let (path, queue) = (folder.0.join("offsets.json"), MessageQueue::new(TOPIC, "broker-a", 0));
    let backup = with(&path, ".bak");
    let store = LocalFileOffsetStore::open(&path).expect("a new file");
    for offset in [1234, 5678] {
        let others = (1..4).map(|id| (MessageQueue::new(TOPIC, "broker-a", id), offset));
        let offsets: Vec<_> = others.chain([(queue.clone(), offset)]).collect();
        store.store(&offsets).expect("storing");
    }
    drop(store);
    let (whole, former) = (fs::read(&path).expect("the file"), fs::read(&backup).expect("its backup"));
    // Behind the last bracket there is a line's end, which nobody misses.
    let closed = whole.trim_ascii_end().len();
    for end in 0..closed {
        for ending in [&b""[..], b"\0\0\0\0"] {
            fs::write(&path, [&whole[..end], ending].concat()).expect("writing");
            fs::write(&backup, &former).expect("writing");
            assert_eq!(loaded(&path, &queue).expect("the backup"), Some(1234), "cut at {end}");
        }
        fs::write(&backup, &former[..end.min(former.len() - 3)]).expect("writing");
        let refused = loaded(&path, &queue);
        assert!(matches!(refused, Err(Error::OffsetStore { .. })), "cut at {end}: {refused:?}");
    }
    // A crash between the two renames leaves no file, and one before them a half of the next.
    fs::remove_file(&path).expect("removing");
    fs::write(&backup, &former).expect("writing");
    fs::write(with(&path, ".tmp"), &whole[..closed / 2]).expect("writing");
    assert_eq!(loaded(&path, &queue).expect("the backup"), Some(1234));
    fs::write(&path, &whole).expect("writing");
    assert_eq!(loaded(&path, &queue).expect("the file"), Some(5678));
}

fn start(client: &Client, folder: &Folder, seen: &Arc<Mutex<Vec<String>>>) -> Result<PushConsumer, Error> {
    let builder = client.push_consumer(GROUP).subscribe(TOPIC, "*").message_model(MessageModel::Broadcasting);
    let builder = builder.consume_from_where(ConsumeFromWhere::FirstOffset).persist_interval(millis(50));
    let seen = seen.clone();
    builder.offset_folder(&folder.0).hold(millis(500)).start(move |messages: &[MessageView]| {
        seen.lock().unwrap().extend(messages.iter().map(|message| message.body_text().unwrap_or("?").to_owned()));
    })
}

pub(crate) fn a_disk_that_takes_nothing_for_a_while() {
    let mut rig = Rig::new(1);
    let builder = rig.builder().instance_name("disk");
    let client = rig.look_after(builder);
    let folder = Folder::new("disk");
    let own = folder.0.join(client.client_id()).join(GROUP);
    let (path, seen) = (own.join("offsets.json"), Arc::default());
    // Neither a full disk nor, for root, a read-only folder can be had here; a folder in the new file's place is as bad.
    let blocker = with(&path, ".tmp");
    fs::create_dir_all(&blocker).expect("a folder in the way");
    let consumer = start(&client, &folder, &seen).expect("there is nothing to read yet");
    let producer = producer(&client);
    producer.send(Message::new(TOPIC, "one")).expect("a send");
    eventually("consumption without a disk", || seen.lock().unwrap().len() == 1);
    assert!(!path.exists());
    fs::remove_dir(&blocker).expect("removing");
    let stored = |wanted: i64| {
        let queues = consumer.queues().expect("queues");
        queues.iter().filter_map(|queue| queue.stored_offset).sum::<i64>() == wanted && path.exists()
    };
    eventually("offsets that are stored when the disk is back", || stored(1));
    consumer.close().expect("closing");
    producer.send(Message::new(TOPIC, "two")).expect("a send");
    let again = start(&client, &folder, &seen).expect("it goes on");
    eventually("the second message", || seen.lock().unwrap().len() == 2);
    again.close().expect("closing");
    assert_eq!(*seen.lock().unwrap(), ["one", "two"]);
    producer.close().expect("closing");
}

pub(crate) fn a_folder_that_cannot_be_made() {
    let mut rig = Rig::new(1);
    let client = rig.client();
    let folder = Folder::new("file");
    fs::write(folder.0.join("taken"), "not a folder").expect("writing");
    let below = Folder(folder.0.join("taken"));
    let refused = start(&client, &below, &Arc::default()).map(drop);
    assert!(matches!(refused, Err(Error::OffsetStore { .. })), "{refused:?}");
}
