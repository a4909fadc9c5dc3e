//! One queue from the moment it is assigned to the moment it is given up. Pure: it is told what happened, and says what it
//! wants done (in `steps`).

mod callers;
mod stall;
mod steps;
mod verdict;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use self::callers::Callers;
use self::stall::Stall;
use super::correction::{self, Bounds, Correction, Illegal};
use super::event::{Batch, Pulled, Spell, Start, Why};
use super::lock::{Granted, Lock};
use super::options::{EngineOptions, MessageModel, Order};
use super::process_queue::{Full, Limits, ProcessQueue};
use super::progress::Progress;
use crate::error::Error;
use crate::message::MessageQueue;

/// After an error, as Java waits; and between two looks at a queue that its broker does not have in order.
const ERROR_DELAY: Duration = Duration::from_secs(1);
/// After a refusal for lack of a right, which lasts until somebody changes something.
pub(super) const REFUSED_DELAY: Duration = Duration::from_secs(5);
/// How soon a queue that is full is looked at again, unless a message is finished before.
const THROTTLED_DELAY: Duration = Duration::from_millis(20);
/// A broker that does not hold pulls must not be asked in a tight loop.
const EMPTY_DELAY: Duration = Duration::from_millis(50);
/// How often the last commit of a queue is tried.
const LAST_COMMITS: u32 = 2;

/// What a queue is doing.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    /// Waits for the broker's lock.
    Locking,
    /// Finds out where it begins.
    Starting {
        asked: bool,
        retry_at: Instant,
    },
    Open,
    /// Is about to go on elsewhere, once its listeners have ended.
    Moving {
        to: i64,
        why: Why,
    },
    /// Has lost its lock, and begins anew once its listeners have ended.
    Unlocked,
    /// Goes to another member: its listeners end, or have no more time, and then it commits for the last time.
    Revoked {
        until: Option<Instant>,
        commits: u32,
        at: Option<i64>,
    },
    Gone,
}

/// Why a queue stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    WaitsForLock,
    WaitsForStart,
    Suspended,
    Full(Full),
    /// A listener asked for a pause.
    Paused,
    /// The broker does not have the offset and cannot prove that it is right.
    Doubtful,
    Failing,
    /// The broker refuses for lack of a right.
    Refused,
    /// Listeners have had messages for long and have not returned.
    Stalled,
    Leaving,
}

/// A message the broker is to take back.
#[derive(Debug, Clone, Copy)]
struct Return {
    delay_level: i32,
    repeats: i32,
    dead: bool,
    /// `None` while the broker is being asked.
    retry_at: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Queue {
    spell: Spell,
    stage: Stage,
    cache: ProcessQueue,
    progress: Progress,
    lock: Lock,
    returns: BTreeMap<i64, Return>,
    pulling: Option<Instant>,
    ticket: u64,
    pull_at: Instant,
    failing: bool,
    is_refused: bool,
    illegal: Option<(Illegal, Instant)>,
    commit_at: Instant,
    /// Before this, no listener has had a message for too long.
    overdue_at: Option<Instant>,
    paused_until: Option<Instant>,
    stall: Stall,
    callers: Callers,
    pub(crate) last_pull: Option<Instant>,
    pub(crate) last_progress: Option<Instant>,
}

impl Queue {
    /// Takes a queue over. `former_owner` is when whoever may have had it before has surely committed for the last time.
    pub(super) fn new(
        queue: MessageQueue,
        epoch: u64,
        former_owner: Instant,
        options: &EngineOptions,
        now: Instant,
    ) -> Queue {
        let mut queue = Queue {
            spell: Spell { queue, epoch },
            stage: Stage::Gone,
            cache: ProcessQueue::new(0),
            progress: Progress::default(),
            lock: Lock::new(now),
            returns: BTreeMap::new(),
            pulling: None,
            ticket: 0,
            pull_at: now,
            failing: false,
            is_refused: false,
            illegal: None,
            commit_at: now + options.persist_interval,
            overdue_at: None,
            paused_until: None,
            stall: Stall::default(),
            callers: Callers::default(),
            last_pull: None,
            last_progress: None,
        };
        queue.begin(options, former_owner, now);
        queue
    }

    fn begin(&mut self, options: &EngineOptions, former_owner: Instant, now: Instant) {
        // With a lock, the broker keeps owners apart.
        let needs_lock = options.is_locked() && !self.lock.is_held(now);
        let starting = Stage::Starting { asked: false, retry_at: former_owner };
        self.stage = match options.order {
            Order::Elsewhere => Stage::Open,
            _ if needs_lock => Stage::Locking,
            _ => starting,
        };
    }

    /// Begins a new spell; everything of the former one that is still under way is ignored when it arrives.
    fn renew(&mut self, epoch: u64, next_offset: i64) {
        self.spell.epoch = epoch;
        self.cache = ProcessQueue::new(next_offset);
        self.progress = Progress::default();
        self.returns.clear();
        self.pulling = None;
        self.illegal = None;
        self.overdue_at = None;
        self.paused_until = None;
        self.stall = Stall::default();
        self.callers.renew(&self.spell.queue);
    }

    pub(crate) fn spell(&self) -> &Spell {
        &self.spell
    }

    pub(crate) fn cache(&self) -> &ProcessQueue {
        &self.cache
    }

    pub(crate) fn stored(&self) -> Option<i64> {
        self.progress.stored()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.stage == Stage::Gone
    }

    /// Whether it is on its way to another member.
    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.stage, Stage::Revoked { .. } | Stage::Gone)
    }

    pub(super) fn started(&mut self, start: Option<Start>, options: &EngineOptions, now: Instant) {
        if !matches!(self.stage, Stage::Starting { asked: true, .. }) {
            return;
        }
        match start.filter(|start| start.offset >= 0) {
            Some(start) => {
                self.cache = ProcessQueue::new(start.offset);
                self.progress = Progress::new(start.stored);
                self.commit_at = now + options.persist_interval;
                self.pull_at = now;
                self.is_refused = false;
                self.stage = Stage::Open;
            }
            // Never pulled from a guess: a broker takes a wrong offset for a wish.
            None => self.stage = Stage::Starting { asked: false, retry_at: now + ERROR_DELAY },
        }
    }

    /// Waits longer before it asks again where to begin.
    pub(super) fn start_refused(&mut self, now: Instant) {
        if let Stage::Starting { asked: false, retry_at } = &mut self.stage {
            (*retry_at, self.is_refused) = (now + REFUSED_DELAY, true);
        }
    }

    pub(super) fn locked(&mut self, given: Option<bool>, now: Instant) {
        let granted = self.lock.answered(given, now);
        match (granted, self.stage) {
            (Granted::Anew, Stage::Locking) => self.stage = Stage::Starting { asked: false, retry_at: now },
            // Somebody else may have consumed meanwhile: what is known here is old.
            (Granted::Anew | Granted::No, Stage::Starting { .. } | Stage::Open) => self.stage = Stage::Unlocked,
            _ => {}
        }
    }

    /// What is on its way does not count any more, and the queue is pulled at once.
    pub(super) fn pull_anew(&mut self, now: Instant) {
        if self.stage == Stage::Open {
            self.pulling = None;
            self.pull_at = now;
        }
    }

    /// Whether the answer to a pull is waited for; others come late, or for a second time.
    pub(super) fn awaits(&self, ticket: u64) -> bool {
        ticket == self.ticket && self.pulling.is_some()
    }

    /// The pull that is [awaited](Queue::awaits) is answered.
    pub(super) fn pulled(&mut self, pulled: Pulled, options: &EngineOptions, now: Instant) {
        if self.stage != Stage::Open {
            return;
        }
        let Some(since) = self.pulling.take() else { return };
        let failed_before = std::mem::replace(&mut self.failing, false);
        self.is_refused = false;
        match pulled {
            Pulled::Found { messages, next } => {
                let advanced = next > self.cache.next_offset();
                let empty = messages.is_empty();
                self.cache.put(messages, next);
                let delay = if empty { Duration::ZERO } else { options.pull_interval };
                self.pull_at = if advanced { now + delay } else { now + EMPTY_DELAY };
                self.illegal = None;
            }
            Pulled::Nothing { next } => {
                self.cache.put(Vec::new(), next);
                // A pull that was held may be followed by the next one at once.
                self.pull_at = if now.saturating_duration_since(since) < EMPTY_DELAY { now + EMPTY_DELAY } else { now };
                self.illegal = None;
            }
            Pulled::Illegal(illegal) => {
                let since = self.illegal.map_or(now, |(_, since)| since);
                self.illegal = Some((illegal, since));
                self.pull_at = now + ERROR_DELAY;
            }
            Pulled::Throttled => self.pull_at = now + THROTTLED_DELAY,
            Pulled::Failed(error) => {
                self.is_refused = error.is_refused();
                let delay = if self.is_refused { REFUSED_DELAY } else { ERROR_DELAY };
                if !failed_before {
                    self.refused(&error, options);
                    log::warn!("{}: pulling fails, and is tried again every {delay:?}: {error}", self.spell.queue);
                }
                self.failing = true;
                self.pull_at = now + delay;
            }
        }
    }

    /// Decides about an offset that the broker does not have; says whether the master is to be asked for its bounds.
    pub(super) fn correct(&mut self, bounds: Option<Bounds>, asked: bool, now: Instant) -> bool {
        let Some((illegal, since)) = self.illegal.filter(|_| self.stage == Stage::Open) else { return false };
        match correction::decide(illegal, bounds, since, now) {
            Correction::Follow(to) => self.go_to(to, Why::Missing),
            Correction::Confirm => return !asked,
            Correction::Wait => {}
        }
        false
    }

    /// Goes on at another offset once the listeners have ended, which concurrent ones need not.
    pub(super) fn go_to(&mut self, to: i64, why: Why) {
        match &mut self.stage {
            // Its last commit tells the next owner.
            Stage::Revoked { at, commits, .. } if *commits > 0 => *at = Some(to),
            // Somebody else has the lock, and goes there.
            Stage::Locking | Stage::Unlocked | Stage::Revoked { .. } | Stage::Gone => {}
            Stage::Starting { .. } | Stage::Open | Stage::Moving { .. } => self.stage = Stage::Moving { to, why },
        }
    }

    /// Whether it has messages that may be consumed now.
    pub(super) fn is_ready(&self, options: &EngineOptions, now: Instant) -> bool {
        let open = self.stage == Stage::Open && !self.callers.is_paused();
        let may = open && self.paused_until.is_none_or(|until| now >= until);
        if !may || self.cache.waiting() == 0 {
            return false;
        }
        let free = self.cache.running() == 0 && self.returns.is_empty();
        options.order != Order::Orderly || (free && (!options.is_locked() || self.lock.is_held(now)))
    }

    /// Hands out the next batch, if the queue has one that may be consumed now.
    pub(super) fn take(&mut self, options: &EngineOptions, now: Instant) -> Option<Batch> {
        if !self.is_ready(options, now) {
            return None;
        }
        self.paused_until = None;
        self.overdue_at = self.overdue_at.or(Some(now + options.consume_timeout));
        if !matches!(options.order, Order::Polled { .. }) {
            self.stall.handed_out(now);
        }
        let messages = self.cache.take(options.batch, now);
        Some(Batch { spell: self.spell.clone(), messages })
    }

    pub(super) fn committed(&mut self, result: Result<(), Error>) {
        self.progress.answered(result.is_ok());
        self.callers.committed(result);
    }

    /// Another member is to have the queue. `grace` is how long listeners may take; orderly ones always end first.
    pub(super) fn revoke(&mut self, grace: Option<Duration>, now: Instant) {
        if !self.is_leaving() {
            let commits = if self.has_begun() { LAST_COMMITS } else { 0 };
            // The next owner is to go on where this one was about to.
            let at = if let Stage::Moving { to, .. } = self.stage { Some(to) } else { None };
            self.stage = Stage::Revoked { until: grace.map(|grace| now + grace), commits, at };
        }
    }

    /// Whether there is anything to commit.
    fn has_begun(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Unlocked | Stage::Moving { .. })
    }
}
