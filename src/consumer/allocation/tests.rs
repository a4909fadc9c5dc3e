use super::*;

fn queues(ids: std::ops::Range<i32>) -> Vec<MessageQueue> {
    ids.map(|id| MessageQueue::new("TopicTest", "broker-a", id)).collect()
}

fn members(count: usize) -> Vec<Arc<str>> {
    (0..count).map(|number| format!("C{number}").into()).collect()
}

fn shares(strategy: &dyn Allocation, queues: &[MessageQueue], members: &[Arc<str>]) -> Vec<Vec<i32>> {
    let share = |client_id: &Arc<str>| {
        let share = allocate(strategy, &Situation { group: "g", client_id, queues, members }).unwrap();
        share.iter().map(MessageQueue::queue_id).collect()
    };
    members.iter().map(share).collect()
}

#[test]
fn shares_are_javas() {
    let average = |queue_count, member_count| shares(&Averagely, &queues(0..queue_count), &members(member_count));
    assert_eq!(average(8, 3), [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7]]);
    assert_eq!(average(7, 4), [vec![0, 1], vec![2, 3], vec![4, 5], vec![6]]);
    assert_eq!(average(10, 4), [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7], vec![8, 9]]);
    assert_eq!(average(4, 6), [vec![0], vec![1], vec![2], vec![3], vec![], vec![]]);
    assert_eq!(average(2, 3), [vec![0], vec![1], vec![]]);

    let circle =
        |queue_count, member_count| shares(&AveragelyByCircle, &queues(0..queue_count), &members(member_count));
    assert_eq!(circle(8, 3), [vec![0, 3, 6], vec![1, 4, 7], vec![2, 5]]);
    assert_eq!(circle(7, 4), [vec![0, 4], vec![1, 5], vec![2, 6], vec![3]]);
    assert_eq!(circle(10, 4), [vec![0, 4, 8], vec![1, 5, 9], vec![2, 6], vec![3, 7]]);
    assert_eq!(circle(4, 6), average(4, 6));
}

#[test]
fn machine_rooms_are_divided_as_in_java() {
    let strategy = MachineRoom::new(["north"]);
    let kept = |count: i32| -> Vec<_> {
        let other = MessageQueue::new("T", "south@b", 90);
        let odd = [MessageQueue::new("T", "b", 91), MessageQueue::new("T", "north@b@c", 92)];
        let north = (0..count).map(|id| MessageQueue::new("T", "north@b", id));
        north.chain([other]).chain(odd).collect()
    };
    assert_eq!(shares(&strategy, &kept(8), &members(3)), [vec![0, 1, 6], vec![2, 3, 7], vec![4, 5]]);
    assert_eq!(shares(&strategy, &kept(10), &members(4)), [vec![0, 1, 8], vec![2, 3, 9], vec![4, 5], vec![6, 7]]);
    assert_eq!(shares(&strategy, &kept(2), &members(3)), [vec![0], vec![1], vec![]]);
}

#[test]
fn members_read_the_queues_of_their_room_and_share_those_of_rooms_without_members() {
    let room = |name: &str| name.split(['-', '@']).next().unwrap_or_default().to_owned();
    let strategy = MachineRoomNearby::new(Averagely, room, room);
    assert_eq!(strategy.name(), "MACHINE_ROOM_NEARBY-AVG");
    let of = |broker: &str, ids: std::ops::Range<i32>| -> Vec<_> {
        ids.map(|id| MessageQueue::new("T", broker, id)).collect()
    };
    let queues = [of("east-a", 0..2), of("north-a", 2..5), of("west-a", 5..8)].concat();
    let members: Vec<Arc<str>> = vec!["east@1".into(), "north@1".into(), "north@2".into()];
    assert_eq!(shares(&strategy, &queues, &members), [vec![0, 1, 5], vec![2, 3, 6], vec![4, 7]]);
    let nowhere = MachineRoomNearby::new(Averagely, |_| String::new(), room);
    let situation = Situation { group: "g", client_id: "east@1", queues: &queues, members: &members };
    assert!(allocate(&nowhere, &situation).is_err());
}

#[test]
fn consistent_hashing_agrees_with_java() {
    let members: Vec<Arc<str>> = vec!["10.0.0.1@1#1".into(), "10.0.0.2@2#2".into(), "10.0.0.3@3#3".into()];
    let found = shares(&ConsistentHash::default(), &queues(0..8), &members);
    assert_eq!(found, [vec![1, 3], vec![4, 5, 7], vec![0, 2, 6]]);
}

#[test]
fn configured_queues_are_read_whoever_else_is_there() {
    let strategy = ByConfig::new(queues(2..4).into_iter().chain([MessageQueue::new("Other", "b", 0)]));
    assert_eq!(shares(&strategy, &queues(0..8), &members(2)), [vec![2, 3], vec![2, 3]]);
}

#[test]
fn whatever_the_numbers_each_queue_has_exactly_one_owner() {
    let room = |name: &str| name.chars().last().map_or_else(String::new, |last| (u32::from(last) % 3).to_string());
    let nearby = MachineRoomNearby::new(AveragelyByCircle, |name| name.len().to_string(), room);
    let strategies: [&dyn Allocation; 4] = [&Averagely, &AveragelyByCircle, &ConsistentHash::default(), &nearby];
    for queue_count in 1..40 {
        for member_count in 1..12 {
            let (queues, members) = (queues(0..queue_count), members(member_count));
            for strategy in strategies {
                let mut owned = shares(strategy, &queues, &members).concat();
                owned.sort_unstable();
                let name = strategy.name();
                assert_eq!(owned, (0..queue_count).collect::<Vec<_>>(), "{name}: {queue_count} by {member_count}");
            }
        }
    }
}

#[test]
fn in_machine_rooms_each_queue_that_is_read_has_exactly_one_owner() {
    let mut random = fastrand::Rng::with_seed(7);
    let room = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
    let nearby: Vec<Box<dyn Allocation>> = vec![
        Box::new(MachineRoomNearby::new(Averagely, room, room)),
        Box::new(MachineRoomNearby::new(AveragelyByCircle, room, room)),
        Box::new(MachineRoomNearby::new(ConsistentHash::default(), room, room)),
    ];
    for _ in 0..500 {
        let rooms = ["east", "north", "west", "south"];
        let mut all: Vec<MessageQueue> = Vec::new();
        for name in rooms {
            all.extend((0..random.i32(0..12)).map(|id| MessageQueue::new("T", format!("{name}@b"), id)));
        }
        let count = random.usize(1..10);
        let mut members: Vec<Arc<str>> =
            (0..count).map(|id| format!("{}@{id}", rooms[random.usize(..3)]).into()).collect();
        all.sort();
        sort_members(&mut members);
        let owned = |strategy: &dyn Allocation| {
            let situation = |client_id| Situation { group: "g", client_id, queues: &all, members: &members };
            let mut owned: Vec<MessageQueue> =
                members.iter().flat_map(|member| allocate(strategy, &situation(member)).unwrap()).collect();
            owned.sort();
            owned
        };
        for strategy in &nearby {
            assert_eq!(owned(&**strategy), all, "{}: {members:?}", strategy.name());
        }
        let read: Vec<&str> = rooms.into_iter().filter(|_| random.bool()).collect();
        let of_rooms: Vec<_> =
            all.iter().filter(|queue| read.contains(&&*room(queue.broker_name()))).cloned().collect();
        assert_eq!(owned(&MachineRoom::new(read.clone())), of_rooms, "{read:?}: {members:?}");
    }
}

#[test]
fn a_member_that_is_not_listed_gets_nothing_and_a_group_without_members_is_an_error() {
    let (queues, members) = (queues(0..4), members(2));
    for strategy in [&Averagely as &dyn Allocation, &AveragelyByCircle, &ConsistentHash::default()] {
        let other = Situation { group: "g", client_id: "other", queues: &queues, members: &members };
        assert_eq!(allocate(strategy, &other).unwrap(), []);
        assert!(allocate(strategy, &Situation { members: &[], ..other }).is_err());
    }
}

#[test]
fn names_are_ordered_by_utf_16_units_as_java_does() {
    let mut names: Vec<Arc<str>> = vec!["\u{FF5E}".into(), "\u{1F600}".into(), "b".into(), "B".into()];
    sort_members(&mut names);
    let sorted: Vec<&str> = names.iter().map(|name| &**name).collect();
    assert_eq!(sorted, ["B", "b", "\u{1F600}", "\u{FF5E}"]);
}
