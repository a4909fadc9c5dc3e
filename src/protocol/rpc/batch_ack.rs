//! Acknowledging many messages of one broker at once. Since 5.1.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::protocol::base64::{self, STANDARD};
use crate::protocol::fields::{FieldSink, FieldSource, Header, NoFields};
use crate::protocol::json;
use crate::protocol::request::requests;

/// Acknowledges messages; the body is a [`BatchAckBody`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BatchAck;

impl Header for BatchAck {
    fn put<S: FieldSink>(&self, _sink: &mut S) {}

    fn take(_fields: FieldSource<'_>) -> crate::error::Result<BatchAck> {
        Ok(BatchAck)
    }
}

requests! {
    BatchAck = BATCH_ACK_MESSAGE -> NoFields;
}

/// What is acknowledged at which broker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchAckBody {
    #[serde(default)]
    pub(crate) acks: Vec<AckSet>,
    #[serde(default)]
    pub(crate) broker_name: Arc<str>,
}

/// The messages of one pop and one queue. The names are Java's short ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AckSet {
    /// Which messages, counted from `so`: a set of bits in base64.
    #[serde(rename = "b")]
    pub(crate) bits: String,
    #[serde(rename = "c")]
    pub(crate) consumer_group: Arc<str>,
    #[serde(rename = "it", deserialize_with = "json::integer")]
    pub(crate) invisible_time: i64,
    #[serde(rename = "pt", deserialize_with = "json::integer")]
    pub(crate) pop_time: i64,
    #[serde(rename = "q")]
    pub(crate) queue_id: i32,
    /// The retry mark of the handles.
    #[serde(rename = "r")]
    pub(crate) retry: Arc<str>,
    #[serde(rename = "rq")]
    pub(crate) revive_queue_id: i32,
    #[serde(rename = "so", deserialize_with = "json::integer")]
    pub(crate) start_offset: i64,
    /// The topic that was popped, whatever the retry mark.
    #[serde(rename = "t")]
    pub(crate) topic: Arc<str>,
}

/// Further apart than this, messages of one pop do not share a set: its size would be out of proportion.
pub(crate) const MOST_BITS: usize = 64 * 1024;

/// Writes a set of bits as Java's `BitSet` does: the lowest first, no zero bytes at the end.
pub(crate) fn write_bits(set: impl Iterator<Item = usize>) -> String {
    let mut bytes: Vec<u8> = Vec::new();
    for bit in set.filter(|bit| *bit < MOST_BITS) {
        if bytes.len() <= bit / 8 {
            bytes.resize(bit / 8 + 1, 0);
        }
        bytes[bit / 8] |= 1 << (bit % 8);
    }
    base64::encode(STANDARD, &bytes)
}

/// Reads a set of bits; `None` for what is none.
pub(crate) fn read_bits(text: &str) -> Option<Vec<usize>> {
    if text.len() > MOST_BITS {
        return None;
    }
    let bytes = base64::decode(STANDARD, text)?;
    let set = |at: &usize| bytes[at / 8] & (1 << (at % 8)) != 0;
    Some((0..bytes.len() * 8).filter(set).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_written_and_read_as_javas() {
        for (bits, text) in [(vec![], ""), (vec![0], "AQ=="), (vec![0, 2, 9], "BQI="), (vec![63], "AAAAAAAAAIA=")] {
            assert_eq!(write_bits(bits.iter().copied()), text);
            assert_eq!(read_bits(text), Some(bits));
        }
        for wrong in ["A", "A===", "&&&&"] {
            assert_eq!(read_bits(wrong), None, "{wrong}");
        }
        assert_eq!(write_bits([MOST_BITS, usize::MAX].into_iter()), "", "nothing is that far apart");
    }
}
