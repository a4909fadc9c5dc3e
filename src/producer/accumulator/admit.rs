//! Which messages are gathered, and how their senders come to their results.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use super::Accumulator;
use super::gather::{Key, Place, Share};
use super::member::{End, Member};
use super::seat::Seat;
use crate::client::SendResult;
use crate::client::hooks::{SendContext, SendMode};
use crate::error::{Outcome, Result, Stage};
use crate::message::{Message, key};
use crate::producer::background::Delivery;
use crate::producer::prepare;
use crate::producer::shared::Shared;
use crate::producer::window::Permit;
use crate::remoting::Deadline;

/// How long to wait beyond the deadline for the batch's own, more exact error.
const GRACE: Duration = Duration::from_millis(50);

/// Whether a message may be gathered, as far as it decides that by itself.
pub(in crate::producer) fn takes(shared: &Shared, message: &Message) -> bool {
    let limits = &shared.settings.limits;
    if message.body().len() >= limits.compress_above || message.topic().starts_with('%') || message.is_half() {
        return false;
    }
    // Brokers look at the other system properties of single messages only, or treat their messages in a way of their own.
    const CARRIED: [&str; 5] = [key::KEYS, key::TAGS, key::WAIT, key::UNIQUE_ID, key::SHARDING_KEY];
    let carried = |(name, _): (&str, &str)| CARRIED.contains(&name) || !key::is_reserved(name);
    let size = prepare::member_size(message, limits);
    size < shared.accumulator.max_bytes && message.properties().iter().all(carried)
}

fn key_of<'m>(shared: &Shared, message: &'m Message, mode: SendMode) -> Key<'m> {
    let retries = if mode == SendMode::Sync { shared.settings.retries } else { shared.settings.async_retries };
    Key {
        topic: message.shared_topic(),
        tag: message.tag(),
        wait_store: message.wait_store(),
        attempts: retries.saturating_add(1),
    }
}

/// The sender of a message that is under way by itself holds it until the end.
pub(in crate::producer) struct Alone {
    shared: Arc<Shared>,
    share: Share,
}

impl Drop for Alone {
    fn drop(&mut self) {
        Accumulator::ended(&self.shared, self.share);
    }
}

/// What became of a message that might have been gathered.
pub(in crate::producer) enum Joined {
    /// Its sender sends it as any other.
    Alone(Alone),
    Ended(Result<SendResult>),
}

/// Sends a message together with others, unless there are none, and waits for its result.
pub(in crate::producer) fn send(shared: &Arc<Shared>, message: &Message) -> Joined {
    let key = key_of(shared, message, SendMode::Sync);
    if let Some(share) = shared.accumulator.lock().gather.alone(&key) {
        return Joined::Alone(Alone { shared: shared.clone(), share });
    }
    let deadline = Deadline::after(shared.settings.timeout);
    let placed = Encoded::new(shared, message, SendMode::Sync).and_then(|encoded| {
        let place = Accumulator::place(shared, &key, encoded.bytes.len(), deadline, true)?;
        Ok((encoded, place))
    });
    Joined::Ended(match placed {
        Ok((encoded, place)) => wait(shared, message, encoded, place, deadline),
        Err(error) => {
            shared.stats.failed(1, &error);
            Err(error)
        }
    })
}

fn wait(
    shared: &Arc<Shared>,
    message: &Message,
    encoded: Encoded,
    place: Place,
    deadline: Deadline,
) -> Result<SendResult> {
    let seat = Seat::mine();
    let member = Member::new(encoded.id.clone(), End::Seat(seat.clone()));
    Accumulator::add(shared, place, deadline, &encoded.bytes, member);
    drop(encoded);
    let result = seat.wait(deadline.at() + GRACE);
    let result = result.unwrap_or_else(|| Err(deadline.missed(Stage::Reply, None, Outcome::Unknown)));
    if !shared.hooks.is_empty() {
        shared.hooks.after(&context(shared, message, SendMode::Sync), result.as_ref().map(Some));
    }
    result
}

/// A message that has passed all checks and has a place in a batch and in the window of what is in flight.
pub(in crate::producer) struct Admitted {
    encoded: Encoded,
    place: Place,
    permit: Permit,
    deadline: Deadline,
}

/// Admits a message whose sender does not wait for its end. A `patient` one waits for room, until the deadline.
pub(in crate::producer) fn admit(shared: &Arc<Shared>, message: &Message, patient: bool) -> Result<Admitted> {
    let deadline = Deadline::after(shared.settings.timeout);
    let encoded = Encoded::new(shared, message, SendMode::Async)?;
    // The threads are started now, so that their failing is an error here.
    let callbacks = shared.core.callbacks()?;
    // A callback that sends must not wait for a window that only callbacks free.
    let may_wait = patient && !callbacks.is_callback_thread();
    let permit = shared.window.enter(message.body().len(), may_wait.then_some(deadline))?;
    let key = key_of(shared, message, SendMode::Async);
    let place = Accumulator::place(shared, &key, encoded.bytes.len(), deadline, patient)?;
    Ok(Admitted { encoded, place, permit, deadline })
}

impl Admitted {
    /// Lets the message join; its end is delivered when its batch has ended.
    pub(in crate::producer) fn join(self, shared: &Arc<Shared>, delivery: Delivery) {
        let Admitted { encoded, place, permit, deadline } = self;
        let member = Member::new(encoded.id.clone(), End::Background(delivery, permit));
        Accumulator::add(shared, place, deadline, &encoded.bytes, member);
    }
}

/// A message as it stands in a batch.
struct Encoded {
    id: Arc<str>,
    bytes: Vec<u8>,
}

thread_local! {
    /// Where this thread encodes its messages.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Encoded {
    /// Runs the checks and the hooks that every message goes through before it is sent.
    fn new(shared: &Shared, message: &Message, mode: SendMode) -> Result<Encoded> {
        shared.check_open()?;
        let mut bytes = SCRATCH.take();
        bytes.clear();
        let id = prepare::member(message, shared.core.unique_ids(), &shared.settings.limits, &mut bytes)?;
        if !shared.hooks.is_empty() {
            shared.hooks.before(&context(shared, message, mode))?;
        }
        Ok(Encoded { id, bytes })
    }
}

impl Drop for Encoded {
    fn drop(&mut self) {
        SCRATCH.set(std::mem::take(&mut self.bytes));
    }
}

fn context<'c>(shared: &'c Shared, message: &'c Message, mode: SendMode) -> SendContext<'c> {
    SendContext { group: shared.group(), mode, messages: std::slice::from_ref(message), queue: None }
}
