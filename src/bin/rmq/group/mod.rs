mod members;
mod progress;
mod reset;

use clap::Subcommand;
use rocketmq_blocking::{Attempt, Error};

use crate::failure::{Failure, complain, explain};
use crate::output::Output;

/// Show consumer groups, and move them.
#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    Progress(progress::Progress),
    Members(members::Members),
    Reset(reset::Reset),
}

impl Group {
    pub(crate) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        match self {
            Group::Progress(progress) => progress.run(output),
            Group::Members(members) => members.run(output),
            Group::Reset(reset) => reset.run(output),
        }
    }
}

/// Brokers make a topic for each group when its first consumer comes.
fn unless_unknown(group: &str, error: Error) -> Failure {
    match error {
        Error::NoRoute { topic, .. } if *topic == *format!("%RETRY%{group}") => {
            Failure::Failed(format!("no broker knows group {group}: no consumer of it has come so far"))
        }
        error => error.into(),
    }
}

/// Says which brokers could not be asked; the exit status is then 1.
fn told(failures: &[Attempt]) -> Result<(), Failure> {
    for attempt in failures {
        complain(&format!("{} could not be asked: {}", attempt.broker_name, explain(&attempt.error)));
    }
    if failures.is_empty() { Ok(()) } else { Err(Failure::Reported) }
}
