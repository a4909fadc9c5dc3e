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
        table(self.0.iter().map(|(queue, value)| (text(queue), text(value))))
    }
}

pub(super) fn text<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// An object of keys and values that are text of JSON already; other than in JSON a key need not be a string.
pub(super) fn table(entries: impl Iterator<Item = (String, String)>) -> String {
    let entries: Vec<String> = entries.map(|(key, value)| format!("{key}:{value}")).collect();
    format!("{{{}}}", entries.join(","))
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
