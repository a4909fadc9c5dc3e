//! One queue from the moment it is assigned to the moment it is given up. Pure: it is told what happened, and says what it
//! wants done.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::correction::{self, Bounds, Correction, Illegal};
use super::event::{Action, Batch, Pulled, Spell, Start, Verdict, Why};
use super::lock::{Granted, Lock};
use super::options::{EngineOptions, MessageModel, Order};
use super::process_queue::{Full, Limits, ProcessQueue};
use super::progress::Progress;
use crate::message::MessageQueue;

/// After an error, as Java waits; and between two looks at a queue that its broker does not have in order.
const ERROR_DELAY: Duration = Duration::from_secs(1);
/// How soon a queue that is full is looked at again, unless a message is finished before.
const THROTTLED_DELAY: Duration = Duration::from_millis(20);
/// A broker that does not hold pulls must not be asked in a tight loop.
const EMPTY_DELAY: Duration = Duration::from_millis(50);
/// A pull that was not answered for so long is lost; the queue is pulled anew.
const PULL_LOST: Duration = Duration::from_secs(120);
/// When a message that the broker did not take back is offered again.
const HAND_BACK_DELAY: Duration = Duration::from_secs(5);
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
    illegal: Option<(Illegal, Instant)>,
    commit_at: Instant,
    paused_until: Option<Instant>,
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
            illegal: None,
            commit_at: now + options.persist_interval,
            paused_until: None,
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
        self.stage = if needs_lock { Stage::Locking } else { starting };
    }

    /// Begins a new spell; everything of the former one that is still under way is ignored when it arrives.
    fn renew(&mut self, epoch: u64, next_offset: i64) {
        self.spell.epoch = epoch;
        self.cache = ProcessQueue::new(next_offset);
        self.progress = Progress::default();
        self.returns.clear();
        self.pulling = None;
        self.illegal = None;
        self.paused_until = None;
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
                self.stage = Stage::Open;
            }
            // Never pulled from a guess: a broker takes a wrong offset for a wish.
            None => self.stage = Stage::Starting { asked: false, retry_at: now + ERROR_DELAY },
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

    pub(super) fn pulled(&mut self, ticket: u64, pulled: Pulled, options: &EngineOptions, now: Instant) {
        if self.stage != Stage::Open || ticket != self.ticket {
            return;
        }
        let Some(since) = self.pulling.take() else { return };
        let failed_before = std::mem::replace(&mut self.failing, false);
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
                if !failed_before {
                    log::warn!("{}: pulling fails, and is tried again every second: {error}", self.spell.queue);
                }
                self.failing = true;
                self.pull_at = now + ERROR_DELAY;
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
        if !self.is_leaving() {
            self.stage = Stage::Moving { to, why };
        }
    }

    /// Hands out the next batch, if the queue has one that may be consumed now.
    pub(super) fn take(&mut self, options: &EngineOptions, now: Instant) -> Option<Batch> {
        let may = self.stage == Stage::Open && self.paused_until.is_none_or(|until| now >= until);
        if !may || self.cache.waiting() == 0 {
            return None;
        }
        if options.order == Order::Orderly {
            let free = self.cache.running() == 0 && self.returns.is_empty();
            if !free || (options.is_locked() && !self.lock.is_held(now)) {
                return None;
            }
        }
        self.paused_until = None;
        let messages = self.cache.take(options.batch, now);
        Some(Batch { spell: self.spell.clone(), messages })
    }

    /// Takes what a listener said. What was decided about a message meanwhile, stands.
    pub(super) fn consumed(&mut self, offsets: &[i64], verdict: Verdict, options: &EngineOptions, now: Instant) {
        self.last_progress = Some(now);
        let offsets: Vec<i64> = offsets.iter().copied().filter(|offset| self.cache.is_running(*offset)).collect();
        match (verdict, options.order) {
            (Verdict::Success, _) => offsets.iter().for_each(|offset| self.cache.finish(*offset)),
            (Verdict::Later { consumed, delay_level }, Order::Concurrent) => {
                let (done, failed) = offsets.split_at(consumed.min(offsets.len()));
                done.iter().for_each(|offset| self.cache.finish(*offset));
                for offset in failed {
                    self.hand_back(*offset, delay_level, options, now);
                }
            }
            (Verdict::Suspend(_), Order::Concurrent) => {
                offsets.iter().for_each(|offset| self.hand_back(*offset, 0, options, now));
            }
            (Verdict::Later { .. }, Order::Orderly) => self.suspend(&offsets, None, options, now),
            (Verdict::Suspend(pause), Order::Orderly) => self.suspend(&offsets, pause, options, now),
        }
    }

    fn hand_back(&mut self, offset: i64, delay_level: i32, options: &EngineOptions, now: Instant) {
        if options.model == MessageModel::Broadcasting {
            // Nobody would deliver it again.
            return self.cache.finish(offset);
        }
        if self.cache.hand_back(offset).is_some() {
            let dead = delay_level < 0;
            self.returns.insert(offset, Return { delay_level, repeats: 0, dead, retry_at: Some(now) });
        }
    }

    /// Puts a batch back to be consumed again, except for what was tried often enough.
    fn suspend(&mut self, offsets: &[i64], pause: Option<Duration>, options: &EngineOptions, now: Instant) {
        let mut again = false;
        for offset in offsets {
            let Some(repeats) = self.cache.give_back(*offset) else { continue };
            let Some(message) = self.cache.message(*offset) else { continue };
            let tries = message.reconsume_times().saturating_add(repeats);
            let may_die = options.model == MessageModel::Clustering;
            if options.max_reconsume.is_some_and(|max| tries > max) && may_die {
                self.cache.hand_back(*offset);
                self.returns.insert(*offset, Return { delay_level: -1, repeats, dead: true, retry_at: Some(now) });
            } else {
                again = true;
            }
        }
        if again {
            self.paused_until = Some(now + pause.unwrap_or(options.suspend));
        }
    }

    pub(super) fn handed_back(&mut self, offset: i64, done: bool, now: Instant) {
        if done {
            self.returns.remove(&offset);
            self.cache.finish(offset);
        } else if let Some(waiting) = self.returns.get_mut(&offset) {
            waiting.retry_at = Some(now + HAND_BACK_DELAY);
        }
    }

    pub(super) fn committed(&mut self, done: bool) {
        self.progress.answered(done);
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

    /// Says everything that the queue wants done at `now`. `next_epoch` gives the numbers of new spells.
    pub(super) fn advance(
        &mut self,
        options: &EngineOptions,
        limits: &Limits,
        next_epoch: &mut u64,
        suspended: bool,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        self.keep_lock(options, now, actions);
        self.settle(options, next_epoch, now, actions);
        if self.stage == Stage::Open {
            self.give_up_overdue(options, now);
            self.pull(limits, suspended, now, actions);
            if now >= self.commit_at {
                self.commit_at = now + options.persist_interval;
                self.commit(options, now, actions);
            }
        }
        self.offer(now, actions);
    }

    fn keep_lock(&mut self, options: &EngineOptions, now: Instant, actions: &mut Vec<Action>) {
        if options.is_locked() && !self.is_leaving() && self.lock.ask(now) {
            actions.push(Action::Lock { spell: self.spell.clone() });
        }
    }

    /// Moves from stage to stage as far as it goes.
    fn settle(&mut self, options: &EngineOptions, next_epoch: &mut u64, now: Instant, actions: &mut Vec<Action>) {
        let ended = self.cache.running() == 0;
        match self.stage {
            Stage::Starting { asked: false, retry_at } if now >= retry_at => {
                self.stage = Stage::Starting { asked: true, retry_at };
                actions.push(Action::FindStart { spell: self.spell.clone() });
            }
            Stage::Moving { to, why } if ended || options.order == Order::Concurrent => {
                let from = self.cache.commit_offset();
                *next_epoch += 1;
                self.renew(*next_epoch, to);
                self.stage = Stage::Open;
                self.pull_at = now;
                actions.push(Action::Moved { queue: self.spell.queue.clone(), from, to, why });
                self.commit(options, now, actions);
            }
            Stage::Unlocked if ended => {
                *next_epoch += 1;
                self.renew(*next_epoch, 0);
                self.begin(options, now, now);
            }
            Stage::Revoked { .. } => self.leave(options, now, actions),
            _ => {}
        }
    }

    /// The last steps of a queue that is given up.
    fn leave(&mut self, options: &EngineOptions, now: Instant, actions: &mut Vec<Action>) {
        let Stage::Revoked { until, commits, at } = self.stage else { return };
        let busy = self.cache.running() > 0 || self.returns.values().any(|waiting| waiting.retry_at.is_none());
        if (busy && until.is_none_or(|until| now < until)) || self.progress.is_waiting() {
            return;
        }
        let may_commit = commits > 0 && (!options.is_locked() || self.lock.is_held(now));
        let offset = at.unwrap_or_else(|| self.cache.commit_offset());
        if let Some(offset) = may_commit.then(|| self.progress.send(offset)).flatten() {
            self.stage = Stage::Revoked { until, commits: commits - 1, at };
            actions.push(Action::Commit { spell: self.spell.clone(), offset });
            return;
        }
        if options.is_locked() && self.lock.is_held(now) {
            actions.push(Action::Unlock { queue: self.spell.queue.clone() });
        }
        self.stage = Stage::Gone;
    }

    fn pull(&mut self, limits: &Limits, suspended: bool, now: Instant, actions: &mut Vec<Action>) {
        if let Some(since) = self.pulling {
            if now.saturating_duration_since(since) < PULL_LOST {
                return;
            }
            log::warn!("{}: a pull was not answered for {PULL_LOST:?}; pulling anew", self.spell.queue);
        }
        if suspended || now < self.pull_at || self.cache.full(limits).is_some() {
            return;
        }
        self.ticket += 1;
        self.pulling = Some(now);
        self.last_pull = Some(now);
        let (offset, ticket) = (self.cache.next_offset(), self.ticket);
        actions.push(Action::Pull { spell: self.spell.clone(), offset, ticket });
    }

    fn commit(&mut self, options: &EngineOptions, now: Instant, actions: &mut Vec<Action>) {
        // Without the lock somebody else may have gone further.
        if options.is_locked() && !self.lock.is_held(now) {
            return;
        }
        if let Some(offset) = self.progress.send(self.cache.commit_offset()) {
            actions.push(Action::Commit { spell: self.spell.clone(), offset });
        }
    }

    /// What a listener holds for too long goes back to the broker; its later verdict does not count.
    fn give_up_overdue(&mut self, options: &EngineOptions, now: Instant) {
        if options.order == Order::Orderly || options.model == MessageModel::Broadcasting {
            return;
        }
        for offset in self.cache.overdue(options.consume_timeout, now) {
            log::warn!(
                "{}: a listener has had offset {offset} for too long; it will be delivered again",
                self.spell.queue
            );
            // Java's level for these: 10 s.
            self.hand_back(offset, 3, options, now);
        }
    }

    /// Offers what failed to the broker.
    fn offer(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let leaving = self.is_leaving();
        for (offset, waiting) in &mut self.returns {
            if leaving || waiting.retry_at.is_none_or(|at| now < at) {
                continue;
            }
            let Some(message) = self.cache.message(*offset) else { continue };
            waiting.retry_at = None;
            let Return { delay_level, repeats, dead, .. } = *waiting;
            let (spell, message) = (self.spell.clone(), message.clone());
            actions.push(Action::HandBack { spell, message, delay_level, repeats, dead });
        }
    }

    /// When something happens by itself.
    pub(super) fn next_at(&self, options: &EngineOptions, now: Instant) -> Option<Instant> {
        let lock = options.is_locked().then(|| self.lock.next_at(now)).flatten();
        let stage = match self.stage {
            Stage::Starting { asked: false, retry_at } => Some(retry_at),
            Stage::Open => {
                let pull = self.pulling.map_or(self.pull_at, |since| since + PULL_LOST);
                // A queue that is full waits for a listener, not for the clock.
                Some(self.commit_at.min(if pull > now { pull } else { self.commit_at }))
            }
            Stage::Revoked { until, .. } => until,
            _ => None,
        };
        let pause = self.paused_until.filter(|until| *until > now);
        let returns = self.returns.values().filter_map(|waiting| waiting.retry_at).min();
        [lock, stage, pause, returns].into_iter().flatten().min()
    }

    /// Why nothing is pulled or consumed, if that is so.
    pub(super) fn standing(&self, limits: &Limits, suspended: bool, now: Instant) -> Option<Standing> {
        match self.stage {
            Stage::Locking | Stage::Unlocked => Some(Standing::WaitsForLock),
            Stage::Starting { .. } => Some(Standing::WaitsForStart),
            Stage::Moving { .. } => Some(Standing::Doubtful),
            Stage::Revoked { .. } | Stage::Gone => Some(Standing::Leaving),
            Stage::Open if suspended => Some(Standing::Suspended),
            Stage::Open if self.illegal.is_some() => Some(Standing::Doubtful),
            Stage::Open if self.paused_until.is_some_and(|until| now < until) => Some(Standing::Paused),
            Stage::Open if self.failing => Some(Standing::Failing),
            Stage::Open => self.cache.full(limits).map(Standing::Full),
        }
    }
}
