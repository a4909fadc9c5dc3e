//! What a queue wants done, whatever it was told last.

use std::time::{Duration, Instant};

use super::super::event::Action;
use super::{EngineOptions, Limits, MessageModel, Order, Queue, Return, Stage, Standing};

/// A pull that was not answered for so long is lost; the queue is pulled anew.
const PULL_LOST: Duration = Duration::from_secs(120);

impl Queue {
    /// Says everything that the queue wants done at `now`. `next_epoch` gives the numbers of new spells.
    pub(in crate::consumer::engine) fn advance(
        &mut self,
        options: &EngineOptions,
        limits: &Limits,
        next_epoch: &mut u64,
        suspended: bool,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        if options.order == Order::Elsewhere {
            if self.is_leaving() {
                self.go(actions);
            }
            return;
        }
        self.keep_lock(options, now, actions);
        // Before the queue is left: what only fails now would else come again with everything behind it.
        self.offer(now, actions);
        self.settle(options, next_epoch, now, actions);
        if self.stage == Stage::Open {
            self.give_up_overdue(options, now);
            self.pull(limits, suspended, now, actions);
            if now >= self.commit_at {
                self.commit_at = now + options.persist_interval;
                self.commit(options, now, actions);
            }
            self.commit_for_callers(actions);
        }
        self.offer(now, actions);
        self.watch_listeners(now);
        self.tell_callers(actions);
    }

    /// Tells once of listeners that have had messages for long while none of them returned.
    fn watch_listeners(&mut self, now: Instant) {
        if self.stall.tell(now) {
            log::warn!("{}: its listeners have not returned for a minute, which holds it up", self.spell.queue);
        }
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
            Stage::Starting { asked, retry_at } if now >= retry_at => {
                if asked {
                    log::warn!("{}: nobody told for {PULL_LOST:?} where to begin; asking anew", self.spell.queue);
                }
                self.stage = Stage::Starting { asked: true, retry_at: now + PULL_LOST };
                actions.push(Action::FindStart { spell: self.spell.clone() });
            }
            Stage::Moving { to, why } if ended || options.order != Order::Orderly => {
                let from = self.commit_offset();
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
                self.settle(options, next_epoch, now, actions);
            }
            Stage::Revoked { .. } => self.leave(options, now, actions),
            _ => {}
        }
    }

    /// The last steps of a queue that is given up.
    fn leave(&mut self, options: &EngineOptions, now: Instant, actions: &mut Vec<Action>) {
        let Stage::Revoked { until, commits, at } = self.stage else { return };
        let busy = if options.is_polled() {
            self.recall(actions)
        } else {
            self.cache.running() > 0 || self.returns.values().any(|waiting| waiting.retry_at.is_none())
        };
        if (busy && until.is_none_or(|until| now < until)) || self.progress.is_waiting() {
            return;
        }
        let may_commit = commits > 0 && options.commits() && (!options.is_locked() || self.lock.is_held(now));
        let offset = at.unwrap_or_else(|| self.commit_offset());
        if let Some(offset) = may_commit.then(|| self.progress.send(offset)).flatten() {
            self.stage = Stage::Revoked { until, commits: commits - 1, at };
            actions.push(Action::Commit { spell: self.spell.clone(), offset });
            return;
        }
        // A listener that outlasts the grace keeps others out until the lock expires.
        if options.is_locked() && self.lock.may_be_given() && self.cache.running() == 0 {
            actions.push(Action::Unlock { queue: self.spell.queue.clone() });
        }
        self.go(actions);
    }

    fn go(&mut self, actions: &mut Vec<Action>) {
        actions.push(Action::Left { queue: self.spell.queue.clone() });
        self.stage = Stage::Gone;
    }

    fn pull(&mut self, limits: &Limits, suspended: bool, now: Instant, actions: &mut Vec<Action>) {
        if let Some(since) = self.pulling {
            if now.saturating_duration_since(since) < PULL_LOST {
                return;
            }
            if !std::mem::replace(&mut self.failing, true) {
                log::warn!("{}: a pull was not answered for {PULL_LOST:?}; pulling anew", self.spell.queue);
            }
        }
        if suspended || self.callers.is_paused() || now < self.pull_at || self.cache.full(limits).is_some() {
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
        if !options.commits() || (options.is_locked() && !self.lock.is_held(now)) {
            return;
        }
        if let Some(offset) = self.progress.send(self.commit_offset()) {
            actions.push(Action::Commit { spell: self.spell.clone(), offset });
        }
    }

    fn may_be_overdue(&self, options: &EngineOptions) -> bool {
        options.order == Order::Concurrent && options.model == MessageModel::Clustering
    }

    /// What a listener holds for too long goes back to the broker; its later verdict does not count.
    fn give_up_overdue(&mut self, options: &EngineOptions, now: Instant) {
        if !self.may_be_overdue(options) || self.overdue_at.is_none_or(|at| now < at) {
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
        self.overdue_at = self.cache.oldest_running().map(|since| since + options.consume_timeout);
    }

    /// Offers what failed to the broker.
    fn offer(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for (offset, waiting) in &mut self.returns {
            if self.stage == Stage::Gone || waiting.retry_at.is_none_or(|at| now < at) {
                continue;
            }
            let Some(message) = self.cache.message(*offset) else { continue };
            waiting.retry_at = None;
            let Return { delay_level, repeats, dead, .. } = *waiting;
            let (spell, message) = (self.spell.clone(), Box::new(message.clone()));
            actions.push(Action::HandBack { spell, message, delay_level, repeats, dead });
        }
    }

    /// When something happens by itself, after all that was due has been done.
    pub(in crate::consumer::engine) fn next_at(&self, options: &EngineOptions, now: Instant) -> Option<Instant> {
        if options.order == Order::Elsewhere {
            return None;
        }
        let mut next: Option<Instant> = None;
        // What lies behind waits for something else: a listener, an answer.
        let mut at = |at: Instant| {
            if at > now {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        };
        match self.stage {
            Stage::Starting { retry_at, .. } => at(retry_at),
            Stage::Open => {
                at(self.pulling.map_or(self.pull_at, |since| since + PULL_LOST));
                if options.commits() && self.progress.stored() != Some(self.commit_offset()) {
                    at(self.commit_at);
                }
                if self.may_be_overdue(options) {
                    self.overdue_at.into_iter().for_each(&mut at);
                }
            }
            Stage::Revoked { until, .. } => until.into_iter().for_each(&mut at),
            _ => {}
        }
        if options.is_locked() {
            self.lock.next_at(now).into_iter().for_each(&mut at);
        }
        self.paused_until.into_iter().for_each(&mut at);
        self.stall.next_at().into_iter().for_each(&mut at);
        self.returns.values().filter_map(|waiting| waiting.retry_at).for_each(&mut at);
        next
    }

    /// Why nothing is pulled or consumed, if that is so.
    pub(in crate::consumer::engine) fn standing(
        &self,
        limits: &Limits,
        suspended: bool,
        now: Instant,
    ) -> Option<Standing> {
        match self.stage {
            Stage::Locking | Stage::Unlocked => Some(Standing::WaitsForLock),
            Stage::Starting { .. } if self.is_refused => Some(Standing::Refused),
            Stage::Starting { .. } => Some(Standing::WaitsForStart),
            Stage::Moving { .. } => Some(Standing::Doubtful),
            Stage::Revoked { .. } | Stage::Gone => Some(Standing::Leaving),
            Stage::Open if suspended || self.callers.is_paused() => Some(Standing::Suspended),
            Stage::Open if self.illegal.is_some() => Some(Standing::Doubtful),
            Stage::Open if self.paused_until.is_some_and(|until| now < until) => Some(Standing::Paused),
            Stage::Open if self.is_refused => Some(Standing::Refused),
            Stage::Open if self.failing => Some(Standing::Failing),
            Stage::Open if self.stall.is_there(now) => Some(Standing::Stalled),
            Stage::Open => self.cache.full(limits).map(Standing::Full),
        }
    }
}
