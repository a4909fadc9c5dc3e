//! `rmq doctor` finds what is wrong, and says what to do: each failure is made on the embedded cluster of this process.

mod brokers;
mod groups;
mod name_servers;
mod tls;
mod topics;

use std::time::Duration;

use rocketmq_blocking::Client;
use rocketmq_blocking::embedded::Cluster;
use serde_json::Value;

use crate::program::{Ended, Running, rmq};

/// What the doctor said.
pub(crate) struct Findings {
    status: Option<i32>,
    checks: Vec<Value>,
}

impl Findings {
    /// The first check of a kind that ended so.
    pub(crate) fn find(&self, check: &str, verdict: &str) -> &Value {
        let found = self.checks.iter().find(|one| one["check"] == check && one["verdict"] == verdict);
        found.unwrap_or_else(|| panic!("no {check} is {verdict} in {:#?}", self.checks))
    }

    /// A check that failed, what it must say of what was found, and what to do. The exit status is 1 then.
    pub(crate) fn failed(&self, check: &str, found: &str, advice: &str) {
        assert_eq!(self.status, Some(1), "{:#?}", self.checks);
        says(self.find(check, "failed"), found, advice);
    }

    /// As [`failed`](Findings::failed), of what works for now.
    pub(crate) fn warned(&self, check: &str, found: &str, advice: &str) {
        says(self.find(check, "warning"), found, advice);
    }

    /// Nothing failed, and nothing is to be looked at.
    pub(crate) fn healthy(&self) {
        let wrong: Vec<&Value> =
            self.checks.iter().filter(|one| one["verdict"] == "failed" || one["verdict"] == "warning").collect();
        assert!(wrong.is_empty() && self.status == Some(0), "{wrong:#?}");
    }
}

fn says(check: &Value, found: &str, advice: &str) {
    let told: Vec<&str> = check["advice"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(check["found"].as_str().is_some_and(|text| text.contains(found)), "{found:?} in {check:#}");
    assert!(told.join("\n").contains(advice), "{advice:?} in {check:#}");
}

pub(crate) fn run_doctor(name_servers: &str, more: &[&str]) -> Ended {
    let doctor = ["doctor", "-n", name_servers, "--timeout", "2s", "--watch", "500ms"];
    Running::start(rmq(&[&doctor[..], more].concat())).end()
}

pub(crate) fn doctor(name_servers: &str, more: &[&str]) -> Findings {
    let ended = run_doctor(name_servers, &[more, &["--json"]].concat());
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let checks: Vec<Value> = ended.stdout.lines().map(parse).collect();
    assert_eq!(checks.last().map(|last| &last["check"]), Some(&"summary".into()), "{}", ended.stderr);
    Findings { status: ended.status, checks }
}

/// A client with short intervals.
pub(crate) fn client(cluster: &Cluster) -> Client {
    let builder = Client::builder().name_servers(cluster.name_server());
    let interval = Duration::from_millis(200);
    builder.heartbeat_interval(interval).route_interval(interval).connect().expect("the cluster answers")
}

#[test]
fn a_healthy_cluster_passes_and_every_check_is_a_line() {
    let cluster = Cluster::builder().brokers(2).slaves(1).topic("T", 2).start().unwrap();
    doctor(cluster.name_server(), &["--topic", "T", "--pop"]).healthy();
    let people = run_doctor(cluster.name_server(), &["--topic", "T"]);
    assert_eq!((people.status, people.stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> = people.stdout.lines().collect();
    assert!(lines[0].starts_with("ok       name server 127.0.0.1:"), "{}", people.stdout);
    assert!(lines.iter().all(|line| line.is_empty() || !line.starts_with("FAILED")), "{}", people.stdout);
    assert!(lines.last().is_some_and(|last| last.contains("checks: ") && last.contains(" ok")), "{}", people.stdout);
    assert!(
        people.stdout.contains("sending to T on broker-b: was tried without changing anything"),
        "{}",
        people.stdout
    );
    assert_eq!(cluster.stored_count("T"), 0, "it changes nothing");
}
