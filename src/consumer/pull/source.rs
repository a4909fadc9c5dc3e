//! From which broker a queue is read: the master, or the slave that the last answer suggested. Pure but for the lock
//! around what was suggested.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::client::{Route, is_connection_over, may_have_moved};
use crate::error::Error;
use crate::message::MessageQueue;

const MASTER: i64 = 0;

/// An address to read from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Source {
    pub(super) addr: Arc<str>,
    pub(super) broker_id: i64,
}

impl Source {
    /// Returns where to read when `broker_id` was suggested; `None` when the route does not name the broker.
    pub(super) fn choose(route: &Route, broker_name: &str, broker_id: i64) -> Option<Source> {
        let (addr, broker_id) = route.broker(broker_name, broker_id)?;
        Some(Source { addr: addr.clone(), broker_id })
    }

    pub(super) fn is_slave(&self) -> bool {
        self.broker_id != MASTER
    }

    /// Whether another server could answer what this one failed to: any other when it was a slave that refused, which
    /// it does when reading from it is switched off; else when it could not be reached or says it is not in charge.
    pub(super) fn is_worth_leaving(&self, error: &Error) -> bool {
        may_have_moved(error) || (self.is_slave() && matches!(error, Error::Rejected { .. }))
    }

    /// Returns where to go after `error`: the master, unless that is the one that failed. A lost connection is worth a
    /// second attempt at the same address.
    pub(super) fn next(&self, error: &Error, route: &Route, broker_name: &str) -> Option<Source> {
        let next = Source::choose(route, broker_name, MASTER)?;
        (next.addr != self.addr || is_connection_over(error)).then_some(next)
    }
}

/// The slaves from which brokers suggested to read; a queue without an entry is read from its master.
#[derive(Debug, Default)]
pub(super) struct Suggestions(Mutex<HashMap<MessageQueue, i64>>);

impl Suggestions {
    pub(super) fn of(&self, queue: &MessageQueue) -> i64 {
        self.lock().get(queue).copied().unwrap_or(MASTER)
    }

    pub(super) fn learn(&self, queue: &MessageQueue, broker_id: i64) {
        let mut suggested = self.lock();
        if broker_id <= MASTER {
            suggested.remove(queue);
        } else if suggested.get(queue) != Some(&broker_id) {
            suggested.insert(queue.clone(), broker_id);
        }
    }

    pub(super) fn forget(&self, queue: &MessageQueue) {
        self.lock().remove(queue);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MessageQueue, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::code::ResponseCode;
    use crate::error::Outcome;
    use crate::protocol::rpc::route::{BrokerBody, RouteBody};

    fn route(addrs: &[(i64, &str)]) -> Route {
        let broker = BrokerBody {
            broker_addrs: addrs.iter().map(|(id, addr)| (*id, (*addr).to_owned())).collect(),
            broker_name: "b".into(),
            ..BrokerBody::default()
        };
        let body = RouteBody { broker_datas: vec![broker], ..RouteBody::default() };
        Route::from_body(&"T".into(), body, None).unwrap()
    }

    fn source(addr: &str, broker_id: i64) -> Source {
        Source { addr: addr.into(), broker_id }
    }

    fn refused() -> Error {
        Error::Connect { addr: "x".into(), source: Arc::new(io::ErrorKind::ConnectionRefused.into()) }
    }

    fn lost() -> Error {
        Error::Disconnected { addr: "x".into(), outcome: Outcome::Unknown, reason: "reset".into() }
    }

    fn rejected(code: ResponseCode) -> Error {
        Error::Rejected { addr: "x".into(), code, remark: "".into() }
    }

    #[test]
    fn what_was_suggested_is_followed_while_the_route_has_it() {
        let route = route(&[(0, "m:1"), (1, "s:1")]);
        assert_eq!(Source::choose(&route, "b", 1), Some(source("s:1", 1)));
        assert_eq!(Source::choose(&route, "b", 9), Some(source("m:1", 0)));
        assert_eq!(Source::choose(&route, "unknown", 0), None);
    }

    #[test]
    fn a_slave_that_fails_or_refuses_is_left_for_the_master() {
        let (route, slave) = (route(&[(0, "m:1"), (1, "s:1")]), source("s:1", 1));
        for error in [refused(), lost(), rejected(ResponseCode::SYSTEM_BUSY)] {
            assert!(slave.is_worth_leaving(&error), "{error}");
            assert_eq!(slave.next(&error, &route, "b"), Some(source("m:1", 0)), "{error}");
        }
    }

    #[test]
    fn a_master_is_left_only_when_it_cannot_answer_and_another_address_is_known() {
        let master = source("m:1", 0);
        assert!(!master.is_worth_leaving(&rejected(ResponseCode::SYSTEM_BUSY)));
        assert!(master.is_worth_leaving(&rejected(ResponseCode::NOT_LEADER_FOR_QUEUE)));
        assert_eq!(master.next(&refused(), &route(&[(0, "m:1"), (1, "s:1")]), "b"), None);
        assert_eq!(master.next(&refused(), &route(&[(0, "m:2")]), "b"), Some(source("m:2", 0)));
        assert_eq!(master.next(&refused(), &route(&[(1, "s:1")]), "b"), Some(source("s:1", 1)));
        assert_eq!(master.next(&lost(), &route(&[(0, "m:1")]), "b"), Some(source("m:1", 0)));
    }

    #[test]
    fn a_suggestion_lasts_until_the_next_one() {
        let (suggestions, queue) = (Suggestions::default(), MessageQueue::new("T", "b", 0));
        assert_eq!(suggestions.of(&queue), 0);
        suggestions.learn(&queue, 1);
        assert_eq!(suggestions.of(&queue), 1);
        suggestions.learn(&queue, 0);
        assert_eq!(suggestions.of(&queue), 0);
        suggestions.learn(&queue, -3);
        assert_eq!(suggestions.of(&queue), 0);
    }
}
