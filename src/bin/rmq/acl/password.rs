use std::io::{self, BufRead as _};
use std::path::PathBuf;
use std::{env, fs};

use clap::Args;

use crate::failure::Failure;
use crate::secret::Secret;

const VARIABLE: &str = "ROCKETMQ_USER_PASSWORD";

/// Where the password of the user comes from: never from the arguments, which others can see.
#[derive(Debug, Args)]
pub(super) struct Password {
    /// File whose first line is the password (the secret key). [default: the environment's ROCKETMQ_USER_PASSWORD]
    #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
    password_file: Option<PathBuf>,

    /// Read the password from the first line of standard input.
    #[arg(long)]
    password_stdin: bool,
}

impl Password {
    /// The password, if there is one; never a blank one.
    pub(super) fn find(&self) -> Result<Option<Secret>, Failure> {
        let text = match &self.password_file {
            Some(file) => {
                let text = fs::read_to_string(file);
                Some(text.map_err(|error| Failure::Failed(format!("the file {}: {error}", file.display())))?)
            }
            None if self.password_stdin => {
                let mut line = String::new();
                io::stdin().lock().read_line(&mut line)?;
                Some(line)
            }
            None => env::var(VARIABLE).ok().filter(|text| !text.is_empty()),
        };
        let Some(text) = text else { return Ok(None) };
        let password = Secret::from(text.lines().next().unwrap_or_default());
        if password.is_blank() {
            return Err(Failure::Usage("the password is blank".to_owned()));
        }
        Ok(Some(password))
    }

    /// The password, which has to be somewhere.
    pub(super) fn demand(&self) -> Result<Secret, Failure> {
        self.find()?.ok_or_else(|| {
            let places = format!("--password-file, --password-stdin or the environment's {VARIABLE}");
            Failure::Usage(format!("a password (the secret key) is needed: give it by {places}"))
        })
    }
}
