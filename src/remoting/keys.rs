//! The keys that requests are signed with: given once, or renewed while the client runs.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{Deadline, Signer};
use crate::error::{Error, Outcome, Result, Stage};

/// How requests are signed.
#[derive(Debug, Clone, Default)]
pub(crate) enum Signing {
    #[default]
    Off,
    Fixed(Arc<Signer>),
    Renewed(Arc<Keys>),
}

impl Signing {
    pub(crate) fn signer(&self) -> Result<Option<Arc<Signer>>> {
        match self {
            Signing::Off => Ok(None),
            Signing::Fixed(signer) => Ok(Some(signer.clone())),
            Signing::Renewed(keys) => keys.signer().map(Some),
        }
    }

    pub(super) fn keys(&self) -> Option<&Arc<Keys>> {
        match self {
            Signing::Renewed(keys) => Some(keys),
            Signing::Off | Signing::Fixed(_) => None,
        }
    }
}

type Then = Box<dyn FnOnce(Result<()>) + Send>;

/// Keys that are asked for elsewhere. The last good ones serve until there are others.
#[derive(Default)]
pub(crate) struct Keys {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    signer: Option<Arc<Signer>>,
    /// Why there are none.
    failure: Option<Arc<str>>,
    /// Somebody is asking, or is about to.
    asking: bool,
    closed: bool,
    /// Calls that nobody is blocked on, until there are keys.
    waiting: VecDeque<(Deadline, Then)>,
}

impl State {
    /// What a call is to do: `Some` when it needs not wait.
    fn verdict(&self) -> Option<Result<()>> {
        if self.signer.is_some() {
            Some(Ok(()))
        } else if self.closed {
            Some(Err(Error::Closed { outcome: Outcome::NotSent }))
        } else if self.asking {
            None
        } else {
            Some(Err(self.missing()))
        }
    }

    fn missing(&self) -> Error {
        let reason = self.failure.clone().unwrap_or_else(|| "the provider was not asked yet".into());
        Error::Credentials { reason }
    }
}

impl Keys {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signer(&self) -> Result<Arc<Signer>> {
        let state = self.lock();
        state.signer.clone().ok_or_else(|| state.missing())
    }

    pub(crate) fn are_known(&self) -> bool {
        self.lock().signer.is_some()
    }

    /// Calls wait from now on until [`take_in`](Keys::take_in).
    pub(crate) fn asking(&self) {
        self.lock().asking = true;
    }

    /// Takes what the provider said. A failure changes nothing while there are keys.
    pub(crate) fn take_in(&self, answer: Result<Signer, Arc<str>>) {
        let mut state = self.lock();
        state.asking = false;
        match answer {
            Ok(signer) => (state.signer, state.failure) = (Some(Arc::new(signer)), None),
            Err(reason) => state.failure = Some(reason),
        }
        self.release(state);
    }

    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.release(state);
    }

    fn release(&self, mut state: MutexGuard<'_, State>) {
        let waiting = std::mem::take(&mut state.waiting);
        let verdict = state.verdict().unwrap_or_else(|| Err(state.missing()));
        drop(state);
        self.changed.notify_all();
        waiting.into_iter().for_each(|(_, then)| then(verdict.clone()));
    }

    /// Blocks until there are keys, until asking for them failed, or `deadline`.
    pub(super) fn wait(&self, deadline: Deadline) -> Result<()> {
        let mut state = self.lock();
        loop {
            if let Some(verdict) = state.verdict() {
                return verdict;
            }
            let left = deadline.left(Instant::now());
            if left.is_zero() {
                return Err(deadline.missed(Stage::Credentials, None, Outcome::NotSent));
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Calls `then` once there are keys, or asking for them failed; at `deadline` [`expire`](Keys::expire) does.
    pub(super) fn when_known(&self, deadline: Deadline, then: Then) {
        let mut state = self.lock();
        match state.verdict() {
            Some(verdict) => {
                drop(state);
                then(verdict);
            }
            None => state.waiting.push_back((deadline, then)),
        }
    }

    /// Ends the calls whose time is over; says when the next one's is.
    pub(super) fn expire(&self, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        let waiting = std::mem::take(&mut state.waiting);
        let (over, left): (VecDeque<_>, VecDeque<_>) = waiting.into_iter().partition(|(by, _)| by.is_over(now));
        state.waiting = left;
        let next = state.waiting.iter().map(|(by, _)| by.at()).min();
        drop(state);
        for (by, then) in over {
            then(Err(by.missed(Stage::Credentials, None, Outcome::NotSent)));
        }
        next
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn signer() -> Signer {
        Signer::new("access".into(), "sesame".into(), None, None)
    }

    fn deadline(millis: u64) -> Deadline {
        Deadline::after(Duration::from_millis(millis))
    }

    #[test]
    fn a_call_waits_for_the_first_keys_at_most_until_its_deadline() {
        let keys = Keys::default();
        keys.asking();
        let error = keys.wait(deadline(20)).unwrap_err();
        assert!(error.is_timeout() && error.outcome() == Outcome::NotSent, "{error}");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| keys.wait(deadline(20_000)));
            keys.take_in(Ok(signer()));
            assert!(waiting.join().unwrap().is_ok());
        });
        assert!(keys.signer().is_ok());
    }

    #[test]
    fn a_failure_ends_who_waits_and_leaves_the_last_good_keys_in_place() {
        let keys = Keys::default();
        keys.asking();
        let (done, ended) = crossbeam_channel::bounded(1);
        keys.when_known(deadline(20_000), Box::new(move |known| drop(done.try_send(known))));
        keys.take_in(Err("the vault is sealed".into()));
        let error = ended.try_recv().unwrap().unwrap_err();
        assert!(matches!(&error, Error::Credentials { reason } if reason.contains("sealed")), "{error}");
        assert!(error.is_retryable() && error.outcome() == Outcome::NotSent);
        assert!(keys.wait(deadline(20_000)).is_err(), "nobody is asking any more");
        keys.take_in(Ok(signer()));
        keys.take_in(Err("sealed again".into()));
        assert!(keys.signer().is_ok() && keys.wait(deadline(0)).is_ok());
    }

    #[test]
    fn calls_nobody_is_blocked_on_expire_and_end_when_the_client_closes() {
        let keys = Keys::default();
        keys.asking();
        let (done, ended) = crossbeam_channel::bounded(2);
        for millis in [0, 20_000] {
            let done = done.clone();
            keys.when_known(deadline(millis), Box::new(move |known| drop(done.try_send(known))));
        }
        assert!(keys.expire(Instant::now()).is_some());
        assert!(ended.try_recv().unwrap().unwrap_err().is_timeout());
        keys.close();
        assert!(matches!(ended.try_recv(), Ok(Err(Error::Closed { .. }))));
        assert!(matches!(keys.wait(deadline(20_000)), Err(Error::Closed { .. })));
    }

    #[test]
    fn keys_show_nothing_of_themselves() {
        let keys = Arc::new(Keys::default());
        keys.take_in(Ok(signer()));
        let text = format!("{keys:?} {:?} {:?}", Signing::Renewed(keys.clone()), keys.signer());
        assert!(!text.contains("sesame"), "{text}");
    }
}
