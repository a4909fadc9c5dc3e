//! Having a broker check a subscription.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::heartbeat::SubscriptionBody;
use crate::protocol::fields::{FieldSink, FieldSource, Header, NoFields};
use crate::protocol::request::requests;

/// Asks a broker whether it can evaluate a subscription's SQL condition; the body is a [`CheckClientBody`]. It answers
/// `SUBSCRIPTION_PARSE_FAILED` to a wrong one, where a pull with it would bring all messages.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CheckClientConfig;

impl Header for CheckClientConfig {
    fn put<S: FieldSink>(&self, _sink: &mut S) {}

    fn take(_fields: FieldSource<'_>) -> crate::error::Result<CheckClientConfig> {
        Ok(CheckClientConfig)
    }
}

requests! {
    CheckClientConfig = CHECK_CLIENT_CONFIG -> NoFields;
}

/// Whose subscription it is, and what it says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CheckClientBody {
    pub(crate) client_id: Arc<str>,
    pub(crate) group: Arc<str>,
    pub(crate) subscription_data: SubscriptionBody,
}
