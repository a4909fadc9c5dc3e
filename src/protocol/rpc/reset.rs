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

/// Reads the body of a `RESET_CONSUMER_CLIENT_OFFSET`.
pub(crate) fn read(body: &[u8]) -> Result<Vec<(QueueBody, i64)>> {
    match json::decode::<Body>("table of offsets", body)?.offset_table {
        Table::Map(table) => {
            table.into_iter().map(|(queue, offset)| Ok((json::decode("queue", queue.as_bytes())?, offset))).collect()
        }
        Table::List(entries) => Ok(entries.into_iter().map(|entry| (entry.queue, entry.offset)).collect()),
    }
}

/// Makes such a body, as Java has it.
pub(crate) fn write(offsets: &[(QueueBody, i64)]) -> Vec<u8> {
    let mut body = b"{\"offsetTable\":{".to_vec();
    for (number, (queue, offset)) in offsets.iter().enumerate() {
        if number > 0 {
            body.push(b',');
        }
        body.extend(json::encode(queue));
        body.extend(format!(":{offset}").bytes());
    }
    body.extend(b"}}");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_of_the_table_are_read() {
        let queue = QueueBody { broker_name: "b".into(), queue_id: 3, topic: "T".into() };
        let map = br#"{"offsetTable":{{"brokerName":"b","queueId":3,"topic":"T"}:123}}"#;
        let list = br#"{"offsetTable":[{"brokerName":"b","offset":123,"queueId":3,"topic":"T"}]}"#;
        assert_eq!(read(map).unwrap(), [(queue.clone(), 123)]);
        assert_eq!(read(list).unwrap(), [(queue.clone(), 123)]);
        assert_eq!(write(&[(queue, 123)]), map);
        assert_eq!(read(b"{}").unwrap(), []);
        assert!(read(b"{\"offsetTable\":{\"x\":1}}").is_err());
    }
}
