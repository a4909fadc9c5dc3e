//! SQL conditions that a broker has found to be in order.
//!
//! A broker that cannot compile the condition of a pull returns all messages instead of an error (seen with 5.5.0), so
//! each condition is checked once, by a question of its own, before it is pulled with.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::prepare::Pull;
use crate::code::ResponseCode;
use crate::consumer::Filter;
use crate::error::{Error, Result};
use crate::protocol::request::Answer;
use crate::protocol::rpc::check::{CheckClientBody, CheckClientConfig};
use crate::protocol::rpc::heartbeat::SubscriptionBody;

/// A consumer that makes up ever new conditions has old ones checked again.
const REMEMBERED: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Conditions(Mutex<HashSet<Filter>>);

impl Conditions {
    /// Returns what to ask before pulling with a filter; `None` when nothing is in doubt.
    pub(super) fn question(&self, pull: &Pull, client_id: &Arc<str>, group: &Arc<str>) -> Option<CheckClientBody> {
        if !pull.filter.is_sql() || self.lock().contains(&pull.filter) {
            return None;
        }
        let subscription_data = SubscriptionBody {
            class_filter_mode: false,
            code_set: Vec::new(),
            expression_type: Some(pull.filter.expression_type().into()),
            sub_string: pull.filter.to_string(),
            sub_version: 0,
            tags_set: Vec::new(),
            topic: pull.queue.shared_topic().clone(),
        };
        Some(CheckClientBody { client_id: client_id.clone(), group: group.clone(), subscription_data })
    }

    /// Takes what the broker answered.
    pub(super) fn learn(&self, filter: &Filter, answer: Result<Answer<CheckClientConfig>>) -> Result<()> {
        match answer {
            // A server that does not check evaluates in its own way.
            Ok(_) | Err(Error::Rejected { code: ResponseCode::REQUEST_CODE_NOT_SUPPORTED, .. }) => {
                let mut known = self.lock();
                if known.len() >= REMEMBERED {
                    known.clear();
                }
                known.insert(filter.clone());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Filter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::message::MessageQueue;
    use crate::remoting::Deadline;

    fn pull(filter: Filter) -> Pull {
        let (queue, deadline) = (MessageQueue::new("T", "b", 3), Deadline::after(Duration::from_secs(10)));
        Pull { queue, offset: 7, filter, max: 32, max_bytes: None, hold: None, deadline }
    }

    fn rejected(code: ResponseCode) -> Result<Answer<CheckClientConfig>> {
        Err(Error::Rejected { addr: "a:1".into(), code, remark: "".into() })
    }

    #[test]
    fn only_conditions_are_checked_and_each_once() {
        let (conditions, sql) = (Conditions::default(), Filter::sql("a > 1"));
        let asks = |filter: &Filter| conditions.question(&pull(filter.clone()), &"c".into(), &"g".into());
        assert_eq!(asks(&Filter::tag("a")), None);
        assert_eq!(asks(&sql).map(|body| body.subscription_data.sub_string), Some("a > 1".into()));
        assert!(conditions.learn(&sql, rejected(ResponseCode::SUBSCRIPTION_PARSE_FAILED)).is_err());
        assert!(asks(&sql).is_some(), "a wrong one is asked about again");
        assert!(conditions.learn(&sql, rejected(ResponseCode::REQUEST_CODE_NOT_SUPPORTED)).is_ok());
        assert_eq!(asks(&sql), None);
    }
}
