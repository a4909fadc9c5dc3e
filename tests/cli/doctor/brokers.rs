use std::time::Duration;

use rocketmq_blocking::embedded::{Cluster, Fault};
use rocketmq_blocking::{Error, Message, RequestCode, ResponseCode};

use super::{client, doctor};

#[test]
fn an_advertised_address_that_leads_nowhere_comes_with_the_map_that_helps() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let broker = cluster.broker("broker-a");
    // Reserved for documentation: nobody is there.
    let (advertised, real) = (format!("192.0.2.1:{}", broker.addr().port()), broker.addr());
    broker.advertise(advertised.as_str());
    let lost = doctor(cluster.name_server(), &["--topic", "T"]);
    let map = format!("{advertised}={real}");
    lost.failed("broker-address", &format!("it is at {advertised}; connecting "), &format!("--address-map {map}"));
    lost.failed("broker-address", "", "brokerIP1");
    lost.failed("send", "192.0.2.1", "broker's address above");
    doctor(cluster.name_server(), &["--topic", "T", "--address-map", &map]).healthy();
    let wrong = doctor(cluster.name_server(), &["--address-map", &format!("{advertised}=127.0.0.1:1")]);
    wrong.failed("broker-address", &format!("127.0.0.1:1 (advertised as {advertised})"), &format!("answers at {real}"));
}

#[test]
fn a_broker_that_hangs_or_is_gone_is_told_from_one_that_cannot_be_reached() {
    let cluster = Cluster::start().unwrap();
    let broker = cluster.broker("broker-a");
    broker.stop_reading();
    doctor(cluster.name_server(), &[]).failed("broker-address", "does not answer", "hangs");
    broker.resume_reading();
    broker.kill();
    broker.registered(true);
    doctor(cluster.name_server(), &[]).failed("broker-address", "connecting was refused", "brokerIP1");
}

#[test]
fn a_clock_that_differs_is_found_in_either_direction() {
    let cluster = Cluster::start().unwrap();
    let broker = cluster.broker("broker-a");
    broker.clock_ahead(Duration::from_secs(60));
    let ahead = doctor(cluster.name_server(), &[]);
    ahead.failed("clock", "s ahead of the clock of this machine", "NTP");
    ahead.failed("clock", "", "messages to be delivered at a time");
    broker.clock_behind(Duration::from_secs(3600));
    doctor(cluster.name_server(), &[]).failed("clock", "min", "NTP");
    broker.clock_behind(Duration::from_millis(4500));
    doctor(cluster.name_server(), &[]).warned("clock", "behind the clock of this machine", "NTP");
    broker.clock_ahead(Duration::ZERO);
    doctor(cluster.name_server(), &[]).healthy();
}

#[test]
fn a_disk_that_fills_is_a_warning_and_a_full_one_fails() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let broker = cluster.broker("broker-a");
    broker.disk_usage(0.87);
    doctor(cluster.name_server(), &[]).warned("broker-disk", "87 % full", "fileReservedTime");
    broker.disk_usage(0.95);
    doctor(cluster.name_server(), &[]).failed("broker-disk", "95 % full", "make room");
    let client = client(&cluster);
    let producer = client.producer("P").retries(0).start().unwrap();
    let refused = Error::from(producer.send(Message::new("T", "x")).unwrap_err());
    assert_eq!(refused.code(), Some(ResponseCode::SERVICE_NOT_AVAILABLE), "as the doctor says: {refused}");
}

#[test]
fn a_master_that_is_down_is_missed() {
    let cluster = Cluster::builder().slaves(1).topic("T", 1).start().unwrap();
    cluster.broker("broker-a").kill();
    let down = doctor(cluster.name_server(), &["--topic", "T"]);
    down.failed("master", "its master is not known", "start the master");
    down.warned("topic-master", "only a slave there", "master");
}

#[test]
fn a_slave_that_is_behind_is_found() {
    let cluster = Cluster::builder().slaves(1).topic("T", 1).start().unwrap();
    let client = client(&cluster);
    client.producer("P").start().unwrap().send(Message::new("T", "x".repeat(1000))).unwrap();
    doctor(cluster.name_server(), &[]).healthy();
    cluster.slave("broker-a", 1).lacks(500);
    let behind = doctor(cluster.name_server(), &[]);
    behind.warned("slave-behind", "lacks 500 bytes of what its master had", "HA");
}

#[test]
fn an_old_broker_fails_only_when_pop_is_wanted() {
    let cluster = Cluster::builder().pop(false).start().unwrap();
    doctor(cluster.name_server(), &[]).healthy();
    doctor(cluster.name_server(), &["--pop"]).failed("pop", "its version is 4.9.7", "5.0 or later");
}

#[cfg(feature = "acl")]
#[test]
fn keys_that_are_refused_are_named_and_the_secret_is_not() {
    let cluster = Cluster::builder().credentials("who", "hush-hush").topic("T", 1).start().unwrap();
    let keys = |access: &str, secret: &str| {
        let more = ["--topic", "T", "--access-key", access, "--secret-key", secret];
        let people = super::run_doctor(cluster.name_server(), &more);
        assert!(
            !people.stdout.contains("hush") && !people.stderr.contains("hush"),
            "{}{}",
            people.stdout,
            people.stderr
        );
        doctor(cluster.name_server(), &more)
    };
    keys("who", "hush-hush").healthy();
    keys("who", "hush-wrong").failed("broker-state", "signature", "the access key who (from the arguments)");
    keys("other", "hush-hush").failed("send", "User:other is not found", "does not know");
    let none = doctor(cluster.name_server(), &["--topic", "T"]);
    none.failed("broker-state", "username cannot be null", "--credentials-file");
}

#[test]
fn a_missing_right_says_which_and_operators_questions_are_not_needed() {
    let cluster = Cluster::builder().topic("T", 1).start().unwrap();
    let refuse = |right: &'static str| Fault::error(ResponseCode::NO_PERMISSION, right);
    let broker = cluster.broker("broker-a");
    let right = "User:who has no permission to access Cluster:DefaultCluster from 127.0.0.1, no matched policies.";
    let injected = broker.fault(refuse(right).on(RequestCode::GET_BROKER_RUNTIME_INFO));
    let found = doctor(cluster.name_server(), &["--topic", "T"]);
    found.healthy();
    found.find("broker-state", "skipped");
    injected.remove();
    let right = "User:who has no permission to access Topic:T from 127.0.0.1, no matched policies.";
    broker.fault(refuse(right).on(RequestCode::SEND_MESSAGE));
    doctor(cluster.name_server(), &["--topic", "T"]).failed("send", "Topic:T", "lacks this right");
}
