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
use crate::message::{Damage, MessageQueue, MessageView, Stored, View, first_in_wire, sys_flag};

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
    let magic = BigEndian::read_u32(&data[record.start + 4..]);
    if magic != MAGIC_V1 && magic != MAGIC_V2 {
        return Err(Error::malformed(format!("a stored message with magic number {magic:#010x}")));
    }
    let mut from = Cursor { data, left: &data[record.start + 8..record.end], part: "hosts" };
    let stored = parts(&mut from, magic, topic);
    stored.ok_or_else(|| Error::malformed(format!("a stored message ends inside its {}", from.part)))
}

/// What follows the magic number; `None` when the record ends before its parts do.
fn parts(from: &mut Cursor<'_>, magic: u32, topic: &mut Arc<str>) -> Option<Stored> {
    let body_crc = from.u32()?;
    let queue_id = from.u32()? as i32;
    let flag = from.u32()? as i32;
    let queue_offset = from.i64()?;
    let commit_log_offset = from.i64()?;
    let sys_flag = from.u32()? as i32;
    let born_timestamp = from.i64()?;
    let born_host = from.host(sys_flag & sys_flag::BORN_HOST_V6 != 0)?;
    let store_timestamp = from.i64()?;
    let store_host = from.host(sys_flag & sys_flag::STORE_HOST_V6 != 0)?;
    let reconsume_times = from.u32()? as i32;
    let prepared_transaction_offset = from.i64()?;
    from.part = "body";
    let body_len = from.u32()?;
    let body = from.take(body_len as usize)?;
    from.part = "topic";
    let topic_len = if magic == MAGIC_V1 { usize::from(from.array::<1>()?[0]) } else { from.u16()? };
    let name = from.take(topic_len)?;
    if topic.as_bytes() != name {
        *topic = String::from_utf8_lossy(name).into();
    }
    from.part = "properties";
    let properties_len = from.u16()?;
    let properties = from.take(properties_len)?;
    let properties = if properties.is_ascii() || std::str::from_utf8(properties).is_ok() {
        from.data.slice_ref(properties)
    } else {
        String::from_utf8_lossy(properties).into_owned().into()
    };
    Some(Stored {
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
        body: from.data.slice_ref(body),
        topic: topic.clone(),
        properties,
    })
}

/// Reads one part after another; `None` at the end, because an error of each part would cost more than the part.
struct Cursor<'a> {
    data: &'a Bytes,
    left: &'a [u8],
    /// What is being read.
    part: &'static str,
}

impl<'a> Cursor<'a> {
    #[inline]
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(count)?;
        self.left = left;
        Some(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, left) = self.left.split_first_chunk()?;
        self.left = left;
        Some(*taken)
    }

    #[inline]
    fn u16(&mut self) -> Option<usize> {
        self.array().map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }

    #[inline]
    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// The port has four bytes, of which the upper two mean nothing.
    #[inline]
    fn host(&mut self, v6: bool) -> Option<SocketAddr> {
        let ip = if v6 { IpAddr::from(self.array::<16>()?) } else { IpAddr::from(self.array::<4>()?) };
        Some(SocketAddr::new(ip, self.u32()? as u16))
    }
}

/// Decodes an answer's messages for users: inflates bodies and unpacks inner batches, within bounds.
///
/// A body that cannot be inflated damages its own message only. A record that cannot be read ends the answer, and so does
/// one beyond the bounds: the messages before it are returned, and the error beside them.
pub(crate) fn messages(data: Bytes, broker_name: &Arc<str>, bounds: &Bounds) -> (Vec<MessageView>, Option<Error>) {
    let (views, error) = views(data, Source::Broker(broker_name), bounds);
    (View::messages(views), error)
}

/// As [`messages`], for whoever has something to add to them.
pub(crate) fn views(data: Bytes, source: Source<'_>, bounds: &Bounds) -> (Vec<View>, Option<Error>) {
    // No answer that this crate asks for has more messages than this.
    const MOST: usize = 1024;
    // Messages of one answer often are alike, so the first says how many there are.
    let first = data.first_chunk().map_or(0, |size| u32::from_be_bytes(*size)) as usize;
    let views = Vec::with_capacity((data.len() / first.max(MIN_SIZE)).min(MOST));
    let mut made = Made { source, bounds, inflated: 0, queue: None, views };
    let error = Records::new(data).try_for_each(|stored| made.take(stored)).err();
    (made.views, error)
}

/// Where an answer's messages lie.
pub(crate) enum Source<'a> {
    /// On this broker, each in the queue that it names itself.
    Broker(&'a Arc<str>),
    /// In the queue that was pulled. The queues of a static topic are spread over several brokers: the number turns the offset
    /// the broker stored into that of the topic's queue.
    Queue(Arc<MessageQueue>, i64),
}

/// What was made of an answer so far.
struct Made<'a> {
    source: Source<'a>,
    bounds: &'a Bounds,
    /// Bytes of inflated bodies.
    inflated: usize,
    /// The queue of the last message: those of one answer often share it.
    queue: Option<Arc<MessageQueue>>,
    views: Vec<View>,
}

impl Made<'_> {
    fn take(&mut self, stored: Result<Stored>) -> Result<()> {
        self.room_for_one()?;
        let stored = stored?;
        if stored.sys_flag & sys_flag::INNER_BATCH != 0 && stored.sys_flag & sys_flag::NEED_UNWRAP != 0 {
            return self.take_batch(stored);
        }
        let view = self.view(stored);
        self.views.push(view);
        Ok(())
    }

    fn take_batch(&mut self, mut stored: Stored) -> Result<()> {
        match unpack(&stored) {
            Ok(inner) if inner.len() > self.bounds.messages.saturating_sub(self.views.len()) => {
                return Err(self.too_many(inner.len()));
            }
            Ok(inner) => {
                for stored in inner {
                    let view = self.view(stored);
                    self.views.push(view);
                }
            }
            Err(error) => {
                let queue = self.place(&mut stored);
                self.views.push(View::new(stored, queue, Some(Err(error.to_string().into()))));
            }
        }
        Ok(())
    }

    /// The first message always has room: the answer has to get somewhere.
    fn room_for_one(&self) -> Result<()> {
        let made = self.views.len();
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

    /// Finds the queue that a message is in, and gives it its offset there.
    fn place(&mut self, stored: &mut Stored) -> Arc<MessageQueue> {
        let broker_name = match &self.source {
            Source::Queue(queue, delta) => {
                stored.queue_offset = stored.queue_offset.saturating_add(*delta);
                return queue.clone();
            }
            Source::Broker(name) => *name,
        };
        let same = |queue: &&Arc<MessageQueue>| {
            queue.queue_id() == stored.queue_id && Arc::ptr_eq(queue.shared_topic(), &stored.topic)
        };
        if let Some(queue) = self.queue.as_ref().filter(same) {
            return queue.clone();
        }
        let queue = MessageQueue::new(stored.topic.clone(), broker_name.clone(), stored.queue_id);
        self.queue.insert(Arc::new(queue)).clone()
    }

    fn view(&mut self, mut stored: Stored) -> View {
        let mut inflated = (stored.sys_flag & sys_flag::COMPRESSED != 0).then(|| self.inflate(&stored));
        // A property has two bytes at least, so that counting them is hardly ever necessary.
        if stored.properties.len() / 2 > self.bounds.properties {
            let first = first_in_wire(&stored.properties, self.bounds.properties);
            if first < stored.properties.len() {
                stored.properties.truncate(first);
                let most = self.bounds.properties;
                let what = format!("a message with more than {most} properties");
                inflated = Some(Err(Damage::beyond(Limit::Properties, what)));
            }
        }
        let queue = self.place(&mut stored);
        View::new(stored, queue, inflated)
    }

    fn inflate(&mut self, stored: &Stored) -> Result<Bytes, Damage> {
        if self.inflated >= self.bounds.answer && self.inflated > 0 {
            // Only inside an inner batch, which is taken as a whole.
            let most = self.bounds.answer;
            let what = format!("the messages of its batch inflate beyond {most} bytes");
            return Err(Damage::beyond(Limit::Answer, what));
        }
        let body = compress::inflate(stored.sys_flag, &stored.body, self.bounds.body);
        self.inflated = self.inflated.saturating_add(body.as_ref().map_or(0, Bytes::len));
        body
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
