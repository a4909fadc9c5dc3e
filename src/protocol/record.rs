//! Stored messages: what the bodies of pull, view and query answers consist of, one after another.
//!
//! The layout is wire.md's of the remoting protocol; host fields have 8 or 20 bytes by the system flag, and the topic's
//! length one or two bytes by the magic number.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

use byteorder::{BigEndian, ByteOrder};
use bytes::Bytes;

use super::bounds::Bounds;
use super::{batch, compress};
use crate::error::{Error, Limit, Result};
use crate::message::{Damage, MessageView, Stored, first_in_wire, sys_flag};

const MAGIC_V1: u32 = 0xDAA3_20A7;
/// Since 5.1, for topics longer than 127 bytes: two bytes of topic length.
const MAGIC_V2: u32 = 0xDAA3_20AB;
/// The smallest record: IPv4 hosts, magic V1, nothing in it.
const MIN_SIZE: usize = 91;

/// Appends a record.
pub(crate) fn encode(out: &mut Vec<u8>, stored: &Stored) {
    let start = out.len();
    let long_topic = stored.topic.len() > 127;
    let mut sys = stored.sys_flag & !(sys_flag::BORN_HOST_V6 | sys_flag::STORE_HOST_V6);
    sys |= if stored.born_host.is_ipv6() { sys_flag::BORN_HOST_V6 } else { 0 };
    sys |= if stored.store_host.is_ipv6() { sys_flag::STORE_HOST_V6 } else { 0 };
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(if long_topic { MAGIC_V2 } else { MAGIC_V1 }).to_be_bytes());
    out.extend_from_slice(&stored.body_crc.to_be_bytes());
    out.extend_from_slice(&stored.queue_id.to_be_bytes());
    out.extend_from_slice(&stored.flag.to_be_bytes());
    out.extend_from_slice(&stored.queue_offset.to_be_bytes());
    out.extend_from_slice(&stored.commit_log_offset.to_be_bytes());
    out.extend_from_slice(&sys.to_be_bytes());
    out.extend_from_slice(&stored.born_timestamp.to_be_bytes());
    encode_host(out, stored.born_host);
    out.extend_from_slice(&stored.store_timestamp.to_be_bytes());
    encode_host(out, stored.store_host);
    out.extend_from_slice(&stored.reconsume_times.to_be_bytes());
    out.extend_from_slice(&stored.prepared_transaction_offset.to_be_bytes());
    out.extend_from_slice(&(stored.body.len() as u32).to_be_bytes());
    out.extend_from_slice(&stored.body);
    if long_topic {
        out.extend_from_slice(&(stored.topic.len() as u16).to_be_bytes());
    } else {
        out.push(stored.topic.len() as u8);
    }
    out.extend_from_slice(stored.topic.as_bytes());
    out.extend_from_slice(&(stored.properties.len() as u16).to_be_bytes());
    out.extend_from_slice(&stored.properties);
    let size = (out.len() - start) as u32;
    BigEndian::write_u32(&mut out[start..], size);
}

fn encode_host(out: &mut Vec<u8>, host: SocketAddr) {
    match host.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&u32::from(host.port()).to_be_bytes());
}

/// CRC-32 of a stored body, as brokers compute it.
pub(crate) fn body_crc(body: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(body);
    crc.sum() & 0x7FFF_FFFF
}

/// Whether the body of any message is compressed, so that decoding them can take long.
pub(crate) fn any_compressed(mut data: &[u8]) -> bool {
    /// Where the system flag stands.
    const FLAG: Range<usize> = 36..40;
    while let Some(flag) = data.get(FLAG) {
        if BigEndian::read_u32(flag) as i32 & sys_flag::COMPRESSED != 0 {
            return true;
        }
        let size = BigEndian::read_u32(data) as usize;
        data = data.get(size.max(MIN_SIZE)..).unwrap_or_default();
    }
    false
}

/// Reads records one after another. After an error the rest is given up: where a record ends is no longer known.
#[derive(Debug)]
pub(crate) struct Records {
    data: Bytes,
    at: usize,
    /// The name of the last topic, so that the messages of one answer share it.
    topic: Arc<str>,
}

impl Records {
    pub(crate) fn new(data: Bytes) -> Records {
        Records { data, at: 0, topic: "".into() }
    }

    fn step(&mut self) -> Result<Stored> {
        let left = self.data.len() - self.at;
        let size = self.data.get(self.at..self.at + 4).map_or(0, BigEndian::read_u32) as usize;
        if size < MIN_SIZE || size > left {
            return Err(Error::malformed(format!("a stored message of {size} bytes with {left} left")));
        }
        let record = self.at..self.at + size;
        self.at += size;
        read(&self.data, record, &mut self.topic)
    }
}

impl Iterator for Records {
    type Item = Result<Stored>;

    fn next(&mut self) -> Option<Result<Stored>> {
        if self.at >= self.data.len() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.at = self.data.len();
        }
        Some(step)
    }
}

fn read(data: &Bytes, record: Range<usize>, topic: &mut Arc<str>) -> Result<Stored> {
    let mut from = Cursor { data, at: record.start + 4, end: record.end };
    let magic = from.u32("magic")?;
    if magic != MAGIC_V1 && magic != MAGIC_V2 {
        return Err(Error::malformed(format!("a stored message with magic number {magic:#010x}")));
    }
    let body_crc = from.u32("crc")?;
    let queue_id = from.u32("queue id")? as i32;
    let flag = from.u32("flag")? as i32;
    let queue_offset = from.i64("queue offset")?;
    let commit_log_offset = from.i64("commit log offset")?;
    let sys_flag = from.u32("system flag")? as i32;
    let born_timestamp = from.i64("born timestamp")?;
    let born_host = from.host("born host", sys_flag & sys_flag::BORN_HOST_V6 != 0)?;
    let store_timestamp = from.i64("store timestamp")?;
    let store_host = from.host("store host", sys_flag & sys_flag::STORE_HOST_V6 != 0)?;
    let reconsume_times = from.u32("reconsume times")? as i32;
    let prepared_transaction_offset = from.i64("transaction offset")?;
    let body_len = from.u32("body length")? as usize;
    let body = from.bytes("body", body_len)?;
    let topic_len = match magic {
        MAGIC_V1 => usize::from(from.take("topic length", 1)?[0]),
        _ => usize::from(BigEndian::read_u16(from.take("topic length", 2)?)),
    };
    let name = String::from_utf8_lossy(from.take("topic", topic_len)?);
    if **topic != *name {
        *topic = name.into();
    }
    let properties_len = usize::from(BigEndian::read_u16(from.take("properties length", 2)?));
    let mut properties = from.bytes("properties", properties_len)?;
    if std::str::from_utf8(&properties).is_err() {
        properties = String::from_utf8_lossy(&properties).into_owned().into();
    }
    Ok(Stored {
        queue_id,
        flag,
        queue_offset,
        commit_log_offset,
        sys_flag,
        body_crc,
        born_timestamp,
        born_host,
        store_timestamp,
        store_host,
        reconsume_times,
        prepared_transaction_offset,
        body,
        topic: topic.clone(),
        properties,
    })
}

#[cold]
fn ends_inside(what: &str) -> Error {
    Error::malformed(format!("a stored message ends inside its {what}"))
}

struct Cursor<'a> {
    data: &'a Bytes,
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    fn take(&mut self, what: &str, count: usize) -> Result<&'a [u8]> {
        let left = &self.data[self.at..self.end];
        let found = left.get(..count).ok_or_else(|| ends_inside(what))?;
        self.at += count;
        Ok(found)
    }

    fn bytes(&mut self, what: &str, count: usize) -> Result<Bytes> {
        let start = self.at;
        self.take(what, count)?;
        Ok(self.data.slice(start..self.at))
    }

    #[inline]
    fn u32(&mut self, what: &str) -> Result<u32> {
        self.take(what, 4).map(BigEndian::read_u32)
    }

    #[inline]
    fn i64(&mut self, what: &str) -> Result<i64> {
        self.take(what, 8).map(BigEndian::read_i64)
    }

    /// The port has four bytes, of which the upper two mean nothing.
    fn host(&mut self, what: &str, v6: bool) -> Result<SocketAddr> {
        let ip = if v6 {
            let mut octets = [0; 16];
            octets.copy_from_slice(self.take(what, 16)?);
            IpAddr::from(octets)
        } else {
            IpAddr::from(self.u32(what)?.to_be_bytes())
        };
        Ok(SocketAddr::new(ip, self.u32(what)? as u16))
    }
}

/// Decodes an answer's messages for users: inflates bodies and unpacks inner batches, within bounds.
///
/// A body that cannot be inflated damages its own message only. A record that cannot be read ends the answer, and so does
/// one beyond the bounds: the messages before it are returned, and the error beside them.
pub(crate) fn views(data: Bytes, broker_name: &Arc<str>, bounds: &Bounds) -> (Vec<MessageView>, Option<Error>) {
    // No answer that this crate asks for has more messages than this.
    const MOST: usize = 1024;
    // Messages of one answer often are alike, so the first says how many there are.
    let first = data.first_chunk().map_or(0, |size| u32::from_be_bytes(*size)) as usize;
    let mut views = Vec::with_capacity((data.len() / first.max(MIN_SIZE)).min(MOST));
    let mut made = Made { broker_name, bounds, inflated: 0 };
    for stored in Records::new(data) {
        if let Err(error) = made.room_for_one(views.len()) {
            return (views, Some(error));
        }
        match stored {
            Ok(stored)
                if stored.sys_flag & sys_flag::INNER_BATCH != 0 && stored.sys_flag & sys_flag::NEED_UNWRAP != 0 =>
            {
                match unpack(&stored) {
                    Ok(inner) if inner.len() > bounds.messages.saturating_sub(views.len()) => {
                        return (views, Some(made.too_many(inner.len())));
                    }
                    Ok(inner) => views.extend(inner.into_iter().map(|stored| made.view(stored))),
                    Err(error) => {
                        let damage = error.to_string().into();
                        views.push(MessageView::new(stored, broker_name.clone(), Err(damage)));
                    }
                }
            }
            Ok(stored) => views.push(made.view(stored)),
            Err(error) => return (views, Some(error)),
        }
    }
    (views, None)
}

/// What was made of an answer so far.
struct Made<'a> {
    broker_name: &'a Arc<str>,
    bounds: &'a Bounds,
    /// Bytes of inflated bodies.
    inflated: usize,
}

impl Made<'_> {
    /// The first message always has room: the answer has to get somewhere.
    fn room_for_one(&self, made: usize) -> Result<()> {
        if made >= self.bounds.messages {
            return Err(self.too_many(made + 1));
        }
        if self.inflated >= self.bounds.answer && made > 0 {
            let (found, most) = (self.inflated, self.bounds.answer);
            return Err(Error::beyond(Limit::Answer, found, "bytes or more of inflated messages in one answer", most));
        }
        Ok(())
    }

    #[cold]
    fn too_many(&self, found: usize) -> Error {
        Error::beyond(Limit::Messages, found, "messages or more in one answer", self.bounds.messages)
    }

    fn view(&mut self, mut stored: Stored) -> MessageView {
        let mut body = if stored.sys_flag & sys_flag::COMPRESSED == 0 {
            Ok(stored.body.clone())
        } else if self.inflated >= self.bounds.answer && self.inflated > 0 {
            // Only inside an inner batch, which is taken as a whole.
            let what = format!("the messages of its batch inflate beyond {} bytes", self.bounds.answer);
            Err(Damage::beyond(Limit::Answer, what))
        } else {
            let body = compress::inflate(stored.sys_flag, &stored.body, self.bounds.body);
            self.inflated = self.inflated.saturating_add(body.as_ref().map_or(0, Bytes::len));
            body
        };
        // A property has two bytes at least, so that counting them is hardly ever necessary.
        if stored.properties.len() / 2 > self.bounds.properties {
            let first = first_in_wire(&stored.properties, self.bounds.properties);
            if first < stored.properties.len() {
                stored.properties.truncate(first);
                let most = self.bounds.properties;
                let what = format!("a message with more than {most} properties");
                body = Err(Damage::beyond(Limit::Properties, what));
            }
        }
        MessageView::new(stored, self.broker_name.clone(), body)
    }
}

/// Unpacks an inner batch: each message gets the outer one's queue, hosts and times, and its own offset, flag, body and
/// properties.
fn unpack(outer: &Stored) -> Result<Vec<Stored>> {
    let items = batch::decode(&outer.body)?;
    if items.is_empty() {
        return Err(Error::malformed("an inner batch without messages"));
    }
    Ok(items
        .into_iter()
        .zip(0..)
        .map(|(item, index)| Stored {
            // Wraps rather than panics on the absurd offset of a broken peer.
            queue_offset: outer.queue_offset.wrapping_add(index),
            flag: item.flag,
            body_crc: body_crc(&item.body),
            body: item.body,
            properties: item.properties,
            ..outer.clone()
        })
        .collect())
}

#[cfg(test)]
mod tests;
