use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{LocalFileOffsetStore, OffsetStore};
use crate::error::Error;
use crate::message::MessageQueue;
use crate::protocol::namespace::Namespace;

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("rocketmq_offsets_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Folder(std::env::temp_dir().join(name))
    }

    fn file(&self) -> PathBuf {
        self.0.join("client").join("offsets.json")
    }

    fn backup(&self) -> PathBuf {
        self.0.join("client").join("offsets.json.bak")
    }

    fn open(&self) -> LocalFileOffsetStore {
        LocalFileOffsetStore::open(self.file()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn queue(id: i32) -> MessageQueue {
    MessageQueue::new("T", "b", id)
}

fn stored(store: &LocalFileOffsetStore) -> [Option<i64>; 2] {
    [store.load(&queue(0)).unwrap(), store.load(&queue(1)).unwrap()]
}

#[test]
fn what_is_stored_is_there_after_a_restart_and_other_queues_stay() {
    let folder = Folder::new();
    let store = folder.open();
    assert_eq!(stored(&store), [None, None]);
    store.store(&[(queue(0), 5)]).unwrap();
    store.store(&[(queue(1), 7)]).unwrap();
    store.remove(&queue(0)).unwrap();
    drop(store);
    let store = folder.open();
    assert_eq!(stored(&store), [Some(5), Some(7)]);
    store.store(&[(queue(0), 2)]).unwrap();
    assert_eq!(stored(&store), [Some(2), Some(7)], "a reset goes back");
}

#[test]
fn a_damaged_or_missing_file_is_made_good_by_its_backup_and_the_backup_by_nothing_bad() {
    for damage in [Some("{\"offsetTable\":{"), Some(""), None] {
        let folder = Folder::new();
        let store = folder.open();
        store.store(&[(queue(0), 5)]).unwrap();
        store.store(&[(queue(0), 6), (queue(1), 7)]).unwrap();
        drop(store);
        match damage {
            Some(text) => fs::write(folder.file(), text).unwrap(),
            None => fs::remove_file(folder.file()).unwrap(),
        }
        let store = folder.open();
        assert_eq!(stored(&store), [Some(5), None], "{damage:?}");
        store.store(&[(queue(0), 8)]).unwrap();
        let backup = fs::read_to_string(folder.backup()).unwrap();
        assert!(backup.contains(":5"), "the damaged file must not replace it: {backup}");
        drop(store);
        assert_eq!(stored(&folder.open()), [Some(8), None]);
    }
}

#[test]
fn when_the_backup_is_damaged_too_opening_fails_until_both_are_deleted() {
    let folder = Folder::new();
    let store = folder.open();
    store.store(&[(queue(0), 5)]).unwrap();
    store.store(&[(queue(0), 6)]).unwrap();
    drop(store);
    fs::write(folder.file(), "{").unwrap();
    fs::write(folder.backup(), "{").unwrap();
    let error = LocalFileOffsetStore::open(folder.file()).unwrap_err();
    assert!(matches!(error, Error::OffsetStore { .. }), "{error:?}");
    assert!(error.to_string().contains("offsets.json; delete both"), "{error}");
    fs::remove_file(folder.file()).unwrap();
    assert!(LocalFileOffsetStore::open(folder.file()).is_err());
    fs::remove_file(folder.backup()).unwrap();
    assert_eq!(stored(&folder.open()), [None, None]);
}

#[test]
fn one_file_is_open_once_by_whatever_name() {
    let folder = Folder::new();
    let first = folder.open();
    let other = folder.0.join("client").join("..").join("client").join("offsets.json");
    assert!(matches!(LocalFileOffsetStore::open(&other), Err(Error::Invalid { .. })));
    drop(first);
    LocalFileOffsetStore::open(&other).unwrap();
}

#[test]
fn what_cannot_be_written_is_an_error_and_is_written_later() {
    let folder = Folder::new();
    let store = folder.open();
    store.store(&[(queue(0), 5)]).unwrap();
    // Neither a full nor a read-only disk can be had in a test that may run as root; to make the new file fails all the same.
    let blocker = folder.0.join("client").join("offsets.json.tmp");
    fs::create_dir(&blocker).unwrap();
    let error = store.store(&[(queue(0), 6)]).unwrap_err().to_string();
    assert!(error.contains("offsets.json"), "{error}");
    assert!(fs::read_to_string(folder.file()).unwrap().contains(":5"), "the file stays whole");
    fs::remove_dir(&blocker).unwrap();
    store.store(&[(queue(0), 6)]).unwrap();
    drop(store);
    assert_eq!(stored(&folder.open()), [Some(6), None]);
}

#[test]
fn a_file_has_the_names_of_the_wire() {
    let folder = Folder::new();
    let namespace = Some(Namespace::new("ns"));
    let store = LocalFileOffsetStore::open_in(folder.file(), namespace).unwrap();
    store.store(&[(queue(0), 5)]).unwrap();
    assert!(fs::read_to_string(folder.file()).unwrap().contains("\"topic\":\"ns%T\"}:5"));
    assert_eq!(stored(&store), [Some(5), None]);
}
