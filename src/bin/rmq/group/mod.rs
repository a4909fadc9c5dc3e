mod copy;
mod create;
mod delete;
mod list;
mod members;
mod mode;
mod progress;
mod reset;
mod show;
mod skip;
mod status;

use clap::Subcommand;
use rocketmq_blocking::Error;

use crate::failure::Failure;
use crate::output::Output;

/// Show consumer groups, change them, and move them.
#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    List(list::List),
    Show(show::Show),
    Create(create::Create),
    Change(create::Change),
    Delete(delete::Delete),
    Progress(progress::Progress),
    Members(members::Members),
    Member(status::Status),
    Reset(reset::Reset),
    Skip(skip::Skip),
    Clone(copy::Clone),
    Mode(mode::SetMode),
}

impl Group {
    pub(crate) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        match self {
            Group::List(list) => list.run(output),
            Group::Show(show) => show.run(output),
            Group::Create(create) => create.run(output),
            Group::Change(change) => change.run(output),
            Group::Delete(delete) => delete.run(output),
            Group::Progress(progress) => progress.run(output),
            Group::Members(members) => members.run(output),
            Group::Member(status) => status.run(output),
            Group::Reset(reset) => reset.run(output),
            Group::Skip(skip) => skip.run(output),
            Group::Clone(clone) => clone.run(output),
            Group::Mode(mode) => mode.run(output),
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
