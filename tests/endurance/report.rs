//! The report that is kept: one section for each version of the server.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use crate::faults::Fault;
use crate::ledger::{End, GROUPS, Ledger};
use crate::meter::{Line, NAMES, VALUES};

/// What one fault came to, in milliseconds.
#[derive(Debug, Clone)]
pub(crate) struct Passed {
    pub(crate) fault: Fault,
    /// From the first sign to the last server being back.
    pub(crate) down: u64,
    /// The longest time without a success of any thread that may send anywhere, from the fault to the recovery.
    pub(crate) sends: u64,
    /// From the servers being back to a message stored in each of their queues.
    pub(crate) stored: u64,
    /// From the servers being back to each of their queues being consumed, by group.
    pub(crate) consumed: [u64; 2],
}

pub(crate) struct Run<'a> {
    pub(crate) seconds: u64,
    pub(crate) interval: u64,
    pub(crate) passed: &'a [Passed],
    pub(crate) ledger: &'a Ledger,
    pub(crate) lines: [Line; VALUES],
    pub(crate) complaints: usize,
}

fn seconds(millis: u64) -> String {
    format!("{:.1}", millis as f64 / 1000.0)
}

/// The middle and the largest of some times, in seconds.
fn middle_and_most(mut times: Vec<u64>) -> String {
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or(0);
    format!("{} / {}", seconds(middle), seconds(times.last().copied().unwrap_or(0)))
}

/// The version of the server that is under test.
fn version() -> String {
    std::env::var("ROCKETMQ_LIVE_VERSION").unwrap_or_else(|_| "unknown".to_owned())
}

fn today() -> String {
    let date = Command::new("date").args(["-u", "+%Y-%m-%d"]).output().expect("there is a date");
    String::from_utf8_lossy(&date.stdout).trim().to_owned()
}

impl Run<'_> {
    pub(crate) fn text(&self) -> String {
        let mut text = format!("## Apache RocketMQ {}\n\n", version());
        let _ = writeln!(
            text,
            "{}, crate {}: {} s, {} faults, one every {} s or as soon as the one before was over.\n",
            today(),
            env!("CARGO_PKG_VERSION"),
            self.seconds,
            self.passed.len(),
            self.interval
        );
        text += "| fault | times | servers were away | sends stood still | stored again | consumed again, concurrent | consumed again, orderly |\n";
        text += "| --- | --- | --- | --- | --- | --- | --- |\n";
        for fault in Fault::ALL {
            let of_kind: Vec<&Passed> = self.passed.iter().filter(|passed| passed.fault == fault).collect();
            if of_kind.is_empty() {
                continue;
            }
            let cell = |of: &dyn Fn(&Passed) -> u64| middle_and_most(of_kind.iter().map(|passed| of(passed)).collect());
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} |",
                fault.describe(),
                of_kind.len(),
                cell(&|passed| passed.down),
                cell(&|passed| passed.sends),
                cell(&|passed| passed.stored),
                cell(&|passed| passed.consumed[0]),
                cell(&|passed| passed.consumed[1])
            );
        }
        text += "\n| how sends ended | messages |\n| --- | --- |\n";
        for end in End::ALL.into_iter().filter(|end| *end != End::Open) {
            let name = match end {
                End::Open => "open",
                End::Acknowledged => "acknowledged",
                End::Twice => "acknowledged, perhaps stored twice",
                End::NotSent => "not sent",
                End::Rejected => "rejected",
                End::Unknown => "unknown",
                End::Oneway => "oneway, written",
            };
            let _ = writeln!(text, "| {name} | {} |", self.ledger.count(end));
        }
        let lost = [0, 1].map(|group| self.ledger.missing(group));
        let _ = writeln!(
            text,
            "\nLost: {} of group {}, {} of group {}. Stored more than once: {}. Delivered again: {} to {}, {} to {}. Out of \
             order or otherwise wrong: {}.\n",
            lost[0],
            GROUPS[0],
            lost[1],
            GROUPS[1],
            self.ledger.duplicates(),
            self.ledger.repeated(0),
            GROUPS[0],
            self.ledger.repeated(1),
            GROUPS[1],
            self.complaints
        );
        text += "| the process, between faults | at the begin | at the end |\n| --- | --- | --- |\n";
        for (name, line) in NAMES.iter().zip(self.lines) {
            let bytes = name.starts_with("memory");
            let value = |value: f64| match bytes {
                true => format!("{:.1} MiB", value / f64::from(1 << 20)),
                false => format!("{value:.1}"),
            };
            let _ = writeln!(text, "| {name} | {} | {} |", value(line.begin), value(line.end));
        }
        text
    }
}

const HEAD: &str = "# Long faults on Apache's server

What `tests/live/run --long` has measured: two masters and a third with a slave, 16 threads that send (synchronous,
asynchronous and oneway; six of them keep an order by key), a concurrent and an orderly group of three members each, all behind
a network that the test can silence and cut. Times are in seconds, the middle and the longest of each kind of fault. Sends
stand still as long as a thread that may send to any broker has no success; *again* counts from the moment at which the
servers are back, and to the last of their queues.

A run fails when a message that was acknowledged is missing, when one that was called not sent or rejected is there, when an
order is broken, when a queue is not consumed again within ten seconds, when there are more threads or sockets at the end than
before the first fault, or when a line through the samples rises by more than a tenth (of what the process has from the
system: a quarter, for connections that come and go leave gaps there; what is allocated is counted by itself).

This file is written by the test: `tests/live/run --long` replaces the section of each version it runs.
";

/// Replaces the section of this version in the report.
pub(crate) fn keep(path: &str, section: &str) {
    let old = fs::read_to_string(path).unwrap_or_default();
    let own = format!("Apache RocketMQ {}\n", version());
    let sections =
        old.split("\n## ").skip(1).filter(|other| !other.starts_with(&own)).map(|other| format!("## {other}"));
    let mut sections: Vec<String> = sections.chain([section.to_owned()]).map(|one| one.trim_end().to_owned()).collect();
    sections.sort_by(|one, other| other.lines().next().cmp(&one.lines().next()));
    fs::write(path, format!("{HEAD}\n{}\n", sections.join("\n\n"))).expect("the report can be written");
}
