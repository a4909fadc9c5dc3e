//! Where a client lets itself be led.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{Error, Message, Outcome};

use crate::support::client_builder;

use super::{assert_goes_on, builder, producer, with_route};

#[test]
fn no_connection_is_made_to_an_address_that_is_not_allowed() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let (name_server, asked) = (cluster.name_server().to_owned(), Arc::new(Mutex::new(Vec::new())));
    let (allowed, seen) = (name_server.clone(), asked.clone());
    let allows = move |name: &str, addr: SocketAddr| {
        seen.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_owned(), addr));
        name == allowed
    };
    let client = client_builder().name_servers(&name_server).allowed_addresses(allows).build().unwrap();
    let producer = producer(&client);
    let error = producer.send(Message::new("T", "x")).unwrap_err().error;
    assert!(matches!(&error, Error::AddressRefused { .. }), "{error:?}");
    assert!(error.to_string().contains("allowed_addresses"), "{error}");
    assert_eq!((error.outcome(), error.is_retryable()), (Outcome::NotSent, false));
    assert!(client.stats().addresses_refused >= 1);
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(asked.iter().any(|(name, addr)| *name != name_server && addr.to_string() == *name), "{asked:?}");
    assert_eq!(cluster.connections(), 1, "only the one to the name server");
}

#[test]
fn what_the_address_map_says_is_asked_for_too_and_names_by_what_stands_behind_them() {
    let server = with_route(|server| server.route(1).to_string().into_bytes());
    let port = server.addr.rsplit_once(':').unwrap().1.to_owned();
    let mapped = format!("localhost:{port}");
    let (own, target) = (server.addr.clone(), mapped.clone());
    let client = builder(&server)
        .address_map(move |_| target.clone())
        .allowed_addresses(move |name, addr| {
            name == own || (name == mapped && addr.ip() == IpAddr::from([10, 0, 0, 1]))
        })
        .build()
        .unwrap();
    let error = producer(&client).send(Message::new("T", "x")).unwrap_err().error;
    assert!(matches!(&error, Error::AddressRefused { addr, .. } if addr.starts_with("localhost:")), "{error:?}");
    let (own, port) = (server.addr.clone(), port.clone());
    let client = builder(&server)
        .address_map(move |_| format!("localhost:{port}"))
        .allowed_addresses(move |name, addr| name == own || addr.ip().is_loopback())
        .build()
        .unwrap();
    assert_goes_on(&producer(&client));
}

#[test]
fn a_producer_goes_on_to_a_broker_that_is_allowed() {
    let cluster = Cluster::builder().brokers(2).topic("T", 1).start().unwrap();
    let refused = cluster.broker("broker-a").addr().to_string();
    let client = client_builder().name_servers(cluster.name_server()).allowed_addresses(move |name, _| name != refused);
    let producer = client.build().unwrap().producer("p").start().unwrap();
    for _ in 0..6 {
        assert_eq!(producer.send(Message::new("T", "x")).unwrap().queue().broker_name(), "broker-b");
    }
}

#[test]
fn name_servers_have_to_be_allowed_as_well_and_a_panic_refuses() {
    let cluster = Cluster::start().unwrap();
    let client = client_builder()
        .name_servers(cluster.name_server())
        .allowed_addresses(|_, _| std::panic::resume_unwind(Box::new("of the closure")))
        .build()
        .unwrap();
    let error = client.publish_queues("T").unwrap_err();
    assert!(matches!(error, Error::AddressRefused { .. }), "{error:?}");
    assert_eq!(cluster.connections(), 0);
}

#[test]
fn connections_are_bounded() {
    let cluster = Cluster::builder().brokers(3).topic("T", 1).start().unwrap();
    let client = client_builder().name_servers(cluster.name_server()).connection_limit(2).build().unwrap();
    let producer = client.producer("p").timeout(Duration::from_secs(1)).start().unwrap();
    let ends: Vec<_> = (0..6).map(|_| producer.send(Message::new("T", "x")).map_err(|failed| failed.error)).collect();
    assert!(ends.iter().any(|end| matches!(end, Err(Error::Busy { .. }))), "{ends:?}");
    assert!(ends.iter().any(Result::is_ok), "{ends:?}");
    let stats = client.stats();
    assert!(stats.connections.len() <= 2 && stats.connections_refused >= 1, "{stats}");
}
