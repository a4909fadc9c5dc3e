//! Request and reply: sending a message and waiting for another one that answers it.

mod exchange;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use self::exchange::{Exchange, Finish};
use super::prepared_send::{PreparedSend, Ready};
use super::window::Permit;
use super::{Producer, SendError};
use crate::client::Pushed;
use crate::client::hooks::SendMode;
use crate::error::{Error, Outcome, Result};
use crate::message::{Message, MessageView};

impl Producer {
    /// Sends a message and waits for the reply to it, which a consumer makes with [`MessageView::reply`].
    ///
    /// Blocks until the reply is there, at most for `timeout`, in which everything is included: the route, making this client
    /// known to the brokers (once a connection), the send and its retries, and the answering. The reply is matched by a random id, so
    /// any number of requests may be under way at the same time; each takes a place in the window of
    /// [asynchronous sends](crate::ProducerBuilder::async_window). A reply that comes after the timeout is dropped.
    ///
    /// The consumer that replies may be of this crate, Java's or any other; both sides need brokers 4.6 or later.
    ///
    /// ```no_run
    /// # fn ask(producer: &rocketmq_blocking::Producer) -> rocketmq_blocking::Result<()> {
    /// use std::time::Duration;
    ///
    /// use rocketmq_blocking::Message;
    ///
    /// let reply = producer.request(Message::new("PriceTopic", "tea"), Duration::from_secs(3))?;
    /// println!("{:?}", reply.body_text());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`SendError`] with the message and the reason: [`Error::NoReply`] when it was stored and no reply came, at once whatever the
    /// [send](Producer::send) failed with, [`Error::Closed`] when the producer was closed meanwhile.
    pub fn request(&self, message: impl Into<Message>, timeout: Duration) -> Result<MessageView, SendError> {
        self.prepare(message).timeout(timeout).request()
    }

    /// Sends a message; `callback` gets the reply to it, or the reason why there is none, on one of the client's callback
    /// threads, exactly once. What holds for [`request`](Producer::request) holds here.
    ///
    /// Does not block on connecting or on an unknown route, but while the window of asynchronous sends is full.
    ///
    /// # Errors
    /// [`SendError`] with the message when it was not accepted; its callback is not called then.
    pub fn request_async(
        &self,
        message: impl Into<Message>,
        timeout: Duration,
        callback: impl FnOnce(Result<MessageView, SendError>) + Send + 'static,
    ) -> Result<(), SendError> {
        self.prepare(message).timeout(timeout).request_async(callback)
    }
}

/// A request that has passed its checks, and the user's own message.
struct Admitted {
    id: Arc<str>,
    ready: Ready,
    permit: Permit,
    message: Message,
}

impl PreparedSend<'_, Message> {
    /// Sends and waits for the reply; see [`Producer::request`]. The timeout is that of
    /// [`timeout`](PreparedSend::timeout), by default the producer's (3 s).
    ///
    /// # Errors
    /// As [`Producer::request`].
    pub fn request(self) -> Result<MessageView, SendError> {
        let shared = self.shared.clone();
        let Admitted { id, ready, permit, message } = self.admit_request()?;
        let deadline = ready.deadline;
        let (sender, receiver) = crossbeam_channel::bounded(1);
        // There is room for the one end.
        let finish = Finish::Forward(Box::new(move |end| drop(sender.try_send(end))));
        let begun = Exchange::begin(&shared, id, ready, message.clone(), finish, permit);
        let end = begun.and_then(|exchange| {
            let end = receiver.recv_deadline(deadline.at()).or_else(|_| {
                exchange.miss();
                receiver.recv_timeout(exchange::SETTLE)
            });
            end.or_else(|_| {
                exchange.give_up();
                receiver.recv()
            })
            .unwrap_or(Err(Error::Closed { outcome: Outcome::Unknown }))
        });
        let body_limit = shared.core.options().limits.messages.body;
        end.map(|pushed| pushed.into_view(body_limit)).map_err(|error| SendError { error, message })
    }

    /// Sends; `callback` gets the reply on a callback thread. See [`Producer::request_async`].
    ///
    /// # Errors
    /// [`SendError`] when it was not accepted; the callback is not called then.
    pub fn request_async(
        self,
        callback: impl FnOnce(Result<MessageView, SendError>) + Send + 'static,
    ) -> Result<(), SendError> {
        let shared = self.shared.clone();
        let Admitted { id, ready, permit, message } = self.admit_request()?;
        let (at, given_back) = (ready.deadline.at(), message.clone());
        let body_limit = shared.core.options().limits.messages.body;
        let finish = Finish::Callback(Box::new(move |end: Result<Pushed>| {
            let reply = end.map(|pushed| pushed.into_view(body_limit));
            callback(reply.map_err(|error| SendError { error, message: given_back }));
        }));
        match Exchange::begin(&shared, id, ready, message.clone(), finish, permit) {
            Ok(exchange) => {
                let waiting = Arc::downgrade(&exchange);
                shared.core.timers().at(at, move || {
                    if let Some(exchange) = waiting.upgrade() {
                        exchange.miss();
                    }
                });
                Ok(())
            }
            Err(error) => Err(SendError { error, message }),
        }
    }

    /// Gives the message what makes it a request, and runs all checks.
    fn admit_request(mut self) -> Result<Admitted, SendError> {
        let message = self.message.clone();
        let id = correlation_id();
        self.message.expect_reply(&id, self.shared.core.client_id(), self.timeout);
        let admitted = self.admit_as_request();
        match admitted {
            Ok((ready, permit)) => Ok(Admitted { id: id.into(), ready, permit, message }),
            Err(error) => {
                self.refused(&error);
                Err(SendError { error, message })
            }
        }
    }

    fn admit_as_request(&mut self) -> Result<(Ready, Permit)> {
        if self.message.is_reply() {
            return Err(Error::invalid("a reply cannot be a request at the same time: send it"));
        }
        let retries = self.shared.settings.async_retries;
        let ready = self.ready(SendMode::Async, retries)?;
        // Its threads are started now, so that their failing is an error here.
        self.shared.core.callbacks()?;
        let permit = self.enter(&ready, true)?;
        Ok((ready, permit))
    }
}

/// Makes a random UUID (version 4) in its text form. Nobody can guess another's: a reply is matched by nothing else.
fn correlation_id() -> String {
    // Keyed by the operating system, and differently each time.
    let keys = RandomState::new();
    let bits = u128::from(keys.hash_one(0u8)) << 64 | u128::from(keys.hash_one(1u8));
    let bits = bits & !(0xF << 76) | 0x4 << 76;
    let bits = bits & !(0x3 << 62) | 0x2 << 62;
    let digits = format!("{bits:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn correlation_ids_are_random_uuids() {
        let ids: HashSet<String> = (0..1000).map(|_| correlation_id()).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            let parts: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
            assert_eq!(&id[14..15], "4", "{id}");
            assert!("89ab".contains(&id[19..20]), "{id}");
        }
    }
}
