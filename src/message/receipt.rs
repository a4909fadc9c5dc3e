use std::time::Instant;

/// What a popped message is acknowledged by.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    handle: Box<str>,
    valid_until: Instant,
}

impl Receipt {
    /// `valid_until` is when the broker has given up waiting, at the latest.
    pub(crate) fn new(handle: String, valid_until: Instant) -> Receipt {
        Receipt { handle: handle.into(), valid_until }
    }

    pub(crate) fn handle(&self) -> &str {
        &self.handle
    }

    pub(crate) fn valid_until(&self) -> Instant {
        self.valid_until
    }
}
