//! What brokers ask a consumer, by themselves or for an operator. Everything is answered at once or handed on: nothing here waits.

mod directly;
mod status;

use std::sync::Arc;

pub(in crate::consumer) use self::directly::Direct;
use super::{ProcessQueue, Shared, Sink};
use crate::client::not_here;
use crate::code::{RequestCode, ResponseCode};
use crate::consumer::engine::{Event, Order};
use crate::message::MessageQueue;
use crate::protocol::fields::NoFields;
use crate::protocol::rpc::diagnosis::ConsumerStatus;
use crate::protocol::rpc::lock::QueueBody;
use crate::protocol::rpc::reset;
use crate::remoting::ServerRequest;

/// What a request is answered from.
pub(super) struct Asked<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) sink: &'a dyn Sink,
    pub(super) order: Order,
    /// Looks at every queue.
    pub(super) describe: &'a dyn Fn() -> Vec<ProcessQueue>,
}

/// Takes a request of a broker; says what the engine is to know of it.
pub(super) fn serve(asked: &Asked<'_>, request: ServerRequest) -> Option<Event> {
    let shared = asked.shared;
    match request.frame.request_code() {
        RequestCode::NOTIFY_CONSUMER_IDS_CHANGED => return Some(Event::Disturbed),
        RequestCode::RESET_CONSUMER_CLIENT_OFFSET => return reset(shared, &request),
        RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT => match request.frame.header::<ConsumerStatus>() {
            Ok(ConsumerStatus { topic, .. }) => {
                let topic = shared.core.own_name(&topic).into_owned();
                let body = status::offsets(shared, &(asked.describe)(), &topic);
                request.answer(ResponseCode::SUCCESS, None, &NoFields, &body);
            }
            Err(error) => request.answer(ResponseCode::SYSTEM_ERROR, Some(&error.to_string()), &NoFields, &[]),
        },
        RequestCode::GET_CONSUMER_RUNNING_INFO => {
            let body = status::running(shared, asked.order, &(asked.describe)());
            request.answer(ResponseCode::SUCCESS, None, &NoFields, &body);
        }
        RequestCode::CONSUME_MESSAGE_DIRECTLY => {
            let direct = Direct::new(request, asked.order);
            if let Err(refused) = asked.sink.consume_directly(direct) {
                refused.refuse("this consumer runs no listener, or too many messages wait for it already");
            }
        }
        code => {
            log::debug!("consumer {}: request {code} of {} is not served", shared.group, request.addr);
            not_here(request, &shared.group);
        }
    }
    None
}

fn reset(shared: &Shared, request: &ServerRequest) -> Option<Event> {
    match reset::read(request.frame.body()) {
        Ok(offsets) => {
            let own = |queue: QueueBody| {
                let topic = shared.core.own_name(&queue.topic).into_owned();
                MessageQueue::new(topic, queue.broker_name, queue.queue_id)
            };
            Some(Event::Reset(offsets.into_iter().map(|(queue, offset)| (own(queue), offset.max(0))).collect()))
        }
        Err(error) => {
            log::warn!("consumer {}: a reset of {} cannot be read: {error}", shared.group, request.addr);
            None
        }
    }
}
