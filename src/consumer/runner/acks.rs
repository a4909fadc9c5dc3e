//! Acknowledging popped messages: many with one request where the broker can do that.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::pop::{TELL_TIMEOUT, is_told, settled};
use super::shared::Shared;
use crate::consumer::engine::{Numbered, Spell};
use crate::error::Error;
use crate::protocol::json;
use crate::protocol::pop::{Handle, batches};
use crate::protocol::rpc::batch_ack::BatchAck;
use crate::remoting::Deadline;

/// The brokers that take one acknowledgement a request, as those before 5.1 do.
#[derive(Debug, Default)]
pub(in crate::consumer) struct OneByOne(Mutex<HashSet<Arc<str>>>);

impl OneByOne {
    fn has(&self, broker_name: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(broker_name)
    }

    fn learn(&self, broker_name: &Arc<str>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(broker_name.clone());
    }
}

/// A message to acknowledge.
struct Ack {
    number: u64,
    topic: Arc<str>,
    handle: Handle,
}

/// Acknowledges messages that were popped in one spell, and so from one broker. It does not wait.
pub(super) fn submit(shared: &Arc<Shared>, spell: &Spell, messages: Vec<Numbered>) {
    let (mut acks, mut without) = (Vec::new(), Vec::new());
    for Numbered { number, message } in messages {
        match message.receipt_handle().and_then(Handle::decode) {
            Some(handle) => acks.push(Ack { number, topic: message.shared_topic().clone(), handle }),
            None => without.push(number),
        }
    }
    if !without.is_empty() {
        settled(&shared.events, spell.clone(), without, true);
    }
    if acks.len() > 1 && !shared.one_by_one.has(spell.queue.broker_name()) {
        together(shared, spell, acks);
    } else {
        acks.into_iter().for_each(|ack| alone(shared, spell.clone(), &ack));
    }
}

fn alone(shared: &Arc<Shared>, spell: Spell, ack: &Ack) {
    let (events, number) = (shared.events.clone(), ack.number);
    let deadline = Deadline::after(TELL_TIMEOUT);
    shared.core.ack_async(&shared.group, &ack.topic, &ack.handle, deadline, move |result| {
        let done = is_told("acknowledging", &spell, result);
        settled(&events, spell, vec![number], done);
    });
}

fn together(shared: &Arc<Shared>, spell: &Spell, acks: Vec<Ack>) {
    let core = &shared.core;
    let handles: Vec<_> = acks.iter().map(|ack| (core.wire_name(&ack.topic), ack.handle.clone())).collect();
    let (bodies, unfit) = batches(&core.wire_name(&shared.group), &handles);
    let (unfit, acks): (Vec<_>, Vec<_>) = acks.into_iter().enumerate().partition(|(at, _)| unfit.contains(at));
    unfit.into_iter().for_each(|(_, ack)| alone(shared, spell.clone(), &ack));
    let mut acks: Vec<Ack> = acks.into_iter().map(|(_, ack)| ack).collect();
    for (broker_name, body) in bodies {
        let (set, others) = acks.into_iter().partition(|ack| ack.handle.broker_name == broker_name);
        acks = others;
        send(shared, spell.clone(), set, json::encode(&body));
    }
}

fn send(shared: &Arc<Shared>, spell: Spell, acks: Vec<Ack>, body: Vec<u8>) {
    let (then, queue) = (shared.clone(), spell.queue.clone());
    shared.core.ask_master_async(&queue, BatchAck, body, Deadline::after(TELL_TIMEOUT), move |answer| {
        if let Err(Error::Unsupported { .. }) = answer {
            then.one_by_one.learn(spell.queue.shared_broker_name());
            return acks.into_iter().for_each(|ack| alone(&then, spell.clone(), &ack));
        }
        let done = is_told("acknowledging", &spell, answer);
        settled(&then.events, spell, acks.iter().map(|ack| ack.number).collect(), done);
    });
}
