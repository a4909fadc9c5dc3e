//! Consuming a message because an operator wants it to be consumed here.

use std::time::{Duration, Instant};

use crate::code::ResponseCode;
use crate::consumer::engine::Order;
use crate::consumer::runner::Shared;
use crate::error::{Error, Result};
use crate::message::MessageView;
use crate::protocol::fields::NoFields;
use crate::protocol::json;
use crate::protocol::rpc::diagnosis::{DirectBody, outcome};
use crate::remoting::ServerRequest;

/// How long brokers wait for the answer. After that the operator was told that it failed, and it must not happen any more.
const BROKERS_WAIT: Duration = Duration::from_secs(10);

/// A broker's wish that a message is consumed now.
pub(in crate::consumer) struct Direct {
    request: ServerRequest,
    order: Order,
    arrived: Instant,
}

impl Direct {
    pub(super) fn new(request: ServerRequest, order: Order) -> Direct {
        Direct { request, order, arrived: Instant::now() }
    }

    /// Reads the message. It may have to be inflated, so this is for the thread that consumes it.
    pub(in crate::consumer) fn message(&self, shared: &Shared) -> Result<MessageView> {
        if self.arrived.elapsed() >= BROKERS_WAIT {
            return Err(Error::invalid("all listeners were busy for so long that nobody waits for the answer"));
        }
        let frame = &self.request.frame;
        let broker_name = frame.field("brokerName").unwrap_or_default().as_ref().into();
        let (messages, broken) = shared.core.messages(frame.body_bytes(), &broker_name);
        let missing = || broken.unwrap_or_else(|| Error::malformed("there is no message"));
        let mut message = messages.into_iter().next().ok_or_else(missing)?;
        message.restore_topic(&shared.retry_topic, |name| shared.core.own_name(name).into_owned());
        Ok(message)
    }

    pub(in crate::consumer) fn answer(self, consumed: bool, panicked: bool, took: Duration) {
        let result = match (consumed, panicked) {
            (true, _) => outcome::SUCCESS,
            (false, false) => outcome::LATER,
            (false, true) => outcome::PANICKED,
        };
        let body = DirectBody {
            auto_commit: true,
            consume_result: result.into(),
            order: self.order == Order::Orderly,
            remark: panicked.then(|| "the listener panicked".into()),
            spent_time_mills: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        };
        self.request.answer(ResponseCode::SUCCESS, None, &NoFields, &json::encode(&body));
    }

    pub(in crate::consumer) fn refuse(self, why: &str) {
        self.request.answer(ResponseCode::SYSTEM_ERROR, Some(why), &NoFields, &[]);
    }
}
