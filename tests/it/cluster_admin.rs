//! What operators see of the cluster as a whole: brokers, their figures and settings.

use std::time::{Duration, SystemTime};

use rocketmq_blocking::{BrokerRole, Error, RequestCode, ResponseCode};

use crate::support::{NOWHERE, PATIENCE, client_to_nowhere, cluster, eventually, scene};

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
        assert!(runtime.put_rate().is_some() && runtime.get_rate().is_some(), "{runtime}");
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
