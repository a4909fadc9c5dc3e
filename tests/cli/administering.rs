use serde_json::{Value, json};

use crate::program::{Cluster, eventually, is_old_server, names, unique};

fn args<'a>(command: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [command, more].concat()
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn brokers_are_listed_and_each_is_shown() {
    let cluster = Cluster::start();
    let brokers = cluster.objects(&["cluster", "list"]);
    let fields = "cluster brokerName id role address advertised version putRate getRate putsToday getsToday diskUsage";
    assert_eq!(names(&brokers[0]), fields.split(' ').collect());
    assert_eq!((&brokers[0]["brokerName"], &brokers[0]["role"]), (&json!("broker-a"), &json!("master")));
    assert!(brokers[0]["version"].as_str().is_some_and(|version| version.contains('.')), "{}", brokers[0]);
    let people = cluster.succeed(&["cluster", "list"]);
    assert_eq!(first_line(&people), "CLUSTER BROKER ID ROLE ADDRESS VERSION IN OUT DISK");
    assert_eq!(people.lines().count(), brokers.len() + 1);
    let address = brokers[0]["address"].as_str().unwrap();
    for named in ["broker-a", "broker-a/0", address] {
        let shown = cluster.objects(&["cluster", "show", named]).remove(0);
        assert!(shown["bootTimestamp"].is_string() && shown["putTps"].is_string(), "{shown}");
    }
    let people = cluster.succeed(&["cluster", "show", "broker-a"]);
    assert!(people.lines().any(|line| line.starts_with("brokerVersionDesc ")), "{people}");
    assert!(cluster.fail(&["cluster", "show", "broker-z"], 1).contains("knows no broker broker-z, but broker-a"));
    cluster.fail(&["cluster", "show", "broker-a/x"], 2);
}

#[test]
fn settings_are_shown_and_changed_when_that_is_confirmed() {
    let cluster = Cluster::start();
    let config = |more: &[&str]| cluster.objects(&[&["cluster", "config"], more].concat()).remove(0)["config"].clone();
    assert_eq!(config(&["broker-a"])["brokerName"], "broker-a");
    assert_eq!(config(&["broker-a", "--filter", "BROKERNAME"]), json!({ "brokerName": "broker-a" }));
    assert!(cluster.succeed(&["cluster", "config", "broker-a"]).contains("\nbrokerName=broker-a\n"));
    assert!(config(&["--name-servers"])["productEnvName"].is_string());
    let name = "filterDataCleanTimeSpan";
    let before = config(&["broker-a"])[name].as_str().unwrap().to_owned();
    let setting = format!("{name}=86400017");
    let change = ["cluster", "change", "--broker", "broker-a", &setting];
    assert!(cluster.fail(&change, 2).contains("--yes"));
    assert_eq!(config(&["broker-a"])[name], before.as_str());
    cluster.succeed(&[&change[..], &["--yes"]].concat());
    assert_eq!(config(&["broker-a"])[name], "86400017");
    cluster.succeed(&["cluster", "change", "--broker", "broker-a", &format!("{name}={before}"), "-y"]);
    let unknown = ["cluster", "change", "--name-servers", "cliNoSuchSetting=1", "--yes"];
    assert!(cluster.fail(&unknown, 1).contains("no setting cliNoSuchSetting"));
    for wrong in
        [&["cluster", "config"][..], &["cluster", "change", "a=b", "-y"], &["cluster", "change", "-b", "x", "a"]]
    {
        cluster.fail(wrong, 2);
    }
}

#[test]
fn values_of_name_servers_are_kept() {
    let cluster = Cluster::start();
    let namespace = unique("Kv");
    let kv = ["cluster", "kv"];
    cluster.succeed(&args(&kv, &["put", &namespace, "key", "one"]));
    assert!(cluster.fail(&args(&kv, &["put", &namespace, "key", "two"]), 2).contains("It is \"one\" now"));
    cluster.succeed(&args(&kv, &["put", &namespace, "key", "two", "--yes"]));
    assert_eq!(cluster.succeed(&args(&kv, &["show", &namespace, "key"])), "two\n");
    let listed = json!({ "namespace": namespace, "key": "key", "value": "two" });
    assert_eq!(cluster.objects(&args(&kv, &["list", &namespace])), [listed]);
    assert!(cluster.fail(&args(&kv, &["delete", &namespace, "key"]), 2).contains("--yes"));
    cluster.succeed(&args(&kv, &["delete", &namespace, "key", "--yes"]));
    assert!(cluster.fail(&args(&kv, &["show", &namespace, "key"]), 1).contains("there is no value"));
    assert_eq!(first_line(&cluster.succeed(&args(&kv, &["list", &namespace]))), "KEY VALUE");
}

#[test]
fn what_a_broker_counted_is_shown() {
    let cluster = Cluster::embedded(&[]);
    let topic = cluster.topic("Counted", "1");
    assert!(cluster.fail(&["cluster", "stats", "broker-a", "TOPIC_PUT_NUMS", &topic], 1).contains("never counted"));
    cluster.succeed(&["send", "--topic", &topic, "--body", "x", "--count", "5"]);
    let stats = cluster.objects(&["cluster", "stats", "broker-a", "TOPIC_PUT_NUMS", &topic]).remove(0);
    assert_eq!((&stats["minute"]["sum"], &stats["day"]["sum"]), (&json!(5), &json!(5)), "{stats}");
    let people = cluster.succeed(&["cluster", "stats", "broker-a", "TOPIC_PUT_NUMS", &topic]);
    assert_eq!(first_line(&people), "LAST SUM A SECOND AT A TIME");
}

#[test]
fn cleaning_and_write_permissions_are_confirmed() {
    let cluster = Cluster::embedded(&["--topic", "Writes"]);
    for what in ["unused-topics", "expired-queues", "expired-messages"] {
        assert!(cluster.fail(&["cluster", "clean", what], 2).contains("--yes"));
        assert_eq!(cluster.succeed(&["cluster", "clean", what, "--yes"]), "");
    }
    let writable = || cluster.objects(&["topic", "route", "Writes"]).remove(0)["brokers"][0]["writable"].clone();
    assert!(cluster.fail(&["cluster", "stop-writes", "broker-a"], 2).contains("--yes"));
    assert_eq!(writable(), true);
    let topics = cluster.objects(&["cluster", "stop-writes", "broker-a", "--yes"]).remove(0)["topics"].clone();
    assert!(topics.as_u64() > Some(3) && writable() == false, "{topics}");
    assert!(cluster.succeed(&["cluster", "allow-writes", "broker-a", "--yes"]).contains("can be read and written"));
    assert_eq!(writable(), true);
}

#[test]
fn topics_are_listed_shown_and_changed() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Listed", "4");
    let listed = |more: &[&str]| {
        let found = cluster.objects(&[&["topic", "list"], more].concat());
        found.iter().map(|one| one["topic"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(listed(&[]).contains(&topic) && !listed(&[]).contains(&"TBW102".to_owned()));
    assert!(listed(&["--all"]).contains(&"TBW102".to_owned()));
    assert_eq!(listed(&["--filter", &topic, "--of-cluster", "DefaultCluster"]), [&*topic]);
    assert_eq!(cluster.succeed(&["topic", "list", "--filter", &topic]), format!("{topic}\n"));

    let shown = || cluster.objects(&["topic", "show", &topic]).remove(0);
    let fields = "topic brokerName readQueues writeQueues permissions readable writable order attributes";
    assert_eq!(names(&shown()), fields.split(' ').collect());
    let change = ["topic", "change", &topic];
    cluster.succeed(&args(&change, &["--queues", "6", "--order", "true"]));
    assert_eq!(
        (&shown()["readQueues"], &shown()["writeQueues"], &shown()["order"]),
        (&json!(6), &json!(6), &json!(true))
    );
    assert!(cluster.fail(&args(&change, &["--read-queues", "2"]), 2).contains("--yes"));
    cluster.succeed(&args(&change, &["--write-queues", "2"]));
    cluster.succeed(&args(&change, &["--read-queues", "2", "--yes"]));
    assert_eq!((&shown()["readQueues"], &shown()["writeQueues"]), (&json!(2), &json!(2)));
    if !is_old_server() {
        cluster.succeed(&args(&change, &["--attribute", "message.type=FIFO"]));
        assert_eq!(shown()["attributes"], json!({ "message.type": "FIFO" }));
    }
    assert!(cluster.fail(&["topic", "allow", &topic, "read"], 2).contains("--yes"));
    cluster.succeed(&["topic", "allow", &topic, "read", "--yes"]);
    assert_eq!((&shown()["readable"], &shown()["writable"]), (&json!(true), &json!(false)));
    cluster.succeed(&["topic", "allow", &topic, "both"]);
    assert_eq!(shown()["permissions"], 6);
    let people = cluster.succeed(&["topic", "show", &topic]);
    assert_eq!(first_line(&people), "BROKER READ QUEUES WRITE QUEUES PERMISSION ORDER ATTRIBUTES");
    cluster.fail(&["topic", "change", &topic], 2);
}

#[test]
fn what_a_topic_holds_is_shown_until_it_is_deleted() {
    let cluster = Cluster::start();
    let topic = cluster.topic("Held", "1");
    cluster.succeed(&["send", "--topic", &topic, "--body", "x", "--count", "3"]);
    let stats = eventually(|| {
        let stats = cluster.objects(&["topic", "stats", &topic]);
        let sum: i64 = stats.iter().filter_map(|queue| queue["messages"].as_i64()).sum();
        Some(stats).filter(|_| sum == 3)
    });
    let fields = "topic brokerName queueId minOffset maxOffset messages lastUpdate";
    assert_eq!(names(&stats[0]), fields.split(' ').collect());
    let people = cluster.run(&["topic", "stats", &topic]);
    assert_eq!(first_line(&people.stdout), "QUEUE MIN MAX MESSAGES LAST");
    assert!(people.stderr.starts_with("rmq: 3 messages, "), "{}", people.stderr);

    let order = ["topic", "order", &topic];
    assert_eq!(cluster.succeed(&args(&order, &[])), "nothing is fixed\n");
    assert!(cluster.fail(&args(&order, &["--set", "broker-a=1"]), 2).contains("--yes"));
    cluster.succeed(&args(&order, &["--set", "broker-a=1", "--yes"]));
    let fixed = json!({ "topic": topic, "brokerName": "broker-a", "queues": 1 });
    assert_eq!(cluster.objects(&args(&order, &[])), [fixed]);
    cluster.succeed(&args(&order, &["--forget", "--yes"]));
    assert_eq!(cluster.objects(&args(&order, &[])), [] as [Value; 0]);

    assert!(cluster.fail(&["topic", "delete", &topic], 2).contains("All its messages are lost"));
    cluster.succeed(&["topic", "delete", &topic, "--yes"]);
    assert!(cluster.fail(&["topic", "show", &topic], 1).contains("no route"));
    assert!(cluster.fail(&["topic", "delete", &topic, "--yes"], 1).contains("no route"));
}
