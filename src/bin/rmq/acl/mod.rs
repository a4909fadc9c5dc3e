mod account;
mod password;
mod rule;
mod user;

use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Output;

/// Show and change who may do what: users and rules (ACL 2.0: brokers 5.3 and later), or accounts (ACL 1.0: brokers 4.x).
///
/// Each broker keeps its own; these commands ask all. Changes take some seconds to act.
#[derive(Debug, Subcommand)]
pub(crate) enum Acl {
    #[command(subcommand)]
    User(user::UserCommand),
    #[command(subcommand)]
    Rule(rule::Rule),
    #[command(subcommand)]
    Account(account::Account),
}

impl Acl {
    pub(crate) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        match self {
            Acl::User(user) => user.run(output),
            Acl::Rule(rule) => rule.run(output),
            Acl::Account(account) => account.run(output),
        }
    }
}
