use rocketmq_blocking::embedded::{Cluster, Fault};
use rocketmq_blocking::{Client, RequestCode, ResponseCode};

use super::doctor;

#[test]
fn a_missing_topic_fails_unless_brokers_create_topics() {
    let strict = Cluster::builder().auto_create_topics(false).start().unwrap();
    let missing = doctor(strict.name_server(), &["--topic", "Missing"]);
    missing.failed("topic", "no name server knows it", "rmq topic create Missing");
    let cluster = Cluster::start().unwrap();
    let created = doctor(cluster.name_server(), &["--topic", "Missing"]);
    created.warned("topic", "broker-a would create it", "rmq topic create Missing");
    let route = doctor(cluster.name_server(), &["--topic", "Missing"]);
    route.warned("topic", "does not exist", "");
}

#[test]
fn missing_permissions_are_found_where_they_are_missing() {
    let cluster = Cluster::builder().brokers(2).topic("T", 2).start().unwrap();
    let broker = cluster.broker("broker-b");
    for (perm, found) in
        [(4, "cannot be written; the topic's permission there is 4 (read only)"), (2, "cannot be read")]
    {
        broker.topic_permissions("T", perm);
        let findings = doctor(cluster.name_server(), &["--topic", "T"]);
        findings.failed("topic-permission", found, "rmq topic allow T both --broker broker-b");
        assert_eq!(findings.find("topic-permission", "failed")["subject"], "topic T on broker-b");
    }
    broker.topic_permissions("T", 6);
    broker.topic_queues("T", 2, 0);
    doctor(cluster.name_server(), &["--topic", "T"]).failed(
        "topic-permission",
        "no queue for that",
        "rmq topic change T",
    );
}

#[test]
fn a_broker_that_producers_were_made_to_leave_is_told_from_a_topic_that_is_read_only() {
    let cluster = Cluster::builder().topic("T", 2).start().unwrap();
    Client::connect(cluster.name_server()).unwrap().admin().wipe_write_permission("broker-a").unwrap();
    let findings = doctor(cluster.name_server(), &["--topic", "T"]);
    findings.failed("topic-permission", "its write permission was wiped", "rmq cluster allow-writes broker-a");
}

#[test]
fn a_broker_that_refuses_sends_says_why() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    for (code, remark, advice) in [
        (ResponseCode::SYSTEM_BUSY, "[REJECTREQUEST]system busy", "overloaded"),
        (ResponseCode::SERVICE_NOT_AVAILABLE, "the broker's disk is full", "disk is full"),
        (ResponseCode::NO_PERMISSION, "the broker[127.0.0.1] sending message is forbidden", "brokerPermission"),
        (ResponseCode::TOPIC_NOT_EXIST, "topic[T] not exist, apply first please!", "create it again"),
    ] {
        let fault = cluster.broker("broker-a").fault(Fault::error(code, remark).on(RequestCode::SEND_MESSAGE));
        doctor(cluster.name_server(), &["--topic", "T"]).failed("send", remark, advice);
        fault.remove();
    }
}
