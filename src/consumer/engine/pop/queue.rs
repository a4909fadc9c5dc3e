//! One queue that is popped, or all queues of a broker, from being assigned to being given up. Pure: it is told
//! what happened, and says what it wants done (in `steps`).

mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::super::event::{Spell, Verdict};
use super::super::options::{EngineOptions, Order};
use super::super::process_queue::Full;
use super::super::queue::{REFUSED_DELAY, Standing};
use super::event::{PopOptions, Popped};
use super::fate::{Fate, fate, pause};
use crate::message::{MessageQueue, MessageView};
use crate::sorted::SortedSet;

/// With more messages than this that are not acknowledged, no more are popped (Java: `popThresholdForQueue`).
pub(super) const THRESHOLD: usize = 96;
/// After an error, as Java waits.
const ERROR_DELAY: Duration = Duration::from_secs(1);
/// When a broker asked for patience.
const THROTTLED_DELAY: Duration = Duration::from_millis(20);
/// A broker that does not hold pops must not be asked in a tight loop.
const EMPTY_DELAY: Duration = Duration::from_millis(50);
/// For how long it is tried to give a message back.
const TOLD_AT_ONCE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// It is given up: listeners end or have no more time, and what they finished is acknowledged.
    Revoked(Option<Instant>),
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A listener is to get it.
    Waiting,
    /// A listener has it.
    Running,
    /// To be told at this time.
    Due(Fate, Instant),
    /// Being told.
    Asked(Fate),
}

/// A message that is not acknowledged.
#[derive(Debug)]
struct Held {
    message: MessageView,
    /// From then on the broker gives it to others: what is said about it afterwards does not count.
    until: Instant,
    state: State,
}

#[derive(Debug)]
pub(crate) struct PopQueue {
    spell: Spell,
    stage: Stage,
    /// By number, which is the order of arrival.
    held: BTreeMap<u64, Held>,
    waiting: BTreeSet<u64>,
    running: usize,
    /// Messages whose acknowledgement is under way. It goes out for all that are done when the one before is answered.
    acks: usize,
    popping: Option<Instant>,
    ticket: u64,
    attempt: u64,
    pop_at: Instant,
    failing: bool,
    is_refused: bool,
    /// Something happened since it took its last steps; else it takes none before `next_at`.
    touched: bool,
    next_at: Option<Instant>,
    pub(crate) last_pop: Option<Instant>,
    pub(crate) last_progress: Option<Instant>,
}

impl PopQueue {
    pub(super) fn new(queue: MessageQueue, epoch: u64, now: Instant) -> PopQueue {
        PopQueue {
            spell: Spell { queue, epoch },
            stage: Stage::Open,
            held: BTreeMap::new(),
            waiting: BTreeSet::new(),
            running: 0,
            acks: 0,
            popping: None,
            ticket: 0,
            attempt: 1,
            pop_at: now,
            failing: false,
            is_refused: false,
            touched: true,
            next_at: None,
            last_pop: None,
            last_progress: None,
        }
    }

    pub(crate) fn spell(&self) -> &Spell {
        &self.spell
    }

    /// How many messages are not acknowledged.
    pub(crate) fn unacked(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.held.values().map(|held| held.message.body().len()).sum()
    }

    /// How many messages listeners have.
    pub(crate) fn running(&self) -> usize {
        self.running
    }

    pub(super) fn touch(&mut self) {
        self.touched = true;
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.next_at
    }

    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.stage, Stage::Revoked(_) | Stage::Gone)
    }

    pub(super) fn is_gone(&self) -> bool {
        self.stage == Stage::Gone
    }

    /// Whether a listener could get something, if that is not too old.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn popped(
        &mut self,
        ticket: u64,
        popped: Popped,
        options: &EngineOptions,
        next_number: &mut u64,
        now: Instant,
    ) {
        self.touched = true;
        let is_wanted = self.stage == Stage::Open && ticket == self.ticket;
        let Some(since) = self.popping.take_if(|_| is_wanted) else { return self.release(popped, next_number, now) };
        self.attempt += u64::from(!matches!(popped, Popped::Failed(_)));
        let failed_before = std::mem::replace(&mut self.failing, false);
        self.is_refused = false;
        self.pop_at = match popped {
            Popped::Found { messages, refused, .. } if messages.is_empty() && refused.is_empty() => now + EMPTY_DELAY,
            Popped::Found { messages, refused, arrived } => {
                let until = arrived + invisible(options);
                if options.order == Order::Orderly {
                    self.supersede(&messages);
                }
                self.hold(messages, State::Waiting, until, next_number);
                self.hold(refused, State::Due(Fate::Ack, now), until, next_number);
                now
            }
            Popped::Nothing if now.saturating_duration_since(since) < EMPTY_DELAY => now + EMPTY_DELAY,
            Popped::Nothing => now,
            Popped::Throttled => now + THROTTLED_DELAY,
            Popped::Crowded => now + ERROR_DELAY,
            Popped::Failed(error) => {
                self.is_refused = error.is_refused();
                let delay = if self.is_refused { REFUSED_DELAY } else { ERROR_DELAY };
                if !failed_before {
                    log::warn!("{}: popping fails, and is tried again every {delay:?}: {error}", self.spell.queue);
                }
                self.failing = true;
                now + delay
            }
        };
    }

    /// Gives back at once what nobody here wants any more; else others would have to wait until its time is up.
    fn release(&mut self, popped: Popped, next_number: &mut u64, now: Instant) {
        if let Popped::Found { messages, refused, .. } = popped {
            let until = now + TOLD_AT_ONCE;
            self.hold(messages, State::Due(Fate::Again(Duration::ZERO), now), until, next_number);
            self.hold(refused, State::Due(Fate::Ack, now), until, next_number);
        }
    }

    fn hold(&mut self, messages: Vec<MessageView>, state: State, until: Instant, next_number: &mut u64) {
        for message in messages {
            *next_number += 1;
            if state == State::Waiting {
                self.waiting.insert(*next_number);
            }
            self.held.insert(*next_number, Held { message, until, state });
        }
    }

    /// Brokers hand out messages of a queue in order only when everything before is acknowledged or its time is up. What
    /// still waits here of such a queue therefore comes again, and before it what must be consumed first.
    fn supersede(&mut self, messages: &[MessageView]) {
        let lanes: SortedSet<&MessageQueue> = messages.iter().map(MessageView::queue).collect();
        let held = &mut self.held;
        self.waiting.retain(|number| {
            let forget = held.get(number).is_none_or(|held| lanes.contains(held.message.queue()));
            if forget {
                held.remove(number);
            }
            !forget
        });
    }

    /// Hands out the next messages, all of one queue of the broker: their numbers and they themselves.
    pub(super) fn take(&mut self, options: &EngineOptions, now: Instant) -> Option<(Vec<u64>, Vec<MessageView>)> {
        if self.stage != Stage::Open {
            return None;
        }
        self.touched = true;
        self.forget_late(now);
        let busy: SortedSet<&MessageQueue> = match options.order {
            Order::Concurrent | Order::Elsewhere | Order::Polled { .. } => SortedSet::new(),
            Order::Orderly => self.lanes(|state| state == State::Running),
        };
        let held = &self.held;
        let lane_of = |number: &u64| held.get(number).map(|held| held.message.queue());
        let lane = self.waiting.iter().filter_map(lane_of).find(|lane| !busy.contains(lane))?.clone();
        let is_damaged = |number: &u64| held.get(number).is_some_and(|held| held.message.check_body().is_err());
        // A message of the retry topic may have the offset of another one.
        let (mut numbers, mut offsets) = (Vec::new(), BTreeSet::new());
        for (number, held) in self.waiting.iter().filter_map(|number| Some((*number, held.get(number)?))) {
            let fits = *held.message.queue() == lane && numbers.len() < options.batch;
            if fits && offsets.insert(held.message.queue_offset()) {
                numbers.push(number);
            }
        }
        // It comes alone, so that the others do not fail with it.
        if let Some(first) = numbers.iter().position(is_damaged) {
            numbers.truncate(first.max(1));
        }
        let mut messages = Vec::with_capacity(numbers.len());
        for number in &numbers {
            self.waiting.remove(number);
            if let Some(held) = self.held.get_mut(number) {
                held.state = State::Running;
                messages.push(held.message.clone());
            }
        }
        self.running += numbers.len();
        Some((numbers, messages))
    }

    /// The queues of the broker that have messages in such a state.
    fn lanes(&self, is: impl Fn(State) -> bool) -> SortedSet<&MessageQueue> {
        self.held.values().filter(|held| is(held.state)).map(|held| held.message.queue()).collect()
    }

    /// Forgets what no listener got in time. Not before one is free: what would be popped in its place had to wait as well,
    /// and each time counts as a delivery that failed.
    fn forget_late(&mut self, now: Instant) {
        let before = self.waiting.len();
        let held = &mut self.held;
        self.waiting.retain(|number| {
            let late = held.get(number).is_none_or(|held| held.until <= now);
            if late {
                held.remove(number);
            }
            !late
        });
        let late = before - self.waiting.len();
        if late > 0 {
            log::warn!("{}: {late} popped messages found no listener in time, and come again", self.spell.queue);
        }
    }

    /// Takes what a listener said.
    pub(super) fn consumed(&mut self, numbers: &[u64], verdict: Verdict, options: &EngineOptions, now: Instant) {
        self.last_progress = Some(now);
        self.touched = true;
        self.running -= numbers.len().min(self.running);
        for (place, number) in numbers.iter().enumerate() {
            let Some(held) = self.held.get_mut(number) else { continue };
            if held.until <= now {
                log::warn!("{}: a listener took longer than a message is invisible; it comes again", held.message);
                self.held.remove(number);
                continue;
            }
            held.state = State::Due(fate(&held.message, place, verdict, options), now);
        }
        let failed = !matches!(verdict, Verdict::Success);
        if let (true, Order::Orderly, Some(first)) = (failed, options.order, numbers.first()) {
            self.hold_up(*first, pause(verdict, options), now);
        }
    }

    /// A batch failed whose queue is consumed in order: everything behind it is to come again after it.
    fn hold_up(&mut self, first: u64, pause: Duration, now: Instant) {
        let Some(lane) = self.held.get(&first).map(|held| held.message.queue().clone()) else { return };
        for (number, held) in self.held.range_mut(first..) {
            if held.state == State::Waiting && *held.message.queue() == lane {
                held.state = State::Due(Fate::Again(pause), now);
                self.waiting.remove(number);
            }
        }
    }

    pub(super) fn settled(&mut self, numbers: &[u64], done: bool, now: Instant) {
        self.touched = true;
        for number in numbers {
            let Some(held) = self.held.get_mut(number) else { continue };
            let State::Asked(fate) = held.state else { continue };
            if fate == Fate::Ack {
                self.acks -= 1;
            }
            match (fate, done) {
                (Fate::Bury, true) => held.state = State::Due(Fate::Ack, now),
                (Fate::Ack | Fate::Again(_), true) => drop(self.held.remove(number)),
                (_, false) => held.state = State::Due(fate, now + ERROR_DELAY),
            }
        }
    }

    /// The queue is read by somebody else, or in another way. `grace` is how long listeners may take.
    pub(super) fn revoke(&mut self, grace: Option<Duration>, now: Instant) {
        if !self.is_leaving() {
            self.touched = true;
            self.stage = Stage::Revoked(grace.map(|grace| now + grace));
            for number in std::mem::take(&mut self.waiting) {
                if let Some(held) = self.held.get_mut(&number) {
                    // Others need not wait until its time is up.
                    held.state = State::Due(Fate::Again(Duration::ZERO), now);
                }
            }
        }
    }

    /// Why nothing is popped, if that is so.
    pub(crate) fn standing(&self, suspended: bool) -> Option<Standing> {
        match self.stage {
            Stage::Revoked(_) | Stage::Gone => Some(Standing::Leaving),
            Stage::Open if suspended => Some(Standing::Suspended),
            Stage::Open if self.is_refused => Some(Standing::Refused),
            Stage::Open if self.failing => Some(Standing::Failing),
            Stage::Open => (self.held.len() > THRESHOLD).then_some(Standing::Full(Full::Messages)),
        }
    }
}

fn invisible(options: &EngineOptions) -> Duration {
    options.by_broker.map_or(Duration::ZERO, |PopOptions { invisible, .. }| invisible)
}
