//! One message in a batch, as far as its result is concerned: whoever waits for it is told exactly once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::seat::Seat;
use crate::client::SendResult;
use crate::error::{Error, Outcome, Result};
use crate::producer::background::{Delivery, Done};
use crate::producer::window::Permit;

/// After so many callbacks their places in the window are free, so that senders go on while the others still run.
const CALLBACKS_PER_RELEASE: usize = 32;

pub(super) enum End {
    /// A thread waits.
    Seat(Arc<Seat>),
    /// The sender went on; its place in the window is free once the message has ended.
    Background(Delivery, Permit),
}

pub(super) struct Member {
    /// The message's unique id.
    pub(super) id: Arc<str>,
    /// `None` once it was told.
    end: Option<End>,
}

impl Member {
    pub(super) fn new(id: Arc<str>, end: End) -> Member {
        Member { id, end: Some(end) }
    }

    pub(super) fn is_called_back(&self) -> bool {
        matches!(self.end, Some(End::Background(Delivery::Callback(_), _)))
    }

    fn tell(&mut self, result: Result<SendResult>) -> Option<Permit> {
        match self.end.take()? {
            End::Seat(seat) => {
                seat.complete(result);
                None
            }
            End::Background(Delivery::Forward(done) | Delivery::Callback(done) | Delivery::Uncounted(done), permit) => {
                run(done, result);
                Some(permit)
            }
        }
    }
}

/// One callback's panic must not keep the others of its batch from running.
fn run(done: Done, result: Result<SendResult>) {
    if catch_unwind(AssertUnwindSafe(|| done(result))).is_err() {
        log::error!("a callback panicked; the client goes on");
    }
}

impl Drop for Member {
    /// A message that was lost on the way, to which no path leads: its sender must not wait for ever.
    fn drop(&mut self) {
        if self.end.is_some() {
            self.tell(Err(Error::Closed { outcome: Outcome::Unknown }));
        }
    }
}

/// Tells members of a batch of `of` messages what it came to, each with its place in the batch.
pub(super) fn tell_each(members: impl Iterator<Item = (usize, Member)>, of: usize, result: &Result<SendResult>) {
    let offset_ids: Vec<&str> = match result {
        Ok(sent) if of > 1 => sent.offset_message_id().split(',').collect(),
        _ => Vec::new(),
    };
    let mut places: Option<Permit> = None;
    for (number, (place, mut member)) in members.enumerate() {
        let own = match result {
            Ok(sent) if of == 1 => Ok(sent.clone()),
            Ok(sent) => {
                // An inner batch, one stored record with all messages in it, has one id for all of them.
                let offset_id = if offset_ids.len() == of { offset_ids[place] } else { sent.offset_message_id() };
                Ok(sent.of_member(place, member.id.clone(), offset_id))
            }
            Err(error) => Err(error.clone()),
        };
        if let Some(permit) = member.tell(own) {
            match &mut places {
                Some(places) => places.absorb(permit),
                None => places = Some(permit),
            }
        }
        if (number + 1) % CALLBACKS_PER_RELEASE == 0 {
            places = None;
        }
    }
}
