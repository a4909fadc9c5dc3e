//! Automatic batching: messages that are sent one by one, by any number of threads, travel together.
//!
//! [`gather`] decides, [`Accumulator`] does: it locks, sends what is due, and hands each message its own end. It has no
//! thread. What leaves is sent by the thread that filled the batch, by the one that brings the answer to the batch before,
//! or by the scheduler when the first message has waited long enough.

mod admit;
mod gather;
mod member;
mod seat;
mod settings;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

pub(super) use self::admit::{Joined, admit, send, takes};
use self::gather::{Batch, Gather, Key, Limits, Place, Share};
use self::member::{Member, tell_each};
pub use self::settings::AutoBatch;
use super::background::{self, Delivery};
use super::call::Target;
use super::retry::Rules;
use super::shared::Shared;
use super::window::Permit;
use crate::client::SendResult;
use crate::client::send::Prepared;
use crate::code::ResponseCode;
use crate::error::{BATCH_TOO_LARGE, Error, Outcome, Result, Stage};
use crate::message::{key, write_property};
use crate::protocol::batch;
use crate::remoting::Deadline;

/// What one producer gathers.
pub(super) struct Accumulator {
    pub(super) on: bool,
    max_bytes: usize,
    state: Mutex<State>,
    /// Senders wait on it for room, and who closes for the last batch.
    ended: Condvar,
}

struct State {
    gather: Gather<Member>,
    closed: bool,
    waiting: usize,
}

impl Accumulator {
    /// `settings` is `None` for a producer that batches only what asks for it.
    pub(super) fn new(settings: Option<&AutoBatch>, timeout: Duration) -> Accumulator {
        let default = AutoBatch::default();
        let AutoBatch { max_delay, max_bytes, max_held_bytes } = *settings.unwrap_or(&default);
        let delay = max_delay.min(timeout / 2);
        let gather = Gather::new(Limits { delay, bytes: max_bytes, held: max_held_bytes });
        let state = Mutex::new(State { gather, closed: false, waiting: 0 });
        Accumulator { on: settings.is_some(), max_bytes, state, ended: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for a message. While too much is held everything gathered leaves, and a `patient` sender waits until the
    /// deadline.
    fn place(shared: &Arc<Shared>, key: &Key<'_>, bytes: usize, deadline: Deadline, patient: bool) -> Result<Place> {
        let accumulator = &shared.accumulator;
        loop {
            let mut state = accumulator.lock();
            if state.closed {
                return Err(Error::Closed { outcome: Outcome::NotSent });
            }
            if let Some(place) = state.gather.place(key, bytes) {
                return Ok(place);
            }
            let gathered = state.gather.take_all();
            if !gathered.is_empty() {
                drop(state);
                gathered.into_iter().for_each(|batch| send_off(shared, batch));
                continue;
            }
            if !patient {
                return Err(Error::Busy { what: "the bytes that automatic batching may hold are used up".into() });
            }
            let left = deadline.left(Instant::now());
            if left.is_zero() {
                return Err(deadline.missed(Stage::Admission, None, Outcome::NotSent));
            }
            state.waiting += 1;
            state = accumulator.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
        }
    }

    /// Adds a message and sends what is due because of it.
    fn add(shared: &Arc<Shared>, place: Place, deadline: Deadline, encoded: &[u8], member: Member) {
        let now = Instant::now();
        // One that has waited long for its admission must not shorten the time of others.
        let hurried = deadline.left(now) < shared.settings.timeout / 2;
        let mut state = shared.accumulator.lock();
        let (due, tick) = match hurried {
            true => (Some(state.gather.add_alone(place, deadline, encoded, member)), None),
            false => state.gather.add(now, place, deadline, encoded, member),
        };
        let closed = state.closed;
        // Closing has sent what was gathered by then; what had its place already follows.
        let rest = if closed { state.gather.take_all() } else { Vec::new() };
        drop(state);
        if let Some(at) = tick.filter(|_| !closed) {
            ask_tick(shared, at);
        }
        due.into_iter().chain(rest).for_each(|batch| send_off(shared, batch));
    }

    /// Takes note of an end, and sends what is due because of it.
    fn ended(shared: &Arc<Shared>, share: Share) {
        let accumulator = &shared.accumulator;
        let mut state = accumulator.lock();
        let due = state.gather.ended(share);
        let wake = state.waiting > 0;
        drop(state);
        if wake {
            accumulator.ended.notify_all();
        }
        if let Some(batch) = due {
            send_off(shared, batch);
        }
    }

    fn tick(shared: &Arc<Shared>) {
        let (due, next) = shared.accumulator.lock().gather.tick(Instant::now());
        if let Some(at) = next {
            ask_tick(shared, at);
        }
        due.into_iter().for_each(|batch| send_off(shared, batch));
    }

    /// Lets no message in any more and sends what is gathered; who waits for room gets an error.
    pub(super) fn close(shared: &Arc<Shared>) {
        let mut state = shared.accumulator.lock();
        state.closed = true;
        let gathered = state.gather.take_all();
        drop(state);
        shared.accumulator.ended.notify_all();
        gathered.into_iter().for_each(|batch| send_off(shared, batch));
    }

    /// Waits until all batches have ended, or `until`.
    pub(super) fn drain(&self, until: Instant) {
        let mut state = self.lock();
        while state.gather.batches() > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state.waiting += 1;
            state = self.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
        }
    }
}

fn ask_tick(shared: &Arc<Shared>, at: Instant) {
    let weak = Arc::downgrade(shared);
    shared.core.timers().at(at, move || {
        if let Some(shared) = weak.upgrade() {
            Accumulator::tick(&shared);
        }
    });
}

thread_local! {
    /// Batches that came up while this thread was sending one; `None` when it is not.
    static NEXT: RefCell<Option<VecDeque<(Arc<Shared>, Batch<Member>)>>> = const { RefCell::new(None) };
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
fn send_off(shared: &Arc<Shared>, batch: Batch<Member>) {
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
                shared.stats.ended(&self.whole, self.deadline.started(), &result);
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
fn may_be_one_members_fault(error: &Error) -> bool {
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
