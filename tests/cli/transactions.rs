use serde_json::Value;

use crate::program::{Cluster, Running};

const ENDS: [&str; 4] = ["commit", "rollback", "check-commit", "check-rollback"];

/// How long a real broker may take to ask, if it is set up as a test server is.
const CHECK_WAIT: [&str; 2] = ["--check-wait", "15s"];

#[test]
fn what_is_committed_becomes_visible_and_nothing_else() {
    let cluster = Cluster::for_transactions();
    let topic = cluster.topic("Transaction", "2");
    for end in ENDS {
        let send = ["send", "--topic", &topic, "--body", end, "--count", "2", "--threads", "2", "--transaction", end];
        let sent = cluster.objects(&[&send[..], &CHECK_WAIT].concat());
        let ends: Vec<&Value> = sent.iter().map(|object| &object["transaction"]).collect();
        assert_eq!(ends, [end, end]);
        assert!(sent.iter().all(|object| object["status"] == "SEND_OK" && object["messageId"].is_string()));
    }
    // It was answered, which is not yet stored.
    let pulled = cluster.objects(&["pull", "--topic", &topic, "--count", "5", "--wait", "2s"]);
    let mut bodies: Vec<&str> = pulled.iter().map(|message| message["body"].as_str().unwrap()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, ["check-commit", "check-commit", "commit", "commit"]);
}

#[test]
fn people_read_how_each_transaction_ended() {
    let cluster = Cluster::for_transactions();
    let topic = cluster.topic("TransactionPeople", "1");
    let send = ["send", "--topic", &topic, "--body", "x", "--transaction"];
    let committed = cluster.succeed(&[&send[..], &["commit"]].concat());
    assert!(committed.starts_with("SEND_OK  ") && committed.ends_with("  committed\n"), "{committed}");
    let asked = cluster.run(&[&send[..], &["check-rollback"], &CHECK_WAIT].concat());
    assert!(asked.stdout.ends_with("  rolled back when asked\n"), "{}", asked.stdout);
    assert_eq!(asked.stderr, "rmq: 1 message stored; waiting until the broker asks, 15.0 s at most\n");
}

#[test]
fn a_transaction_nobody_asks_about_is_a_failure_and_an_interrupt_ends_the_wait() {
    let cluster = Cluster::for_transactions();
    let topic = cluster.topic("TransactionUnasked", "1");
    let send = ["send", "--topic", &topic, "--body", "x", "--transaction", "check-commit"];
    let unasked = cluster.fail(&[&send[..], &["--check-wait", "10ms", "--json"]].concat(), 1);
    assert_eq!(unasked, "rmq: message 1 stored, invisible: the broker did not ask for its end within 10 ms\n");
    let mut waiting = Running::start(cluster.command(&[&send[..], &["--check-wait", "10m"]].concat()));
    let errors = waiting.error_lines();
    assert!(errors.next().contains("1 message stored; waiting"));
    waiting.interrupt();
    assert_eq!(errors.next(), "rmq: message 1 stored, invisible: interrupted before the broker asked for its end");
    assert_eq!(waiting.end().status, Some(130));
}
