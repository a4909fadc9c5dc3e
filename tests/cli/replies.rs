use std::collections::HashSet;

use serde_json::{Value, json};

use crate::program::{Cluster, Running, eventually, is_old_server, unique};

/// Starts `rmq reply`, and returns when it reads from where it begins.
fn replying(cluster: &Cluster, topic: &str, group: &str, more: &[&str]) -> Running {
    let reply = ["reply", "--topic", topic, "--group", group, "--json"];
    let mut running = Running::start(cluster.command(&[&reply[..], more].concat()));
    assert!(running.error_lines().next().starts_with(&format!("rmq: answering requests to {topic} as ")));
    running
}

#[test]
fn each_request_gets_the_reply_to_it() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Request", "2");
    let mut answering = replying(&cluster, &topic, &unique("Group"), &["--count", "5", "--prefix", "- "]);
    let request = ["request", "--topic", &topic, "--timeout", "15s", "--body"];
    // It is no request, and passed over.
    cluster.succeed(&["send", "--topic", &topic, "--body", "nothing asked"]);
    let replies = cluster.objects(&[&request[..], &["问 😀", "--count", "4", "--tag", "t"]].concat());
    assert_eq!(replies.len(), 4);
    for (number, reply) in (1..).zip(&replies) {
        assert_eq!((&reply["request"], &reply["body"]), (&json!(number), &json!("- 问 😀")));
        assert!(reply["tookMicros"].as_u64() > Some(0), "{reply}");
    }
    let people = cluster.succeed(&[&request[..], &["one\nline"]].concat());
    assert!(people.starts_with("1  ") && people.ends_with("  - one\\nline\n"), "{people}");

    let lines = answering.lines();
    let answered: Vec<Value> = (0..5).map(|_| serde_json::from_str(&lines.next()).unwrap()).collect();
    assert_eq!(answering.end().status, Some(0));
    let ids: HashSet<&Value> = answered.iter().map(|request| &request["messageId"]).collect();
    assert_eq!(ids.len(), 5);
    assert_eq!((&answered[0]["body"], &answered[0]["tag"]), (&json!("问 😀"), &json!("t")));
    assert!(answered[0]["replySize"].as_u64() == Some(10), "{answered:?}");
}

#[test]
fn a_request_nobody_answers_is_a_failure_and_an_interrupt_ends_the_wait() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Unanswered", "1");
    let request = ["request", "--topic", &topic, "--body", "x", "--timeout"];
    let unanswered = cluster.fail(&[&request[..], &["300ms", "--count", "2"]].concat(), 1);
    assert!(unanswered.starts_with("rmq: request 1 unanswered: no reply within 30"), "{unanswered}");
    assert!(unanswered.contains("rmq: request 2 unanswered: "), "{unanswered}");
    let waiting = Running::start(cluster.command(&[&request[..], &["10m"]].concat()));
    // The third request in the topic is that of the program under way.
    let pulled = cluster.objects(&["pull", "--topic", &topic, "--count", "3", "--wait", "15s"]);
    assert_eq!(pulled.len(), 3);
    waiting.interrupt();
    assert_eq!(waiting.end().status, Some(130));
}

#[test]
fn an_interrupt_ends_answering_and_the_group_goes_on_where_it_was() {
    let cluster = Cluster::start();
    let (topic, group) = (cluster.topic("Answering", "1"), unique("Group"));
    let request = |body, timeout| ["request", "--topic", &topic, "--body", body, "--timeout", timeout];
    let answer = |expected: &str| {
        let mut answering = replying(&cluster, &topic, &group, &[]);
        let lines = answering.lines();
        let answered: Value = serde_json::from_str(&lines.next()).unwrap();
        assert_eq!(answered["body"], expected);
        answering.interrupt();
        lines.end();
        assert_eq!(answering.end().status, Some(0));
    };
    std::thread::scope(|scope| {
        // A new group does not see what was asked before it came.
        let first = scope.spawn(|| answer("first"));
        eventually(|| Some(cluster.run(&request("first", "500ms"))).filter(|ended| ended.status == Some(0)));
        first.join().unwrap();
        let second = scope.spawn(|| cluster.succeed(&request("second", "15s")));
        answer("second");
        second.join().unwrap();
    });
}

#[test]
fn a_message_with_a_time_is_taken_back_by_its_handle() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Recall", "1");
    let send = ["send", "--topic", &topic, "--body", "later", "--deliver-after"];
    let sent = cluster.objects(&[&send[..], &["4s"]].concat()).remove(0);
    if let Some(handle) = sent["recallHandle"].as_str() {
        let recalled = cluster.objects(&["recall", handle, "--topic", &topic]).remove(0);
        let expected = json!({ "messageId": sent["messageId"], "topic": topic, "status": "RECALLED" });
        assert_eq!(recalled, expected);
        assert_eq!(cluster.objects(&["pull", "--topic", &topic, "--wait", "6s"]), [] as [Value; 0]);
        let people = cluster.succeed(&[&send[..], &["1h"]].concat());
        let handle = people.trim_end().rsplit("  recall ").next().expect("people see the handle as well");
        assert!(cluster.succeed(&["recall", handle, "--topic", &topic]).starts_with("RECALLED  "));
        assert!(cluster.fail(&["recall", handle, "--topic", "Other"], 1).contains("topic"));
    } else {
        assert!(is_old_server(), "brokers of the 5.x line give a handle: {sent}");
    }
    assert!(!cluster.fail(&["recall", "no-handle", "--topic", &topic], 1).is_empty());
}
