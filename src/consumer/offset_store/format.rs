//! What a file of offsets looks like, and what it is called. Pure.

use crate::consumer::allocation::md5::md5;
use crate::error::{Error, Result};
use crate::message::MessageQueue;
use crate::protocol::json;
use crate::protocol::rpc::lock::QueueBody;
use crate::protocol::rpc::reset;
use crate::sorted::SortedMap;

/// Offsets by queue; their topics in the form that is on the wire.
pub(crate) type Table = SortedMap<MessageQueue, i64>;

/// Reads a file: Java's, whose keys are objects, or one whose table is a list.
pub(crate) fn read(text: &[u8]) -> Result<Table> {
    let name = b"\"offsetTable\"";
    // What has none would pass for one without entries, and the group would begin anew.
    if !text.windows(name.len()).any(|part| part == name) {
        return Err(Error::malformed("table of offsets: there is none"));
    }
    let queue = |body: QueueBody| MessageQueue::new(body.topic, body.broker_name, body.queue_id);
    let table: Table = reset::read(text)?.into_iter().map(|(body, offset)| (queue(body), offset)).collect();
    let wrong = table.iter().find(|(_, offset)| **offset < 0).map(|(queue, offset)| (queue.clone(), *offset));
    match wrong {
        Some((queue, offset)) => Err(Error::malformed(format!("table of offsets: {offset} for {queue}"))),
        None => Ok(table),
    }
}

/// Writes it as Java does: the keys are objects, which is no standard JSON. A line for each queue.
pub(crate) fn write(table: &Table) -> String {
    let mut text = String::from("{\"offsetTable\":{");
    for (at, (queue, offset)) in table.iter().enumerate() {
        let key = QueueBody {
            broker_name: queue.shared_broker_name().clone(),
            queue_id: queue.queue_id(),
            topic: queue.shared_topic().clone(),
        };
        text.push_str(if at == 0 { "\n" } else { ",\n" });
        text.push_str(&String::from_utf8_lossy(&json::encode(&key)));
        text.push(':');
        text.push_str(&offset.to_string());
    }
    text.push_str("\n}}\n");
    text
}

/// Longest name of a folder: common file systems take 255 bytes.
const LONGEST: usize = 200;

/// Makes the name of a folder of a group or a client id: itself, as in Java, as long as every file system takes it; else it is
/// escaped and ends in `~`, which plain names do not contain, so that no two are the same.
pub(crate) fn folder_name(name: &str) -> String {
    // `%` is in groups of namespaces, `@` in every client id.
    let plain = |c: char| c.is_ascii_alphanumeric() || "%-_.@#".contains(c);
    let dots = name.starts_with('.') || name.ends_with('.');
    if !name.is_empty() && name.chars().all(plain) && !dots && name.len() <= LONGEST {
        return name.to_owned();
    }
    let mut escaped = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_@#".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    if escaped.len() >= LONGEST {
        let digest: String = md5(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        escaped.truncate(LONGEST - digest.len() - 2);
        escaped = format!("{escaped}~{digest}");
    }
    escaped + "~"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(&str, i32, i64)]) -> Table {
        entries.iter().map(|(topic, id, offset)| (MessageQueue::new(*topic, "broker-a", *id), *offset)).collect()
    }

    #[test]
    fn javas_file_and_those_of_other_clients_are_read() {
        let java = br#"{
	"offsetTable":{
		{"brokerName":"broker-a","queueId":0,"topic":"T"}:12,{
			"brokerName":"broker-a",
			"queueId":1,
			"topic":"T"
		}:7
	}
}"#;
        let pairs = br#"{"offsetTable":[[{"topic":"T","brokerName":"broker-a","queueId":0},12],
            [{"topic":"T","brokerName":"broker-a","queueId":1},7]]}"#;
        let strict = br#"{"offsetTable":{"{\"brokerName\":\"broker-a\",\"queueId\":0,\"topic\":\"T\"}":12,
            "{\"brokerName\":\"broker-a\",\"queueId\":1,\"topic\":\"T\"}":7}}"#;
        let wanted = table(&[("T", 0, 12), ("T", 1, 7)]);
        assert_eq!(read(java).unwrap(), wanted);
        assert_eq!(read(pairs).unwrap(), wanted);
        assert_eq!(read(strict).unwrap(), wanted);
        assert_eq!(read(br#"{"offsetTable":{}}"#).unwrap(), Table::new());
    }

    #[test]
    fn what_is_written_is_javas_shape_and_is_read_again() {
        let wanted = table(&[("T", 0, 12), ("%RETRY%g", 1, i64::MAX), ("quote\"and\\", 2, 0)]);
        let text = write(&wanted);
        assert!(text.contains("{\"brokerName\":\"broker-a\",\"queueId\":0,\"topic\":\"T\"}:12"), "{text}");
        assert_eq!(read(text.as_bytes()).unwrap(), wanted);
        assert_eq!(read(write(&Table::new()).as_bytes()).unwrap(), Table::new());
    }

    #[test]
    fn no_beginning_of_a_file_passes_for_a_file() {
        let text = write(&table(&[("T", 0, 12), ("T", 1, 1234)]));
        for end in 0..text.trim_end().len() {
            assert!(read(&text.as_bytes()[..end]).is_err(), "{}", &text[..end]);
        }
        for wrong in
            ["\0\0\0", "offsets", "[]", "{}", r#"{"offsetTable":{{"brokerName":"b","queueId":0,"topic":"T"}:-1}}"#]
        {
            assert!(read(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn folders_are_called_as_in_java_unless_a_file_system_would_not_take_it() {
        for plain in ["10.0.0.1@DEFAULT", "10.0.0.1@77#123@unit", "orders", "ns%orders", "a-b_c"] {
            assert_eq!(folder_name(plain), plain);
        }
        let long = "g".repeat(255);
        let mut names: Vec<String> =
            ["", ".", "..", "../../etc", "a/b", "a%2Fb", "a\\b", "[::1]@x", "a|b", "a~", "ümlaut", "."]
                .map(folder_name)
                .to_vec();
        names.extend([folder_name(&long), folder_name(&(long.clone() + "h")), folder_name(&"/".repeat(90))]);
        for name in &names {
            assert!(name.len() <= LONGEST && !name.starts_with('.') && !name.is_empty(), "{name}");
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "%-_@#~".contains(c)), "{name}");
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 14, "only the name that is there twice is: {names:?}");
    }
}
