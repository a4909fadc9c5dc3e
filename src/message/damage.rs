use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Limit};

/// Why the body of a message cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    what: Arc<str>,
    /// What it is more than, where nothing else is wrong with it.
    limit: Option<Limit>,
}

impl Damage {
    pub(crate) fn beyond(limit: Limit, what: String) -> Damage {
        Damage { what: what.into(), limit: Some(limit) }
    }

    pub(crate) fn error(&self) -> Error {
        let (what, addr) = (self.what.clone(), None);
        match self.limit {
            Some(limit) => Error::LimitExceeded { limit, what, addr },
            None => Error::Malformed { what, addr },
        }
    }
}

impl From<String> for Damage {
    fn from(what: String) -> Damage {
        Damage { what: what.into(), limit: None }
    }
}

impl From<&str> for Damage {
    fn from(what: &str) -> Damage {
        what.to_owned().into()
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.limit.map_or(Ok(()), |limit| write!(f, " ({limit})"))
    }
}
