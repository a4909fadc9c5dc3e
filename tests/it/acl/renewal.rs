//! Credentials that change while the client runs.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rocketmq_blocking::embedded::{Cluster, User};
use rocketmq_blocking::{Client, ClientBuilder, Credentials, Error, Message, Outcome, UserType};

use super::{assert_refused, live_admin};
use crate::support::{Feature, LONG, PATIENCE, eventually, supports, unique};

type Answer = Result<Credentials, Box<dyn std::error::Error + Send + Sync>>;

/// A vault with one secret.
#[derive(Clone)]
struct Vault {
    user: String,
    secret: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicUsize>,
}

impl Vault {
    fn new(user: &str, secret: &str) -> Vault {
        Vault { user: user.to_owned(), secret: Arc::new(Mutex::new(Some(secret.to_owned()))), asked: Arc::default() }
    }

    fn put(&self, secret: Option<&str>) {
        *self.secret.lock().unwrap_or_else(PoisonError::into_inner) = secret.map(str::to_owned);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn read(&self) -> Answer {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let secret = self.secret.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Credentials::new(&*self.user, secret.ok_or("the vault is sealed")?))
    }

    fn builder(&self, name_server: &str) -> ClientBuilder {
        let vault = self.clone();
        Client::builder().name_servers(name_server).credentials_provider(move || vault.read())
    }
}

fn user(secret: &str) -> User {
    User::new("u", secret).administrator()
}

fn cluster(secret: &str) -> Cluster {
    Cluster::builder().user(user(secret)).topic("T", 1).start().unwrap()
}

#[test]
fn after_a_secret_has_changed_sends_recover_without_a_restart() {
    let (cluster, vault) = (cluster("one"), Vault::new("u", "one"));
    let client = vault.builder(cluster.name_server()).build().unwrap();
    assert_eq!(vault.asked(), 0, "an unused client asks for nothing");
    let producer = client.producer("p").start().unwrap();
    producer.send(Message::new("T", "x")).unwrap();
    cluster.put_user(user("two")).unwrap();
    assert_refused(&producer.send(Message::new("T", "x")).unwrap_err().error);
    vault.put(Some("two"));
    let began = Instant::now();
    eventually(PATIENCE, || producer.send(Message::new("T", "x")).map_err(|failed| failed.error.to_string()));
    assert!(began.elapsed() < Duration::from_secs(5), "soon, not after the interval: {:?}", began.elapsed());
    assert!(vault.asked() <= 8, "asked at most once a second: {}", vault.asked());
}

#[test]
fn keys_are_renewed_by_time_and_the_last_good_ones_serve_while_that_fails() {
    let (cluster, vault) = (cluster("one"), Vault::new("u", "one"));
    let builder = vault.builder(cluster.name_server()).credentials_interval(Duration::from_millis(50));
    let client = builder.build().unwrap();
    let producer = client.producer("p").start().unwrap();
    producer.send(Message::new("T", "x")).unwrap();
    vault.put(None);
    let asked = vault.asked();
    eventually(PATIENCE, || if vault.asked() >= asked + 2 { Ok(()) } else { Err("not asked again") });
    producer.send(Message::new("T", "x")).unwrap();
    cluster.put_user(user("two")).unwrap();
    vault.put(Some("two"));
    eventually(PATIENCE, || producer.send(Message::new("T", "x")).map_err(|failed| failed.error.to_string()));
}

#[test]
fn without_any_keys_calls_fail_with_what_the_provider_says_and_recover() {
    let (cluster, vault) = (cluster("one"), Vault::new("u", "one"));
    vault.put(None);
    let client = vault.builder(cluster.name_server()).build().unwrap();
    let producer = client.producer("p").start().unwrap();
    let error = producer.send(Message::new("T", "x")).unwrap_err().error;
    assert!(matches!(&error, Error::Credentials { reason } if reason.contains("sealed")), "{error}");
    assert_eq!((error.outcome(), error.is_retryable()), (Outcome::NotSent, true));
    let pending = producer.prepare(Message::new("T", "x")).submit().unwrap().wait();
    assert!(matches!(Error::from(pending.unwrap_err()), Error::Credentials { .. }));
    vault.put(Some("one"));
    eventually(PATIENCE, || producer.send(Message::new("T", "x")).map_err(|failed| failed.error.to_string()));
}

#[test]
fn a_provider_that_panics_or_hangs_stops_neither_calls_nor_closing() {
    let cluster = cluster("one");
    let (panics, hangs) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let (panicking, hanging) = (panics.clone(), hangs.clone());
    let client = Client::builder()
        .name_servers(cluster.name_server())
        .credentials_interval(Duration::from_millis(50))
        .credentials_provider(move || {
            if panicking.load(Ordering::SeqCst) {
                std::panic::resume_unwind(Box::new("of the provider"));
            }
            if hanging.load(Ordering::SeqCst) {
                let _ = held.lock().unwrap_or_else(PoisonError::into_inner).recv();
            }
            Ok(Credentials::new("u", "one"))
        })
        .build()
        .unwrap();
    let producer = client.producer("p").start().unwrap();
    let error = producer.send(Message::new("T", "x")).unwrap_err().error;
    assert!(error.to_string().contains("panicked"), "{error}");
    panics.store(false, Ordering::SeqCst);
    eventually(PATIENCE, || producer.send(Message::new("T", "x")).map_err(|failed| failed.error.to_string()));
    hangs.store(true, Ordering::SeqCst);
    for _ in 0..50 {
        producer.send(Message::new("T", "x")).unwrap();
    }
    let began = Instant::now();
    client.close().unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drop(release);
}

#[test]
fn a_call_that_waits_for_the_first_keys_ends_at_its_deadline() {
    let cluster = cluster("one");
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let client = Client::builder()
        .name_servers(cluster.name_server())
        .credentials_provider(move || {
            let _ = held.lock().unwrap_or_else(PoisonError::into_inner).recv();
            Ok(Credentials::new("u", "one"))
        })
        .build()
        .unwrap();
    let producer = client.producer("p").timeout(Duration::from_millis(300)).start().unwrap();
    let began = Instant::now();
    let error = producer.send(Message::new("T", "x")).unwrap_err().error;
    assert!(error.is_timeout() && error.outcome() == Outcome::NotSent, "{error}");
    let pending = producer.prepare(Message::new("T", "x")).submit().unwrap().wait();
    assert!(Error::from(pending.unwrap_err()).is_timeout());
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    release.send(()).unwrap();
    eventually(PATIENCE, || producer.send(Message::new("T", "x")).map_err(|failed| failed.error.to_string()));
}

#[test]
fn sends_recover_after_apaches_broker_was_told_another_secret() {
    let Some(admin) = live_admin() else { return };
    if !supports(Feature::Users) {
        return;
    }
    let (name, topic) = (unique("user"), unique("topic"));
    let known = Credentials::new(&*admin.access_key, &*admin.secret_key);
    let operator = Client::builder().name_servers(&admin.name_server).credentials(known).build().unwrap().admin();
    let user = |secret: &str| rocketmq_blocking::User::new(&*name).password(secret).user_type(UserType::Super);
    operator.create_user(&user("first-secret")).unwrap();
    let vault = Vault::new(&name, "first-secret");
    let client = vault.builder(&admin.name_server).build().unwrap();
    let producer = client.producer(unique("acl")).start().unwrap();
    eventually(LONG, || producer.send(Message::new(&*topic, "x")).map_err(|failed| failed.error.to_string()));
    operator.change_user(&user("second-secret")).unwrap();
    let refused = eventually(LONG, || match producer.send(Message::new(&*topic, "x")) {
        Err(failed) if failed.error.is_refused() => Ok(failed.error),
        other => Err(format!("the broker still takes the old secret: {other:?}")),
    });
    assert!(refused.to_string().contains("the secret key is not the one"), "{refused}");
    vault.put(Some("second-secret"));
    eventually(LONG, || producer.send(Message::new(&*topic, "x")).map_err(|failed| failed.error.to_string()));
    operator.delete_user(&name).unwrap();
}
