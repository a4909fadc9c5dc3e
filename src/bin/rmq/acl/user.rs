use clap::{Args, Subcommand, ValueEnum};
use rocketmq_blocking::{OnBrokers, User, UserStatus, UserType};
use serde::Serialize;

use super::password::Password;
use crate::cluster::Cluster;
use crate::confirm::Confirm;
use crate::failure::{Failure, complain, told};
use crate::output::Output;
use crate::text;

/// Show and change users, whose names are access keys and whose passwords are secret keys.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    List(List),
    Show(Show),
    Create(Create),
    Change(Change),
    Delete(Delete),
}

/// List users.
///
/// A line has the name, the type, whether they may sign in, and the brokers that know them so. Passwords are never shown.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only users whose names contain this.
    #[arg(default_value = "")]
    filter: String,

    #[command(flatten)]
    cluster: Cluster,
}

/// Show a user.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Name.
    name: String,

    #[command(flatten)]
    cluster: Cluster,
}

/// Create a user.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Name.
    name: String,

    /// What they may do: all, or what rules allow.
    #[arg(long = "type", value_enum, value_name = "TYPE", default_value_t = Kind::Normal)]
    kind: Kind,

    #[command(flatten)]
    password: Password,

    #[command(flatten)]
    cluster: Cluster,
}

/// Change the password, the type or the status of a user.
#[derive(Debug, Args)]
pub(crate) struct Change {
    /// Name.
    name: String,

    /// What they may do.
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    kind: Option<Kind>,

    /// Whether they may sign in.
    #[arg(long, value_enum, value_name = "STATUS")]
    status: Option<Status>,

    #[command(flatten)]
    password: Password,

    #[command(flatten)]
    cluster: Cluster,
}

/// Delete a user, and their rules.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Name.
    name: String,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Super,
    Normal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Status {
    Enable,
    Disable,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    name: &'a str,
    user_type: Option<String>,
    status: Option<String>,
    brokers: Vec<&'a str>,
}

impl From<Kind> for UserType {
    fn from(kind: Kind) -> UserType {
        match kind {
            Kind::Super => UserType::Super,
            Kind::Normal => UserType::Normal,
        }
    }
}

impl From<Status> for UserStatus {
    fn from(status: Status) -> UserStatus {
        match status {
            Status::Enable => UserStatus::Enabled,
            Status::Disable => UserStatus::Disabled,
        }
    }
}

impl UserCommand {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        match self {
            UserCommand::List(list) => {
                let client = list.cluster.connect()?;
                let found = client.admin().users(&list.filter)?;
                client.close()?;
                show(&found, output)
            }
            UserCommand::Show(asked) => {
                let client = asked.cluster.connect()?;
                let found = client.admin().user(&asked.name)?;
                client.close()?;
                if found.found.is_empty() && found.failures.is_empty() {
                    return Err(Failure::Failed(format!("there is no user {}", asked.name)));
                }
                show(&found, output)
            }
            UserCommand::Create(create) => create.run(),
            UserCommand::Change(change) => change.run(),
            UserCommand::Delete(delete) => delete.run(),
        }
    }
}

impl Create {
    fn run(&self) -> Result<(), Failure> {
        let password = self.password.demand()?;
        let client = self.cluster.connect()?;
        let user = User::new(self.name.as_str()).password(password.reveal()).user_type(self.kind.into());
        client.admin().create_user(&user)?;
        client.close()?;
        complain(&format!("user {} is created", self.name));
        Ok(())
    }
}

impl Change {
    fn run(&self) -> Result<(), Failure> {
        let mut user = User::new(self.name.as_str());
        (user.user_type, user.status) = (self.kind.map(Into::into), self.status.map(Into::into));
        let password = self.password.find()?;
        if let Some(password) = &password {
            user = user.password(password.reveal());
        }
        if self.kind.is_none() && self.status.is_none() && password.is_none() {
            return Err(Failure::Usage("nothing is to be changed: neither password, nor type, nor status".to_owned()));
        }
        let client = self.cluster.connect()?;
        client.admin().change_user(&user)?;
        client.close()?;
        complain(&format!("user {} is changed", self.name));
        Ok(())
    }
}

impl Delete {
    fn run(&self) -> Result<(), Failure> {
        self.confirm
            .ask(&format!("Delete user {}?", self.name), "Their clients are refused, and their rules are lost")?;
        let client = self.cluster.connect()?;
        client.admin().delete_user(&self.name)?;
        client.close()?;
        complain(&format!("user {} is deleted", self.name));
        Ok(())
    }
}

fn show(found: &OnBrokers<User>, output: &mut Output) -> Result<(), Failure> {
    let shown: Vec<Shown<'_>> = found.distinct().into_iter().map(|(user, brokers)| shown(user, brokers)).collect();
    output.list(["NAME", "TYPE", "STATUS", "BROKERS"], &shown, |user| user, row)?;
    output.flush()?;
    told(&found.failures)
}

fn shown<'a>(user: &'a User, brokers: Vec<&'a str>) -> Shown<'a> {
    let (user_type, status) =
        (user.user_type.map(|kind| kind.to_string()), user.status.map(|status| status.to_string()));
    Shown { name: &user.name, user_type, status, brokers }
}

fn row(user: &Shown<'_>) -> [String; 4] {
    let word = |word: &Option<String>| word.clone().unwrap_or_else(|| "-".to_owned());
    [text::line(user.name.chars()), word(&user.user_type), word(&user.status), user.brokers.join(",")]
}
