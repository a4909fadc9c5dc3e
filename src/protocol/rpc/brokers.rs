//! What operators ask a broker about itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::protocol::fields::NoFields;
use crate::protocol::request::{requests, without_fields};

without_fields! {
    /// Asks a broker for its runtime statistics; the answer's body is a [`TableBody`].
    pub(crate) struct GetRuntime;
}

requests! {
    GetRuntime = GET_BROKER_RUNTIME_INFO -> NoFields;
}

/// Names and values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TableBody {
    pub(crate) table: BTreeMap<String, String>,
}
