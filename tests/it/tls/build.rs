//! What is wrong with the settings is said when the client is built.

use rocketmq_blocking::embedded::{Cluster, ServerTls};
use rocketmq_blocking::{Error, Message, Tls};

use super::site::{pem, server_tls, tls};
use crate::support::{NOWHERE, PATIENCE, client_builder, eventually, trace_log::warnings, unique};

fn path(name: &str) -> String {
    format!("{}/tests/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_file_that_is_missing_or_holds_something_else_is_named() {
    let (cert, key, readme) = (path("client.pem"), path("client.key"), path("make"));
    let cases = [
        (Tls::new().roots_file("/no/such.pem"), ["/no/such.pem", "cannot be read"]),
        (Tls::new().roots_file(&readme), [&*readme, "no certificate"]),
        (tls().identity_files("/no/such.pem", &key), ["/no/such.pem", "cannot be read"]),
        (tls().identity_files(&cert, &cert), ["client.pem", "no private key"]),
        (tls().identity_files(&key, &key), ["client.key", "no certificate"]),
        (tls().identity_files(&cert, path("server.key")), ["server.key", "identity cannot be used"]),
        (tls().identity_pem(pem!("client.pem"), "hush"), ["the key of identity_pem", "no private key"]),
        (Tls::new().roots_pem("hush"), ["roots_pem", "no certificate"]),
        (tls().server_name("a b"), ["server_name", "a b"]),
    ];
    for (tls, parts) in cases {
        let error = client_builder().name_servers(NOWHERE).tls(tls).build().unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
        assert!(parts.iter().all(|part| text.contains(part)) && !text.contains("hush"), "{parts:?}: {text}");
    }
    client_builder().name_servers(NOWHERE).tls(tls().identity_files(&cert, &key)).build().unwrap();
    let wrong = Cluster::builder().tls(ServerTls::pem(pem!("server.pem"), pem!("client.key"))).start();
    assert!(matches!(wrong, Err(Error::Invalid { .. })), "{wrong:?}");
}

#[test]
fn keys_appear_in_no_text() {
    let tls = tls().identity_pem(pem!("client.pem"), pem!("client.key"));
    let builder = client_builder().name_servers(NOWHERE).tls(tls.clone());
    let client = builder.clone().build().unwrap();
    let server = ServerTls::pem(pem!("server.pem"), pem!("server.key"));
    let cluster = Cluster::builder().tls(server.clone());
    for text in [
        format!("{tls:?}"),
        format!("{builder:?}"),
        format!("{client:?}"),
        format!("{server:?}"),
        format!("{cluster:?}"),
    ] {
        assert!(!text.contains("PRIVATE") && !text.contains("45, 45, 45") && text.len() < 4000, "{text}");
    }
}

#[test]
fn one_identity_means_one_trust() {
    let build = |name: &str, tls| client_builder().name_servers(NOWHERE).instance_name(name).tls(tls).build();
    let name = unique("tls");
    let first = build(&name, tls()).unwrap();
    let same = build(&name, tls()).unwrap();
    assert_eq!(first.client_id(), same.client_id());
    for other in [tls().server_name("localhost"), Tls::new().insecure_accept_any_server()] {
        let refused = build(&name, other).unwrap_err();
        assert!(refused.to_string().contains("tls"), "{refused}");
    }
    let plain = client_builder().name_servers(NOWHERE).instance_name(&*name).build().unwrap_err();
    assert!(plain.to_string().contains("tls"), "{plain}");
}

#[test]
fn the_insecure_mode_is_warned_of_once_by_each_client_however_many_connections_it_makes() {
    let cluster = Cluster::builder().brokers(2).tls(server_tls()).topic("T", 1).start().unwrap();
    let _ = client_builder();
    let build = |name: &str| {
        let insecure = Tls::new().insecure_accept_any_server();
        let builder = client_builder().name_servers(cluster.name_server()).instance_name(name).tls(insecure);
        builder.build().unwrap()
    };
    let names = [unique("tls"), unique("tls")];
    for name in &names {
        let client = build(name);
        let producer = client.producer(unique("tls")).start().unwrap();
        (0..4).for_each(|_| drop(producer.send(Message::new("T", "x")).unwrap()));
        cluster.broker("broker-a").kill();
        cluster.broker("broker-a").restart().unwrap();
        eventually(PATIENCE, || {
            producer.send(Message::new("T", "x")).map_err(|failed| failed.error.to_string())?;
            if client.stats().reconnects > 0 { Ok(()) } else { Err("no second connection".to_owned()) }
        });
        // A second handle of the same client is no second client.
        drop(build(name));
        let warned = warnings(name);
        assert!(warned.len() == 1 && warned[0].contains("accepts any server's certificate"), "{warned:?}");
    }
}
