use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::program::{Cluster, Running, eventually, unique};

#[test]
fn a_group_is_created_changed_shown_and_deleted() {
    let cluster = Cluster::start();
    let group = unique("Group");
    let show = || cluster.objects(&["group", "show", &group]).remove(0);
    assert!(cluster.fail(&["group", "show", &group], 1).contains("no broker knows group"));
    assert!(cluster.fail(&["group", "change", &group, "--retries", "1"], 1).contains("create it"));
    cluster.succeed(&["group", "create", &group, "--retries", "5", "--broadcast", "false"]);
    let shown = show();
    assert_eq!(
        (&shown["maxReconsumeTimes"], &shown["broadcast"], &shown["consume"]),
        (&json!(5), &json!(false), &json!(true))
    );
    cluster.succeed(&["group", "change", &group, "--consume", "false"]);
    let shown = show();
    assert_eq!((&shown["maxReconsumeTimes"], &shown["consume"]), (&json!(5), &json!(false)), "the others stay");
    let people = cluster.succeed(&["group", "show", &group]);
    assert!(people.contains("consumes              no") && people.contains("5 in 1 queue"), "{people}");
    let listed = cluster.objects(&["group", "list"]);
    assert!(listed.iter().any(|one| one["group"] == json!(group) && one["retryQueues"] == 1), "{listed:?}");
    assert!(listed.iter().all(|one| one["group"] != "TOOLS_CONSUMER"));
    assert!(cluster.objects(&["group", "list", "--all"]).iter().any(|one| one["group"] == "TOOLS_CONSUMER"));
    assert!(cluster.fail(&["group", "delete", &group], 2).contains("--yes"));
    cluster.succeed(&["group", "delete", &group, "--yes"]);
    cluster.fail(&["group", "show", &group], 1);
}

#[test]
fn a_group_skips_and_another_goes_on_where_it_is() {
    let cluster = Cluster::start();
    let (topic, group, other) = (cluster.topic("Skip", "1"), unique("Group"), unique("Other"));
    cluster.succeed(&["send", "--topic", &topic, "--body", "x", "--count", "4", "--queue", "0"]);
    let consume = ["consume", "--topic", &topic, "--group", &group, "--from", "first", "--timeout", "18s"];
    cluster.objects(&[&consume[..], &["--count", "4"]].concat());
    assert!(cluster.fail(&["group", "clone", &group, &other], 2).contains("--yes"));
    let cloned = cluster.objects(&["group", "clone", &group, &other, "--yes"]);
    assert_eq!(cloned, [json!({ "topic": topic })]);
    let lag = |group: &str| {
        let queues = cluster.objects(&["pull", "--topic", &topic, "--group", group]);
        queues.len()
    };
    assert_eq!(lag(&other), 0);
    cluster.succeed(&["send", "--topic", &topic, "--body", "x", "--count", "3", "--queue", "0"]);
    assert_eq!(eventually(|| Some(lag(&other)).filter(|lag| *lag == 3)), 3);
    assert!(cluster.fail(&["group", "skip", &other, "--topic", &topic], 2).contains("--yes"));
    cluster.succeed(&["group", "skip", &group, "--topic", &topic, "--yes"]);
    let listed = cluster.objects(&["group", "list", "--topic", &topic]);
    assert!(listed.iter().any(|one| one["group"] == json!(group)), "{listed:?}");
}

#[test]
fn members_producers_and_messages_are_looked_at() {
    let cluster = Cluster::start();
    let (topic, group) = (cluster.topic("Track", "1"), unique("Group"));
    let sent = cluster.objects(&["send", "--topic", &topic, "--body", "x"]).remove(0);
    let id = sent["offsetMessageId"].as_str().unwrap();
    let consuming = ["consume", "--topic", &topic, "--group", &group, "--from", "first"];
    let mut running = Running::start(cluster.command(&consuming));
    running.lines().next();
    let track = ["message", "track", id, "--topic", &topic];
    let consumed = json!({ "group": group, "reason": null, "status": "CONSUMED" });
    eventually(|| Some(cluster.objects(&track)).filter(|tracks| *tracks == [consumed.clone()]));
    assert!(cluster.succeed(&track).starts_with("GROUP"));
    let member = cluster.objects(&["group", "members", &group]).remove(0)["clientId"].as_str().unwrap().to_owned();
    let shown = cluster.objects(&["group", "member", &group, &member]).remove(0);
    assert_eq!((&shown["consumeType"], &shown["orderly"]), (&json!("CONSUME_PASSIVELY"), &json!(false)));
    assert!(shown["queues"].as_array().is_some_and(|queues| !queues.is_empty()), "{shown}");
    let done = cluster.objects(&["message", "consume", id, "--topic", &topic, "--group", &group]).remove(0);
    assert_eq!((&done["outcome"], &done["clientId"]), (&json!("CR_SUCCESS"), &json!(member)));
    assert!(cluster.fail(&["group", "member", &group, "nobody"], 1).contains("is not connected"));
    assert_eq!(cluster.objects(&["message", "show", id])[0]["body"], "x");
    assert_eq!(cluster.objects(&["producer", "list", &group]), [] as [Value; 0]);
    assert!(cluster.succeed(&["producer", "list"]).starts_with("GROUP"));
    running.interrupt();
    assert_eq!(running.end().status, Some(0));
}

#[cfg(feature = "acl")]
#[test]
fn users_and_rules_are_kept_and_no_password_is_in_the_arguments() {
    let cluster = Cluster::embedded(&["--access-key", "who", "--secret-key", "hush-hush"]);
    let rmq = |arguments: &[&str], input: &str| {
        let mut command = cluster.command(arguments);
        command.env("ROCKETMQ_ACCESS_KEY", "who").env("ROCKETMQ_SECRET_KEY", "hush-hush").stdin(Stdio::piped());
        let mut running = Running::start(command);
        running.child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap_or_default();
        let ended = running.end();
        assert!(!(ended.stdout.clone() + &ended.stderr).contains("hush"), "{} {}", ended.stdout, ended.stderr);
        ended
    };
    let objects = |arguments: &[&str]| -> Vec<Value> {
        let ended = rmq(&[arguments, &["--json"]].concat(), "");
        assert_eq!(ended.status, Some(0), "{arguments:?}: {}", ended.stderr);
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let succeed = |arguments: &[&str], input: &str| {
        let ended = rmq(arguments, input);
        assert_eq!(ended.status, Some(0), "{arguments:?}: {}", ended.stderr);
    };
    let missing = rmq(&["acl", "user", "create", "alice"], "");
    assert_eq!(missing.status, Some(2));
    assert!(missing.stderr.contains("--password-stdin"), "{}", missing.stderr);
    succeed(&["acl", "user", "create", "alice", "--password-stdin"], "hush-1\n");
    let alice = objects(&["acl", "user", "show", "alice"]).remove(0);
    assert_eq!((&alice["userType"], &alice["status"]), (&json!("Normal"), &json!("enable")));
    assert_eq!(objects(&["acl", "user", "list"]).len(), 2);
    succeed(&["acl", "user", "change", "alice", "--status", "disable"], "");
    assert_eq!(objects(&["acl", "user", "list", "ali"])[0]["status"], "disable");
    let put = ["acl", "rule", "create", "alice", "--resource", "Topic:orders*", "--action", "Pub,Sub"];
    succeed(&[&put[..], &["--from", "10.0.0.0/8"]].concat(), "");
    succeed(&["acl", "rule", "change", "alice", "--resource", "Group:g", "--action", "All", "--deny"], "");
    let rules = objects(&["acl", "rule", "show", "alice"]);
    let first = &rules[0];
    assert_eq!((&first["resource"], &first["actions"]), (&json!("Topic:orders*"), &json!(["Pub", "Sub"])));
    assert_eq!((&first["sourceIps"], &rules[1]["decision"]), (&json!(["10.0.0.0/8"]), &json!("Deny")));
    assert_eq!(objects(&["acl", "rule", "list", "--resource", "Group"]).len(), 1);
    assert_eq!(
        rmq(&["acl", "rule", "create", "alice", "--resource", "Queue:x", "--action", "Pub"], "").status,
        Some(1)
    );
    assert_eq!(rmq(&["acl", "rule", "create", "alice", "--resource", "*", "--action", "Write"], "").status, Some(2));
    assert_eq!(rmq(&["acl", "rule", "delete", "alice"], "").status, Some(2), "nobody can be asked");
    succeed(&["acl", "rule", "delete", "alice", "--resource", "Group:g", "--yes"], "");
    assert_eq!(objects(&["acl", "rule", "show", "alice"]).len(), 1);
    succeed(&["acl", "user", "delete", "alice", "--yes"], "");
    assert_eq!(rmq(&["acl", "user", "show", "alice"], "").status, Some(1));
}
