use std::error::Error as _;
use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

use rocketmq_blocking::{Attempt, Error};

/// Why a command ends other than well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The arguments contradict each other in a way the parser cannot see.
    Usage(String),
    /// It failed for this reason.
    Failed(String),
    /// It failed, and what failed has been said already.
    Reported,
    /// It was interrupted before it was done.
    Interrupted,
    /// Nobody reads what is printed any more, as in `rmq pull … | head`; no reason to complain.
    ClosedPipe,
}

impl Failure {
    /// Says on standard error what failed, and returns the exit status.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Failure::Usage(what) => {
                complain(&what);
                ExitCode::from(2)
            }
            Failure::Failed(what) => {
                complain(&what);
                ExitCode::from(1)
            }
            Failure::Reported => ExitCode::from(1),
            Failure::Interrupted => {
                complain("interrupted");
                ExitCode::from(130)
            }
            Failure::ClosedPipe => ExitCode::SUCCESS,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Failed(explain(&error))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::ClosedPipe,
            _ => Failure::Failed(error.to_string()),
        }
    }
}

/// Writes a line to standard error. That nobody reads it is no error.
pub(crate) fn complain(what: &str) {
    use io::Write as _;
    let _ = writeln!(io::stderr(), "rmq: {what}");
}

/// Says which servers could not be asked; the exit status is then 1.
pub(crate) fn told(failures: &[Attempt]) -> Result<(), Failure> {
    for Attempt { broker_name, addr, error, .. } in failures {
        complain(&format!("{broker_name} at {addr} could not be asked: {}", explain(error)));
    }
    if failures.is_empty() { Ok(()) } else { Err(Failure::Reported) }
}

/// Returns an error's text with its causes, which each part leaves to the next.
pub(crate) fn explain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        // Formatting into a string cannot fail.
        let _ = write!(text, ": {next}");
        cause = next.source();
    }
    text
}
