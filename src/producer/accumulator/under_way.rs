//! Batches that have left: one request each, through the asynchronous way with all its retries, and its end for everybody.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::Accumulator;
use super::gather::{Batch, Share};
use super::member::{Member, tell_each};
use crate::client::SendResult;
use crate::client::send::Prepared;
use crate::code::ResponseCode;
use crate::error::{BATCH_TOO_LARGE, Error, Outcome, Result};
use crate::message::{key, write_property};
use crate::producer::background::{self, Delivery, note_end};
use crate::producer::call::Target;
use crate::producer::retry::Rules;
use crate::producer::shared::Shared;
use crate::producer::window::Permit;
use crate::protocol::batch;
use crate::remoting::Deadline;

/// Batches in the order in which they are to be sent.
type Line = VecDeque<(Arc<Shared>, Batch<Member>)>;

thread_local! {
    /// Batches that came up while this thread was sending one; `None` when it is not.
    static NEXT: RefCell<Option<Line>> = const { RefCell::new(None) };
}

/// Lets the thread send again, also after a panic.
struct Turn;

impl Drop for Turn {
    fn drop(&mut self) {
        NEXT.take();
    }
}

/// Sends a batch without blocking. A batch that fails at once lets the next one go, and so on: those wait in line here
/// instead of each standing on the stack of the one before.
pub(super) fn send_off(shared: &Arc<Shared>, batch: Batch<Member>) {
    let mine = NEXT.with_borrow_mut(|next| match next {
        Some(next) => {
            next.push_back((shared.clone(), batch));
            None
        }
        None => {
            *next = Some(VecDeque::new());
            Some(batch)
        }
    });
    let Some(batch) = mine else { return };
    let _turn = Turn;
    start(shared, batch);
    while let Some((shared, batch)) = NEXT.with_borrow_mut(|next| next.as_mut().and_then(VecDeque::pop_front)) {
        start(&shared, batch);
    }
}

fn start(shared: &Arc<Shared>, batch: Batch<Member>) {
    let Batch { share, topic, wait_store, attempts, members, body, deadline } = batch;
    let settings = &shared.settings;
    let rules = Rules { attempts, retry_unknown: settings.retry_unknown, attempt_timeout: settings.attempt_timeout };
    let mut properties = String::new();
    if !wait_store {
        write_property(&mut properties, key::WAIT, "false");
    }
    let message_id = joined(&members).into();
    let whole = Prepared { topic, body: body.into(), sys_flag: 0, flag: 0, properties, message_id, batch: true };
    let prepared = match &members[..] {
        [only] => single(&whole, only.id.clone(), whole.body.clone()),
        members => {
            shared.stats.batching.sent(members.len());
            whole.clone()
        }
    };
    let under_way = UnderWay { shared: shared.clone(), share, members, whole, rules, deadline };
    let done = Box::new(move |result| under_way.end(result));
    let permit = Permit::none(&shared.window);
    background::start(shared, prepared, Target::Any, rules, deadline, Delivery::Uncounted(done), permit);
}

fn joined(members: &[Member]) -> String {
    let mut ids = String::with_capacity(members.iter().map(|member| member.id.len() + 1).sum());
    for member in members {
        if !ids.is_empty() {
            ids.push(',');
        }
        ids.push_str(&member.id);
    }
    ids
}

/// Makes one encoded message of a batch a message of its own.
fn single(whole: &Prepared, id: Arc<str>, encoded: Bytes) -> Prepared {
    let mut prepared = Prepared { message_id: id, batch: false, ..whole.clone() };
    // It was encoded here, so it can be read.
    if let Some(item) = batch::decode(&encoded).ok().and_then(|mut items| items.pop()) {
        prepared.flag = item.flag;
        prepared.body = item.body;
        prepared.properties = String::from_utf8_lossy(&item.properties).into_owned();
    }
    prepared
}

/// A batch that has left.
struct UnderWay {
    shared: Arc<Shared>,
    share: Share,
    members: Vec<Member>,
    whole: Prepared,
    rules: Rules,
    deadline: Deadline,
}

impl UnderWay {
    /// Runs where the answer arrived, or on the scheduler: it only forwards.
    fn end(self, result: Result<SendResult>) {
        let shared = self.shared.clone();
        let share = self.share;
        // The next batch goes first: its answer takes longest.
        Accumulator::ended(&shared, share);
        match result {
            Err(error) if self.members.len() > 1 && may_be_one_members_fault(&error) => self.send_singly(&error),
            result => {
                note_end(&shared, &self.whole, self.deadline.started(), &result);
                deliver(&shared, self.members, result);
            }
        }
    }

    /// Sends the messages of a refused batch again, each by itself, so that one cannot fail its neighbours.
    fn send_singly(self, error: &Error) {
        let UnderWay { shared, members, whole, rules, deadline, .. } = self;
        log::debug!("a batch of {} is sent again message by message: {error}", members.len());
        let Ok(items) = batch::encoded(&whole.body) else {
            shared.stats.failed(members.len() as u64, error);
            return deliver(&shared, members, Err(error.clone()));
        };
        for (member, encoded) in members.into_iter().zip(items) {
            let prepared = single(&whole, member.id.clone(), encoded);
            let (told, permit) = (shared.clone(), Permit::none(&shared.window));
            let done = Box::new(move |result| deliver(&told, vec![member], result));
            background::start(&shared, prepared, Target::Any, rules, deadline, Delivery::Forward(done), permit);
        }
    }
}

/// Whether nothing of a batch was stored, for a reason that may lie in one of its messages, or in its being a batch.
pub(super) fn may_be_one_members_fault(error: &Error) -> bool {
    let codes = [ResponseCode::MESSAGE_ILLEGAL, ResponseCode::INVALID_PARAMETER];
    error.outcome() == Outcome::Rejected
        && match error {
            Error::Unsupported { .. } => true,
            Error::Exhausted { attempts, .. } => {
                attempts.last().is_some_and(|last| may_be_one_members_fault(&last.error))
            }
            Error::Rejected { code, remark, .. } => codes.contains(code) || remark.contains(BATCH_TOO_LARGE),
            _ => false,
        }
}

/// Tells the members what their batch came to: waiting threads and forwards here and now, callbacks in one job on a callback
/// thread, in the order in which the messages were sent.
fn deliver(shared: &Arc<Shared>, members: Vec<Member>, result: Result<SendResult>) {
    let of = members.len();
    let members = members.into_iter().enumerate();
    let (later, now): (Vec<_>, Vec<_>) = members.partition(|(_, member)| member.is_called_back());
    tell_each(now.into_iter(), of, &result);
    if later.is_empty() {
        return;
    }
    match shared.core.callbacks() {
        Ok(callbacks) => callbacks.run(move || tell_each(later.into_iter(), of, &result)),
        // The client has closed its callback threads; the callbacks must run all the same.
        Err(_) => tell_each(later.into_iter(), of, &result),
    }
}
