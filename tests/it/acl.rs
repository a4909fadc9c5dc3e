//! Signed requests: accepted, and refused in ways that can be told apart.

mod renewal;
mod rights;

use std::sync::OnceLock;

use rocketmq_blocking::embedded::{Cluster, User};
use rocketmq_blocking::{Client, Credentials, Error, Message, Outcome, Producer, RequestCode, ResponseCode};

use crate::support::{Feature, PATIENCE, eventually, live_variable, supports, trace_log, unique};

/// A cluster that checks signatures and rights, and the users it knows.
struct Guarded {
    name_server: String,
    access_key: String,
    secret_key: String,
    /// May do nothing.
    denied: Credentials,
    /// May send to topics, and nothing else.
    sender: Credentials,
    /// May use topics, but no group.
    groupless: Credentials,
    /// Refuses as brokers before 5.3 do.
    is_old: bool,
}

fn guarded() -> &'static Guarded {
    static GUARDED: OnceLock<Guarded> = OnceLock::new();
    GUARDED.get_or_init(|| live_admin().unwrap_or_else(|| embedded(false)))
}

/// Runs a test against Apache's server, or against both generations as the embedded cluster knows them.
fn each_guarded(test: impl Fn(&Guarded)) {
    test(guarded());
    if live_variable("NAME_SERVER").is_none() {
        test(&embedded(true));
    }
}

fn live_admin() -> Option<Guarded> {
    live_variable("NAME_SERVER")?;
    let needed = |name: &str| {
        let name = format!("ACL_{name}");
        live_variable(&name).unwrap_or_else(|| panic!("the live tier must set ROCKETMQ_LIVE_{name}"))
    };
    let user =
        |name: &str| Credentials::new(needed(&format!("{name}_ACCESS_KEY")), needed(&format!("{name}_SECRET_KEY")));
    trace_log::start();
    Some(Guarded {
        name_server: needed("NAME_SERVER"),
        access_key: needed("ACCESS_KEY"),
        secret_key: needed("SECRET_KEY"),
        denied: user("DENIED"),
        sender: user("SENDER"),
        groupless: user("GROUPLESS"),
        is_old: !supports(Feature::Users),
    })
}

fn embedded(old: bool) -> Guarded {
    trace_log::start();
    let secret = |name: &str| format!("{}-{name}", trace_log::SECRET);
    let user = |name: &str| User::new(name, secret(name));
    let cluster = Cluster::builder()
        .old_access_control(old)
        .user(user("it-access").administrator())
        .user(user("it-denied"))
        .user(user("it-sender").sends())
        .user(user("it-groupless").sends().receives())
        .start()
        .unwrap();
    let name_server = cluster.name_server().to_owned();
    // It lives as long as the process.
    std::mem::forget(cluster);
    let known = |name: &str| Credentials::new(name, secret(name));
    Guarded {
        name_server,
        access_key: "it-access".into(),
        secret_key: secret("it-access"),
        denied: known("it-denied"),
        sender: known("it-sender"),
        groupless: known("it-groupless"),
        is_old: old,
    }
}

impl Guarded {
    fn client(&self, credentials: Option<Credentials>) -> Client {
        let builder = Client::builder().name_servers(&self.name_server);
        match credentials {
            Some(credentials) => builder.credentials(credentials),
            None => builder,
        }
        .build()
        .unwrap()
    }

    fn known(&self) -> Credentials {
        Credentials::new(&*self.access_key, &*self.secret_key)
    }
}

fn producer(credentials: Option<Credentials>) -> Producer {
    guarded().client(credentials).producer(unique("acl")).start().unwrap()
}

/// Brokers refuse with code 16 since 5.3, and with code 1 and an `AclException` before.
#[track_caller]
fn assert_refused(error: &Error) {
    let Error::Rejected { code, remark, .. } = error else { panic!("not a single refusal: {error}") };
    let typed = *code == ResponseCode::NO_PERMISSION
        || (*code == ResponseCode::SYSTEM_ERROR && remark.contains("AclException"));
    assert!(typed && error.is_refused(), "{error}");
    assert_eq!((error.outcome(), error.is_retryable()), (Outcome::Rejected, false), "{error}");
}

#[test]
fn signed_requests_are_accepted_for_everything() {
    let client = guarded().client(Some(guarded().known().channel("ALIYUN")));
    let (topic, group) = (unique("topic"), unique("group"));
    client.create_topic("TBW102", &topic, 2).unwrap();
    let queues = eventually(PATIENCE, || client.publish_queues(&topic));
    let producer = client.producer(&*group).start().unwrap();
    let message = || Message::builder(&*topic, "signed 正文").tag("t").key("k").property("名", "值 😀").build();
    let sent = producer.prepare(message()).queue(&queues[0]).send().unwrap();
    producer.prepare_batch(vec![message(), message()]).queue(&queues[0]).send().unwrap();
    producer.prepare(message()).queue(&queues[0]).submit().unwrap().wait().unwrap();
    producer.prepare(message()).queue(&queues[0]).send_oneway().unwrap();
    let consumer = client.pull_consumer(&*group).start().unwrap();
    let found = eventually(PATIENCE, || {
        let found = consumer.prepare_pull(&queues[0], 0).filter("t").fetch().map_err(|error| error.to_string())?;
        if found.messages().len() == 5 { Ok(found) } else { Err(found.to_string()) }
    });
    assert!(found.messages().iter().all(|view| view.property("名") == Some("值 😀")));
    consumer.commit_offset(&queues[0], 5).unwrap();
    assert_eq!(consumer.committed_offset(&queues[0]).unwrap(), Some(5));
    assert_eq!(producer.max_offset(&queues[0]).unwrap(), 5);
    assert!(client.view_message(sent.offset_message_id()).unwrap().is_some());
    eventually(PATIENCE, || match client.query_messages(&topic, "k", 32, ..) {
        Ok(found) if found.messages.len() == 5 => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn namespaces_and_the_zone_are_part_of_what_is_signed() {
    let guarded = guarded();
    let space = unique("ns");
    let builder = || Client::builder().name_servers(&guarded.name_server).credentials(guarded.known());
    for builder in [
        builder().namespace(&*space),
        builder().namespace_v2("two"),
        builder().zone("zone-1", "only"),
        builder().namespace(&*space).namespace_v2("two").zone("zone-1", "only").binary_headers(true),
    ] {
        let client = builder.build().unwrap();
        let producer = client.producer(unique("acl")).timeout(PATIENCE).start().unwrap();
        let sent = producer.send(Message::new(unique("topic"), "x")).unwrap();
        let consumer = client.pull_consumer(unique("acl")).start().unwrap();
        // Name servers learn of a topic that a send has created a moment later.
        eventually(PATIENCE, || consumer.fetch_queues(sent.queue().topic()));
        consumer.commit_offset(sent.queue(), 1).unwrap();
        assert_eq!(consumer.committed_offset(sent.queue()).unwrap(), Some(1));
    }
}

#[test]
fn binary_headers_are_signed_too() {
    let guarded = guarded();
    let client = Client::builder()
        .name_servers(&guarded.name_server)
        .binary_headers(true)
        .credentials(guarded.known())
        .build()
        .unwrap();
    client.producer(unique("acl")).start().unwrap().send(Message::new(unique("topic"), "x")).unwrap();
}

#[test]
fn a_wrong_secret_an_unknown_user_and_no_credentials_are_refused() {
    let known = &*guarded().access_key;
    let topic = unique("topic");
    for credentials in [Some(Credentials::new(known, "wrong secret")), Some(Credentials::new("nobody", "knows")), None]
    {
        let producer = producer(credentials);
        assert_refused(&producer.send(Message::new(&*topic, "x")).unwrap_err().error);
        let pending = producer.prepare(Message::new(&*topic, "x")).submit().unwrap();
        assert_refused(&Error::from(pending.wait().unwrap_err()));
    }
}

#[test]
fn every_request_carries_access_key_signature_channel_and_token() {
    let cluster = Cluster::builder().credentials("access", "secret").topic("T", 1).start().unwrap();
    let credentials = Credentials::new("access", "secret").channel("ALIYUN").security_token("token");
    let client = Client::builder().name_servers(cluster.name_server()).credentials(credentials).connect().unwrap();
    client.producer(unique("acl")).start().unwrap().send(Message::new("T", "x")).unwrap();
    let requests = cluster.requests();
    assert!(requests.iter().any(|request| request.code == RequestCode::SEND_MESSAGE_V2));
    for request in requests {
        let field = |name| request.field(name).unwrap_or_else(|| panic!("{} has no {name}: {request:?}", request.code));
        assert_eq!((field("AccessKey"), field("OnsChannel"), field("SecurityToken")), ("access", "ALIYUN", "token"));
        assert_eq!(field("Signature").len(), 28, "{request:?}");
        assert!(request.fields.iter().all(|(_, value)| value != "secret"), "the secret never leaves");
    }
}

#[test]
fn blank_keys_are_refused_when_the_client_is_built() {
    for (access, secret) in [("", "s"), (" ", "s"), ("a", "")] {
        let built = Client::builder().name_servers("127.0.0.1:1").credentials(Credentials::new(access, secret)).build();
        assert!(matches!(built, Err(Error::Invalid { .. })), "{access:?} {secret:?}: {built:?}");
    }
}

#[test]
fn secrets_appear_in_no_text() {
    let credentials = Credentials::new("who", "hush-hush").security_token("hush-token");
    let builder = Client::builder().name_servers("127.0.0.1:1").credentials(credentials.clone());
    let client = builder.clone().build().unwrap();
    let producer = client.producer("it_secrets").start().unwrap();
    let failed = producer.send(Message::new("T", "x")).unwrap_err();
    for text in [
        format!("{credentials:?}"),
        format!("{builder:?}"),
        format!("{client:?}"),
        format!("{producer:?}"),
        format!("{failed:?} {failed}"),
    ] {
        assert!(!text.contains("hush"), "{text}");
    }
}
