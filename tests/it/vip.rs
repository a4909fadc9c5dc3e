//! The second port of brokers, which Java calls the VIP channel.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Error, Message, PullStatus, RequestCode};

use crate::support::{NOWHERE, PATIENCE, Scene, client_builder, eventually, unique};

/// A cluster whose brokers listen at both ports, and the servers that got requests of these codes.
fn cluster() -> Cluster {
    Cluster::builder().vip_channel(true).slaves(1).topic("T", 2).start().unwrap()
}

fn asked(cluster: &Cluster, code: RequestCode) -> Vec<String> {
    let mut servers: Vec<String> =
        cluster.requests().iter().filter(|one| one.code == code).map(|one| one.server.to_string()).collect();
    servers.sort();
    servers.dedup();
    servers
}

#[test]
fn everything_but_reading_and_heartbeats_goes_to_the_second_port() {
    let cluster = cluster();
    let client = client_builder().name_servers(cluster.name_server()).vip_channel(true).build().unwrap();
    let producer = client.producer("makers").start().unwrap();
    let sent = producer.send(Message::builder("T", "x").key("k").build()).unwrap();
    producer.send_oneway(Message::new("T", "x")).unwrap();
    producer.prepare(Message::new("T", "x")).submit().unwrap().wait().unwrap();
    producer.send_batch(vec![Message::new("T", "x"), Message::new("T", "y")]).unwrap();
    let consumer = client.pull_consumer("takers").start().unwrap();
    let found = consumer.pull(sent.queue(), sent.queue_offset()).unwrap();
    assert_eq!((found.status(), found.messages()[0].queue()), (PullStatus::Found, sent.queue()));
    consumer.commit_offset(sent.queue(), 1).unwrap();
    assert_eq!(consumer.committed_offset(sent.queue()).unwrap(), Some(1));
    let viewed = client.view_message(sent.offset_message_id()).unwrap().unwrap();
    assert_eq!(viewed.queue(), sent.queue(), "its broker is known although it was asked elsewhere");
    assert_eq!(client.query_messages("T", "k", 8, ..).unwrap().messages.len(), 1);
    client.create_topic("TBW102", "New", 1).unwrap();
    let broker = cluster.broker("broker-a");
    eventually(PATIENCE, || match (broker.producers("makers").len(), broker.consumers("takers").len()) {
        (1, 1) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    for code in [
        RequestCode::SEND_MESSAGE_V2,
        RequestCode::SEND_BATCH_MESSAGE,
        RequestCode::UPDATE_CONSUMER_OFFSET,
        RequestCode::QUERY_CONSUMER_OFFSET,
        RequestCode::VIEW_MESSAGE_BY_ID,
        RequestCode::QUERY_MESSAGE,
        RequestCode::UPDATE_AND_CREATE_TOPIC,
    ] {
        assert_eq!(asked(&cluster, code), ["broker-a/vip"], "{code}");
    }
    assert_eq!(asked(&cluster, RequestCode::PULL_MESSAGE), ["broker-a"]);
    let heartbeats = asked(&cluster, RequestCode::HEART_BEAT);
    assert!(heartbeats.iter().all(|server| !server.ends_with("/vip")), "{heartbeats:?}");
}

#[test]
fn without_it_the_second_port_is_left_alone() {
    let cluster = cluster();
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    client.producer("makers").start().unwrap().send(Message::new("T", "x")).unwrap();
    assert_eq!(asked(&cluster, RequestCode::SEND_MESSAGE_V2), ["broker-a"]);
}

#[test]
fn errors_show_the_address_that_was_dialled_and_the_map_is_asked_for_both() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let broker = cluster.broker("broker-a").addr();
    let second = format!("{}:{}", broker.ip(), broker.port() - 2);
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let (seen, refused) = (asked.clone(), second.clone());
    let map = move |addr: &str| {
        seen.lock().unwrap().push(addr.to_owned());
        if addr == refused { NOWHERE.to_owned() } else { addr.to_owned() }
    };
    let builder = client_builder().name_servers(cluster.name_server()).vip_channel(true).address_map(map);
    let client = builder.build().unwrap();
    let producer = client.producer("makers").retries(0).timeout(Duration::from_secs(1)).start().unwrap();
    let failed = producer.send(Message::new("T", "x")).unwrap_err().error;
    assert!(matches!(&failed, Error::Connect { addr, .. } if **addr == *NOWHERE), "{failed}");
    let asked = asked.lock().unwrap();
    assert!(asked.contains(&broker.to_string()) && asked.contains(&second), "{asked:?}");
}

#[test]
fn a_second_port_that_is_mapped_by_itself_is_reached() {
    let cluster = cluster();
    let broker = cluster.broker("broker-a").addr();
    let second = format!("{}:{}", broker.ip(), broker.port() - 2);
    let (shown, real) = (second.clone(), second.replace("127.0.0.1", "localhost"));
    let map = move |addr: &str| if addr == shown { real.clone() } else { addr.to_owned() };
    let builder = client_builder().name_servers(cluster.name_server()).vip_channel(true).address_map(map);
    let client = builder.build().unwrap();
    client.producer("makers").start().unwrap().send(Message::new("T", "x")).unwrap();
    assert_eq!(asked(&cluster, RequestCode::SEND_MESSAGE_V2), ["broker-a/vip"]);
}

#[test]
fn connections_to_second_ports_outlive_the_upkeep_of_routes() {
    let cluster = cluster();
    let interval = Duration::from_millis(20);
    let builder = client_builder().name_servers(cluster.name_server()).vip_channel(true);
    let client = builder.heartbeat_interval(interval).route_interval(interval).build().unwrap();
    let producer = client.producer("makers").start().unwrap();
    producer.send(Message::new("T", "x")).unwrap();
    let beats = || cluster.requests().iter().filter(|one| one.code == RequestCode::HEART_BEAT).count();
    let before = beats();
    eventually(PATIENCE, || if beats() > before + 10 { Ok(()) } else { Err("waiting for heartbeats") });
    producer.send(Message::new("T", "x")).unwrap();
    let mut clients: Vec<_> = cluster
        .requests()
        .iter()
        .filter(|one| one.code == RequestCode::SEND_MESSAGE_V2)
        .map(|one| one.client)
        .collect();
    clients.dedup();
    assert_eq!(clients.len(), 1, "both sends took the same connection");
}

#[test]
fn a_broker_that_restarts_comes_back_at_both_ports() {
    let cluster = cluster();
    let client = client_builder().name_servers(cluster.name_server()).vip_channel(true).build().unwrap();
    let producer = client.producer("makers").timeout(PATIENCE).start().unwrap();
    producer.send(Message::new("T", "x")).unwrap();
    cluster.broker("broker-a").kill();
    assert!(producer.prepare(Message::new("T", "x")).timeout(Duration::from_millis(300)).send().is_err());
    cluster.broker("broker-a").restart().unwrap();
    eventually(PATIENCE, || producer.send(Message::new("T", "x")).map_err(|failed| failed.to_string()));
}

/// Apache's brokers listen there by default; the embedded ones of the suite do not, and have a cluster here.
#[test]
fn a_whole_round_works_over_the_second_port() {
    let mut scene = Scene::with_queues(2);
    let own = scene.cluster.is_embedded().then(|| Cluster::builder().brokers(2).vip_channel(true).start().unwrap());
    let builder = match &own {
        Some(own) => client_builder().name_servers(own.name_server()),
        None => scene.cluster.builder(),
    };
    scene.client = builder.vip_channel(true).build().unwrap();
    if own.is_some() {
        scene.create_topic(2);
    }
    let (producer, consumer, queue) = (scene.producer(), scene.consumer(), scene.queue());
    let message = Message::builder(&*scene.topic, "x").key(unique("key")).build();
    let sent = producer.prepare(message.clone()).queue(&queue).send().unwrap();
    producer.prepare_batch(vec![message.clone(), message.clone()]).queue(&queue).send().unwrap();
    producer.prepare(message.clone()).queue(&queue).submit().unwrap().wait().unwrap();
    producer.prepare(message).queue(&queue).send_oneway().unwrap();
    scene.arrived_in(&queue, 5);
    let held = consumer.prepare_pull(&queue, 5).wait(Duration::from_millis(200)).fetch().unwrap();
    assert_eq!(held.status(), PullStatus::NoNewMessage);
    consumer.commit_offset(&queue, 5).unwrap();
    assert_eq!(consumer.committed_offset(&queue).unwrap(), Some(5));
    assert!(scene.client.view_message(sent.offset_message_id()).unwrap().is_some());
}
