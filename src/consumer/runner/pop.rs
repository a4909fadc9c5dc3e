//! Carrying out what an engine wants of brokers that assign queues, and of queues that are popped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::perform::any_broker;
use super::shared::Shared;
use super::start::ConsumeFromWhere;
use super::{Events, acks, hand_back, leftovers};
use crate::client::{Pop, PopStatus};
use crate::code::ResponseCode;
use crate::consumer::Filter;
use crate::consumer::engine::{
    Action, Assignment, Event, Numbered, Order, PopAction, PopEvent, PopOptions, Popped, Spell,
};
use crate::error::{Error, Result};
use crate::message::MessageQueue;
use crate::protocol::json;
use crate::protocol::pop::Handle;
use crate::protocol::rpc::assignment::{AssignedBody, AssignmentBody, MessageRequestMode, QueryAssignment};
use crate::protocol::rpc::pop::init_mode;
use crate::remoting::Deadline;

/// What an answer may take beyond the time the broker may hold it, as in Java.
const HOLD_MARGIN: Duration = Duration::from_secs(10);
/// Java's time for telling a broker what became of a message.
pub(super) const TELL_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) fn perform(shared: &Arc<Shared>, order: Order, action: Action) {
    match action {
        Action::FetchAssignment { topic, strategy } => fetch_assignment(shared, topic, &strategy),
        Action::Leftovers { topic, wanted } => leftovers::subscribe(shared, &topic, wanted),
        Action::Pop(PopAction::Pop { spell, ticket, attempt, options }) => {
            let attempt = (order == Order::Orderly).then_some(attempt);
            pop(shared, spell, ticket, attempt, options);
        }
        Action::Pop(PopAction::Ack { spell, messages }) => acks::submit(shared, &spell, messages),
        Action::Pop(PopAction::ChangeInvisible { spell, message, invisible }) => {
            change(shared, spell, &message, invisible);
        }
        Action::Pop(PopAction::Bury { spell, message }) => {
            let Numbered { number, message } = *message;
            let how = hand_back::How { delay_level: -1, repeats: 0, dead: true, as_message: false };
            let then = shared.clone();
            hand_back::submit(shared, message, how, move |done| {
                let counters = &then.counters;
                if done {
                    counters.dead_letters.one()
                } else {
                    counters.hand_back_failures.one()
                }
                settled(&then.events, spell, vec![number], done);
            });
        }
        _ => {}
    }
}

/// Tells the engine what a broker made of some messages. Nobody listens any more once the consumer has ended.
pub(super) fn settled(events: &Events, spell: Spell, numbers: Vec<u64>, done: bool) {
    let _ = events.send(Event::Pop(PopEvent::Settled { spell, numbers, done }));
}

/// What is known about telling a broker something: done, or nothing that can be done about it, or to be repeated.
pub(super) fn is_told<T>(what: &str, spell: &Spell, result: Result<T>) -> bool {
    match result {
        Ok(_) => true,
        Err(error) => {
            log::warn!("{}: {what} fails, and the message may come again: {error}", spell.queue);
            let busy = [ResponseCode::SYSTEM_ERROR, ResponseCode::SYSTEM_BUSY, ResponseCode::FLOW_CONTROL];
            matches!(&error, Error::Rejected { code, .. } if !busy.contains(code))
        }
    }
}

fn fetch_assignment(shared: &Arc<Shared>, topic: Arc<str>, strategy: &str) {
    let (core, events) = (&shared.core, shared.events.clone());
    let Some(addr) = any_broker(core, &topic) else {
        let reason = "no broker of the topic is known".into();
        let assignment = Err(Error::NoBroker { what: topic.clone(), reason });
        let _ = events.send(Event::Assigned { topic, assignment });
        return;
    };
    let body = json::encode(&AssignmentBody {
        client_id: core.client_id().clone(),
        // In a body; the names in fields get their namespace by themselves.
        consumer_group: core.wire_name(&shared.group),
        message_model: "CLUSTERING".into(),
        strategy_name: strategy.to_owned(),
        topic: core.wire_name(&topic),
    });
    let (deadline, then) = (Deadline::after(core.options().request_timeout), shared.clone());
    core.remoting().submit(&addr, &QueryAssignment, &body, deadline, move |answer| {
        let assignment = match answer {
            Ok(answer) => json::decode("assignment", answer.frame.body()).map(|body| assignment(&then, body)),
            Err(Error::Unsupported { .. }) => Ok(Assignment::Unsupported),
            Err(error) => Err(error),
        };
        let _ = events.send(Event::Assigned { topic, assignment });
    });
}

fn assignment(shared: &Shared, body: AssignedBody) -> Assignment {
    let Some(assigned) = body.message_queue_assignments else { return Assignment::Unknown };
    let (mut pull, mut pop) = (Vec::new(), Vec::new());
    for one in assigned {
        let topic = shared.core.own_name(&one.message_queue.topic).into_owned();
        let queue = MessageQueue::new(topic, one.message_queue.broker_name, one.message_queue.queue_id);
        match one.mode {
            MessageRequestMode::Pull => pull.push(queue),
            MessageRequestMode::Pop => pop.push(queue),
        }
    }
    Assignment::Queues { pull, pop }
}

fn pop(shared: &Arc<Shared>, spell: Spell, ticket: u64, attempt: Option<u64>, options: PopOptions) {
    let filter = shared.with_subscriptions(|known| known.filter(spell.queue.topic()).cloned()).unwrap_or_default();
    let hold = shared.settings.hold;
    let pop = Pop {
        group: shared.group.clone(),
        queue: spell.queue.clone(),
        max: options.batch,
        invisible: options.invisible,
        hold,
        init_mode: match shared.settings.from {
            ConsumeFromWhere::FirstOffset => init_mode::MIN,
            _ => init_mode::MAX,
        },
        filter: (filter.expression_type().into(), filter.to_string().into()),
        order: attempt.is_some(),
        attempt_id: attempt.map(|attempt| format!("{}@{}@{attempt}", shared.core.client_id(), spell.epoch).into()),
    };
    let (core, then, asked, started) = (&shared.core, shared.clone(), pop.clone(), Instant::now());
    core.pop_async(&pop, Deadline::after(hold + HOLD_MARGIN), move |answer| {
        let arrived = Instant::now();
        let core = then.core.clone();
        // Reading the answer can take long: messages may have to be inflated.
        let read = move || {
            let popped = answer.and_then(|answer| then.core.popped(&asked, &answer, arrived));
            if let Ok(popped) = &popped {
                let bytes = popped.messages.iter().map(|message| message.body().len()).sum();
                then.counters.brought(spell.queue.shared_topic(), popped.messages.len(), bytes, started.elapsed());
            }
            let popped = popped.map_or_else(failed, |popped| sorted(&spell, &filter, popped, arrived));
            if let Err(unsent) = then.tell(Event::Pop(PopEvent::Popped { spell, ticket, popped })) {
                release(&then, unsent.into_inner());
            }
        };
        match core.callbacks() {
            Ok(callbacks) => callbacks.run(read),
            // The client is closing; what was popped comes again.
            Err(error) => log::debug!("an answer is not read: {error}"),
        }
    });
}

/// The consumer has ended: what it asked for goes back at once, or others would wait until its time is up.
fn release(shared: &Arc<Shared>, event: Event) {
    let Event::Pop(PopEvent::Popped { spell, popped: Popped::Found { messages, .. }, .. }) = event else { return };
    shared.counters.dropped_pulls.one();
    for message in messages {
        change(shared, spell.clone(), &Numbered { number: 0, message }, Duration::ZERO);
    }
}

fn failed(error: Error) -> Popped {
    match error {
        Error::Rejected { code: ResponseCode::FLOW_CONTROL, .. } => Popped::Throttled,
        error => Popped::Failed(error),
    }
}

/// Brokers compare hashes of tags only: what they let through is looked at again.
fn sorted(spell: &Spell, filter: &Filter, popped: crate::client::Popped, arrived: Instant) -> Popped {
    if let Some(error) = popped.broken {
        log::error!("{}: messages of an answer cannot be read, and come again: {error}", spell.queue);
    }
    match popped.status {
        PopStatus::Found => {
            let (messages, refused) = popped.messages.into_iter().partition(|message| filter.accepts(message));
            Popped::Found { messages, refused, arrived }
        }
        PopStatus::NotFound => Popped::Nothing,
        PopStatus::Full => Popped::Crowded,
    }
}

fn change(shared: &Arc<Shared>, spell: Spell, numbered: &Numbered, invisible: Duration) {
    let Numbered { number, message } = numbered;
    let (then, number) = (shared.clone(), *number);
    let Some(handle) = message.receipt_handle().and_then(Handle::decode) else {
        return settled(&then.events, spell, vec![number], true);
    };
    let (topic, deadline) = (message.shared_topic(), Deadline::after(TELL_TIMEOUT));
    shared.core.change_invisible_async(&shared.group, topic, &handle, invisible, deadline, move |result| {
        let done = is_told("having a message come again later", &spell, result);
        if done {
            then.counters.handed_back.one()
        } else {
            then.counters.hand_back_failures.one()
        }
        settled(&then.events, spell, vec![number], done);
    });
}
