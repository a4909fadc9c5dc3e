use std::io::{self, IsTerminal as _, Write as _};

use clap::Args;

use crate::failure::{Failure, complain};

/// For commands that destroy something: they ask before.
#[derive(Debug, Args)]
pub(crate) struct Confirm {
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

impl Confirm {
    /// Asks whoever sits at the terminal, unless `--yes` was said: `what` is a question such as `Delete topic T?`, `why` says in
    /// a sentence what is lost by it. Without a terminal, and for any answer but yes, it fails.
    pub(crate) fn ask(&self, what: &str, why: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            return Err(Failure::Usage(format!("{what} {why}: say --yes, as nobody can be asked here")));
        }
        write!(io::stderr(), "{what} {why}. [y/N] ")?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(());
        }
        complain("nothing was changed");
        Err(Failure::Reported)
    }
}
