//! Credentials that are asked for while the client runs: the user's code runs on a thread of its own, nobody waits for it but
//! calls that have no keys at all.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::credentials::Credentials;

type Answer = Result<Credentials, Box<dyn std::error::Error + Send + Sync>>;

/// The user's source of credentials.
#[derive(Clone)]
pub(crate) struct Provider(Arc<dyn Fn() -> Answer + Send + Sync>);

impl Provider {
    pub(super) fn new(provider: impl Fn() -> Answer + Send + Sync + 'static) -> Provider {
        Provider(Arc::new(provider))
    }

    /// Two providers are known to do the same only when they are the same closure.
    pub(crate) fn is(&self, other: &Provider) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Asks for credentials that can be used, else says why there are none.
    #[cfg_attr(not(feature = "acl"), allow(dead_code, reason = "without the feature no provider is accepted"))]
    fn ask(&self) -> Result<Credentials, Arc<str>> {
        match catch_unwind(AssertUnwindSafe(|| (self.0)())) {
            Ok(Ok(credentials)) if credentials.has_empty_key() => {
                Err("the credentials provider gave an empty access key or secret key".into())
            }
            Ok(Ok(credentials)) => Ok(credentials),
            Ok(Err(error)) => Err(error.to_string().into()),
            Err(_) => Err("the credentials provider panicked".into()),
        }
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider(..)")
    }
}

#[cfg(feature = "acl")]
pub(super) use asking::Renewal;

#[cfg(feature = "acl")]
mod asking {
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
    use std::time::{Duration, Instant};

    use super::Provider;
    use crate::client::core::Core;
    use crate::client::resolver::Resolver;
    use crate::remoting::Keys;

    /// A provider is asked again at the earliest so long after it has answered, however many requests are refused.
    const PAUSE: Duration = Duration::from_secs(1);

    /// When and how the provider of one client is asked.
    #[derive(Debug)]
    pub(in crate::client) struct Renewal {
        provider: Provider,
        keys: Arc<Keys>,
        /// A provider that hangs must not delay names that are being resolved.
        worker: Resolver,
        state: Mutex<State>,
    }

    #[derive(Debug, Default)]
    struct State {
        /// It is being asked, or will be as soon as the pause is over.
        under_way: bool,
        answered: Option<Instant>,
        failing: bool,
    }

    impl Renewal {
        pub(in crate::client) fn new(provider: Provider, keys: Arc<Keys>) -> Renewal {
            let worker = Resolver::named("mq-credentials", "the credentials provider has not returned");
            Renewal { provider, keys, worker, state: Mutex::default() }
        }

        fn lock(&self) -> MutexGuard<'_, State> {
            self.state.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// Whether it was asked before: an unused client asks for nothing.
        pub(in crate::client) fn is_used(&self) -> bool {
            self.lock().answered.is_some()
        }

        /// Asks soon, on the thread for it. Does not block.
        pub(in crate::client) fn wanted(&self, core: &Arc<Core>) {
            // Before the look at the state: whoever is about to answer ends this wait, or this call asks again.
            self.keys.asking();
            let mut state = self.lock();
            if std::mem::replace(&mut state.under_way, true) {
                return;
            }
            let not_before = state.answered.map(|at| at + PAUSE).filter(|at| *at > Instant::now());
            drop(state);
            match not_before {
                Some(at) => {
                    let then = core.clone();
                    core.timers().at(at, move || then.ask_provider());
                }
                None => core.ask_provider(),
            }
        }

        pub(in crate::client) fn begin(&self, core: &Arc<Core>) {
            let asked = core.clone();
            let begun = match core.check_open() {
                Ok(()) => self.worker.run(move || asked.take_credentials()),
                Err(error) => Err(error),
            };
            if let Err(error) = begun {
                self.lock().under_way = false;
                self.keys.take_in(Err(error.to_string().into()));
            }
        }

        /// Asks, on the thread for it.
        pub(in crate::client) fn ask(&self) {
            let answer = self.provider.ask();
            let mut state = self.lock();
            (state.under_way, state.answered) = (false, Some(Instant::now()));
            let failed_before = std::mem::replace(&mut state.failing, answer.is_err());
            drop(state);
            match &answer {
                Ok(_) if failed_before => log::info!("there are new credentials again"),
                Ok(_) => log::debug!("the credentials are renewed"),
                Err(_) if failed_before => {}
                Err(reason) if self.keys.are_known() => {
                    log::warn!("credentials cannot be renewed, the last ones serve on: {reason}");
                }
                Err(reason) => log::warn!("there are no credentials: {reason}"),
            }
            // Last: see `wanted`.
            self.keys.take_in(answer.map(|credentials| credentials.signer()));
        }

        /// Returns whether the thread ended.
        pub(in crate::client) fn close(&self) -> bool {
            self.worker.close()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_fails_panics_or_gives_empty_keys_says_why() {
        let ask = |provider: fn() -> Answer| Provider::new(provider).ask().map_err(|reason| reason.to_string());
        assert!(ask(|| Ok(Credentials::new("a", "b"))).is_ok());
        assert_eq!(ask(|| Err("the vault is sealed".into())).unwrap_err(), "the vault is sealed");
        assert!(ask(|| Ok(Credentials::new("a", ""))).unwrap_err().contains("empty"));
        assert!(ask(|| std::panic::resume_unwind(Box::new(()))).unwrap_err().contains("panicked"));
    }
}
