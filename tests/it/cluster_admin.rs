//! What operators see of the cluster as a whole: brokers, their figures and settings.

use std::time::{Duration, SystemTime};

use rocketmq_blocking::{BrokerRole, Error, RequestCode, ResponseCode, embedded};

use crate::support::{
    Feature, NOWHERE, PATIENCE, Scene, client_builder, client_to_nowhere, cluster, eventually, scene, supports, unique,
};

#[test]
fn the_cluster_names_its_brokers() {
    let scene = scene();
    let view = scene.client.admin().cluster().unwrap();
    assert_eq!(view.names(), ["DefaultCluster"]);
    let names: Vec<_> = view.masters().map(|broker| &*broker.name).collect();
    assert_eq!(names, ["broker-a", "broker-b"]);
    for broker in &view.brokers {
        assert_eq!((broker.id, broker.role(), &broker.addr), (0, BrokerRole::Master, &broker.advertised));
        assert!(broker.to_string().starts_with(&format!("{} 0 (master) of DefaultCluster at 127.", broker.name)));
    }
    assert_eq!(view.master("broker-a"), Some(&view.brokers[0]));
    assert_eq!(view.master("broker-z"), None);
    let table = view.to_string();
    assert!(table.lines().count() == 3 && table.starts_with("CLUSTER         BROKER    ID  ROLE"), "{table}");
}

#[test]
fn addresses_go_through_the_clients_address_map() {
    let client = cluster().builder().address_map(|addr| format!("{addr}0")).build().unwrap();
    for broker in client.admin().cluster().unwrap().brokers {
        assert_eq!(*broker.addr, format!("{}0", broker.advertised));
    }
}

#[test]
fn brokers_say_how_they_are() {
    let scene = scene();
    scene.create_topic(1);
    scene.producer().send(scene.message("x")).unwrap();
    scene.arrived(1);
    let admin = scene.client.admin();
    for broker in admin.cluster().unwrap().brokers {
        let runtime = admin.broker_runtime(&broker.addr).unwrap();
        assert_eq!(runtime.version().as_deref(), Some(&*cluster().version));
        let started = runtime.started().unwrap();
        assert!(started < SystemTime::now() && started > SystemTime::now() - Duration::from_secs(10 * 24 * 3600));
        assert!(runtime.disk_usage().is_some_and(|usage| (0.0..=1.0).contains(&usage)), "{runtime}");
        // A broker that has just started has not measured any yet.
        eventually(PATIENCE, || {
            let runtime = admin.broker_runtime(&broker.addr).unwrap();
            runtime.put_rate().and(runtime.get_rate()).ok_or_else(|| runtime.to_string())
        });
        assert!(runtime.send_queue().is_some_and(|queue| queue.capacity > 0), "{runtime}");
        assert_eq!(runtime.values().len(), runtime.to_string().lines().count());
    }
    let puts = || {
        let brokers = admin.cluster().unwrap().brokers;
        let runtimes = brokers.iter().map(|broker| admin.broker_runtime(&broker.addr).unwrap());
        runtimes.map(|runtime| runtime.puts_today().unwrap()).sum::<u64>()
    };
    // Apache's brokers take a sample every second.
    eventually(PATIENCE, || if puts() > 0 { Ok(()) } else { Err("no message counted") });
}

#[test]
fn anything_can_be_asked() {
    let scene = scene();
    scene.create_topic(2);
    let admin = scene.client.admin();
    let broker = admin.cluster().unwrap().brokers.remove(0);
    let fields = [("topic", &*scene.topic), ("queueId", "1")];
    let answer = admin.request(&broker.addr, RequestCode::GET_MAX_OFFSET, &fields, b"").unwrap();
    assert_eq!((answer.field("offset"), answer.field("none"), answer.body.len()), (Some("0"), None, 0));
    let cluster = admin.request(&scene.cluster.name_server, RequestCode::GET_BROKER_CLUSTER_INFO, &[], b"").unwrap();
    assert!(cluster.body_text().contains(r#""brokerAddrTable""#), "{cluster:?}");
    let unknown = admin.request(&broker.addr, RequestCode(31_999), &[], b"");
    assert!(matches!(unknown, Err(Error::Unsupported { addr: Some(_), .. })), "{unknown:?}");
    let missing = [("topic", "it_missing"), ("queueId", "0"), ("consumerGroup", "g"), ("queueOffset", "0")];
    let refused = admin.request(&broker.addr, RequestCode::PULL_MESSAGE, &missing, b"").unwrap_err();
    assert!(refused.code().is_some_and(|code| code != ResponseCode::SUCCESS), "{refused}");
}

#[test]
fn nobody_at_an_address_is_an_error() {
    let admin = client_to_nowhere().admin();
    assert!(matches!(admin.broker_runtime(NOWHERE), Err(Error::Connect { .. })));
    assert!(matches!(admin.request(NOWHERE, RequestCode::HEART_BEAT, &[], b""), Err(Error::Connect { .. })));
    assert!(admin.cluster().is_err());
}

/// A setting that nothing in these tests depends on.
const HARMLESS: &str = "filterDataCleanTimeSpan";

#[test]
fn settings_of_a_broker_are_read_and_changed() {
    let scene = scene();
    let admin = scene.client.admin();
    let view = admin.cluster().unwrap();
    let broker = view.master("broker-a").unwrap();
    let config = || admin.broker_config(&broker.addr).unwrap();
    assert_eq!(
        (config().value("brokerName"), config().value("brokerClusterName")),
        (Some("broker-a"), Some("DefaultCluster"))
    );
    assert_eq!(config().value("listenPort"), broker.addr.rsplit(':').next());
    let before = config().value(HARMLESS).unwrap().to_owned();
    let after = (before.parse::<i64>().unwrap() + 1).to_string();
    admin.update_broker_config(&broker.addr, &[(HARMLESS, &after)]).unwrap();
    assert_eq!(config().value(HARMLESS), Some(&*after));
    let refused = admin.update_broker_config(&broker.addr, &[(HARMLESS, &before), ("itNoSuchSetting", "1")]);
    assert!(
        matches!(&refused, Err(Error::Unsupported { what, .. }) if what.contains("itNoSuchSetting")),
        "{refused:?}"
    );
    assert_eq!(config().value(HARMLESS), Some(&*before), "the others are changed");
    let refused = admin.update_broker_config(&broker.addr, &[(HARMLESS, "many")]);
    assert!(matches!(&refused, Err(Error::Unsupported { what, .. }) if what.contains(&before)), "{refused:?}");
    let refused = admin.update_broker_config(&broker.addr, &[("brokerConfigPath", "x")]).unwrap_err();
    // 4.x forbids nothing, and has no such setting to show.
    let known = matches!(refused, Error::Unsupported { .. }) || refused.code() == Some(ResponseCode::NO_PERMISSION);
    assert!(known, "{refused}");
    assert!(matches!(admin.update_broker_config(&broker.addr, &[]), Err(Error::Invalid { .. })));
}

#[test]
fn settings_of_name_servers_are_read_and_changed() {
    const NAME: &str = "productEnvName";
    let scene = scene();
    let admin = scene.client.admin();
    let value = || {
        let found = admin.name_server_config().unwrap();
        assert_eq!((found.servers.len(), found.failures.len()), (1, 0));
        assert_eq!(&*found.servers[0].0, scene.cluster.name_server);
        found.servers[0].1.value(NAME).unwrap().to_owned()
    };
    let before = value();
    admin.update_name_server_config(&[(NAME, "it")]).unwrap();
    assert_eq!(value(), "it");
    admin.update_name_server_config(&[(NAME, &before)]).unwrap();
    assert_eq!(value(), before);
    let refused = admin.update_name_server_config(&[("itNoSuchSetting", "1")]);
    assert!(matches!(refused, Err(Error::Unsupported { .. })), "{refused:?}");
    let refused = admin.update_name_server_config(&[("kvConfigPath", "x")]).unwrap_err();
    assert_eq!(refused.code(), Some(ResponseCode::NO_PERMISSION), "{refused}");
}

#[test]
fn name_servers_keep_values() {
    let scene = scene();
    let admin = scene.client.admin();
    let namespace = unique("kv");
    assert_eq!((admin.kv(&namespace, "key").unwrap(), admin.kvs(&namespace).unwrap().len()), (None, 0));
    admin.delete_kv(&namespace, "key").unwrap();
    admin.put_kv(&namespace, "key", "值 = 1").unwrap();
    admin.put_kv(&namespace, "other", "2").unwrap();
    admin.put_kv(&namespace, "other", "3").unwrap();
    assert_eq!(admin.kv(&namespace, "key").unwrap().as_deref(), Some("值 = 1"));
    let all: Vec<_> = admin.kvs(&namespace).unwrap().into_iter().collect();
    assert_eq!(all, [("key", "值 = 1"), ("other", "3")].map(|(key, value)| (key.to_owned(), value.to_owned())));
    for key in ["key", "other"] {
        admin.delete_kv(&namespace, key).unwrap();
    }
    assert_eq!((admin.kv(&namespace, "key").unwrap(), admin.kvs(&namespace).unwrap().len()), (None, 0));
    for (namespace, key) in [("", "key"), (" ", "key"), ("n", "")] {
        assert!(matches!(admin.put_kv(namespace, key, "x"), Err(Error::Invalid { .. })));
        assert!(matches!(admin.kv(namespace, key), Err(Error::Invalid { .. })));
    }
}

#[test]
fn the_order_of_a_topic_is_fixed_and_forgotten() {
    let scene = scene();
    for client in [scene.cluster.builder().build(), scene.cluster.builder().namespace(unique("ns")).build()] {
        let admin = client.unwrap().admin();
        assert_eq!(admin.topic_order(&scene.topic).unwrap(), None);
        admin.change_topic_order(&scene.topic, &[("broker-a", 4), ("broker-b", 2)]).unwrap();
        let order = admin.topic_order(&scene.topic).unwrap().unwrap();
        assert_eq!(order, [("broker-a".to_owned(), 4), ("broker-b".to_owned(), 2)]);
        admin.delete_topic_order(&scene.topic).unwrap();
        assert_eq!(admin.topic_order(&scene.topic).unwrap(), None);
        for wrong in [&[][..], &[("broker-a", 0)], &[("a:b", 1)], &[("", 1)]] {
            assert!(matches!(admin.change_topic_order(&scene.topic, wrong), Err(Error::Invalid { .. })), "{wrong:?}");
        }
    }
}

#[test]
fn a_broker_tells_what_it_counted() {
    let scene = Scene::with_queues(1);
    let admin = scene.client.admin();
    let brokers = admin.cluster().unwrap().brokers;
    let counters = || {
        let found = brokers.iter().map(|one| admin.broker_counter(&one.addr, "TOPIC_PUT_NUMS", &scene.topic).unwrap());
        found.collect::<Vec<_>>()
    };
    assert_eq!(counters(), [None, None]);
    let producer = scene.producer();
    for _ in 0..4 {
        producer.send(scene.message("x")).unwrap();
    }
    let found = counters();
    assert!(found.iter().all(Option::is_some), "{found:?}");
    // Apache's brokers take a sample every ten seconds.
    if scene.cluster.is_embedded() {
        let sum: i64 = found.iter().flatten().map(|counter| counter.minute.sum).sum();
        assert_eq!(sum, 4, "{found:?}");
        assert!(
            found.iter().flatten().all(|counter| counter.day.rate > 0.0 && counter.hour.average > 0.0),
            "{found:?}"
        );
    }
}

#[test]
fn brokers_clean_up_when_they_are_told() {
    let scene = Scene::with_queues(1);
    scene.producer().send(scene.message("x")).unwrap();
    let admin = scene.client.admin();
    admin.clean_unused_topics().unwrap();
    admin.clean_expired_queues().unwrap();
    match admin.delete_expired_commit_log() {
        Err(error) if !supports(Feature::TopicAttributes) => {
            assert!(matches!(error, Error::Unsupported { .. }), "{error}")
        }
        done => done.unwrap(),
    }
    scene.arrived(1);
}

/// On a cluster of its own: others need theirs to be written to.
#[test]
fn producers_leave_a_broker_whose_write_permission_is_wiped() {
    let cluster = embedded::Cluster::builder().brokers(2).topic("T", 2).start().unwrap();
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let admin = client.admin();
    let written = || {
        let queues = client.publish_queues("T").unwrap();
        let mut names: Vec<_> = queues.iter().map(|queue| queue.broker_name().to_owned()).collect();
        names.dedup();
        names
    };
    assert_eq!(written(), ["broker-a", "broker-b"]);
    let count = admin.wipe_write_permission("broker-a").unwrap();
    assert!(count > 5 && written() == ["broker-b"], "{count}");
    assert_eq!(client.subscribe_queues("T").unwrap().len(), 4, "consumers go on");
    assert_eq!(admin.add_write_permission("broker-a").unwrap(), count);
    assert_eq!(written(), ["broker-a", "broker-b"]);
    assert!(matches!(admin.wipe_write_permission("broker-z"), Err(Error::NoBroker { .. })));
    // So do they leave one that is told to take nothing.
    let addr = admin.cluster().unwrap().master("broker-b").unwrap().addr.clone();
    admin.update_broker_config(&addr, &[("brokerPermission", "4")]).unwrap();
    assert_eq!(written(), ["broker-a"]);
    admin.update_broker_config(&addr, &[("brokerPermission", "6")]).unwrap();
    assert_eq!(written(), ["broker-a", "broker-b"]);
}

#[test]
fn all_name_servers_are_told_and_one_that_is_down_is_named() {
    let cluster = embedded::Cluster::builder().name_servers(2).start().unwrap();
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let admin = client.admin();
    admin.put_kv("n", "k", "v").unwrap();
    assert_eq!(cluster.requests_of(RequestCode::PUT_KV_CONFIG).len(), 2);
    assert_eq!(admin.name_server_config().unwrap().servers.len(), 2);
    cluster.name_server_at(1).kill();
    assert!(admin.put_kv("n", "k", "w").is_err(), "one of them was not told");
    assert_eq!(admin.kv("n", "k").unwrap().as_deref(), Some("w"), "the other one was");
    let found = admin.name_server_config().unwrap();
    assert_eq!((found.servers.len(), found.failures.len()), (1, 1));
}
