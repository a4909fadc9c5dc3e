//! Records as the broker makes them from what was sent, and what it looks up in those it has.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use byteorder::{BigEndian, ByteOrder};
use bytes::Bytes;

use crate::message::{Stored, key, sys_flag, wire_pairs};
use crate::protocol::record;

/// Everything of a record that a sender decides; offsets and times come when it is stored.
#[derive(Debug, Clone)]
pub(super) struct NewRecord {
    pub(super) topic: Arc<str>,
    pub(super) queue_id: i32,
    pub(super) flag: i32,
    pub(super) sys_flag: i32,
    pub(super) born_timestamp: i64,
    pub(super) born_host: SocketAddr,
    pub(super) store_host: SocketAddr,
    pub(super) reconsume_times: i32,
    pub(super) body: Bytes,
    /// Valid UTF-8.
    pub(super) properties: Bytes,
}

impl NewRecord {
    pub(super) fn properties(&self) -> &str {
        std::str::from_utf8(&self.properties).unwrap_or_default()
    }

    /// Writes the record with zeros for what the store fills in.
    pub(super) fn encode(&self) -> Arc<[u8]> {
        let mut out = Vec::with_capacity(128 + self.topic.len() + self.body.len() + self.properties.len());
        let stored = Stored {
            queue_id: self.queue_id,
            flag: self.flag,
            queue_offset: 0,
            commit_log_offset: 0,
            sys_flag: self.sys_flag,
            body_crc: record::body_crc(&self.body),
            born_timestamp: self.born_timestamp,
            born_host: self.born_host,
            store_timestamp: 0,
            store_host: self.store_host,
            reconsume_times: self.reconsume_times,
            prepared_transaction_offset: 0,
            body: self.body.clone(),
            topic: self.topic.clone(),
            properties: self.properties.clone(),
        };
        record::encode(&mut out, &stored);
        out.into()
    }

    /// Starts a new message from a stored one.
    pub(super) fn from_record(stored: &[u8]) -> Option<NewRecord> {
        let stored = record::Records::new(Bytes::copy_from_slice(stored)).next()?.ok()?;
        Some(NewRecord {
            topic: stored.topic,
            queue_id: stored.queue_id,
            flag: stored.flag,
            sys_flag: stored.sys_flag,
            born_timestamp: stored.born_timestamp,
            born_host: stored.born_host,
            store_host: stored.store_host,
            reconsume_times: stored.reconsume_times,
            body: stored.body,
            properties: stored.properties,
        })
    }
}

/// Finds the properties in a record without decoding the rest.
pub(super) fn properties(stored: &[u8]) -> Option<&str> {
    const BEFORE_HOSTS: usize = 48;
    const SYS_FLAG: usize = 36;
    const V2_MAGIC_BYTE: u8 = 0xAB;
    let flag = BigEndian::read_i32(stored.get(SYS_FLAG..SYS_FLAG + 4)?);
    let host = |bit| if flag & bit != 0 { 20 } else { 8 };
    let body = BEFORE_HOSTS + host(sys_flag::BORN_HOST_V6) + 8 + host(sys_flag::STORE_HOST_V6) + 12;
    let topic = body + 4 + BigEndian::read_u32(stored.get(body..body + 4)?) as usize;
    let after_topic = if *stored.get(7)? == V2_MAGIC_BYTE {
        topic + 2 + usize::from(BigEndian::read_u16(stored.get(topic..topic + 2)?))
    } else {
        topic + 1 + usize::from(*stored.get(topic)?)
    };
    std::str::from_utf8(stored.get(after_topic + 2..)?).ok()
}

/// The properties a broker looks at in every message, found in one pass. As everywhere the last of two wins.
#[derive(Debug, Default)]
pub(super) struct Known<'a> {
    pub(super) tags: Option<&'a str>,
    pub(super) keys: Option<&'a str>,
    pub(super) unique_id: Option<&'a str>,
    pub(super) prepared: Option<&'a str>,
    pub(super) priority: Option<&'a str>,
    pub(super) sharding_key: Option<&'a str>,
    pub(super) delay: Option<&'a str>,
    pub(super) timer_seconds: Option<&'a str>,
    pub(super) timer_millis: Option<&'a str>,
    pub(super) timer_time: Option<&'a str>,
}

impl<'a> Known<'a> {
    pub(super) fn new(properties: &'a str) -> Known<'a> {
        let mut known = Known::default();
        for (name, value) in wire_pairs(properties) {
            let place = match name {
                key::TAGS => &mut known.tags,
                key::KEYS => &mut known.keys,
                key::UNIQUE_ID => &mut known.unique_id,
                key::TRANSACTION_PREPARED => &mut known.prepared,
                key::PRIORITY => &mut known.priority,
                key::SHARDING_KEY => &mut known.sharding_key,
                key::DELAY => &mut known.delay,
                key::TIMER_DELAY_SECONDS => &mut known.timer_seconds,
                key::TIMER_DELAY_MILLIS => &mut known.timer_millis,
                key::TIMER_DELIVER_MILLIS => &mut known.timer_time,
                _ => continue,
            };
            *place = Some(value);
        }
        known
    }
}

/// Milliseconds since 1970.
pub(super) fn now_millis() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The address of a v4 client also when it came over a v6 socket.
pub(super) fn plain(addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V6(ip) => SocketAddr::new(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4), addr.port()),
        IpAddr::V4(_) => addr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_found_whatever_the_hosts_and_the_topic_are() {
        for host in ["10.0.0.1:5", "[fd00::1]:5"] {
            for topic in ["T", &"long".repeat(40)] {
                let new = NewRecord {
                    topic: topic.into(),
                    queue_id: 1,
                    flag: 2,
                    sys_flag: 0,
                    born_timestamp: 3,
                    born_host: host.parse().unwrap(),
                    store_host: host.parse().unwrap(),
                    reconsume_times: 4,
                    body: Bytes::from_static(b"body"),
                    properties: Bytes::from_static(b"a\x01b\x02"),
                };
                let record = new.encode();
                assert_eq!(properties(&record), Some("a\u{1}b\u{2}"), "{host} {topic}");
                assert_eq!(NewRecord::from_record(&record).unwrap().body, new.body);
                for cut in 0..record.len() {
                    let _ = properties(&record[..cut]);
                }
            }
        }
    }
}
