//! Whether, where and when a send is tried again: pure, and the one place that decides it.
//!
//! | the attempt ended with | outcome | another attempt |
//! | --- | --- | --- |
//! | no connection, or a deadline before any byte left | not sent | another broker; the same one after a pause |
//! | a lost connection, no answer, an unreadable answer | unknown | the same, unless `retry_unknown(false)` |
//! | 1 `SYSTEM_ERROR` without a remark that is a known refusal | unknown | the same, unless `retry_unknown(false)` |
//! | 1 to a reply, because the broker does not know the requester | rejected | another broker only |
//! | 1 with `AclException` or another known refusal, 16 `NO_PERMISSION` | rejected | never |
//! | 2 `SYSTEM_BUSY`, 14 `SERVICE_NOT_AVAILABLE`, 215 `FLOW_CONTROL` | rejected | another broker after a little jitter; the same one after a pause |
//! | 17 `TOPIC_NOT_EXIST`, 204, 205, 501 `NOT_LEADER_FOR_QUEUE` | rejected | another broker only |
//! | an address that `allowed_addresses` refuses | not sent | another broker only |
//! | 1500 `GO_AWAY` | rejected | the same broker at once over a new connection, once; then another |
//! | stored, but not as durably as asked for, when `retry_when_not_ok` is on | unknown | another broker only |
//! | every other code, and whatever was wrong before sending | rejected, not sent | never |
//!
//! A queue given by the caller counts as the only one: what may be tried again at all, is tried there after a pause.

use std::time::{Duration, Instant};

use crate::code::ResponseCode;
use crate::error::{Error, Exhaustion, Outcome, is_access_refusal, is_unknown_requester};
use crate::remoting::Deadline;

/// An attempt is not worth starting with less time than this.
const LEAST: Duration = Duration::from_millis(200);
/// The share of the time left that an attempt may use while another broker could be tried.
const SHARE: f64 = 0.6;
/// The first pause before the same broker is tried again; it doubles.
const PAUSE: Duration = Duration::from_millis(50);
/// The most jitter before another broker is tried because one was busy.
const JITTER: Duration = Duration::from_millis(20);

/// What the caller allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rules {
    /// Attempts in all, at least one.
    pub(super) attempts: u32,
    pub(super) retry_unknown: bool,
    /// Replaces the usual share of the deadline.
    pub(super) attempt_timeout: Option<Duration>,
}

/// Where an attempt may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Nowhere,
    OtherBroker,
    Anywhere,
    /// On the same broker at once, the first time.
    Here,
}

fn place(error: &Error) -> Where {
    match error {
        Error::Connect { .. } | Error::Disconnected { .. } | Error::Timeout { .. } | Error::Malformed { .. } => {
            Where::Anywhere
        }
        // Another broker may have another certificate; this one has the same the next time.
        Error::NoBroker { .. } | Error::NotDurable { .. } | Error::AddressRefused { .. } | Error::Tls { .. } => {
            Where::OtherBroker
        }
        Error::Rejected { code, remark, .. } if is_access_refusal(*code, remark) => Where::Nowhere,
        Error::Rejected { code, remark, .. } if is_unknown_requester(*code, remark) => Where::OtherBroker,
        Error::Rejected { code, .. } => match *code {
            ResponseCode::SYSTEM_ERROR if error.outcome() == Outcome::Unknown => Where::Anywhere,
            ResponseCode::SYSTEM_BUSY | ResponseCode::SERVICE_NOT_AVAILABLE | ResponseCode::FLOW_CONTROL => {
                Where::Anywhere
            }
            ResponseCode::TOPIC_NOT_EXIST
            | ResponseCode::NO_BUYER_ID
            | ResponseCode::NOT_IN_CURRENT_UNIT
            | ResponseCode::NOT_LEADER_FOR_QUEUE => Where::OtherBroker,
            ResponseCode::GO_AWAY => Where::Here,
            _ => Where::Nowhere,
        },
        _ => Where::Nowhere,
    }
}

/// Whether a failure says something about its broker, so that others are preferred for a while.
pub(super) fn blames_broker(error: &Error) -> bool {
    matches!(error, Error::Tls { .. }) || matches!(place(error), Where::Anywhere)
}

/// What to do after an attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Next {
    /// Try again after a pause; `here` means at the same queue.
    Again { pause: Duration, here: bool },
    /// Make no further attempt. Those under way may still end well.
    Stop(Exhaustion),
    /// The failure is the caller's to know as it is: trying again cannot help.
    Fail,
}

/// What is known when an attempt ended, or when its share of the time is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation<'a> {
    /// Attempts made, this one included.
    pub(super) made: u32,
    /// Attempts that ended with `GO_AWAY`, this one included.
    pub(super) gone_away: u32,
    /// Why it failed; `None` when it goes on beyond its share of the time.
    pub(super) error: Option<&'a Error>,
    /// A broker that was not tried yet can be written to.
    pub(super) others: bool,
    /// Random, from 0 to 1.
    pub(super) random: f64,
}

impl Rules {
    /// Decides what follows an attempt.
    pub(super) fn next(&self, situation: Situation<'_>, deadline: Deadline, now: Instant) -> Next {
        let Situation { made, gone_away, error, others, random } = situation;
        let place = error.map_or(Where::OtherBroker, place);
        if place == Where::Nowhere {
            return Next::Fail;
        }
        if place == Where::Here && gone_away == 1 && deadline.left(now) >= LEAST {
            return Next::Again { pause: Duration::ZERO, here: true };
        }
        if made - gone_away.min(1) >= self.attempts {
            return Next::Stop(Exhaustion::Attempts);
        }
        if !self.retry_unknown && error.is_none_or(|error| error.outcome() == Outcome::Unknown) {
            return Next::Stop(Exhaustion::Duplicates);
        }
        if !others && place == Where::OtherBroker {
            return Next::Stop(Exhaustion::Brokers);
        }
        let pause = self.pause(&situation, place, random);
        if deadline.left(now) < LEAST + pause {
            return Next::Stop(Exhaustion::Deadline);
        }
        Next::Again { pause, here: false }
    }

    fn pause(&self, situation: &Situation<'_>, place: Where, random: f64) -> Duration {
        if !situation.others && place == Where::Anywhere {
            return PAUSE.saturating_mul(1 << (situation.made - 1).min(6)).mul_f64(0.75 + random / 2.0);
        }
        match situation.error.and_then(Error::code) {
            Some(ResponseCode::SYSTEM_BUSY | ResponseCode::SERVICE_NOT_AVAILABLE | ResponseCode::FLOW_CONTROL) => {
                JITTER.mul_f64(random)
            }
            _ => Duration::ZERO,
        }
    }

    /// Returns when an attempt that starts now has used its share of the time. It is not given up then: others start beside
    /// it, and the first success counts.
    pub(super) fn share(&self, made: u32, others: bool, deadline: Deadline, now: Instant) -> Instant {
        if made >= self.attempts {
            return deadline.at();
        }
        let left = deadline.left(now);
        let share = match self.attempt_timeout {
            Some(timeout) => timeout,
            None if others && self.retry_unknown => left.mul_f64(SHARE).max(LEAST),
            None => left,
        };
        now + share.min(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { attempts: 3, retry_unknown: true, attempt_timeout: None };

    fn rejected(code: ResponseCode, remark: &str) -> Error {
        Error::Rejected { addr: "a:1".into(), code, remark: remark.into() }
    }

    fn lost(outcome: Outcome) -> Error {
        Error::Disconnected { addr: "a:1".into(), outcome, reason: "reset".into() }
    }

    fn next(rules: Rules, made: u32, error: &Error, others: bool, millis_left: u64) -> Next {
        let now = Instant::now();
        let deadline = Deadline::from(now, Duration::from_millis(millis_left));
        let gone_away = u32::from(error.code() == Some(ResponseCode::GO_AWAY)) * made;
        rules.next(Situation { made, gone_away, error: Some(error), others, random: 0.5 }, deadline, now)
    }

    #[test]
    fn the_table_holds_for_every_code() {
        let again = |error: &Error, others| matches!(next(RULES, 1, error, others, 3000), Next::Again { .. });
        for (code, remark, elsewhere, here) in [
            (ResponseCode::SYSTEM_ERROR, "disk error", true, true),
            (ResponseCode::SYSTEM_ERROR, "AclException: no", false, false),
            (ResponseCode::SYSTEM_ERROR, "push reply message fail, channel of <x> not found.", true, false),
            (ResponseCode::NO_PERMISSION, "", false, false),
            (ResponseCode::SYSTEM_BUSY, "", true, true),
            (ResponseCode::SERVICE_NOT_AVAILABLE, "", true, true),
            (ResponseCode::FLOW_CONTROL, "", true, true),
            (ResponseCode::TOPIC_NOT_EXIST, "", true, false),
            (ResponseCode::NOT_LEADER_FOR_QUEUE, "", true, false),
            (ResponseCode::NO_BUYER_ID, "", true, false),
            (ResponseCode::MESSAGE_ILLEGAL, "", false, false),
            (ResponseCode::INVALID_PARAMETER, "", false, false),
            (ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, "", false, false),
            (ResponseCode(9999), "", false, false),
        ] {
            let error = rejected(code, remark);
            assert_eq!(again(&error, true), elsewhere, "{code} {remark} with another broker");
            assert_eq!(again(&error, false), here, "{code} {remark} with one broker");
        }
        assert!(again(&lost(Outcome::Unknown), true) && again(&lost(Outcome::NotSent), false));
        assert!(!again(&Error::invalid("x"), true));
    }

    #[test]
    fn the_same_broker_is_tried_again_only_after_a_pause_that_grows() {
        let busy = rejected(ResponseCode::SYSTEM_BUSY, "");
        let pause = |made, others| match next(Rules { attempts: 9, ..RULES }, made, &busy, others, 60_000) {
            Next::Again { pause, .. } => pause,
            other => panic!("{other:?}"),
        };
        assert_eq!(pause(1, false), PAUSE);
        assert_eq!(pause(3, false), PAUSE * 4);
        assert_eq!(pause(1, true), JITTER / 2);
    }

    #[test]
    fn attempts_end_with_their_number_and_with_the_time() {
        let error = lost(Outcome::NotSent);
        assert_eq!(next(RULES, 3, &error, true, 3000), Next::Stop(Exhaustion::Attempts));
        assert_eq!(next(RULES, 1, &error, true, 150), Next::Stop(Exhaustion::Deadline));
        assert_eq!(
            next(RULES, 1, &rejected(ResponseCode::TOPIC_NOT_EXIST, ""), false, 3000),
            Next::Stop(Exhaustion::Brokers)
        );
    }

    #[test]
    fn an_unknown_outcome_is_not_repeated_when_that_is_forbidden() {
        let careful = Rules { retry_unknown: false, ..RULES };
        assert_eq!(next(careful, 1, &lost(Outcome::Unknown), true, 3000), Next::Stop(Exhaustion::Duplicates));
        assert!(matches!(next(careful, 1, &lost(Outcome::NotSent), true, 3000), Next::Again { .. }));
    }

    #[test]
    fn a_server_that_leaves_is_asked_once_more_and_that_does_not_count() {
        let leaving = rejected(ResponseCode::GO_AWAY, "please go away");
        assert_eq!(next(RULES, 1, &leaving, true, 3000), Next::Again { pause: Duration::ZERO, here: true });
        assert!(matches!(next(RULES, 2, &leaving, true, 3000), Next::Again { here: false, .. }));
        let once = Rules { attempts: 1, ..RULES };
        assert_eq!(next(once, 1, &leaving, false, 3000), Next::Again { pause: Duration::ZERO, here: true });
        assert_eq!(next(once, 2, &leaving, false, 3000), Next::Stop(Exhaustion::Attempts));
    }

    #[test]
    fn an_attempt_leaves_time_for_the_next_while_another_broker_is_there() {
        let now = Instant::now();
        let deadline = Deadline::from(now, Duration::from_millis(3000));
        let share = |rules: Rules, made, others| rules.share(made, others, deadline, now) - now;
        assert_eq!(share(RULES, 1, true), Duration::from_millis(1800));
        assert_eq!(share(RULES, 1, false), Duration::from_millis(3000));
        assert_eq!(share(RULES, 3, true), Duration::from_millis(3000), "the last has all the rest");
        let fixed = Rules { attempt_timeout: Some(Duration::from_millis(500)), ..RULES };
        assert_eq!(share(fixed, 1, false), Duration::from_millis(500));
        let short = Deadline::from(now, Duration::from_millis(250));
        assert_eq!(RULES.share(1, true, short, now) - now, LEAST);
    }

    /// Walks through random sends in virtual time: the end never lies beyond the deadline.
    #[test]
    fn whatever_fails_the_send_ends_by_its_deadline() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..2000 {
            let start = Instant::now();
            let deadline = Deadline::from(start, Duration::from_millis(random.u64(1..5000)));
            let rules = Rules {
                attempts: random.u32(1..6),
                retry_unknown: random.bool(),
                attempt_timeout: random.bool().then(|| Duration::from_millis(random.u64(1..3000))),
            };
            let (mut now, mut made) = (start, 0);
            loop {
                made += 1;
                let others = random.bool();
                let share = rules.share(made, others, deadline, now);
                assert!(share <= deadline.at());
                now += (share - now).mul_f64(random.f64());
                let error =
                    if random.bool() { lost(Outcome::Unknown) } else { rejected(ResponseCode::SYSTEM_BUSY, "") };
                let situation = Situation { made, gone_away: 0, error: Some(&error), others, random: random.f64() };
                match rules.next(situation, deadline, now) {
                    Next::Again { pause, .. } => now += pause,
                    Next::Stop(_) | Next::Fail => break,
                }
                assert!(now <= deadline.at() && made < rules.attempts);
            }
        }
    }
}
