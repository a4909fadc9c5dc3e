//! Asking name servers: one after the other within one deadline.

use std::sync::Arc;
use std::time::Instant;

use super::core::Core;
use crate::code::ResponseCode;
use crate::error::{Attempt, Error, Exhaustion, Outcome, Result, Stage};
use crate::protocol::request::{Answer, Request};
use crate::remoting::Deadline;

/// One round through the name servers, and what those asked so far said. Pure.
struct Round {
    servers: Vec<Arc<str>>,
    deadline: Deadline,
    attempts: Vec<Attempt>,
    asked_at: Instant,
}

impl Round {
    fn new(servers: Vec<Arc<str>>, deadline: Deadline, now: Instant) -> Round {
        Round { servers, deadline, attempts: Vec::new(), asked_at: now }
    }

    /// The next one to ask, and until when: an equal share of what is left, so that a silent one never uses it all up.
    fn next(&mut self, now: Instant) -> Option<(Arc<str>, Deadline)> {
        let addr = self.servers.get(self.attempts.len())?.clone();
        if self.deadline.is_over(now) {
            return None;
        }
        let to_ask = u32::try_from(self.servers.len() - self.attempts.len()).unwrap_or(u32::MAX);
        self.asked_at = now;
        let share = Deadline::from(now, self.deadline.left(now) / to_ask);
        Some((addr, if to_ask == 1 { self.deadline } else { share.sooner(self.deadline.at()) }))
    }

    fn failed(&mut self, addr: Arc<str>, error: Error, now: Instant) {
        let elapsed = now.saturating_duration_since(self.asked_at);
        self.attempts.push(Attempt { broker_name: "name server".into(), addr, elapsed, error });
    }

    fn error(mut self) -> Error {
        let all_asked = self.attempts.len() == self.servers.len();
        match (self.attempts.pop(), self.attempts.is_empty()) {
            (None, _) => self.deadline.missed(Stage::Route, None, Outcome::NotSent),
            (Some(only), true) if all_asked => only.error,
            (Some(last), _) => {
                self.attempts.push(last);
                let because = if all_asked { Exhaustion::Attempts } else { Exhaustion::Deadline };
                Error::Exhausted { attempts: self.attempts.into(), because }
            }
        }
    }
}

/// Whether another name server may do better.
fn moves_on(error: &Error) -> bool {
    match error {
        Error::Rejected { code, .. } => {
            matches!(*code, ResponseCode::SYSTEM_ERROR | ResponseCode::SYSTEM_BUSY | ResponseCode::GO_AWAY)
        }
        Error::Connect { .. }
        | Error::Disconnected { .. }
        | Error::Timeout { .. }
        | Error::Tls { .. }
        | Error::AddressRefused { .. }
        | Error::Malformed { .. }
        | Error::Busy { .. } => true,
        _ => false,
    }
}

/// A question changes nothing at a name server, so it never leaves it open whether something took effect.
fn of_a_question(error: Error) -> Error {
    let outcome = Outcome::NotSent;
    match error {
        Error::Timeout { stage, addr, after, .. } => Error::Timeout { stage, addr, after, outcome },
        Error::Disconnected { addr, reason, .. } => Error::Disconnected { addr, reason, outcome },
        Error::Closed { .. } => Error::Closed { outcome },
        other => other,
    }
}

impl Core {
    /// Asks one name server after the other until `deadline`. The one that answers is asked first the next time.
    pub(crate) fn ask_name_server<R: Request>(&self, request: &R, deadline: Deadline) -> Result<Answer<R>> {
        if self.name_servers().is_empty() {
            self.discover(deadline)?;
        }
        let mut round = Round::new(self.name_servers().in_order(), deadline, Instant::now());
        while let Some((addr, until)) = round.next(Instant::now()) {
            match self.remoting().call(&addr, request, &[], until).map_err(of_a_question) {
                Err(error) if moves_on(&error) => {
                    self.name_servers().failed(&addr);
                    round.failed(addr, error, Instant::now());
                }
                answered => return answered,
            }
        }
        Err(round.error())
    }

    /// As [`ask_name_server`](Core::ask_name_server), without waiting. `done` runs on a thread that must not be blocked.
    pub(crate) fn ask_name_server_async<R: Request + Clone + Send + 'static>(
        self: &Arc<Self>,
        request: R,
        deadline: Deadline,
        done: impl FnOnce(Result<Answer<R>>) + Send + 'static,
    ) {
        let core = self.clone();
        let ask = move |found: Result<()>| match found {
            Ok(()) => {
                let round = Round::new(core.name_servers().in_order(), deadline, Instant::now());
                Question { core, request, round, done: Box::new(done) }.ask();
            }
            Err(error) => done(Err(error)),
        };
        if self.name_servers().is_empty() { self.discover_async(deadline, ask) } else { ask(Ok(())) }
    }
}

/// A question under way that nobody waits for.
struct Question<R: Request> {
    core: Arc<Core>,
    request: R,
    round: Round,
    done: Box<dyn FnOnce(Result<Answer<R>>) + Send>,
}

impl<R: Request + Clone + Send + 'static> Question<R> {
    fn ask(mut self) {
        match self.round.next(Instant::now()) {
            Some((addr, until)) => self.ask_at(addr, until, true),
            None => (self.done)(Err(self.round.error())),
        }
    }

    fn ask_at(mut self, addr: Arc<str>, until: Deadline, first: bool) {
        let (core, request, asked) = (self.core.clone(), self.request.clone(), addr.clone());
        core.remoting().submit(&addr, &request, &[], until, move |answer| match answer.map_err(of_a_question) {
            // One that leaves is asked once more over a new connection, as a blocking call does by itself.
            Err(error) if first && error.code() == Some(ResponseCode::GO_AWAY) => self.ask_at(asked, until, false),
            Err(error) if moves_on(&error) => {
                self.core.name_servers().failed(&asked);
                self.round.failed(asked, error, Instant::now());
                self.ask();
            }
            answered => (self.done)(answered),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn lost(addr: &str) -> Error {
        Error::Disconnected { addr: addr.into(), outcome: Outcome::NotSent, reason: "reset".into() }
    }

    #[test]
    fn a_silent_name_server_uses_only_its_share_of_the_deadline() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let deadline = Deadline::from(start, Duration::from_millis(3000));
        let mut round = Round::new(vec!["a:1".into(), "b:1".into(), "c:1".into()], deadline, start);
        let (addr, until) = round.next(start).unwrap();
        assert_eq!((&*addr, until.at()), ("a:1", at(1000)));
        round.failed(addr, lost("a:1"), at(1000));
        let (addr, until) = round.next(at(1000)).unwrap();
        assert_eq!((&*addr, until.at()), ("b:1", at(2000)));
        round.failed(addr, lost("b:1"), at(1200));
        let (addr, until) = round.next(at(1200)).unwrap();
        assert_eq!((&*addr, until.at()), ("c:1", at(3000)), "the last one has all that is left");
        round.failed(addr, lost("c:1"), at(1300));
        assert!(round.next(at(1300)).is_none());
        let Error::Exhausted { attempts, because } = round.error() else { panic!("not exhausted") };
        assert_eq!(because, Exhaustion::Attempts);
        assert_eq!(attempts.iter().map(|attempt| &*attempt.addr).collect::<Vec<_>>(), ["a:1", "b:1", "c:1"]);
    }

    #[test]
    fn the_only_name_server_gives_its_own_error_and_has_the_whole_deadline() {
        let start = Instant::now();
        let deadline = Deadline::from(start, Duration::from_millis(500));
        let mut round = Round::new(vec!["a:1".into()], deadline, start);
        let (addr, until) = round.next(start).unwrap();
        assert_eq!(until, deadline);
        round.failed(addr, lost("a:1"), start);
        assert!(matches!(round.error(), Error::Disconnected { .. }));
    }

    #[test]
    fn a_round_that_runs_out_of_time_says_so() {
        let start = Instant::now();
        let deadline = Deadline::from(start, Duration::from_millis(500));
        let mut round = Round::new(vec!["a:1".into(), "b:1".into()], deadline, start);
        let (addr, _) = round.next(start).unwrap();
        round.failed(addr, lost("a:1"), deadline.at());
        assert!(round.next(deadline.at()).is_none());
        assert!(round.error().is_timeout());
    }

    #[test]
    fn a_question_never_leaves_it_open_whether_something_took_effect() {
        let outcome = Outcome::Unknown;
        let errors = [
            Error::Timeout { stage: Stage::Reply, addr: None, after: Duration::ZERO, outcome },
            Error::Disconnected { addr: "a:1".into(), outcome, reason: "reset".into() },
            Error::Closed { outcome },
        ];
        for error in errors {
            assert_eq!(of_a_question(error).outcome(), Outcome::NotSent);
        }
    }
}
