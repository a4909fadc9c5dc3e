use serde_json::{Value, json};

use crate::program::{Cluster, Running};

/// Starts `rmq tail`, and returns when it reads from where it begins.
fn following(cluster: &Cluster, topic: &str, more: &[&str]) -> Running {
    let mut running = Running::start(cluster.command(&[&["tail", topic, "--json"], more].concat()));
    assert_eq!(running.error_lines().next(), format!("rmq: following {topic}; interrupt to end"));
    running
}

fn body(line: &str) -> Value {
    serde_json::from_str::<Value>(line).expect("an object a line")["body"].clone()
}

#[test]
fn a_topic_is_followed_from_its_end_by_any_number_of_readers() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Tail", "2");
    cluster.succeed(&["send", "--topic", &topic, "--body", "before"]);
    let mut readers = [following(&cluster, &topic, &[]), following(&cluster, &topic, &[])];
    let lines = readers.each_mut().map(Running::lines);
    for number in ["1", "2", "3"] {
        cluster.succeed(&["send", "--topic", &topic, "--body", number]);
        for lines in &lines {
            assert_eq!(body(&lines.next()), json!(number));
        }
    }
    for reader in readers {
        reader.interrupt();
        assert_eq!(reader.end().status, Some(0));
    }
}

#[test]
fn following_begins_where_it_is_told_to_and_ends_with_the_count() {
    let cluster = Cluster::start();
    let topic = cluster.topic("From", "1");
    for tag in ["a", "b", "c"] {
        cluster.succeed(&["send", "--topic", &topic, "--body", tag, "--tag", tag]);
    }
    for from in ["first", "-1h"] {
        let tail = ["tail", &topic, "--from", from, "--count", "2", "--expression", "b || c"];
        let bodies: Vec<Value> = cluster.objects(&tail).iter().map(|message| message["body"].clone()).collect();
        assert_eq!(bodies, ["b", "c"], "{from}");
    }
}

#[test]
fn queues_that_are_added_are_followed_too() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Grows", "1");
    let mut reader = following(&cluster, &topic, &[]);
    let lines = reader.lines();
    cluster.succeed(&["topic", "create", &topic, "--queues", "3"]);
    cluster.succeed(&["send", "--topic", &topic, "--body", "new", "--queue", "2"]);
    assert_eq!(body(&lines.next()), json!("new"));
    reader.interrupt();
    assert_eq!(reader.end().status, Some(0));
}

#[test]
fn following_goes_on_when_the_broker_comes_back() {
    let topic = ["--topic", "Back:1"];
    let cluster = Cluster::embedded(&topic);
    let mut reader = Running::start(cluster.command(&["tail", "Back", "--json"]));
    let (errors, lines) = (reader.error_lines(), reader.lines());
    assert!(errors.next().starts_with("rmq: following"));
    let cluster = cluster.again(&topic);
    let said = errors.next();
    assert!(said.starts_with("rmq: ") && said.contains("broker-a"), "it says what is wrong: {said}");
    cluster.succeed(&["send", "--topic", "Back", "--body", "back"]);
    assert_eq!(body(&lines.next()), json!("back"));
    reader.interrupt();
    assert_eq!(reader.end().status, Some(0));
}
