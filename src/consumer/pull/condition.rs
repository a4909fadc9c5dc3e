//! Making sure that a broker understands an SQL condition before it is asked for messages by it.
//!
//! Apache's brokers take a pull with a condition they cannot read for one without any and hand out every message; that
//! is so up to 5.5.0 at least. Asked for their opinion (`CHECK_CLIENT_CONFIG`, as Java's push consumer does) they refuse.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::prepare::Pull;
use crate::code::ResponseCode;
use crate::consumer::Filter;
use crate::error::{Error, Result};
use crate::protocol::json;
use crate::protocol::request::Answer;
use crate::protocol::rpc::heartbeat::{CheckClient, CheckClientBody, SubscriptionBody};

/// So many conditions are remembered; a program that makes up more of them has each checked again now and then.
const MOST: usize = 1024;

/// The conditions that are known to be understood, and by whom.
#[derive(Debug, Default)]
pub(super) struct Understood(Mutex<HashSet<(Arc<str>, Filter)>>);

impl Understood {
    /// Whether the broker at `addr` is to be asked before this pull.
    pub(super) fn lacks(&self, addr: &Arc<str>, pull: &Pull) -> bool {
        pull.filter.is_sql()
            && !self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&(addr.clone(), pull.filter.clone()))
    }

    /// Takes the broker's answer in.
    pub(super) fn learn(&self, addr: &Arc<str>, pull: &Pull, answer: Result<Answer<CheckClient>>) -> Result<()> {
        match answer {
            // Too old to be asked.
            Ok(_) | Err(Error::Rejected { code: ResponseCode::REQUEST_CODE_NOT_SUPPORTED, .. }) => {}
            Err(error) => return Err(error),
        }
        let mut understood = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if understood.len() >= MOST {
            understood.clear();
        }
        understood.insert((addr.clone(), pull.filter.clone()));
        Ok(())
    }
}

/// The body of the question.
pub(super) fn question(client_id: &Arc<str>, group: &Arc<str>, pull: &Pull) -> Vec<u8> {
    let subscription = SubscriptionBody {
        class_filter_mode: false,
        code_set: Vec::new(),
        expression_type: Some(pull.filter.expression_type().to_owned()),
        sub_string: pull.filter.to_string(),
        sub_version: 1,
        tags_set: Vec::new(),
        topic: pull.queue.shared_topic().clone(),
    };
    json::encode(&CheckClientBody {
        client_id: client_id.clone(),
        group: group.clone(),
        subscription_data: subscription,
    })
}
