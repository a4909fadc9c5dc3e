mod password;
mod rule;
mod user;

use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Output;

/// Show and change who may do what (ACL 2.0: brokers 5.3 and later).
///
/// Each broker keeps its own users and rules; these commands ask all. Changes take some seconds to act.
#[derive(Debug, Subcommand)]
pub(crate) enum Acl {
    #[command(subcommand)]
    User(user::UserCommand),
    #[command(subcommand)]
    Rule(rule::Rule),
}

impl Acl {
    pub(crate) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        match self {
            Acl::User(user) => user.run(output),
            Acl::Rule(rule) => rule.run(output),
        }
    }
}
