//! Locks of queues that are consumed in order.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::protocol::fields::{FieldSink, FieldSource, Header, NoFields};
use crate::protocol::request::requests;

/// Asks a broker for locks; the body is a [`LockBody`], the answer's a [`LockedBody`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LockBatch;

/// Gives locks back; the body is a [`LockBody`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UnlockBatch;

impl Header for LockBatch {
    fn put<S: FieldSink>(&self, _sink: &mut S) {}

    fn take(_fields: FieldSource<'_>) -> crate::error::Result<LockBatch> {
        Ok(LockBatch)
    }
}

impl Header for UnlockBatch {
    fn put<S: FieldSink>(&self, _sink: &mut S) {}

    fn take(_fields: FieldSource<'_>) -> crate::error::Result<UnlockBatch> {
        Ok(UnlockBatch)
    }
}

requests! {
    LockBatch = LOCK_BATCH_MQ -> NoFields;
    UnlockBatch = UNLOCK_BATCH_MQ -> NoFields;
}

/// A queue as bodies name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueueBody {
    pub(crate) broker_name: Arc<str>,
    pub(crate) queue_id: i32,
    pub(crate) topic: Arc<str>,
}

/// Who wants which queues.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LockBody {
    pub(crate) client_id: Arc<str>,
    pub(crate) consumer_group: Arc<str>,
    pub(crate) mq_set: Vec<QueueBody>,
    #[serde(default)]
    pub(crate) only_this_broker: bool,
}

/// The queues that are locked for who asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LockedBody {
    #[serde(rename = "lockOKMQSet", default)]
    pub(crate) locked: Vec<QueueBody>,
}
