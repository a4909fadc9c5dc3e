//! Putting records into messages: those of one topic into one, as long as there is room.

use std::sync::Arc;

use super::record::Record;

/// The largest body of a trace message, in bytes.
const MAX_BODY: usize = 128_000;
/// The largest index of a trace message, in bytes: properties have 32 767 in all.
const MAX_KEYS: usize = 30_000;

/// One trace message.
#[derive(Debug)]
pub(super) struct Parcel {
    /// Where it goes.
    pub(super) trace_topic: Arc<str>,
    pub(super) body: String,
    /// What it can be found by, separated by blanks.
    pub(super) keys: String,
    pub(super) records: usize,
}

/// A trace message being put together.
struct Open<'r> {
    trace_topic: Arc<str>,
    topic: &'r Arc<str>,
    body: String,
    keys: Vec<&'r str>,
    /// The length of the keys with the blanks between them.
    keys_len: usize,
    records: usize,
}

/// Packs records in their order. `trace_topic` says where a record goes.
pub(super) fn pack(records: &[Record], cloud: bool, trace_topic: impl Fn(&Record) -> Arc<str>) -> Vec<Parcel> {
    let mut parcels: Vec<Open<'_>> = Vec::with_capacity(1);
    let mut text = String::new();
    for record in records {
        text.clear();
        record.write(&mut text, cloud);
        let to = trace_topic(record);
        let own = |parcel: &&mut Open<'_>| *parcel.topic == record.topic && parcel.trace_topic == to;
        match parcels.iter_mut().rev().find(own).filter(|parcel| parcel.has_room(&text, record)) {
            Some(parcel) => parcel.add(&text, record),
            None => {
                let body = String::with_capacity(text.len() * records.len());
                let (topic, keys) = (&record.topic, Vec::with_capacity(2 * records.len()));
                let mut parcel = Open { trace_topic: to, topic, body, keys, keys_len: 0, records: 0 };
                parcel.add(&text, record);
                parcels.push(parcel);
            }
        }
    }
    parcels.into_iter().map(Open::close).collect()
}

impl<'r> Open<'r> {
    fn has_room(&self, text: &str, record: &Record) -> bool {
        let keys: usize = record.index_keys().map(|key| key.len() + 1).sum();
        self.body.len() + text.len() <= MAX_BODY && self.keys_len + keys <= MAX_KEYS
    }

    fn add(&mut self, text: &str, record: &'r Record) {
        self.body.push_str(text);
        for key in record.index_keys() {
            let len = self.keys_len + key.len() + 1;
            // Only a single record with very long keys has no room; it is found by its id.
            if len <= MAX_KEYS && !self.keys.contains(&key) {
                self.keys.push(key);
                self.keys_len = len;
            }
        }
        self.records += 1;
    }

    fn close(self) -> Parcel {
        Parcel { trace_topic: self.trace_topic, body: self.body, keys: self.keys.join(" "), records: self.records }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Event;
    use super::*;

    fn record(topic: &str, id: &str, keys: &str) -> Record {
        Record {
            timestamp: 1,
            region: "R".into(),
            group: "G".into(),
            topic: topic.into(),
            message_id: id.into(),
            keys: keys.to_owned(),
            event: Event::SubBefore { request_id: "Q".into(), retries: 0 },
        }
    }

    fn packed(records: &[Record]) -> Vec<Parcel> {
        pack(records, false, |_| "Trace".into())
    }

    #[test]
    fn records_of_several_topics_are_not_mixed() {
        let records = [record("A", "1", ""), record("B", "2", ""), record("A", "3", "")];
        let parcels = packed(&records);
        let found: Vec<_> = parcels.iter().map(|parcel| (&*parcel.keys, parcel.records)).collect();
        assert_eq!(found, [("1 3", 2), ("2", 1)]);
        assert_eq!(parcels[0].body.matches('\u{2}').count(), 2);
    }

    #[test]
    fn records_of_several_trace_topics_are_not_mixed() {
        let (mut here, there) = (record("A", "1", ""), record("A", "2", ""));
        here.region = "here".into();
        let parcels = pack(&[here, there], true, |record| format!("rmq_sys_TRACE_DATA_{}", record.region).into());
        let topics: Vec<&str> = parcels.iter().map(|parcel| &*parcel.trace_topic).collect();
        assert_eq!(topics, ["rmq_sys_TRACE_DATA_here", "rmq_sys_TRACE_DATA_R"]);
    }

    #[test]
    fn each_id_and_key_is_told_once() {
        let parcels = packed(&[record("A", "1", "k1 k2"), record("A", "1", "k2  k3")]);
        assert_eq!(parcels[0].keys, "1 k1 k2 k3");
    }

    #[test]
    fn a_message_has_at_most_128_000_bytes() {
        // Each makes a record of a little above 20 000 bytes, and its keys are one.
        let records: Vec<_> = (0..12).map(|number| record("A", &number.to_string(), &"k".repeat(20_000))).collect();
        let parcels = packed(&records);
        assert!(parcels.iter().all(|parcel| parcel.body.len() <= MAX_BODY), "{}", parcels.len());
        assert_eq!(parcels.iter().map(|parcel| parcel.records).sum::<usize>(), 12);
    }

    #[test]
    fn the_index_stays_within_the_properties() {
        let long = record("A", "1", &"k".repeat(40_000));
        assert_eq!(packed(&[long])[0].keys, "1", "found by its id only");
        let records: Vec<_> = (0..10)
            .map(|number| record("A", &number.to_string(), &format!("{number}{}", "k".repeat(10_000))))
            .collect();
        let parcels = packed(&records);
        assert!(parcels.iter().all(|parcel| parcel.keys.len() <= MAX_KEYS));
        assert_eq!(parcels.iter().flat_map(|parcel| parcel.keys.split(' ')).count(), 20, "nothing is left out");
    }
}
