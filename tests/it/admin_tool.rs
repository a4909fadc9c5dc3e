//! Apache's own tool prints the same of the same cluster.

use std::collections::BTreeMap;

use rocketmq_blocking::Client;

use crate::support::{LONG, Scene, eventually, live_variable, mqadmin, say, scene, unique};

fn has_tool() -> bool {
    let there = live_variable("LIB").is_some();
    if !there {
        say("mqadmin is not there: it needs Apache's jars (ROCKETMQ_LIVE_LIB)");
    }
    there
}

fn run(client: &Scene, arguments: &[&str]) -> String {
    mqadmin(&[arguments, &["-n", &client.cluster.name_server]].concat())
}

/// Names and values that stand in lines with `apart` between them.
fn pairs(shown: &str, apart: &str) -> BTreeMap<String, String> {
    let pairs = shown.lines().filter(|line| !line.starts_with("====")).filter_map(|line| line.split_once(apart));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}

fn first_broker(client: &Client) -> String {
    client.admin().cluster().unwrap().brokers[0].addr.to_string()
}

#[test]
fn it_lists_the_same_brokers() {
    if !has_tool() {
        return;
    }
    let scene = scene();
    let admin = scene.client.admin();
    let view = admin.cluster().unwrap();
    eventually(LONG, || {
        let shown = run(&scene, &["clusterList"]);
        let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        for broker in &view.brokers {
            let version = admin.broker_runtime(&broker.addr).unwrap().version().unwrap().replace('.', "_");
            let (id, version) = (broker.id.to_string(), format!("V{version}"));
            let expected: [&str; 5] = [&broker.cluster, &broker.name, &id, &broker.addr, &version];
            if !lines.iter().any(|line| line.starts_with(&expected)) {
                return Err(format!("{expected:?} is missing in {shown}"));
            }
        }
        Ok(())
    });
}

#[test]
fn it_reads_the_same_of_a_broker() {
    if !has_tool() {
        return;
    }
    let scene = scene();
    let (admin, addr) = (scene.client.admin(), first_broker(&scene.client));
    eventually(LONG, || {
        let shown = pairs(&run(&scene, &["brokerStatus", "-b", &addr]), ": ");
        let own = admin.broker_runtime(&addr).unwrap();
        let names: Vec<&str> = own.values().map(|(name, _)| name).collect();
        let same = names == shown.keys().map(String::as_str).collect::<Vec<_>>();
        let booted = own.value("bootTimestamp") == shown.get("bootTimestamp").map(String::as_str);
        if same && booted { Ok(()) } else { Err(format!("{shown:?}\nis not\n{own}")) }
    });
    eventually(LONG, || {
        let shown = pairs(&run(&scene, &["getBrokerConfig", "-b", &addr]), "=");
        let own = admin.broker_config(&addr).unwrap();
        let own: BTreeMap<_, _> = own.values().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        same_but(shown, own, "filterDataCleanTimeSpan")
    });
    eventually(LONG, || {
        let shown = pairs(&run(&scene, &["getNamesrvConfig"]), "=");
        let own = admin.name_server_config().unwrap().servers.remove(0).1;
        let own: BTreeMap<_, _> = own.values().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        same_but(shown, own, "productEnvName")
    });
}

/// Other tests change the setting `but` at the same time.
fn same_but(mut shown: BTreeMap<String, String>, mut own: BTreeMap<String, String>, but: &str) -> Result<(), String> {
    shown.remove(but);
    own.remove(but);
    if shown == own && own.len() > 10 { Ok(()) } else { Err(format!("{shown:?}\nis not\n{own:?}")) }
}

#[test]
fn it_reads_the_same_of_a_topic() {
    if !has_tool() {
        return;
    }
    let scene = Scene::with_queues(2);
    let admin = scene.client.admin();
    let producer = scene.producer();
    for _ in 0..5 {
        producer.send(scene.message("x")).unwrap();
    }
    eventually(LONG, || {
        let shown = run(&scene, &["topicStatus", "-t", &scene.topic]);
        let stats = admin.topic_stats(&scene.topic).unwrap();
        let mut own: Vec<Vec<String>> = Vec::new();
        for one in &stats.queues {
            let (broker, id) = (one.queue.broker_name().to_owned(), one.queue.queue_id().to_string());
            own.push(vec![broker, id, one.min_offset.to_string(), one.max_offset.to_string()]);
        }
        let rows = shown.lines().filter(|line| line.starts_with("broker-"));
        let cells = |line: &str| line.split_whitespace().take(4).map(str::to_owned).collect::<Vec<_>>();
        let mut rows: Vec<_> = rows.map(cells).collect();
        rows.sort();
        own.sort();
        if stats.messages() == 5 && rows == own { Ok(()) } else { Err(format!("{shown} is not {stats}")) }
    });
    eventually(LONG, || {
        let shown = run(&scene, &["topicRoute", "-t", &scene.topic]);
        let route = scene.client.topic_route(&scene.topic).unwrap();
        let words: Vec<&str> = shown.split(|c: char| c.is_whitespace() || "\",{}[]".contains(c)).collect();
        let missing = route.brokers().iter().find(|broker| !words.contains(&broker.name()));
        let addresses = route.brokers().iter().all(|broker| words.contains(&&*broker.addresses()[&0]));
        if missing.is_none() && addresses { Ok(()) } else { Err(format!("{shown} is not {route}")) }
    });
    eventually(LONG, || {
        let before = admin.topics().unwrap();
        let shown = run(&scene, &["topicList"]);
        let after = admin.topics().unwrap();
        // Other tests make and delete topics meanwhile.
        let shown: Vec<&str> = shown.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let missing = before.iter().find(|topic| after.contains(topic) && !shown.contains(&topic.as_str()));
        let surplus = shown.iter().find(|topic| !before.iter().chain(&after).any(|own| own == *topic));
        if missing.is_none() && surplus.is_none() { Ok(()) } else { Err(format!("{missing:?}, {surplus:?}")) }
    });
}

#[test]
fn it_keeps_the_same_values_and_orders() {
    if !has_tool() {
        return;
    }
    let scene = scene();
    let admin = scene.client.admin();
    let namespace = unique("kv");
    eventually(LONG, || {
        run(&scene, &["updateKvConfig", "-s", &namespace, "-k", "key", "-v", "theirs"]);
        let found = admin.kv(&namespace, "key").unwrap();
        if found.as_deref() == Some("theirs") { Ok(()) } else { Err(format!("{found:?}")) }
    });
    eventually(LONG, || {
        run(&scene, &["deleteKvConfig", "-s", &namespace, "-k", "key"]);
        let found = admin.kv(&namespace, "key").unwrap();
        if found.is_none() { Ok(()) } else { Err(format!("{found:?}")) }
    });
    admin.change_topic_order(&scene.topic, &[("broker-a", 3), ("broker-b", 1)]).unwrap();
    eventually(LONG, || {
        let shown = run(&scene, &["updateOrderConf", "-m", "get", "-t", &scene.topic]);
        if shown.contains("broker-a:3;broker-b:1") { Ok(()) } else { Err(shown) }
    });
    admin.delete_topic_order(&scene.topic).unwrap();
}
