use std::io::{self, IsTerminal as _, Read as _};

use clap::Args;
use rocketmq_blocking::{Message, MessageBuilder};

use crate::failure::{Failure, complain};

/// The largest body that is read or made: the protocol's largest frame. Producer and broker refuse less than that.
const LARGEST: u64 = 16 << 20;

/// What messages are made of.
#[derive(Debug, Args)]
pub(crate) struct Content {
    /// Body of the messages. [default: standard input]
    #[arg(long, short, value_name = "TEXT", conflicts_with = "size")]
    body: Option<String>,

    /// Size of a generated body, in bytes.
    #[arg(long, short, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..=LARGEST))]
    size: Option<u64>,

    /// Tag, by which consumers filter.
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,

    /// Keys to find the message by, apart by spaces.
    #[arg(long, value_name = "\"A B\"")]
    keys: Option<String>,

    /// Property of the message; may be repeated.
    #[arg(long = "property", short = 'p', value_name = "NAME=VALUE", value_parser = property)]
    properties: Vec<(String, String)>,
}

fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("NAME=VALUE is expected".to_owned()),
    }
}

impl Content {
    /// Makes the message; blocks while its body is read from standard input.
    pub(crate) fn builder(&self, topic: &str) -> Result<MessageBuilder, Failure> {
        let mut message = Message::builder(topic, self.read()?);
        if let Some(tag) = &self.tag {
            message = message.tag(tag);
        }
        if let Some(keys) = &self.keys {
            message = message.keys(keys.split_whitespace());
        }
        for (name, value) in &self.properties {
            message = message.property(name, value);
        }
        Ok(message)
    }

    fn read(&self) -> Result<Vec<u8>, Failure> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_has_a_name_and_may_contain_the_sign_again() {
        assert_eq!(property("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        for wrong in ["a", "", "=b"] {
            assert!(property(wrong).is_err(), "{wrong}");
        }
    }
}
