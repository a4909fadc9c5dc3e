use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::program::{Cluster, Ended, Running, eventually, is_old_server, names, unique};
use crate::{RECEIVED, SENT};

/// Sends the bodies `0`, `1` and so on, in order, to the first queue.
fn send(cluster: &Cluster, topic: &str, count: usize) {
    for number in 0..count {
        cluster.succeed(&["send", "--topic", topic, "--body", &number.to_string(), "--queue", "0"]);
    }
}

fn consume(cluster: &Cluster, topic: &str, group: &str, more: &[&str]) -> Vec<Value> {
    let consume = ["consume", "--topic", topic, "--group", group, "--from", "first", "--timeout", "18s"];
    cluster.objects(&[&consume[..], more].concat())
}

fn bodies(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["body"].as_str().expect("text was sent")).collect()
}

#[test]
fn a_group_consumes_what_is_there_and_goes_on_where_it_was() {
    let cluster = Cluster::start();
    let (topic, group) = (cluster.topic("Consume", "2"), unique("Group"));
    cluster.succeed(&["send", "--topic", &topic, "--body", "x", "--count", "12", "--tag", "t"]);
    let first = consume(&cluster, &topic, &group, &["--count", "12"]);
    assert_eq!(names(&first[0]), SENT.into_iter().chain(RECEIVED).collect());
    assert!(first.iter().all(|message| message["status"] == "FOUND" && message["tag"] == "t"));
    let ids: BTreeSet<&str> = first.iter().map(|message| message["messageId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 12);
    cluster.succeed(&["send", "--topic", &topic, "--body", "later"]);
    assert_eq!(bodies(&consume(&cluster, &topic, &group, &["--count", "1"])), ["later"]);
}

#[test]
fn a_count_that_is_not_reached_in_time_is_a_failure() {
    let cluster = Cluster::start();
    let (topic, group) = (cluster.topic("Short", "1"), unique("Group"));
    send(&cluster, &topic, 1);
    let consume = ["consume", "--topic", &topic, "--group", &group, "--from", "first", "--timeout", "6s"];
    let ended = cluster.run(&[&consume[..], &["--count", "2"]].concat());
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.ends_with("rmq: 1 of 2 messages consumed\n"), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 1, "{}", ended.stdout);
}

#[test]
fn consuming_in_order_a_refused_message_comes_again_before_the_next() {
    let cluster = Cluster::start();
    let (topic, group) = (cluster.topic("Orderly", "1"), unique("Group"));
    send(&cluster, &topic, 4);
    let messages = consume(&cluster, &topic, &group, &["--mode", "orderly", "--count", "4", "--fail-first", "1"]);
    assert_eq!(bodies(&messages), ["0", "0", "1", "2", "3"]);
    let states: Vec<&Value> = messages.iter().map(|message| &message["status"]).collect();
    assert_eq!(states, ["FAILED", "FOUND", "FOUND", "FOUND", "FOUND"]);
}

#[test]
fn broadcasting_every_member_gets_every_message_and_remembers_how_far_it_was() {
    let cluster = Cluster::start();
    let (topic, group) = (cluster.topic("Broadcast", "2"), unique("Group"));
    send(&cluster, &topic, 3);
    let consume = |member: &str, count: &str| {
        let folder = format!("{}/{group}-{member}", env!("CARGO_TARGET_TMPDIR"));
        let consume = ["consume", "--topic", &topic, "--group", &group, "--mode", "broadcast", "--from", "first"];
        let more = ["--count", count, "--timeout", "18s", "--json"];
        let mut command = cluster.command(&[&consume[..], &more].concat());
        command.env("ROCKETMQ_CLIENT_LOCALOFFSETSTOREDIR", folder);
        let ended = Running::start(command).end();
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    for member in ["one", "two"] {
        assert_eq!(bodies(&consume(member, "3")), ["0", "1", "2"], "{member}");
    }
    cluster.succeed(&["send", "--topic", &topic, "--body", "later"]);
    assert_eq!(bodies(&consume("one", "1")), ["later"]);
}

/// Consumes in a mode in which brokers hand messages out.
fn handed_out(mode: &str) {
    let cluster = Cluster::start();
    let (topic, group) = (cluster.topic("Pop", "2"), unique("Group"));
    if is_old_server() {
        return;
    }
    send(&cluster, &topic, 5);
    let pop = |more: &[&str]| consume(&cluster, &topic, &group, &[&["--mode", mode], more].concat());
    let messages = pop(&["--count", "5"]);
    assert!(messages.iter().all(|message| message["receiptHandle"].is_string()), "{messages:?}");
    let mut found = bodies(&messages);
    found.sort_unstable();
    assert_eq!(found, ["0", "1", "2", "3", "4"]);
    cluster.succeed(&["send", "--topic", &topic, "--body", "later"]);
    let later = pop(&["--count", "1", "--fail-first", if mode == "simple" { "1" } else { "0" }]);
    assert!(later.iter().all(|message| message["body"] == "later"), "{later:?}");
    assert_eq!(later.last().unwrap()["status"], "FOUND");
}

#[test]
fn popped_messages_are_consumed_once() {
    handed_out("pop");
}

#[test]
fn received_messages_are_acknowledged_and_come_again_when_they_are_refused() {
    handed_out("simple");
}

#[test]
fn polling_commits_exactly_what_was_printed() {
    let cluster = Cluster::start();
    let (topic, group) = (cluster.topic("Poll", "1"), unique("Group"));
    send(&cluster, &topic, 6);
    let poll = |more: &[&str]| consume(&cluster, &topic, &group, &[&["--mode", "lite-pull"], more].concat());
    assert_eq!(bodies(&poll(&["--count", "2", "--batch", "4"])), ["0", "1"]);
    let again = poll(&["--count", "4", "--batch", "4", "--fail-first", "1"]);
    assert_eq!(bodies(&again), ["2", "2", "3", "4", "5"]);
    assert_eq!((&again[0]["status"], &again[1]["status"]), (&json!("FAILED"), &json!("FOUND")));
    let ended = cluster.run(&["consume", "--topic", &topic, "--group", &group, "--mode", "lite-pull", "--trace"]);
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
}

#[test]
fn a_message_that_is_refused_too_often_becomes_a_dead_letter() {
    let cluster = Cluster::start();
    let (topic, group) = (cluster.topic("Dead", "1"), unique("Group"));
    send(&cluster, &topic, 2);
    let refuse = ["--count", "1", "--fail-first", "1", "--max-reconsume", "0"];
    assert_eq!(bodies(&consume(&cluster, &topic, &group, &refuse)), ["0", "1"]);
    let dead = format!("%DLQ%{group}");
    let pull = ["pull", "--topic", &dead, "--json"];
    // The consumer has ended before the broker has told everybody of the new topic.
    let letters = eventually(|| Some(cluster.run(&pull)).filter(|ended| !ended.stdout.is_empty()));
    let letter: Value = serde_json::from_str(letters.stdout.trim_end()).unwrap();
    assert_eq!(letter["body"], "0");
}

#[test]
fn tags_choose_what_is_consumed_and_several_topics_are_named() {
    let cluster = Cluster::start();
    let (one, two, group) = (cluster.topic("One", "1"), cluster.topic("Two", "1"), unique("Group"));
    for (topic, tag) in [(&one, "a"), (&one, "b"), (&two, "b"), (&two, "c")] {
        cluster.succeed(&["send", "--topic", topic, "--body", tag, "--tag", tag]);
    }
    let consume = ["consume", "--topic", &one, "--topic", &two, "--group", &group, "--from", "-1h", "--timeout", "18s"];
    let ended = cluster.run(&[&consume[..], &["--expression", "a || c", "--count", "2"]].concat());
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let lines: BTreeSet<&str> = ended.stdout.lines().collect();
    let line = |topic: &str, body| lines.iter().any(|line| line.starts_with(topic) && line.ends_with(body));
    assert!(lines.len() == 2 && line(&one, "tag:a  a") && line(&two, "tag:c  c"), "{lines:?}");
    assert!(ended.stderr.ends_with("rmq: 2 messages consumed\n"), "{}", ended.stderr);
}

#[test]
fn an_interrupt_commits_what_was_printed() {
    let cluster = Cluster::start();
    let (topic, group) = (cluster.topic("Interrupt", "1"), unique("Group"));
    send(&cluster, &topic, 3);
    let arguments = ["consume", "--topic", &topic, "--group", &group, "--from", "first", "--json"];
    let mut running = Running::start(cluster.command(&arguments));
    let lines = running.lines();
    for _ in 0..3 {
        lines.next();
    }
    running.interrupt();
    let Ended { status, stderr, .. } = running.end();
    assert_eq!((status, stderr), (Some(0), format!("rmq: consuming {topic} as {group}; interrupt to end\n")));
    cluster.succeed(&["send", "--topic", &topic, "--body", "new"]);
    assert_eq!(bodies(&consume(&cluster, &topic, &group, &["--count", "1"])), ["new"]);
}

#[test]
fn what_is_not_wanted_any_more_stays_for_the_next() {
    let cluster = Cluster::start();
    let (topic, group) = (cluster.topic("Rest", "1"), unique("Group"));
    send(&cluster, &topic, 6);
    assert_eq!(bodies(&consume(&cluster, &topic, &group, &["--count", "2"])), ["0", "1"]);
    let rest = consume(&cluster, &topic, &group, &["--count", "4"]);
    assert_eq!(bodies(&rest), ["2", "3", "4", "5"]);
    assert!(rest.iter().all(|message| message["reconsumeTimes"] == json!(0)), "they were not sent back: {rest:?}");
}
