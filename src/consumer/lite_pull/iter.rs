use std::time::{Duration, Instant};

use super::LitePullConsumer;
use super::inbox::Taken;
use crate::error::{Error, Result};
use crate::message::MessageView;

/// How long an iterator waits for a message.
#[derive(Debug, Clone, Copy)]
pub(super) enum Patience {
    Endless,
    For(Duration),
}

/// Messages of a [`LitePullConsumer`], one after the other; made by its `iter`, `try_iter` and `timeout_iter`.
///
/// With automatic commits a message is finished when the same thread asks for the next. A loop that ends with `break` leaves
/// the last one unfinished until this thread asks the consumer again; a loop that panics gives it back, and it comes again.
///
/// A message whose body is damaged is an item of its own, [`Error::Malformed`] with its queue and offset, and is passed over
/// when the next is asked for.
#[derive(Debug)]
#[must_use = "an iterator does nothing until it is asked for messages"]
pub struct Messages<'a> {
    consumer: &'a LitePullConsumer,
    patience: Patience,
    last: Option<Taken>,
    closed: bool,
}

impl<'a> Messages<'a> {
    pub(super) fn new(consumer: &'a LitePullConsumer, patience: Patience) -> Messages<'a> {
        Messages { consumer, patience, last: None, closed: false }
    }
}

impl Iterator for Messages<'_> {
    type Item = Result<MessageView>;

    fn next(&mut self) -> Option<Result<MessageView>> {
        if self.closed {
            return None;
        }
        self.last = None;
        let until = match self.patience {
            Patience::Endless => None,
            Patience::For(time) => Instant::now().checked_add(time),
        };
        match self.consumer.take(1, until) {
            Ok(mut taken) => {
                self.last = taken.pop();
                self.last.clone().map(|(_, message)| match message.check_body() {
                    Ok(()) => Ok(message),
                    Err(error) => {
                        let (offset, queue) = (message.queue_offset(), message.queue());
                        Err(Error::malformed(format!("the body of offset {offset} of {queue}: {error}")))
                    }
                })
            }
            Err(Error::Closed { .. }) => {
                self.closed = true;
                None
            }
            Err(error) => Some(Err(error)),
        }
    }
}

impl Drop for Messages<'_> {
    fn drop(&mut self) {
        if let Some(last) = self.last.take().filter(|_| std::thread::panicking()) {
            self.consumer.rounds.fail();
            self.consumer.inbox.give_back(last);
        }
    }
}

/// Waits for messages until the consumer is closed, as [`LitePullConsumer::iter`].
impl<'a> IntoIterator for &'a LitePullConsumer {
    type Item = Result<MessageView>;
    type IntoIter = Messages<'a>;

    fn into_iter(self) -> Messages<'a> {
        self.iter()
    }
}
