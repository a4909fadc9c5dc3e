use std::io::{self, IsTerminal as _, Read as _};

use clap::Args;

use crate::failure::{Failure, complain};

/// The largest body that is read or made: the protocol's largest frame. Producer and broker refuse less than that.
const LARGEST: u64 = 16 << 20;

/// Where the body comes from.
#[derive(Debug, Args)]
pub(super) struct Body {
    /// Body of the messages. [default: standard input]
    #[arg(long, short, value_name = "TEXT", conflicts_with = "size")]
    body: Option<String>,

    /// Size of a generated body, in bytes.
    #[arg(long, short, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..=LARGEST))]
    size: Option<u64>,
}

impl Body {
    /// Returns the body; blocks while it is read from standard input.
    pub(super) fn read(&self) -> Result<Vec<u8>, Failure> {
        match (&self.body, self.size) {
            (Some(text), _) => Ok(text.clone().into_bytes()),
            (None, Some(size)) => Ok(generated(usize::try_from(size).unwrap_or(usize::MAX))),
            (None, None) => standard_input(),
        }
    }
}

fn standard_input() -> Result<Vec<u8>, Failure> {
    let mut input = io::stdin().lock();
    if input.is_terminal() {
        complain("reading the body from standard input; end it with Ctrl-D");
    }
    let mut body = Vec::new();
    let failed = |error| Failure::Failed(format!("cannot read the body from standard input: {error}"));
    input.by_ref().take(LARGEST + 1).read_to_end(&mut body).map_err(failed)?;
    if body.len() as u64 > LARGEST {
        return Err(Failure::Failed(format!("the body on standard input is larger than {LARGEST} bytes")));
    }
    Ok(body)
}

/// Printable text that compresses about as badly as real bodies do, the same for every run.
pub(crate) fn generated(size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(9876);
    (0..size).map(|_| random.alphanumeric() as u8).collect()
}
