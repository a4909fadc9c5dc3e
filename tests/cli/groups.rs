use serde_json::{Value, json};

use crate::program::{Cluster, Running, eventually, names, unique};

/// Lets a group consume so many messages of a topic.
fn consume(cluster: &Cluster, topic: &str, group: &str, count: usize) -> Vec<Value> {
    let consume = ["consume", "--topic", topic, "--group", group, "--from", "first", "--timeout", "18s"];
    cluster.objects(&[&consume[..], &["--count", &count.to_string()]].concat())
}

fn progress(cluster: &Cluster, topic: &str, group: &str) -> Vec<Value> {
    cluster.objects(&["group", "progress", group, "--topic", topic])
}

fn sum(queues: &[Value], of: &str) -> i64 {
    queues.iter().map(|queue| queue[of].as_i64().expect("a number")).sum()
}

/// What a broker tells of its queues follows the log by a few milliseconds.
fn lags(cluster: &Cluster, topic: &str, group: &str, lag: i64) -> Vec<Value> {
    eventually(|| Some(progress(cluster, topic, group)).filter(|queues| sum(queues, "lag") == lag))
}

#[test]
fn progress_shows_each_queue() {
    let cluster = Cluster::start();
    let (topic, group) = (cluster.topic("Progress", "2"), unique("Group"));
    cluster.succeed(&["send", "--topic", &topic, "--body", "x", "--count", "6"]);
    consume(&cluster, &topic, &group, 6);
    cluster.succeed(&["send", "--topic", &topic, "--body", "x", "--count", "2", "--queue", "1"]);
    let queues = lags(&cluster, &topic, &group, 2);
    let fields = "topic brokerName queueId brokerOffset consumerOffset pulledOffset lag lastConsumed owner";
    assert_eq!(names(&queues[0]), fields.split(' ').collect());
    assert_eq!((sum(&queues, "brokerOffset"), sum(&queues, "consumerOffset")), (8, 6));
    assert!(queues.iter().all(|queue| queue["topic"] == json!(topic) && queue["owner"] == json!(null)));
    let people = cluster.run(&["group", "progress", &group]);
    let header = people.stdout.lines().next().unwrap_or_default();
    assert_eq!(
        header.split_whitespace().collect::<Vec<_>>().join(" "),
        "TOPIC QUEUE BROKER GROUP LAG LAST CONSUMED OWNER"
    );
    assert_eq!(people.stdout.lines().filter(|line| line.starts_with(&*topic)).count(), queues.len());
    assert!(people.stderr.contains(", 2 behind, "), "{}", people.stderr);
}

#[test]
fn members_show_who_consumes_and_what() {
    let cluster = Cluster::start();
    let (topic, group) = (cluster.topic("Members", "1"), unique("Group"));
    cluster.succeed(&["send", "--topic", &topic, "--body", "x", "--tag", "a"]);
    let consuming = ["consume", "--topic", &topic, "--group", &group, "--from", "first", "--expression", "a || b"];
    let mut running = Running::start(cluster.command(&consuming));
    running.lines().next();
    let members = cluster.objects(&["group", "members", &group]);
    let [member] = &members[..] else { panic!("one member: {members:?}") };
    assert_eq!((&member["language"], &member["versionName"]), (&json!("RUST"), &json!("5.3.3")));
    assert_eq!((&member["consumeType"], &member["messageModel"]), (&json!("CONSUME_PASSIVELY"), &json!("CLUSTERING")));
    let subscription = json!({ "topic": topic, "expression": "a || b", "expressionType": "TAG" });
    assert!(member["subscriptions"].as_array().unwrap().contains(&subscription), "{member}");
    let people = cluster.run(&["group", "members", &group]);
    assert!(people.stdout.contains(member["clientId"].as_str().unwrap()), "{}", people.stdout);
    assert!(people.stdout.contains("a || b"), "{}", people.stdout);
    assert!(people.stderr.starts_with("rmq: 1 member, CONSUME_PASSIVELY, CLUSTERING, "), "{}", people.stderr);
    running.interrupt();
    assert_eq!(running.end().status, Some(0));
    assert_eq!(cluster.objects(&["group", "members", &group]), [] as [Value; 0]);
}

#[test]
fn a_group_is_moved_when_that_is_confirmed() {
    let cluster = Cluster::start();
    let (topic, group) = (cluster.topic("Reset", "1"), unique("Group"));
    cluster.succeed(&["send", "--topic", &topic, "--body", "x", "--count", "4", "--queue", "0"]);
    consume(&cluster, &topic, &group, 4);
    let queues = lags(&cluster, &topic, &group, 0);
    let reset = |to: &'static str| ["group", "reset", &group, "--topic", &topic, "--to", to];
    let asked = cluster.fail(&reset("first"), 2);
    assert!(asked.contains("--yes"), "{asked}");
    assert_eq!(lags(&cluster, &topic, &group, 0), queues, "nothing has changed");
    let moved = cluster.objects(&[&reset("-1h")[..], &["--yes"]].concat());
    let first = moved.iter().find(|queue| queue["brokerName"] == queues[0]["brokerName"] && queue["queueId"] == 0);
    assert_eq!(first.map(|queue| &queue["offset"]), Some(&json!(0)), "{moved:?}");
    lags(&cluster, &topic, &group, 4);
    assert_eq!(consume(&cluster, &topic, &group, 4).len(), 4);
    let people = cluster.succeed(&[&reset("first")[..], &["--yes"]].concat());
    assert!(people.starts_with("QUEUE") && people.contains("/0  "), "{people}");
    cluster.succeed(&[&reset("last")[..], &["--yes"]].concat());
    lags(&cluster, &topic, &group, 0);
}

#[test]
fn a_group_nobody_knows_is_a_failure_that_says_so() {
    let cluster = Cluster::start();
    let group = unique("Unknown");
    for what in ["progress", "members"] {
        let told = cluster.fail(&["group", what, &group], 1);
        assert!(told.contains(&format!("no broker knows group {group}")), "{told}");
    }
}

#[test]
fn consuming_is_measured() {
    let cluster = Cluster::start();
    let topic = cluster.topic("BenchConsume", "4");
    let bench = ["bench", "consume", "--topic", &topic, "--count", "500", "--threads", "2"];
    for more in [&["--size", "64"][..], &["--orderly", "--batch", "1"]] {
        let figures = cluster.objects(&[&bench[..], more].concat()).remove(0);
        assert_eq!((&figures["op"], &figures["threads"], &figures["size"]), (&json!("consume"), &json!(2), &json!(64)));
        assert!(figures["count"].as_u64() >= Some(500) && figures["per_s"].as_f64() > Some(0.0), "{figures}");
        assert!(figures.get("p50_us").is_none(), "{figures}");
    }
    assert!(
        cluster.fail(&["bench", "consume", "--topic", &cluster.topic("Empty", "1")], 1).contains("has no messages")
    );
}
