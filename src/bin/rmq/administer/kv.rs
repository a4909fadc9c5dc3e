use clap::{Args, Subcommand};

use crate::cluster::Cluster;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::output::Output;
use crate::text;

/// Values that name servers keep for everybody, by namespace and key.
#[derive(Debug, Subcommand)]
pub(crate) enum Kv {
    List(List),
    Show(Show),
    Put(Put),
    Delete(Delete),
}

/// List the values of a namespace.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[arg(value_name = "NAMESPACE")]
    space: String,

    #[command(flatten)]
    cluster: Cluster,
}

/// Show a value.
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[arg(value_name = "NAMESPACE")]
    space: String,

    key: String,

    #[command(flatten)]
    cluster: Cluster,
}

/// Store a value at all name servers. It asks before it replaces another one.
#[derive(Debug, Args)]
pub(crate) struct Put {
    #[arg(value_name = "NAMESPACE")]
    space: String,

    key: String,

    value: String,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    cluster: Cluster,
}

/// Delete a value at all name servers. It asks before.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[arg(value_name = "NAMESPACE")]
    space: String,

    key: String,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, serde::Serialize)]
struct Shown<'a> {
    namespace: &'a str,
    key: &'a str,
    value: &'a str,
}

impl Kv {
    pub(super) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        match self {
            Kv::List(list) => list.run(output),
            Kv::Show(show) => show.run(output),
            Kv::Put(put) => put.run(),
            Kv::Delete(delete) => delete.run(),
        }
    }
}

impl List {
    fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let values = client.admin().kvs(&self.space)?;
        client.close()?;
        output.list(
            ["KEY", "VALUE"],
            &values,
            |(key, value)| Shown { namespace: &self.space, key, value },
            |(key, value)| [key, value].map(|cell| text::line(cell.chars())),
        )?;
        output.flush()
    }
}

impl Show {
    fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let value = client.admin().kv(&self.space, &self.key)?;
        client.close()?;
        let Show { space: namespace, key, .. } = self;
        let Some(value) = value else {
            return Err(Failure::Failed(format!("there is no value {key} in namespace {namespace}")));
        };
        output.line(&Shown { namespace, key, value: &value }, || text::line(value.chars()))?;
        output.flush()
    }
}

impl Put {
    fn run(&self) -> Result<(), Failure> {
        let client = self.cluster.connect()?;
        let Put { space: namespace, key, value, .. } = self;
        match client.admin().kv(namespace, key)? {
            Some(now) if now == *value => {}
            Some(now) => {
                self.confirm.ask(&format!("Replace {key} of {namespace}?"), &format!("It is {now:?} now"))?;
            }
            None => {}
        }
        client.admin().put_kv(namespace, key, value)?;
        Ok(client.close()?)
    }
}

impl Delete {
    fn run(&self) -> Result<(), Failure> {
        let Delete { space: namespace, key, .. } = self;
        self.confirm.ask(&format!("Delete {key} of {namespace}?"), "It cannot be had back")?;
        let client = self.cluster.connect()?;
        client.admin().delete_kv(namespace, key)?;
        Ok(client.close()?)
    }
}
