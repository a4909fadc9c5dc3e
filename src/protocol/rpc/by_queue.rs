//! Tables with an entry to each queue. Java writes the queues, which are objects, as their keys.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};

use super::lock::QueueBody;
use crate::protocol::json;

/// A table by queue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ByQueue<T>(pub(crate) Vec<(QueueBody, T)>);

impl<T> Default for ByQueue<T> {
    fn default() -> ByQueue<T> {
        ByQueue(Vec::new())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for ByQueue<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<ByQueue<T>, D::Error> {
        // The tolerant reader has made the keys strings, which hold their text.
        let entries = BTreeMap::<String, T>::deserialize(from)?.into_iter().map(|(queue, value)| {
            let queue = json::decode("queue", queue.as_bytes()).map_err(D::Error::custom)?;
            Ok((queue, value))
        });
        entries.collect::<Result<_, _>>().map(ByQueue)
    }
}

impl<T: Serialize> ByQueue<T> {
    /// The table as Java writes it, which is no JSON that others read.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from("{");
        for (at, (queue, value)) in self.0.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            // What is written is text in UTF-8.
            text += &String::from_utf8_lossy(&json::encode(queue));
            text.push(':');
            text += &String::from_utf8_lossy(&json::encode(value));
        }
        text.push('}');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_javas_form_and_is_read_back() {
        let queue = |id| QueueBody { broker_name: "b".into(), queue_id: id, topic: "T".into() };
        let table = ByQueue(vec![(queue(0), 7_i64), (queue(1), -1)]);
        let text = table.text();
        assert_eq!(
            text,
            r#"{{"brokerName":"b","queueId":0,"topic":"T"}:7,{"brokerName":"b","queueId":1,"topic":"T"}:-1}"#
        );
        assert_eq!(json::decode::<ByQueue<i64>>("table", text.as_bytes()).unwrap(), table);
        let standard = br#"{"{\"brokerName\":\"b\",\"queueId\":0,\"topic\":\"T\"}":7}"#;
        assert_eq!(json::decode::<ByQueue<i64>>("table", standard).unwrap().0, [(queue(0), 7)]);
        assert!(json::decode::<ByQueue<i64>>("table", br#"{"T":7}"#).is_err());
    }
}
