//! With which keys requests are signed, and where they come from.

use std::env;
use std::path::PathBuf;

use clap::Args;

use crate::credentials_file::{self, Entries};
use crate::failure::Failure;
use crate::secret::Secret;

const ACCESS_KEY: &str = "ROCKETMQ_ACCESS_KEY";
const SECRET_KEY: &str = "ROCKETMQ_SECRET_KEY";
const SECURITY_TOKEN: &str = "ROCKETMQ_SECURITY_TOKEN";

/// An access key and its secret key: from arguments, else from a file, else from the environment. None is ever printed.
#[derive(Debug, Args)]
pub(crate) struct Keys {
    /// Access key (since RocketMQ 5.3 the user's name) to sign requests with; needs the secret key. [env: ROCKETMQ_ACCESS_KEY]
    #[arg(long, value_name = "AK")]
    access_key: Option<Secret>,

    /// Secret key (password). Other users of this machine can see arguments: prefer a file. [env: ROCKETMQ_SECRET_KEY]
    #[arg(long, value_name = "SK")]
    secret_key: Option<Secret>,

    /// The token that belongs to temporary keys. [env: ROCKETMQ_SECURITY_TOKEN]
    #[arg(long, value_name = "TOKEN")]
    security_token: Option<Secret>,

    /// File with `accessKey: …` and `secretKey: …` (as Java's tools.yml) or `accessKey=…` lines, which others may not read.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["access_key", "secret_key", "security_token"])]
    credentials_file: Option<PathBuf>,
}

/// Keys that were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) access_key: String,
    pub(crate) secret_key: Secret,
    pub(crate) security_token: Option<Secret>,
    /// Where: `the arguments`.
    pub(crate) from: String,
}

impl Keys {
    /// Both keys, or none. An empty one, which the environment may have, counts as none.
    pub(crate) fn find(&self) -> Result<Option<Found>, Failure> {
        if let Some(file) = &self.credentials_file {
            let named = format!("the file {}", file.display());
            let entries = credentials_file::read(file).map_err(Failure::Failed)?;
            let missing =
                || Failure::Failed(format!("{named} has no keys: accessKey: … and secretKey: … are expected"));
            return found(entries, named.clone())?.ok_or_else(missing).map(Some);
        }
        let arguments = Entries {
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone(),
            security_token: self.security_token.clone(),
        };
        let environment = |name: &str| env::var(name).ok().map(Secret::from);
        choose(arguments, environment)
    }
}

/// An argument wins over the environment, each for itself.
fn choose(arguments: Entries, environment: impl Fn(&str) -> Option<Secret>) -> Result<Option<Found>, Failure> {
    let given = |key: Option<Secret>| key.filter(|key| !key.is_blank());
    let from = match (given(arguments.access_key.clone()), given(arguments.secret_key.clone())) {
        (Some(_), Some(_)) => "the arguments",
        (None, None) => "the environment",
        _ => "the arguments and the environment",
    };
    let entries = Entries {
        access_key: given(arguments.access_key).or_else(|| environment(ACCESS_KEY)),
        secret_key: given(arguments.secret_key).or_else(|| environment(SECRET_KEY)),
        security_token: given(arguments.security_token).or_else(|| environment(SECURITY_TOKEN)),
    };
    found(entries, from.to_owned())
}

fn found(entries: Entries, from: String) -> Result<Option<Found>, Failure> {
    let given = |key: Option<Secret>| key.filter(|key| !key.is_blank());
    match (given(entries.access_key), given(entries.secret_key)) {
        (Some(access_key), Some(secret_key)) => {
            let access_key = access_key.reveal().trim().to_owned();
            Ok(Some(Found { access_key, secret_key, security_token: given(entries.security_token), from }))
        }
        (None, None) => Ok(None),
        (access_key, _) => {
            let missing = if access_key.is_none() { "access key" } else { "secret key" };
            let what = format!("an access key and a secret key go together: there is no {missing} in {from}");
            Err(Failure::Usage(what))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(access: Option<&str>, secret: Option<&str>) -> Entries {
        Entries { access_key: access.map(Secret::from), secret_key: secret.map(Secret::from), security_token: None }
    }

    #[test]
    fn each_key_is_taken_from_the_arguments_else_from_the_environment() {
        let environment = |name: &str| match name {
            ACCESS_KEY => Some(Secret::from("env-ak")),
            SECRET_KEY => Some(Secret::from("env-sk")),
            _ => Some(Secret::from(" ")),
        };
        let cases = [
            (entries(Some("ak"), Some("sk")), ("ak", "sk", "the arguments")),
            (entries(None, None), ("env-ak", "env-sk", "the environment")),
            (entries(Some("ak"), None), ("ak", "env-sk", "the arguments and the environment")),
            (entries(Some("ak"), Some(" ")), ("ak", "env-sk", "the arguments and the environment")),
        ];
        for (arguments, (access, secret, from)) in cases {
            let found = choose(arguments, environment).unwrap().unwrap();
            assert_eq!((&*found.access_key, found.secret_key.reveal(), &*found.from), (access, secret, from));
            assert_eq!(found.security_token, None, "an empty variable is none");
        }
        assert_eq!(choose(entries(None, None), |_| None).unwrap(), None);
    }

    #[test]
    fn one_key_alone_is_wrong_and_what_is_missing_is_named() {
        for (arguments, missing) in
            [(entries(Some("ak"), None), "secret key"), (entries(None, Some("hush")), "access key")]
        {
            let Err(Failure::Usage(what)) = choose(arguments, |_| None) else { panic!("it is accepted") };
            assert!(what.contains(&format!("no {missing} in")) && !what.contains("hush"), "{what}");
        }
    }
}
