//! An operator's wish that a group goes on at other offsets; brokers hand it to the group's clients.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::lock::QueueBody;
use crate::error::Result;
use crate::protocol::json;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Body {
    offset_table: Table,
}

/// Its shape follows the language of the tool that asked for it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Table {
    /// The keys are queues.
    Map(BTreeMap<String, i64>),
    List(Vec<Entry>),
    Pairs(Vec<(QueueBody, i64)>),
}

impl Default for Table {
    fn default() -> Table {
        Table::List(Vec::new())
    }
}

#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(flatten)]
    queue: QueueBody,
    offset: i64,
}

/// Reads the body of a `RESET_CONSUMER_CLIENT_OFFSET`, or a file in which a client keeps its offsets.
pub(crate) fn read(body: &[u8]) -> Result<Vec<(QueueBody, i64)>> {
    match json::decode::<Body>("table of offsets", body)?.offset_table {
        Table::Map(table) => {
            table.into_iter().map(|(queue, offset)| Ok((json::decode("queue", queue.as_bytes())?, offset))).collect()
        }
        Table::Pairs(entries) => Ok(entries),
        Table::List(entries) => Ok(entries.into_iter().map(|entry| (entry.queue, entry.offset)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shapes_of_the_table_are_read() {
        let queue = QueueBody { broker_name: "b".into(), queue_id: 3, topic: "T".into() };
        let map = br#"{"offsetTable":{{"brokerName":"b","queueId":3,"topic":"T"}:123}}"#;
        let list = br#"{"offsetTable":[{"brokerName":"b","offset":123,"queueId":3,"topic":"T"}]}"#;
        assert_eq!(read(map).unwrap(), [(queue.clone(), 123)]);
        let pairs = br#"{"offsetTable":[[{"brokerName":"b","queueId":3,"topic":"T"},123]]}"#;
        assert_eq!(read(list).unwrap(), [(queue.clone(), 123)]);
        assert_eq!(read(pairs).unwrap(), [(queue, 123)]);
        assert_eq!(read(b"{}").unwrap(), []);
        assert!(read(b"{\"offsetTable\":{\"x\":1}}").is_err());
    }
}
