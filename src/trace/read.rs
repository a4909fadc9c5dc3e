//! Reading trace messages, of any version and with all the leniency Java's reader has.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;

use super::record::{BETWEEN, END, EndTransaction, Event, MessageKind, Pub, Record, TransactionState};

const KINDS: [&str; 5] = ["Pub", "SubBefore", "SubAfter", "EndTransaction", "Recall"];

/// Reads the body of a trace message. What is no record, or lacks a field, is passed over.
pub(crate) fn read(body: &str) -> Vec<Record> {
    let mut records = Vec::new();
    for segment in body.split(END) {
        let mut fields: Vec<&str> = segment.split(BETWEEN).collect();
        // Java 4.9 does not end this record when its access channel is the cloud: the next begins in the same segment.
        while fields[0] == "SubAfter" && fields.get(7).is_some_and(|field| KINDS.contains(field)) {
            let rest = fields.split_off(7);
            records.extend(record(&fields));
            fields = rest;
        }
        records.extend(record(&fields));
    }
    records
}

fn record(fields: &[&str]) -> Option<Record> {
    let text = |at: usize| fields.get(at).copied().map(present);
    let shared = |at: usize| text(at).map(Arc::<str>::from);
    let owned = |at: usize| text(at).map(str::to_owned);
    let head = |topic: Option<Arc<str>>, keys: Option<String>, event| {
        Some(Record {
            timestamp: number(fields, 1)?,
            region: Cow::Owned(owned(2)?),
            group: shared(3)?,
            topic: topic?,
            message_id: shared(5)?,
            keys: keys?,
            event,
        })
    };
    match *fields.first()? {
        "Pub" => {
            // The offset message id came later, the client's address later still.
            let with_offset_id = fields.len() >= 14;
            let sent = Pub {
                tags: owned(6)?,
                store_host: shared(8)?,
                body_length: number(fields, 9)?,
                cost: number(fields, 10)?,
                kind: kind(fields, 11)?,
                offset_message_id: if with_offset_id { owned(12)? } else { String::new() },
                success: flag(fields, if with_offset_id { 13 } else { 12 })?,
                client_host: shared(14),
            };
            head(shared(4), owned(7), Event::Pub(sent))
        }
        "SubBefore" => {
            let event = Event::SubBefore { request_id: shared(4)?, retries: number(fields, 6)? };
            // The fifth field is the request here, and no topic is told.
            head(Some("".into()), owned(7), event)
        }
        "SubAfter" => Some(Record {
            timestamp: number(fields, 7).unwrap_or(0),
            region: Cow::Borrowed(""),
            group: shared(8).unwrap_or_else(|| "".into()),
            topic: "".into(),
            message_id: shared(2)?,
            keys: owned(5)?,
            event: Event::SubAfter {
                request_id: shared(1)?,
                cost: number(fields, 3)?,
                success: flag(fields, 4)?,
                code: number(fields, 6).unwrap_or(0),
            },
        }),
        "EndTransaction" => {
            let name = text(11)?;
            let end = EndTransaction {
                tags: owned(6)?,
                store_host: shared(8)?,
                kind: kind(fields, 9)?,
                transaction_id: shared(10)?,
                state: TransactionState::ALL.into_iter().find(|state| state.name() == name)?,
                from_check: flag(fields, 12)?,
            };
            head(shared(4), owned(7), Event::EndTransaction(end))
        }
        "Recall" => head(shared(4), Some(String::new()), Event::Recall { success: flag(fields, 6)? }),
        _ => None,
    }
}

/// Java writes an absent text as this word.
fn present(text: &str) -> &str {
    if text == "null" { "" } else { text }
}

fn number<T: FromStr>(fields: &[&str], at: usize) -> Option<T> {
    fields.get(at)?.parse().ok()
}

fn flag(fields: &[&str], at: usize) -> Option<bool> {
    Some(fields.get(at)?.eq_ignore_ascii_case("true"))
}

fn kind(fields: &[&str], at: usize) -> Option<MessageKind> {
    let number: usize = number(fields, at)?;
    MessageKind::ALL.get(number).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::golden::vector;

    fn golden(name: &str) -> String {
        String::from_utf8(vector(name).bytes).unwrap()
    }

    fn written(record: &Record) -> String {
        let mut out = String::new();
        record.write(&mut out, false);
        out
    }

    #[test]
    fn the_records_of_java_are_read_and_written_again_byte_for_byte() {
        for name in ["trace_pub", "trace_sub_before", "trace_sub_after", "trace_end_transaction"] {
            let body = golden(name);
            let records = read(&body);
            assert_eq!(records.len(), 1, "{name}");
            assert_eq!(written(&records[0]), body, "{name}");
        }
    }

    #[test]
    fn the_golden_record_of_a_send_says_what_its_fields_say() {
        let vector = vector("trace_pub");
        let [record] = &read(&golden("trace_pub"))[..] else { panic!("one record") };
        assert_eq!((record.timestamp, &*record.region, &*record.group), (1_700_000_000_000, "DefaultRegion", "PG"));
        assert_eq!((&*record.topic, &*record.keys), ("TopicTest", "k1 k2"));
        let expected = Pub {
            tags: "TagA".to_owned(),
            store_host: "10.0.0.2:10911".into(),
            body_length: 5,
            cost: 34,
            kind: MessageKind::Normal,
            offset_message_id: "0A00000200002A9F0000000000003039".to_owned(),
            success: true,
            client_host: None,
        };
        assert_eq!(record.event, Event::Pub(expected));
        let keys: Vec<&str> = record.index_keys().collect();
        let expected: Vec<&str> =
            vector.decoded["keys"].as_array().unwrap().iter().filter_map(|key| key.as_str()).collect();
        assert_eq!(keys, expected);
    }

    #[test]
    fn an_unknown_broker_address_is_taken_from_the_offset_message_id() {
        let body = golden("trace_pub");
        let mut record = read(&body).remove(0);
        let Event::Pub(sent) = &mut record.event else { panic!("a send") };
        sent.store_host = "".into();
        assert!(written(&record).contains("10.0.0.2:10911"), "{}", written(&record));
    }

    #[test]
    fn records_of_other_versions_are_read() {
        let old = golden("trace_pub").replace("0A00000200002A9F0000000000003039\u{1}", "");
        let Event::Pub(sent) = read(&old).remove(0).event else { panic!("a send") };
        assert!(sent.success && sent.offset_message_id.is_empty(), "13 fields");
        let newer = golden("trace_pub").replace("true\u{2}", "false\u{1}10.0.0.9\u{2}");
        let Event::Pub(sent) = read(&newer).remove(0).event else { panic!("a send") };
        assert!(!sent.success && sent.client_host.as_deref() == Some("10.0.0.9"), "15 fields");
        let after = ["SubAfter", "R", "M", "7", "true", "null"].join("\u{1}");
        let record = read(&after).remove(0);
        assert_eq!((record.keys.as_str(), record.timestamp), ("", 0), "6 fields, absent keys, no end");
        let recall = ["Recall", "5", "region", "G", "T", "M", "true\u{2}"].join("\u{1}");
        assert_eq!(written(&read(&recall)[0]), recall);
    }

    #[test]
    fn a_record_without_its_end_does_not_hide_the_next() {
        let after = ["SubAfter", "R", "M", "7", "true", "k", "4", ""].join("\u{1}");
        let body = format!("{after}{after}{}", golden("trace_pub"));
        let records = read(&body);
        assert_eq!(records.len(), 3, "{records:?}");
        let code = |record: &Record| matches!(record.event, Event::SubAfter { code: 4, .. });
        assert!(code(&records[0]) && code(&records[1]) && records[2].topic == "TopicTest".into());
    }

    #[test]
    fn what_the_cloud_channel_leaves_out_is_left_out() {
        let record = read(&golden("trace_sub_after")).remove(0);
        let mut out = String::new();
        record.write(&mut out, true);
        assert_eq!(out.split('\u{1}').count(), 7);
        assert!(out.ends_with("0\u{2}"));
    }

    #[test]
    fn separators_in_a_field_cannot_damage_a_record() {
        let mut record = read(&golden("trace_pub")).remove(0);
        record.keys = "a\u{1}b\u{2}c".to_owned();
        assert_eq!(read(&written(&record))[0].keys, "a b c");
    }

    #[test]
    fn damaged_bodies_are_passed_over_and_never_a_panic() {
        let all: String =
            ["trace_pub", "trace_sub_before", "trace_sub_after", "trace_end_transaction"].map(golden).concat();
        for cut in 0..all.len() {
            let _ = read(&all[..cut]);
            let _ = read(&all[cut..]);
        }
        assert_eq!(read(&all).len(), 4);
        for nothing in ["", "\u{2}", "Pub", "Other\u{1}x\u{2}", "Pub\u{1}x\u{2}\u{2}SubAfter\u{2}"] {
            assert_eq!(read(nothing), [], "{nothing:?}");
        }
    }
}
