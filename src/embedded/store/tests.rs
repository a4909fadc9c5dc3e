use super::*;

const SIZE: usize = 100;

fn put(store: &mut Store, queue_id: i32, now: i64, key: &str) -> Place {
    store.append((&"T".into(), queue_id), 1, vec![0; SIZE].into(), 0, now, std::iter::once(key))
}

fn read(store: &Store, offset: i64, max: usize) -> (Status, i64, usize) {
    let read = store.read("T", 0, offset, max, usize::MAX, |_| true);
    (read.status, read.next, read.records.len())
}

#[test]
fn each_edge_of_a_queue_has_its_status_and_next_offset() {
    let mut store = Store::new(SIZE * 40);
    assert_eq!(read(&store, 0, 10), (Status::NoMessageInQueue, 0, 0));
    assert_eq!(read(&store, 7, 10), (Status::NoMessageInQueue, 0, 0));
    for now in 0..50 {
        put(&mut store, 0, now, "k");
    }
    assert_eq!((store.min_offset("T", 0), store.max_offset("T", 0)), (10, 50), "the oldest have gone");
    assert_eq!(read(&store, 9, 10), (Status::OffsetTooSmall, 10, 0));
    assert_eq!(read(&store, 10, 5), (Status::Found, 15, 5));
    assert_eq!(read(&store, 10, 100), (Status::Found, 42, MAX_COUNT));
    assert_eq!(read(&store, 50, 10), (Status::OffsetOverflowOne, 50, 0));
    assert_eq!(read(&store, 51, 10), (Status::OffsetOverflowBadly, 50, 0));
}

#[test]
fn messages_that_do_not_match_are_passed_over_and_counted() {
    let mut store = Store::new(usize::MAX);
    for now in 0..10 {
        put(&mut store, 0, now, "k");
    }
    let odd = store.read("T", 0, 0, 3, usize::MAX, |entry| entry.stored_at % 2 == 1);
    assert_eq!((odd.status, odd.next, odd.records.len()), (Status::Found, 6, 3));
    let none = store.read("T", 0, 0, 3, usize::MAX, |_| false);
    assert_eq!((none.status, none.next), (Status::NoMatchedMessage, 10));
}

#[test]
fn a_read_is_bounded_in_bytes_but_has_at_least_one_message() {
    let mut store = Store::new(usize::MAX);
    for _ in 0..5 {
        put(&mut store, 0, 0, "k");
    }
    assert_eq!(store.read("T", 0, 0, 32, SIZE * 2 + 50, |_| true).records.len(), 2);
    assert_eq!(store.read("T", 0, 0, 32, 1, |_| true).records.len(), 1);
}

#[test]
fn an_offset_is_found_by_time_from_both_sides() {
    let mut store = Store::new(usize::MAX);
    for now in [10, 10, 30, 30] {
        put(&mut store, 0, now, "k");
    }
    let lower = [5, 10, 20, 30, 31].map(|time| store.offset_by_time("T", 0, time, false));
    assert_eq!(lower, [0, 0, 2, 2, 4]);
    let upper = [5, 10, 20, 30, 31].map(|time| store.offset_by_time("T", 0, time, true));
    assert_eq!(upper, [0, 1, 1, 3, 3]);
    assert_eq!(store.earliest_time("T", 0), 10);
    assert_eq!(store.earliest_time("T", 1), -1);
}

#[test]
fn a_message_is_found_by_position_and_by_key_until_it_is_dropped() {
    let mut store = Store::new(SIZE * 3);
    let first = put(&mut store, 0, 1, "a");
    put(&mut store, 1, 2, "b");
    put(&mut store, 0, 3, "a");
    assert_eq!(store.at(first.commit_log_offset).map(|entry| entry.stored_at), Some(1));
    assert!(store.at(1).is_none());
    assert_eq!(store.find("T", "a", 32, 0, 10).len(), 2);
    assert_eq!(store.find("T", "a", 32, 2, 10).len(), 1);
    assert_eq!(store.find("U", "a", 32, 0, 10).len(), 0);
    put(&mut store, 0, 4, "c");
    assert!(store.at(first.commit_log_offset).is_none());
    assert_eq!(store.find("T", "a", 32, 0, 10).len(), 1);
    store.remove_topic("T");
    assert_eq!(store.max_offset("T", 0), 0);
}

#[test]
fn a_record_of_several_messages_takes_their_offsets_and_is_given_once() {
    let mut store = Store::new(SIZE * 2);
    let keys = || std::iter::once("k");
    put(&mut store, 0, 1, "k");
    let place = store.append((&"T".into(), 0), 5, vec![0; SIZE].into(), 0, 2, keys());
    assert_eq!((place.queue_offset, store.max_offset("T", 0), store.count("T")), (1, 6, 6));
    assert_eq!(read(&store, 0, 10), (Status::Found, 6, 2));
    assert_eq!(read(&store, 0, 1), (Status::Found, 1, 1), "the next one would be one too many");
    assert_eq!(read(&store, 4, 10), (Status::Found, 6, 1), "from its middle it is given whole");
    assert_eq!(store.all("T").len(), 2);
    put(&mut store, 0, 3, "k");
    assert_eq!((store.min_offset("T", 0), store.max_offset("T", 0)), (1, 7));
    put(&mut store, 0, 4, "k");
    assert_eq!((store.min_offset("T", 0), store.max_offset("T", 0)), (6, 8), "it goes as a whole");
}
