use super::*;
use crate::embedded::Cluster;
use crate::protocol::json;
use crate::protocol::rpc::heartbeat::{ConsumerList, ConsumerListBody, UnregisterClient};
use crate::protocol::rpc::offset::{ConsumerOffset, ConsumerOffsetReply, UpdateConsumerOffset};

fn heartbeat(client: &str, model: &str, expression: &str, kind: &str) -> String {
    let codes: Vec<String> =
        crate::protocol::filter::tags_of(expression).iter().map(|tag| java_code(tag).to_string()).collect();
    let codes = codes.join(",");
    format!(
        r#"{{"clientID":"{client}","heartbeatFingerprint":0,"withoutSub":false,"producerDataSet":[{{"groupName":"PG"}}],
        "consumerDataSet":[{{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY",
        "groupName":"CG","messageModel":"{model}","unitMode":false,"subscriptionDataSet":[{{"classFilterMode":false,
        "codeSet":[{codes}],"expressionType":"{kind}","subString":"{expression}","subVersion":5,"tagsSet":[],
        "topic":"T"}}]}}]}}"#
    )
}

fn java_code(tag: &str) -> i32 {
    crate::protocol::filter::java_hash(tag)
}

fn join(wire: &mut Wire, client: &str) {
    let frame =
        wire.write(RequestCode::HEART_BEAT, &NoFields, &[], heartbeat(client, "CLUSTERING", "a", "TAG").as_bytes());
    loop {
        let answer = wire.read();
        if answer.is_response() && answer.opaque == frame {
            assert_eq!(answer.field("IS_SUPPORT_HEART_BEAT_V2").as_deref(), Some("true"));
            return;
        }
        assert_eq!(answer.request_code(), RequestCode::NOTIFY_CONSUMER_IDS_CHANGED);
    }
}

fn members(cluster: &Cluster) -> Vec<String> {
    cluster.broker("broker-a").consumers("CG")
}

#[test]
fn members_are_listed_and_told_of_each_other() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let (addr, mut first) = broker(&cluster);
    let list = ConsumerList { consumer_group: arc("CG") };
    let nobody = first.call(RequestCode::GET_CONSUMER_LIST_BY_GROUP, &list, &[]);
    assert_eq!(nobody.response_code(), ResponseCode::SYSTEM_ERROR);
    assert_eq!(nobody.remark(), "no consumer for this group, CG");
    join(&mut first, "one");
    let mut second = Wire::to(addr);
    join(&mut second, "two");
    eventually("the first is told", || {
        first
            .read_within(LONG)
            .is_some_and(|frame| frame.is_oneway() && frame.field("consumerGroup").as_deref() == Some("CG"))
    });
    let mut third = Wire::to(addr);
    let body = third.call(RequestCode::GET_CONSUMER_LIST_BY_GROUP, &list, &[]);
    let body: ConsumerListBody = json::decode("list", body.body()).unwrap();
    assert_eq!(body.consumer_id_list, ["one", "two"]);
    assert_eq!(cluster.broker("broker-a").producers("PG"), ["one", "two"]);
    let names = Wire::to(cluster.name_server());
    drop(names);
    assert!(cluster.broker("broker-a").committed("CG", "T", 0).is_none());
    drop(second);
    eventually("a closed connection leaves", || members(&cluster) == ["one"]);
    let leave =
        UnregisterClient { client_id: arc("one"), consumer_group: Some(arc("CG")), producer_group: Some(arc("PG")) };
    let opaque = first.write(RequestCode::UNREGISTER_CLIENT, &leave, &[], &[]);
    eventually("it is answered", || first.read().opaque == opaque);
    assert!(members(&cluster).is_empty() && cluster.broker("broker-a").producers("PG").is_empty());
}

#[test]
fn a_heartbeats_subscription_is_what_pulls_go_by() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    for tag in ["a", "b"] {
        wire.send(&tagged("T", tag), tag).unwrap();
    }
    let pull = PullMessage { sys_flag: 0, subscription: None, sub_version: 5, ..pull_from("T", 0) };
    let unknown = wire.pull(&pull);
    assert!(unknown.remark().starts_with("the consumer's group info not exist\nSee"), "{}", unknown.remark());
    wire.call(RequestCode::HEART_BEAT, &NoFields, heartbeat("one", "BROADCASTING", "b", "TAG").as_bytes());
    assert!(wire.pull(&pull).body().windows(1).any(|part| part == b"b"));
    let newer = wire.pull(&PullMessage { sub_version: 6, ..pull.clone() });
    assert_eq!(newer.response_code(), ResponseCode::SUBSCRIPTION_NOT_LATEST);
    cluster.create_topic("U", 1).unwrap();
    let other = wire.pull(&PullMessage { topic: arc("U"), ..pull });
    assert_eq!(other.response_code(), ResponseCode::SUBSCRIPTION_NOT_EXIST);
    assert!(other.remark().starts_with("the consumer's subscription not exist"));
}

#[test]
fn group_offsets_are_kept_as_java_keeps_them() {
    let cluster = Cluster::builder().topic("T", 2).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    let query = |queue_id, zero| ConsumerOffset {
        consumer_group: arc("CG"),
        topic: arc("T"),
        queue_id,
        zero_if_not_found: zero,
        broker_name: None,
    };
    let update = |group: &str, topic: &str, offset| UpdateConsumerOffset {
        consumer_group: group.into(),
        topic: topic.into(),
        queue_id: 0,
        commit_offset: offset,
        broker_name: None,
    };
    wire.send(&message("T"), "x").unwrap();
    let mut ask = |queue_id, zero| {
        let frame = wire.call(RequestCode::QUERY_CONSUMER_OFFSET, &query(queue_id, zero), &[]);
        answer::<ConsumerOffsetReply>(&frame).map(|reply| reply.offset).map_err(|(code, _)| code)
    };
    assert_eq!(ask(0, None), Ok(Some(0)), "a young queue starts at its first message");
    assert_eq!(ask(0, Some(false)), Err(ResponseCode::QUERY_NOT_FOUND));
    assert_eq!(ask(1, None), Err(ResponseCode::QUERY_NOT_FOUND), "an empty queue");
    let mut commit =
        |update: UpdateConsumerOffset| wire.call(RequestCode::UPDATE_CONSUMER_OFFSET, &update, &[]).response_code();
    assert_eq!(commit(update("CG", "T", 9)), ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, "no group has pulled yet");
    wire.pull(&pull_from("T", 0));
    let mut commit =
        |update: UpdateConsumerOffset| wire.call(RequestCode::UPDATE_CONSUMER_OFFSET, &update, &[]).response_code();
    assert_eq!(commit(update("CG", "Unknown", 9)), ResponseCode::TOPIC_NOT_EXIST);
    assert_eq!(commit(update("CG", "T", 9)), ResponseCode::SUCCESS);
    assert_eq!(commit(update("CG", "T", 3)), ResponseCode::SUCCESS);
    assert_eq!(cluster.broker("broker-a").committed("CG", "T", 0), Some(3), "a smaller offset wins");
}

#[test]
fn a_message_given_back_comes_again_and_ends_among_the_dead_letters() {
    let cluster = Cluster::builder().delay_level_scale(0.001).start().unwrap();
    let (_, mut wire) = broker(&cluster);
    let sent = wire.send(&tagged("T", "a"), "x").unwrap();
    let offset = |id: &str| id.parse::<crate::OffsetMessageId>().unwrap().commit_log_offset.to_string();
    let give_back = |wire: &mut Wire, id: &str, level: &str| {
        let offset = offset(id);
        let fields = [
            ("offset", offset.as_str()),
            ("group", "CG"),
            ("delayLevel", level),
            ("originMsgId", "ORIGIN"),
            ("originTopic", "T"),
        ];
        wire.write(RequestCode::CONSUMER_SEND_MSG_BACK, &NoFields, &fields, &[]);
        wire.read().response_code()
    };
    assert_eq!(give_back(&mut wire, &sent.msg_id, "0"), ResponseCode::SUCCESS);
    eventually("it comes again", || cluster.stored_count("%RETRY%CG") == 1);
    let again = &cluster.stored("%RETRY%CG")[0];
    assert_eq!((again.property("RETRY_TOPIC"), again.property("ORIGIN_MESSAGE_ID")), (Some("T"), Some("ORIGIN")));
    assert_eq!((again.reconsume_times(), again.tag(), again.body()), (1, Some("a"), &b"x"[..]));
    assert_eq!(give_back(&mut wire, &sent.msg_id, "-1"), ResponseCode::SUCCESS);
    assert_eq!(cluster.stored_count("%DLQ%CG"), 1);
}
