use serde_json::Value;

use crate::program::{Cluster, eventually};

/// Five messages of a topic, in the order they were stored in.
fn five(cluster: &Cluster, topic: &str) -> Vec<Value> {
    for body in ["a", "b", "c", "d", "e"] {
        let sent = ["send", "--topic", topic, "--body", body, "--tag", if body == "c" { "even" } else { "odd" }];
        cluster.succeed(&sent);
    }
    let list = ["message", "list", "--topic", topic, "--from", "-10m"];
    eventually(|| Some(cluster.objects(&list)).filter(|found| found.len() == 5))
}

fn bodies(found: &[Value]) -> String {
    found.iter().map(|message| message["body"].as_str().unwrap_or("?")).collect()
}

#[test]
fn messages_of_a_period_are_listed_in_the_order_of_their_times() {
    let cluster = Cluster::start();
    let topic = cluster.topic("List", "2");
    let found = five(&cluster, &topic);
    assert_eq!(bodies(&found), "abcde");
    let stored = |at: usize| found[at]["storeTimestamp"].as_u64().unwrap();
    let list = |more: &[&str]| cluster.objects(&[&["message", "list", "--topic", &topic], more].concat());
    for (from, to) in [(stored(1), stored(3)), (stored(4), stored(4) + 1), (stored(4) + 1, stored(4) + 60_000)] {
        let within = |message: &&Value| (from..to).contains(&message["storeTimestamp"].as_u64().unwrap());
        let expected: Vec<Value> = found.iter().filter(within).cloned().collect();
        assert_eq!(list(&["--from", &from.to_string(), "--to", &to.to_string()]), expected);
    }
    assert_eq!(bodies(&list(&["--from", "-10m", "--expression", "even"])), "c");
    assert_eq!(list(&["--from", "1000", "--to", "2000"]), [] as [Value; 0]);
}

#[test]
fn a_list_says_when_it_is_cut_and_is_a_table_for_people() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Cut", "2");
    five(&cluster, &topic);
    let list = ["message", "list", "--topic", &topic, "--from", "-10m"];
    let cut = cluster.run(&[&list[..], &["--count", "3"]].concat());
    assert!(cut.stderr.contains("there are more"), "{}", cut.stderr);
    let lines: Vec<Vec<&str>> = cut.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["STORED", "QUEUE", "OFFSET", "MESSAGE", "ID", "TAG", "KEYS", "BODY"]);
    let last: Vec<_> = lines[1..].iter().filter_map(|line| line.last().copied()).collect();
    assert_eq!(last, ["a", "b", "c"]);
    assert!(!cluster.run(&[&list[..], &["--count", "5"]].concat()).stderr.contains("there are more"));
    assert!(cluster.fail(&[&list[..], &["--to", "-20m"]].concat(), 2).contains("the period is empty"));
    cluster.fail(&["message", "list", "--topic", &topic, "--from", "first"], 2);
    cluster.fail(&["message", "list", "--topic", "CliNoSuchTopic", "--from", "-1m"], 1);
}

#[test]
fn accounts_belong_to_brokers_4() {
    let cluster = Cluster::embedded(&[]);
    let listed = cluster.fail(&["acl", "account", "list"], 1);
    assert!(listed.contains("not supported"), "{listed}");
    assert!(cluster.fail(&["acl", "account", "delete", "who"], 2).contains("--yes"));
    assert!(cluster.fail(&["acl", "account", "unchecked", "--set", "10.0.0.*"], 2).contains("--yes"));
    assert!(cluster.fail(&["acl", "account", "create", "who"], 2).contains("--password-stdin"));
    cluster.fail(&["acl", "account", "create", "who", "--topic", "orders=all"], 2);
}
