use std::collections::HashSet;

use serde_json::{Value, json};

use crate::program::{Cluster, eventually, is_old_server, unique};

#[test]
fn bodies_are_compressed_as_asked_for_and_read_as_they_were() {
    // Each compresses it to a fraction; as it is, the broker does not take it.
    let cluster = Cluster::embedded(&["--message-limit", "2000", "--topic", "Compress:1"]);
    let body = "compressible ".repeat(250);
    let send = ["send", "--topic", "Compress", "--body", &body];
    for how in ["zlib", "lz4", "zstd"] {
        cluster.succeed(&[&send[..], &["--compress", how, "--compress-above", "3000"]].concat());
        let refused = cluster.fail(&[&send[..], &["--compress", how, "--compress-above", "4000"]].concat(), 1);
        assert!(refused.contains("message 1 rejected: "), "{refused}");
    }
    let pulled = cluster.objects(&["pull", "--topic", "Compress"]);
    assert_eq!(pulled.len(), 3);
    assert!(pulled.iter().all(|message| message["body"] == body));
}

#[test]
fn automatic_batches_have_a_result_for_each_message() {
    let cluster = Cluster::start();
    let topic = cluster.topic("AutoBatch", "2");
    let send = ["send", "--topic", &topic, "--body", "x", "--count", "300", "--auto-batch", "--retries", "1"];
    let id = |object: &Value| object["messageId"].as_str().map(str::to_owned);
    let queue = |object: &Value| (object["brokerName"].clone(), object["queueId"].clone());
    for (round, more) in (1..).zip([["--mode", "async"], ["--threads", "8"]]) {
        let sent = cluster.objects(&[&send[..], &more].concat());
        // One by one they would go to the queues in turn.
        let changes = sent.windows(2).filter(|pair| queue(&pair[0]) != queue(&pair[1])).count();
        assert!(more == ["--threads", "8"] || changes < 150, "{changes} changes of the queue");
        let ids: HashSet<_> = sent.iter().map(id).collect();
        assert_eq!(ids.len(), 300, "{more:?}");
        let all = (300 * round).to_string();
        let pulled = cluster.objects(&["pull", "--topic", &topic, "--count", &all, "--wait", "10s"]);
        assert!(pulled.iter().map(id).collect::<HashSet<_>>().is_superset(&ids), "{more:?}");
    }
}

#[test]
fn a_message_with_a_time_is_delivered_then() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Timed", "1");
    for time in ["+2s", "2001-02-03T04:05:06Z"] {
        cluster.succeed(&["send", "--topic", &topic, "--body", time, "--deliver-at", time]);
    }
    let pulled = cluster.objects(&["pull", "--topic", &topic, "--count", "2", "--wait", "10s"]);
    let bodies: Vec<&Value> = pulled.iter().map(|message| &message["body"]).collect();
    if is_old_server() {
        assert_eq!(bodies, ["+2s", "2001-02-03T04:05:06Z"], "it delivers at once");
    } else {
        assert_eq!(bodies, ["2001-02-03T04:05:06Z", "+2s"], "a time that is over is now");
    }
}

#[test]
fn a_priority_is_sent_with_the_message() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Priority", "1");
    cluster.succeed(&["send", "--topic", &topic, "--body", "x", "--priority", "7"]);
    let pulled = cluster.objects(&["pull", "--topic", &topic, "--wait", "5s", "--count", "1"]);
    assert_eq!(pulled[0]["properties"]["_SYS_MSG_PRIORITY_"], "7");
}

#[test]
fn traced_messages_are_recorded() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Traced", "1");
    let sent = cluster.objects(&["send", "--topic", &topic, "--body", "x", "--count", "3", "--trace"]);
    for object in &sent {
        let id = object["messageId"].as_str().expect("an id");
        let find = ["message", "find", "--topic", "RMQ_SYS_TRACE_TOPIC", "--key", id, "--json"];
        let found = eventually(|| Some(cluster.run(&find)).filter(|ended| ended.status == Some(0)));
        assert!(found.stdout.contains(&topic), "{}", found.stdout);
    }
}

#[test]
fn a_namespace_stands_before_every_name() {
    let cluster = Cluster::start();
    let topic = unique("Namespaced");
    let inside = ["--namespace", "north"];
    let here = |arguments: &[&str]| cluster.objects(&[arguments, &inside].concat());
    assert_eq!(here(&["topic", "create", &topic])[0]["topic"], topic.as_str());
    assert_eq!(here(&["send", "--topic", &topic, "--body", "x"])[0]["topic"], topic.as_str());
    let pulled = here(&["pull", "--topic", &topic, "--count", "1", "--wait", "5s"]);
    assert_eq!((&pulled[0]["topic"], &pulled[0]["body"]), (&json!(topic), &json!("x")));
    let outside = cluster.objects(&["pull", "--topic", &format!("north%{topic}")]);
    assert_eq!(outside[0]["messageId"], pulled[0]["messageId"]);
    assert!(cluster.fail(&["topic", "route", &topic], 1).contains("no route"));
}

#[test]
fn a_topic_is_created_with_its_type_and_attributes() {
    let cluster = Cluster::start();
    let kinds = [("normal", "NORMAL"), ("fifo", "FIFO"), ("delay", "DELAY"), ("transaction", "TRANSACTION")];
    for (kind, name) in kinds {
        let create = ["topic", "create", &unique("Typed"), "--type", kind, "--attribute", "cleanup.policy=DELETE"];
        let created = cluster.objects(&create).remove(0);
        if created.get("attributes").is_none() {
            assert!(is_old_server(), "brokers of the 5.x line have attributes: {created}");
            assert!(cluster.run(&create).stderr.contains("created without them"));
            continue;
        }
        assert_eq!(created["attributes"]["message.type"], name);
        assert_eq!(created["attributes"]["cleanup.policy"], "DELETE");
        let people = cluster.succeed(&["topic", "create", &unique("Typed"), "--type", kind]);
        assert!(people.starts_with("BROKER ") && people.ends_with(&format!("\nmessage.type = {name}\n")), "{people}");
    }
}
