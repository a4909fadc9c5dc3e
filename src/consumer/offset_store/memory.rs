use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};

use super::OffsetStore;
use crate::message::MessageQueue;

/// Offsets that are gone with their consumer.
#[derive(Debug, Default)]
pub(in crate::consumer) struct MemoryOffsets(Mutex<HashMap<MessageQueue, i64>>);

impl OffsetStore for MemoryOffsets {
    fn load(&self, queue: &MessageQueue) -> Result<Option<i64>, Box<dyn Error + Send + Sync>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(queue).copied())
    }

    fn store(&self, offsets: &[(MessageQueue, i64)]) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(offsets.iter().cloned());
        Ok(())
    }
}
