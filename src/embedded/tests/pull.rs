use super::*;
use crate::embedded::Cluster;
use crate::protocol::bounds::Bounds;
use crate::protocol::record;
use crate::protocol::rpc::pull::PullReply;

fn bodies(frame: &Frame) -> Vec<String> {
    let (views, error) = record::messages(frame.body_bytes(), &arc("broker-a"), &Bounds::of_bodies(1 << 20));
    assert!(error.is_none());
    views.iter().map(|view| view.body_text().unwrap_or_default().to_owned()).collect()
}

fn status(frame: &Frame) -> (ResponseCode, String, i64) {
    let header: PullReply = frame.header().unwrap();
    (frame.response_code(), frame.remark().into_owned(), header.next_begin_offset)
}

#[test]
fn each_state_of_a_queue_has_its_code_remark_and_next_offset() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    let code = |code: ResponseCode, remark: &str, next: i64| (code, remark.to_owned(), next);
    let empty = wire.pull(&pull_from("T", 0));
    assert_eq!(status(&empty), code(ResponseCode::PULL_NOT_FOUND, "NO_MESSAGE_IN_QUEUE", 0));
    let beyond = wire.pull(&pull_from("T", 5));
    assert_eq!(status(&beyond), code(ResponseCode::PULL_OFFSET_MOVED, "NO_MESSAGE_IN_QUEUE", 0));
    for number in 0..40 {
        wire.send(&message("T"), &number.to_string()).unwrap();
    }
    let found = wire.pull(&pull_from("T", 0));
    assert_eq!(status(&found), code(ResponseCode::SUCCESS, "FOUND", 32));
    assert_eq!(bodies(&found).len(), 32);
    let header: PullReply = found.header().unwrap();
    assert_eq!((header.min_offset, header.max_offset, header.suggested_broker_id), (0, 40, Some(0)));
    let end = wire.pull(&pull_from("T", 40));
    assert_eq!(status(&end), code(ResponseCode::PULL_NOT_FOUND, "OFFSET_OVERFLOW_ONE", 40));
    let far = wire.pull(&pull_from("T", 41));
    assert_eq!(status(&far), code(ResponseCode::PULL_OFFSET_MOVED, "OFFSET_OVERFLOW_BADLY", 40));
}

#[test]
fn tags_are_matched_by_hash_and_sql_by_properties() {
    let cluster = Cluster::start().unwrap();
    let (_, mut wire) = broker(&cluster);
    for tag in ["Aa", "BB", "other"] {
        wire.send(&tagged("T", tag), tag).unwrap();
    }
    let price = SendMessage { properties: properties(&[("price", "12")]), ..message("T") };
    wire.send(&price, "priced").unwrap();
    let by = |expression: &str, kind: Option<&str>| PullMessage {
        subscription: Some(expression.into()),
        expression_type: kind.map(Into::into),
        ..pull_from("T", 0)
    };
    assert_eq!(bodies(&wire.pull(&by("Aa", None))), ["Aa", "BB"], "one hash: the client looks again");
    assert_eq!(bodies(&wire.pull(&by("other || none", Some("TAG")))), ["other"]);
    assert_eq!(bodies(&wire.pull(&by("price BETWEEN 10 AND 20", Some("SQL92")))), ["priced"]);
    let none = wire.pull(&by("none", None));
    assert_eq!(status(&none), (ResponseCode::PULL_RETRY_IMMEDIATELY, "NO_MATCHED_MESSAGE".into(), 4));
    for (expression, kind) in [("", "SQL92"), ("||", "TAG")] {
        let refused = wire.pull(&by(expression, Some(kind)));
        assert_eq!(refused.response_code(), ResponseCode::SUBSCRIPTION_PARSE_FAILED, "{expression}");
        assert_eq!(refused.remark(), "parse the consumer's subscription failed");
    }
    assert_eq!(bodies(&wire.pull(&by("price >", Some("SQL92")))).len(), 4, "Apache's broker lets everything pass");
}

#[test]
fn checks_come_in_javas_order() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    let wrong = PullMessage { consumer_group: arc("a b"), topic: arc("Unknown"), queue_id: 9, ..pull_from("T", 0) };
    let steps: [(&str, PullMessage, ResponseCode); 5] = [
        ("group", wrong.clone(), ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST),
        ("topic", PullMessage { consumer_group: arc("CG"), ..wrong }, ResponseCode::TOPIC_NOT_EXIST),
        ("queue", PullMessage { queue_id: 1, ..pull_from("T", 0) }, ResponseCode::INVALID_PARAMETER),
        ("negative", PullMessage { queue_id: -1, ..pull_from("T", 0) }, ResponseCode::INVALID_PARAMETER),
        ("member", PullMessage { sys_flag: 0, ..pull_from("T", 0) }, ResponseCode::SUBSCRIPTION_NOT_EXIST),
    ];
    for (what, pull, code) in steps {
        assert_eq!(wire.pull(&pull).response_code(), code, "{what}");
    }
    let master = cluster.broker("broker-a");
    for (kind, forbid) in [
        ("3", Box::new(|| master.topic_permissions("T", 2)) as Box<dyn Fn()>),
        ("2", Box::new(|| master.disable_group("CG", true))),
        ("1", Box::new(|| master.permissions(2))),
    ] {
        forbid();
        let refused = wire.pull(&pull_from("T", 0));
        assert_eq!(refused.response_code(), ResponseCode::NO_PERMISSION);
        assert_eq!(refused.field("forbiddenType").as_deref(), Some(kind), "{}", refused.remark());
    }
}

#[test]
fn a_held_pull_is_answered_when_a_matching_message_comes() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let (addr, mut wire) = broker(&cluster);
    let held = PullMessage {
        sys_flag: 2 | 4,
        suspend_timeout: Duration::from_secs(20),
        subscription: Some("wanted".into()),
        ..pull_from("T", 0)
    };
    let opaque = wire.write(RequestCode::PULL_MESSAGE, &held, &[], &[]);
    eventually("it is held", || cluster.broker("broker-a").held_pulls() == 1);
    let mut other = Wire::to(addr);
    other.send(&tagged("T", "unwanted"), "no").unwrap();
    assert_eq!(cluster.broker("broker-a").held_pulls(), 1);
    other.send(&tagged("T", "wanted"), "yes").unwrap();
    let frame = wire.read();
    assert_eq!(frame.opaque, opaque);
    assert_eq!((bodies(&frame), status(&frame).2), (vec!["yes".to_owned()], 2));
    assert_eq!(cluster.broker("broker-a").held_pulls(), 0);
}

#[test]
fn a_held_pull_ends_with_its_time_or_its_connection() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let (addr, mut wire) = broker(&cluster);
    let hold = Duration::from_millis(100);
    let held = PullMessage { sys_flag: 2 | 4, suspend_timeout: hold, ..pull_from("T", 0) };
    let begun = Instant::now();
    assert_eq!(wire.pull(&held).response_code(), ResponseCode::PULL_NOT_FOUND);
    assert!(begun.elapsed() >= hold && begun.elapsed() < LONG);
    let mut other = Wire::to(addr);
    let long = PullMessage { suspend_timeout: Duration::from_secs(600), ..held };
    other.write(RequestCode::PULL_MESSAGE, &long, &[], &[]);
    eventually("it is held", || cluster.broker("broker-a").held_pulls() == 1);
    drop(other);
    eventually("it is forgotten", || cluster.broker("broker-a").held_pulls() == 0);
}

#[test]
fn pulls_commit_when_they_are_told_to() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    wire.pull(&PullMessage { commit_offset: 7, ..pull_from("T", 0) });
    assert_eq!(cluster.broker("broker-a").committed("CG", "T", 0), None);
    wire.pull(&PullMessage { commit_offset: 7, sys_flag: 1 | 4, ..pull_from("T", 0) });
    assert_eq!(cluster.broker("broker-a").committed("CG", "T", 0), Some(7));
}

#[test]
fn a_slave_answers_when_its_master_is_down_or_suggests_it() {
    let cluster = Cluster::builder().slaves(1).topic("T", 1).start().unwrap();
    let (_, mut master) = broker(&cluster);
    master.send(&message("T"), "x").unwrap();
    let mut slave = Wire::to(cluster.slave("broker-a", 1).addr());
    assert_eq!(slave.send(&message("T"), "x").unwrap_err().0, ResponseCode::SERVICE_NOT_AVAILABLE);
    assert_eq!(bodies(&slave.pull(&pull_from("T", 0))), ["x"]);
    assert_eq!(slave.pull(&pull_from("T", 1)).response_code(), ResponseCode::PULL_RETRY_IMMEDIATELY, "to the master");
    let moved = slave.pull(&pull_from("T", 9));
    assert_eq!(status(&moved).2, 9, "a slave corrects no offsets");
    cluster.broker("broker-a").suggest(1);
    let suggested = master.pull(&pull_from("T", 0)).header::<PullReply>().unwrap().suggested_broker_id;
    assert_eq!(suggested, Some(1));
    assert_eq!(slave.pull(&pull_from("T", 1)).response_code(), ResponseCode::PULL_NOT_FOUND);
    cluster.broker("broker-a").suggest(0);
    cluster.broker("broker-a").kill();
    assert_eq!(slave.pull(&pull_from("T", 1)).response_code(), ResponseCode::PULL_NOT_FOUND);
    assert_eq!(bodies(&slave.pull(&pull_from("T", 0))), ["x"]);
    let strict = Cluster::builder().slaves(1).slave_read(false).start().unwrap();
    let refused = Wire::to(strict.slave("broker-a", 1).addr()).pull(&pull_from("T", 0));
    assert_eq!(refused.response_code(), ResponseCode::SYSTEM_BUSY);
}
